"""The end of a signing key, in its own words: what it signed last, why it signs no more, and which key follows.

Decides the text, which the ending key signs itself (SSHSIG, namespace `remedy-key-v1`): whoever has a key may end it.

    remedy-key/6d0f…
    key SHA256:NuVeUZbTqV+JLV/e+YDL7D/YbOuGPDqyvCMzhKQ2qSE
    ends 41
    why stolen
    next ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…
    time 2026-11-20T06:32:59.000001Z

`ends` is how many entries there were: a checkpoint of more entries by this key is not the record's. `why` is `retired`
or `stolen`. A retired key vouches for the next; the word of a stolen one is worth nothing but its own end, so the
fingerprint of the key after it has to be told by another way.
Leaves to others: when a key is ended (signing), what follows for checkpoints (witness).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remedy.core.errors import RecordBroken
from remedy.record import sshsig

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from remedy.record.sshsig import PublicKey

#: SSHSIG namespace of these statements.
NAMESPACE: Final = "remedy-key-v1"
#: The kind of the entry that says it in the record.
KIND: Final = "key-ended"
RETIRED: Final = "retired"
STOLEN: Final = "stolen"

_ORIGIN: Final = "remedy-key/"
_BODY: Final = re.compile(
    r"remedy-key/([0-9a-f]+)\nkey (SHA256:[A-Za-z0-9+/]{43})\nends (0|[1-9][0-9]{0,17})\nwhy (retired|stolen)\n"
    r"next (ssh-ed25519 [A-Za-z0-9+/]{1,100}={0,2})\ntime ([0-9TZ:.-]+)\n"
)


@dataclass(frozen=True, slots=True)
class Ending:
    """What the statement says. `record` is the record's random id, `follower` the public key that follows."""

    record: str
    fingerprint: str
    ends: int
    why: str
    follower: PublicKey
    time: str

    @property
    def body(self) -> str:
        """The text that is signed."""
        return (
            f"{_ORIGIN}{self.record}\nkey {self.fingerprint}\nends {self.ends}\nwhy {self.why}\n"
            f"next {self.follower.line}\ntime {self.time}\n"
        )


def sign(ending: Ending, key: Ed25519PrivateKey) -> str:
    """The statement with its signature: body, empty line, SSHSIG."""
    return f"{ending.body}\n{sshsig.sign(key, ending.body.encode(), namespace=NAMESPACE)}"


def is_one(text: str) -> bool:
    """Whether a text means to be such a statement."""
    return text.startswith(_ORIGIN)


def of_entry(body: str) -> Ending:
    """What the statement in an entry's body says. Raises RecordBroken when there is none, or none that is signed."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    return opened(str(found.get("statement")) if isinstance(found, dict) else "")


def opened(text: str) -> Ending:
    """What a signed statement says. Raises RecordBroken when the key that ends has not signed it."""
    body, gap, signature = text.replace("\r\n", "\n").partition("\n\n")
    found = _BODY.fullmatch(body + "\n")
    if not found or not gap:
        raise RecordBroken("this is no statement about the end of a signing key")
    record, fingerprint, ends, why, follower, time = found.groups()
    signer = sshsig.verify(f"{body}\n".encode(), signature, namespace=NAMESPACE)
    if signer.fingerprint != fingerprint:
        raise RecordBroken(f"the end of {fingerprint} is signed by {signer.fingerprint}: only a key ends itself")
    return Ending(record, fingerprint, int(ends), why, sshsig.parse_line(follower), time)
