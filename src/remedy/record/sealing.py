"""Signs bags of evidence with the record's key.

Decides that evidence is signed by the key that signs checkpoints, in a namespace of its own: one fingerprint to
register beforehand, one to compare, one to revoke, and the record announces it before it signs for the first time.
A witness signs with a key of his own, from a file. Leaves to others: the key itself (`keys`), the bag (`evidence.bag`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from remedy.core.errors import RecordUnavailable, UsageError
from remedy.evidence import bag
from remedy.record import keys, sshsig
from remedy.record.sshsig import PublicKey

__all__ = ["Signer", "of_file", "of_record"]


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that can sign. `sign` gives the armored SSHSIG over a tag manifest, in the namespace it was made for."""

    public: PublicKey
    sign: Callable[[bytes], str]

    @property
    def line(self) -> str:
        """The line of the bag's allowed_signers."""
        return self.public.allowed_signer(bag.IDENTITY, bag.NAMESPACE)


def of_record(key_dir: Path, *, entropy: Callable[[int], bytes] = os.urandom) -> Signer:
    """The record's key, made if there is none. Sign a checkpoint first: that announces it. Raises RecordUnavailable."""
    private = keys.load_or_make(key_dir, entropy=entropy)
    return Signer(sshsig.public_key(private), lambda data: sshsig.sign(private, data, namespace=bag.NAMESPACE))


def of_file(path: Path, namespace: str) -> Signer:
    """The Ed25519 key in a file of `ssh-keygen -t ed25519`, without a pass phrase. Raises UsageError."""
    try:
        private = keys.load(path)
    except RecordUnavailable as error:
        hint = "an Ed25519 key without a pass phrase, mode 0600; one with a pass phrase signs by `ssh-keygen -Y sign`"
        raise UsageError(error.message.replace("signing key", "key"), where=str(path), hint=hint) from error
    except OSError as error:
        raise UsageError(f"the key cannot be read: {error.strerror}", where=str(path)) from error
    return Signer(sshsig.public_key(private), lambda data: sshsig.sign(private, data, namespace=namespace))
