"""SSHSIG signatures with Ed25519 keys, byte for byte those of `ssh-keygen -Y sign`.

Decides the signature format (PROTOCOL.sshsig of OpenSSH; hash SHA-512, as ssh-keygen chooses). Everything signed can
be checked with `ssh-keygen -Y verify` where remedy is not installed. A signature looks like this:

    -----BEGIN SSH SIGNATURE-----
    U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgJKxoLBJBivUPNTUJUSslQTt2hD
    …
    -----END SSH SIGNATURE-----

Leaves to others: keeping keys (keys) and which namespace and message are signed (checkpoints).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remedy.core.errors import RecordBroken

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_HASH: Final = b"sha512"
_TYPE: Final = b"ssh-ed25519"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_WIDTH: Final = 70  # ssh-keygen's line length
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key in SSH wire form (RFC 8709)."""

    blob: bytes

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and unpadded base64, as ssh-keygen -l prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        """`ssh-ed25519 AAAA…`, the form of .pub files, without a comment."""
        return f"{_TYPE.decode()} {base64.b64encode(self.blob).decode()}"

    def allowed_signer(self, identity: str, namespace: str) -> str:
        """The line of an allowed_signers file (ssh-keygen(1)), good for one namespace only."""
        return f'{identity} namespaces="{namespace}" {self.line}\n'


def public_key(private: Ed25519PrivateKey) -> PublicKey:
    """The public half."""
    return PublicKey(_string(_TYPE) + _string(private.public_key().public_bytes_raw()))


def parse_line(line: str) -> PublicKey:
    """A public key from `ssh-ed25519 AAAA… [comment]`. Raises RecordBroken when it is not one."""
    parts = line.split()
    if len(parts) < 2 or parts[0] != _TYPE.decode():  # noqa: PLR2004 -- type and key
        raise RecordBroken(f"no ssh-ed25519 public key: {line[:60]!r}")
    key = PublicKey(_decode(parts[1]))
    _raw(key)
    return key


def sign(private: Ed25519PrivateKey, message: bytes, *, namespace: str) -> str:
    """The armored signature of `message`, what `ssh-keygen -Y sign -n NAMESPACE` would print."""
    signature = _string(_TYPE) + _string(private.sign(_to_be_signed(message, namespace)))
    blob = (
        _MAGIC
        + struct.pack(">I", _VERSION)
        + _string(public_key(private).blob)
        + _string(namespace.encode())
        + _string(b"")
        + _string(_HASH)
        + _string(signature)
    )
    return _armored(blob)


def is_canonical(armored: str) -> bool:
    """Whether it is written, to the last character, as ssh-keygen writes it.

    `verify` is content with other line ends, and with base64 whose spare bits are set: in evidence those are changes.
    """
    try:
        return armored == _armored(_decode("".join(armored.strip().splitlines()[1:-1])))
    except RecordBroken:
        return False


def verify(message: bytes, armored: str, *, namespace: str) -> PublicKey:
    """Check a signature and say which key made it. Whether that key is to be trusted is the caller's decision.

    Raises RecordBroken when the signature is malformed, made for another namespace, or wrong.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- costs start-up time
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    lines = armored.strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:  # noqa: PLR2004 -- begin, data, end
        raise RecordBroken("no SSH signature: its first or last line is missing")
    blob = _decode("".join(lines[1:-1]))
    head = _MAGIC + struct.pack(">I", _VERSION)
    if not blob.startswith(head):
        raise RecordBroken("no SSH signature of version 1")
    fields = _strings(blob[len(head) :], 5)
    key, made_for, reserved, hashed, signature = PublicKey(fields[0]), *fields[1:]
    if made_for != namespace.encode():
        raise RecordBroken(f"the signature was made for {made_for[:40]!r}, not for {namespace!r}")
    if reserved or hashed != _HASH:
        raise RecordBroken(f"the signature hashes with {hashed[:20]!r}; only sha512 is accepted")
    kind, raw = _strings(signature, 2)
    if kind != _TYPE:
        raise RecordBroken(f"the signature is of type {kind[:20]!r}, not ssh-ed25519")
    try:
        Ed25519PublicKey.from_public_bytes(_raw(key)).verify(raw, _to_be_signed(message, namespace))
    except (InvalidSignature, ValueError) as error:
        raise RecordBroken("the signature does not fit the text it stands for") from error
    return key


def _armored(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    lines = [text[i : i + _WIDTH] for i in range(0, len(text), _WIDTH)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def _to_be_signed(message: bytes, namespace: str) -> bytes:
    return (
        _MAGIC + _string(namespace.encode()) + _string(b"") + _string(_HASH) + _string(hashlib.sha512(message).digest())
    )


def _raw(key: PublicKey) -> bytes:
    kind, raw = _strings(key.blob, 2)
    if kind != _TYPE or len(raw) != _KEY_BYTES:
        raise RecordBroken("no ssh-ed25519 public key inside")
    return raw


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _strings(blob: bytes, count: int) -> list[bytes]:
    """Exactly `count` length-prefixed strings (RFC 4251, section 5) and nothing after them."""
    found: list[bytes] = []
    at = 0
    for _ in range(count):
        size = int.from_bytes(blob[at : at + 4], "big")
        if at + 4 + size > len(blob):
            raise RecordBroken("the SSH signature or key is cut short")
        found.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(blob):
        raise RecordBroken("the SSH signature or key has bytes too many")
    return found


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordBroken("the SSH signature or key is no base64") from error
