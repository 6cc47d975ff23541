"""age (age-encryption.org/v1), to a recipient whose identity is on the controller.

    age-encryption.org/v1
    -> X25519 C3dHutrbsI2VNweT…
    …
    --- 5ZJY…                        authenticates the header; then blocks of 64 KiB, each with a tag of 16 bytes
    -----BEGIN AGE ENCRYPTED FILE-----        in ASCII armour

No byte comes out that was not authenticated, and a missing last block is noticed (age(1)).
"""

from __future__ import annotations

from typing import Final

from remedy.backups.seals import Complaint, End, Opening
from remedy.backups.values import Keys
from remedy.core.errors import Refused

SUFFIXES: Final = (".age",)
CHECKED: Final = True

_BLOCK: Final = 64 * 1024
_TAG: Final = 16
#: Bytes that a line of armour holds, and takes.
_LINE: Final = (48, 65)
#: What a header with some dozens of recipients may come to.
_HEADER: Final = 8 * 1024


def recognises(head: bytes) -> bool:
    """Whether `head` begins an age file."""
    return head.startswith((b"age-encryption.o", b"-----BEGIN AGE E"))


def opening(keys: Keys) -> Opening:
    """By the identities in a file on the controller. Raises Refused without one."""
    if not keys.age_identity:
        raise Refused(
            "it is encrypted with age, and there is no identity",
            hint="give the database's keys `age_identity`, a file on this machine, in the inventory",
        )
    return Opening(("age", "--decrypt", "--identity", keys.age_identity), "age")


def doubt(head: bytes) -> Complaint | None:  # noqa: ARG001 -- the interface of every seal
    """None: age itself tells a wrong key."""
    return None


def complaint(end: End) -> Complaint | None:
    """What age's words mean. Of a block that does not fit, its place tells whether it is the end that is missing."""
    if end.status == 0:
        return None
    said = end.err.decode("utf-8", "replace").strip()
    if 'error: reading "' in said:
        return Complaint("", said.splitlines()[0], "see age_identity in the inventory")
    armour = "invalid armor" in said
    cut = ("payload chunk" in said or armour) and _at_its_end(end, armour=armour)
    for found, made in (
        ("no identity matched" in said, _OTHER),
        ("passphrase" in said, _PASSPHRASE),
        ("EOF" in said or cut, _CUT),
        ("failed to" in said or "invalid" in said or "error" in said, _CHANGED),
    ):
        if found:
            return made
    return Complaint("", f"age failed: status {end.status}")


_OTHER: Final = Complaint(
    "wrong-key",
    "it is encrypted to another identity",
    "see age_identity in the inventory; age does not say to whom a file is encrypted",
)
_PASSPHRASE: Final = Complaint(
    "", "it is encrypted with a passphrase, which age takes only from a terminal", "open it by hand"
)
_CUT: Final = Complaint("truncated", "it is cut short, or its last block is damaged")
_CHANGED: Final = Complaint("corrupt", "it was changed after it was encrypted: age's check does not fit")


def _at_its_end(end: End, *, armour: bool) -> bool:
    """Whether no whole block can have followed the one that failed."""
    given = end.given * _LINE[0] // _LINE[1] if armour else end.given
    return end.whole and given - end.got // _BLOCK * (_BLOCK + _TAG) < _BLOCK + _TAG + _HEADER
