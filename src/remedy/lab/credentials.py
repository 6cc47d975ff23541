"""The keys and passwords of one lab, made at `up` and gone at `down`.

Decides how they are made and where in the state directory they lie. Leaves to others: putting them on hosts.
Host keys are made in process, because ssh-keygen would cost a second for two hundred of them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from remedy.lab.topology import Host

__all__ = ["Credentials", "KeyPair", "new_key_pair"]


@dataclass(frozen=True)
class KeyPair:
    """An Ed25519 key pair: `private` in OpenSSH's PEM form, `public` as `ssh-ed25519 AAAA…` without a comment."""

    private: str
    public: str


def new_key_pair() -> KeyPair:
    """A fresh pair."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - slow to import, not needed by status
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private.decode(), public.decode())


@dataclass(frozen=True)
class Credentials:
    """Where everything secret of the lab is."""

    state: Path

    @property
    def controller_key(self) -> Path:
        """The private key that opens root, ops and opspw on every host."""
        return self.state / "keys" / "controller"

    @property
    def known_hosts(self) -> Path:
        """Every host's key under its name and both addresses."""
        return self.state / "known_hosts"

    @property
    def sudo_password(self) -> Path:
        """The file with opspw's password, no newline."""
        return self.state / "passwords" / "opspw"

    @property
    def database_password(self) -> Path:
        """The file with the site's database password, no newline."""
        return self.state / "passwords" / "site"

    @property
    def store_access_key(self) -> Path:
        """The file with the access key of the store off site, no newline. The store takes any."""
        return self.state / "passwords" / "s3-access-key"

    @property
    def store_secret_key(self) -> Path:
        """The file with the secret that belongs to it, no newline."""
        return self.state / "passwords" / "s3-secret-key"

    @property
    def device_password(self) -> Path:
        """The file with the password of the network devices' administrator `remedy`, no newline."""
        return self.state / "passwords" / "device"

    @property
    def device_enable(self) -> Path:
        """The file with the devices' enable and super password, no newline."""
        return self.state / "passwords" / "device-enable"

    def device_key(self, name: str) -> Path:
        """The private host key of the command line of device `name`."""
        return self.state / "keys" / "devices" / name

    def host_key(self, name: str) -> Path:
        """The private host key of host `name`."""
        return self.state / "keys" / "hosts" / name

    def create(self, hosts: Iterable[Host]) -> None:
        """Make all of it anew."""
        for folder in (self.state / "keys" / "hosts", self.state / "keys" / "devices", self.state / "passwords"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        _write_pair(self.controller_key, new_key_pair())
        secret = (self.sudo_password, self.database_password, self.store_access_key, self.store_secret_key)
        for path in (*secret, self.device_password, self.device_enable):
            _write_secret(path, secrets.token_urlsafe(18))
        lines = []
        for host in hosts:
            pair = new_key_pair()
            _write_pair(self.host_key(host.name), pair)
            lines.append(f"{host.name},{host.v4},{host.v6} {pair.public}\n")
            if "cli" in host.services:
                pair, port = new_key_pair(), host.services["cli"]
                _write_pair(self.device_key(host.name), pair)
                names = ",".join(f"[{name}]:{port}" for name in (host.name, host.v4, host.v6))
                lines.append(f"{names} {pair.public}\n")
        self.known_hosts.write_text("".join(lines), encoding="ascii")


def _write_pair(path: Path, pair: KeyPair) -> None:
    _write_secret(path, pair.private)
    path.with_name(path.name + ".pub").write_text(pair.public + "\n", encoding="ascii")


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
