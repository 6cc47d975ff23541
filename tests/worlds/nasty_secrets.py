"""Dumps sealed with openssl's CBC, which does not notice what becomes of them; part of the nasty backups.

Follows enc(1) of OpenSSL 3: `Salted__`, eight bytes of salt, then the data; key and initial vector come out of PBKDF2
(RFC 8018) with SHA-256 and 10,000 rounds.
"""

from __future__ import annotations

import hashlib
import itertools
import subprocess
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from tests.worlds.nasty_case import ACCEPTED, Expected, rejected

__all__ = ["cases"]

_RIGHT: Final = "correct horse"
_ROUNDS: Final = 10_000
_BLOCK: Final = 16
_SALTED: Final = b"Salted__"


def cases(text: bytes) -> Iterator[tuple[str, bytes, str, Expected, str]]:
    """Name, content, passphrase, what is expected and why; the sound one first, the others are that one altered."""
    sealed = _openssl("-e", text, _RIGHT)
    yield "openssl", sealed, _RIGHT, ACCEPTED, "sealed with openssl enc, aes-256-cbc"
    why = "one bit turned inside a BLOB: openssl says nothing"
    yield "flip-openssl", _flipped(sealed, text), _RIGHT, rejected("container", "checksum"), why
    wrong = rejected("container", "wrong-key|key|corrupt")
    yield "openssl-wrong-key", sealed, "wrong horse", wrong, "another passphrase"
    lucky = next(word for word in (f"horse {number}" for number in itertools.count()) if _pads(sealed, word))
    why = "another passphrase, and openssl takes the noise it makes for a good end"
    yield "openssl-lucky-key", sealed, lucky, rejected("structure", "wrong-key|key|not-text|cut|no-tables"), why


def _flipped(sealed: bytes, text: bytes) -> bytes:
    """One turned bit makes 16 bytes noise and turns one bit of the next 16: a place in a BLOB where that is silent."""
    start = len(_SALTED) + 8 + text.index(b"'\xff\xd8") // _BLOCK * _BLOCK
    for at in itertools.count(start + 10 * _BLOCK, _BLOCK):
        broken = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        first = at - len(_SALTED) - 8
        noise = _openssl("-d", broken, _RIGHT)[first - 1 : first + 2 * _BLOCK]
        before = text[first - 1 : first + 2 * _BLOCK]
        if not (set(noise) | set(before)) & set(b"\\'\"\n\r\0\x1a"):
            return broken
    raise AssertionError("unreachable: the counter has no end")


def _openssl(direction: str, content: bytes, passphrase: str) -> bytes:
    argv = ["openssl", "enc", direction, "-aes-256-cbc", "-pbkdf2", "-pass", f"pass:{passphrase}"]
    return subprocess.run(argv, input=content, check=True, capture_output=True).stdout


def _pads(sealed: bytes, passphrase: str) -> bool:
    """Whether the last block ends, with this passphrase, as the padding of PKCS #7 does."""
    salt = sealed[len(_SALTED) : len(_SALTED) + 8]
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ROUNDS, 48)[:32]
    opening = Cipher(algorithms.AES(key), modes.CBC(sealed[-2 * _BLOCK : -_BLOCK])).decryptor()
    last = opening.update(sealed[-_BLOCK:]) + opening.finalize()
    count = last[-1]
    return 1 <= count <= _BLOCK and last.endswith(bytes([count]) * count)
