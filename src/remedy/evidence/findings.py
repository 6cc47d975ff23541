"""What verifying a bag can find, and who is believed to have signed it.

Decides the kinds of findings and how grave each is: damage (the bag is not what was sealed, or not by whom it has to
be), doubt (nothing contradicts, but something is not shown), remark. Leaves to others: finding (`transports.bags`),
signatures and lists of keys (`record.signers`), exit codes (the command line).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: Every kind with what it means; the reference in docs/ is checked against it.
KINDS: Final[dict[str, tuple[str, str]]] = {
    "added": ("damage", "a file or folder that no manifest names"),
    "changed": ("damage", "the content of a file is not what was sealed"),
    "missing": ("damage", "a file that a manifest names is not there"),
    "unsafe": ("damage", "a link, fifo, socket or device, or a path that leads out of the bag; it was not opened"),
    "malformed": ("damage", "a manifest or tag file that is not written as remedy writes it"),
    "disagreeing": ("damage", "two statements of the bag about the same thing differ"),
    "unsealed": ("damage", "the bag was never sealed: writing it broke off"),
    "unreadable": ("damage", "a file cannot be read from this disk"),
    "signature": ("damage", "the signature is missing, malformed or does not fit"),
    "wrong-key": ("damage", "signed by another key than one of those named"),
    "revoked-key": ("damage", "signed by a key that was revoked"),
    "token": ("damage", "the time stamp token is malformed, does not fit, or is of another authority"),
    "unlike-record": ("damage", "the incident record says otherwise"),
    "witness": ("damage", "a witness's signature is malformed or does not fit"),
    "too-much": ("damage", "more entries in one folder than a bag of remedy can have; the rest was not looked at"),
    "unrecorded": ("doubt", "signed with this record's key, and the record does not know it"),
    "unknown-key": ("doubt", "nothing says whose key signed: compare its fingerprint, or name the key"),
    "unstamped": ("doubt", "when it was sealed, the authority that was asked gave no time stamp"),
    "unknown-authority": ("doubt", "the token fits, but the authority's root certificate is the bag's own"),
    "not-checked": ("doubt", "something that this machine has not the means to check"),
    "partial": ("remark", "sealed with less in it than was asked for; it says what"),
    "unknown-witness": ("remark", "a witness's signature fits; whose key it is has to be compared"),
}
#: Findings that are listed; of more, only the number is kept.
MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `path` is within the bag, "" for the bag as a whole."""

    kind: str
    path: str
    text: str

    @property
    def grade(self) -> str:
        """damage, doubt or remark."""
        return KINDS[self.kind][0]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a judge says of a signature that fits: the key, whose it is ("" when nobody says), what speaks against it.

    `problem` is "", "wrong-key", "revoked-key" or "unknown-key".
    """

    fingerprint: str
    identity: str = ""
    problem: str = ""


#: Checks an armored SSHSIG over a message, made for a namespace, and says whose it is. Raises RemedyError when it is
#: malformed, not in the one form that ssh-keygen writes, or does not fit.
Judge = Callable[[bytes, str, str], Signature]


@dataclass(frozen=True, slots=True)
class Findings:
    """What verifying one bag came to.

    `sha256` is that of the tag manifest, as the record keeps it. `signature` is None when none fits, `stamped` the time
    of a token that fits, "" without. `witnesses` are (name, fingerprint) of signatures that fit. `size` and `count` are
    of the payload as it was read. `more` is the number of findings that are not listed.
    """

    name: str
    info: tuple[tuple[str, str], ...] = ()
    sha256: str = ""
    signature: Signature | None = None
    stamped: str = ""
    witnesses: tuple[tuple[str, str], ...] = ()
    size: int = 0
    count: int = 0
    findings: tuple[Finding, ...] = ()
    more: int = 0

    def of(self, *grades: str) -> tuple[Finding, ...]:
        """The findings of these grades."""
        return tuple(one for one in self.findings if one.grade in grades)

    @property
    def ok(self) -> bool:
        """Nothing contradicts the bag."""
        return not (self.of("damage") or self.more)

    @property
    def proven(self) -> bool:
        """Nothing contradicts the bag and nothing is left open."""
        return self.ok and not self.of("doubt")

    def said(self, label: str) -> str:
        """The first value of a label of bag-info.txt, "" when it is not there."""
        return next((value for name, value in self.info if name == label), "")


class Found:
    """Findings while they are being made: bounded, whatever a hostile bag holds."""

    def __init__(self) -> None:
        """None yet."""
        self.listed: list[Finding] = []
        self._seen: set[Finding] = set()
        self.more = 0

    def add(self, kind: str, path: str, text: str = "") -> None:
        """Note one, once; without a text, what its kind means."""
        one = Finding(kind, path, text or KINDS[kind][1])
        if one in self._seen:
            return
        if len(self.listed) < MOST:
            self.listed.append(one)
            self._seen.add(one)
        else:
            self.more += 1
