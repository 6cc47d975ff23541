"""The signing key of a record: one Ed25519 key in a file ssh-keygen can use, made when it is first needed.

Decides where the key lies (`checkpoint_ed25519` and `.pub` in the key directory, mode 0600, OpenSSH format), that a key
others can read is not used, and how one takes the place of another: it lies ready as `checkpoint_ed25519.next` before
the record says so, and takes the name afterwards, so that a crash at any moment leaves a key to go on with.
Leaves to others: signing (sshsig), announcing the key and ending it in the record (signing).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.core.errors import RecordUnavailable
from remedy.record.files import put_new, sync_directory
from remedy.record.sshsig import public_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: File name of the private key; the public one has `.pub` behind it.
KEY_NAME: Final = "checkpoint_ed25519"
_NEXT: Final = f"{KEY_NAME}.next"
_SEED_BYTES: Final = 32
_OWNER: Final = "check the directory's owner"


def load_or_make(key_dir: Path, *, entropy: Callable[[int], bytes], name: str = KEY_NAME) -> Ed25519PrivateKey:
    """The signing key in `key_dir`, made from 32 bytes of `entropy` when there is none.

    When several processes make it at once, one wins and all use that one.
    Raises RecordUnavailable when it cannot be read, written or used, or when others can read it.
    """
    path = key_dir / name
    try:
        if not path.exists():
            _make(path, entropy(_SEED_BYTES))
        return load(path)
    except OSError as error:
        raise RecordUnavailable(
            f"the signing key cannot be used: {error.strerror}", where=str(path), hint=_OWNER
        ) from error


def prepare_next(key_dir: Path, *, entropy: Callable[[int], bytes]) -> Ed25519PrivateKey:
    """The key that is to follow: the one that lies ready, or a new one. Raises RecordUnavailable."""
    return load_or_make(key_dir, entropy=entropy, name=_NEXT)


def take_next(key_dir: Path, expected: str) -> bool:
    """Give the key that lies ready its place; the one before is gone then. False when none of that fingerprint does.

    Raises RecordUnavailable.
    """
    path = key_dir / _NEXT
    try:
        if not path.exists() or public_key(load(path)).fingerprint != expected:
            return False
        public = path.with_name(f"{_NEXT}.pub")
        if public.exists():  # first, so that a crash between the two leaves something to repeat
            public.replace(key_dir / f"{KEY_NAME}.pub")
        path.replace(key_dir / KEY_NAME)
        sync_directory(key_dir)
    except OSError as error:
        raise RecordUnavailable(
            f"the next signing key cannot be put in place: {error.strerror}", where=str(path), hint=_OWNER
        ) from error
    return True


def _make(path: Path, seed: bytes) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 -- costs start-up time
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    if put_new(path, private):
        put_new(path.with_name(path.name + ".pub"), f"{public_key(key).line} remedy-record\n".encode())


def load(path: Path) -> Ed25519PrivateKey:
    """The key in a file. Raises RecordUnavailable when it cannot be used or others can read it, OSError."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 -- costs start-up time
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise RecordUnavailable(
                "the signing key can be read by other users",
                where=str(path),
                hint=f"chmod 600 {path}; if others had access, move it away and a new key is made",
            )
        data = file.read()
    try:
        key = serialization.load_ssh_private_key(data, password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a pass phrase
        raise RecordUnavailable(
            "the signing key is no unencrypted OpenSSH key",
            where=str(path),
            hint="put the right key back, or move this one away and a new key is made",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise RecordUnavailable("the signing key is not an Ed25519 key", where=str(path), hint="move it away")
    return key
