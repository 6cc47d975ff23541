"""`openssl enc` with a passphrase and a salt (openssl-enc(1)): a cipher and nothing more.

    53 61 6c 74 65 64 5f 5f  salt of 8 bytes  cipher text …       "Salted__"; with -a in base64: "U2FsdGVkX1…"

Nothing in it tells a wrong passphrase or changed bytes. The padding at the end fits by chance once in 256 times, so
exit status 0 proves nothing; what comes out has to look like a backup, and what is around it has to check.
"""

from __future__ import annotations

from typing import Final

from remedy.backups import containers, formats
from remedy.backups.seals import DESCRIPTOR, Complaint, End, Opening
from remedy.backups.values import Keys
from remedy.core.errors import Refused

SUFFIXES: Final = (".enc", ".openssl")
CHECKED: Final = False

_BOM: Final = b"\xef\xbb\xbf"
# Two bytes are too few where every wrong passphrase gives others: deflate is the only method there is (RFC 1952).
_GZIP: Final = (b"\x1f\x8b", b"\x1f\x8b\x08")
_LONGEST_CHARACTER: Final = 4


def recognises(head: bytes) -> bool:
    """Whether `head` begins with a salt."""
    return head.startswith((b"Salted__", b"U2FsdGVkX1"))


def opening(keys: Keys) -> Opening:
    """With the passphrase and the options of the inventory. Raises Refused without a passphrase."""
    if keys.openssl is None:
        raise Refused(
            "it is encrypted with openssl, and there is no passphrase",
            hint="give the database's keys `openssl` in the inventory",
        )
    argv = ("openssl", "enc", "-d", *keys.openssl_options, "-pass", f"fd:{DESCRIPTOR}")
    return Opening(argv, "openssl", keys.openssl)


def doubt(head: bytes) -> Complaint | None:
    """Whether this is neither text nor how a format or a compression begins."""
    known = containers.recognise(head) and not (head.startswith(_GZIP[0]) and not head.startswith(_GZIP[1]))
    known = known or any(head.startswith(form.magic) for form in formats.registered().values())
    if known or _is_text(head.removeprefix(_BOM)):
        return None
    return Complaint("wrong-key", "what comes out is neither text nor a known compression: a wrong passphrase", _SEE)


def _is_text(head: bytes) -> bool:
    """Whether all of it is text, but for a last character that may be cut."""
    for cut in range(_LONGEST_CHARACTER):
        try:
            text = head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return text.translate({9: None, 10: None, 13: None}).isprintable()
    return False


def complaint(end: End) -> Complaint | None:
    """What openssl's words mean; a padding that does not fit says only that the end is wrong."""
    said = end.err.decode("utf-8", "replace").strip()
    if "error reading input file" in said or "bad magic number" in said:
        return Complaint("truncated", "it is cut short within its salt")
    if "wrong final block length" in said:
        return Complaint("truncated", "it is cut short")
    if "bad decrypt" in said:
        wrong = doubt(end.head) if end.got else None
        return wrong or Complaint("truncated", "its end is missing or damaged")
    if end.status == 0:
        return None
    return Complaint("", f"openssl failed: {said.splitlines()[0] if said else f'status {end.status}'}", _SEE)


_SEE: Final = (
    "see openssl and openssl_options in the inventory: passphrase, cipher and -pbkdf2 have to be those it was made with"
)
