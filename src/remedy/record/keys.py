"""The signing key of a record: one Ed25519 key in a file ssh-keygen can use, made when it is first needed.

Decides where the key lies (`checkpoint_ed25519` and `.pub` in the key directory, mode 0600, OpenSSH format) and that
a key others can read is not used. Leaves to others: signing (sshsig) and announcing the key in the record (journal).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.core.errors import RecordUnavailable
from remedy.record.files import put_new
from remedy.record.sshsig import public_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: File name of the private key; the public one has `.pub` behind it.
KEY_NAME: Final = "checkpoint_ed25519"
_SEED_BYTES: Final = 32


def load_or_make(key_dir: Path, *, entropy: Callable[[int], bytes]) -> Ed25519PrivateKey:
    """The signing key in `key_dir`, made from 32 bytes of `entropy` when there is none.

    When several processes make it at once, one wins and all use that one.
    Raises RecordUnavailable when it cannot be read, written or used, or when others can read it.
    """
    path = key_dir / KEY_NAME
    try:
        if not path.exists():
            _make(path, entropy(_SEED_BYTES))
        return _load(path)
    except OSError as error:
        raise RecordUnavailable(
            f"the signing key cannot be used: {error.strerror}", where=str(path), hint="check the directory's owner"
        ) from error


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


def _load(path: Path) -> Ed25519PrivateKey:
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
