"""A device on the network: an SSH server in front of its terminal.

Decides who may log in, how, and with which algorithms: today's, or those of old gear only (SHA-1 key exchange and
`ssh-rsa` signatures, which OpenSSH 8.8 and paramiko 5 no longer offer). Leaves to others: everything behind the login.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from remedy.lab.devices.device import Device
from remedy.lab.devices.sessions import Shell
from remedy.lab.devices.terminal import Terminal

__all__ = ["Access", "Account", "Server", "host_key"]

#: What a switch of 2010 offers (Comware V5, IOS 12): RFC 4253 alone.
LEGACY = {
    "kex_algs": ["diffie-hellman-group-exchange-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"],
    "encryption_algs": ["aes128-cbc", "3des-cbc"],
    "mac_algs": ["hmac-sha1"],
}


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in. `role` is "admin" or "operator" (read-only)."""

    password: str
    role: str = "admin"


@dataclass(frozen=True, slots=True)
class Access:
    """How one logs in, and what the terminal's bytes are like.

    `keyboard` accepts keyboard-interactive only; `legacy` offers old algorithms only; `encoding` is the terminal's;
    `cr_nul` ends lines with CR NUL LF.
    """

    accounts: Mapping[str, Account]
    keyboard: bool = False
    legacy: bool = False
    encoding: str = "utf-8"
    cr_nul: bool = False


class _Door(asyncssh.SSHServer):
    """Authentication of one connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._user = ""
        self._connection: asyncssh.SSHServerConnection

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def password_auth_supported(self) -> bool:
        return not self._server.access.keyboard

    def kbdint_auth_supported(self) -> bool:
        return self._server.access.keyboard

    def validate_password(self, username: str, password: str) -> bool:
        account = self._server.access.accounts.get(username)
        return account is not None and account.password == password

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, Sequence[tuple[str, bool]]]:
        del username, lang, submethods
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return len(responses) == 1 and self.validate_password(username, responses[0])

    def session_requested(self) -> Terminal:
        style = self._server.style
        user = self._user
        role = self._server.access.accounts[user].role

        async def serve(terminal: Terminal) -> None:
            await Shell(self._server.device, terminal, user=user, role=role).run()

        return Terminal(style, serve)


class Server:
    """One device's SSH server. It stops listening while the device reboots."""

    def __init__(self, device: Device, access: Access, key: asyncssh.SSHKey | None = None) -> None:
        """Not listening yet. Without a key a fresh one is made."""
        self.device = device
        self.access = access
        style = dataclasses.replace(device.face.style, encoding=access.encoding)
        self.style = dataclasses.replace(style, end=b"\r\0\n") if access.cr_nul else style
        self.key = key or asyncssh.generate_private_key("ssh-rsa" if access.legacy else "ssh-ed25519")
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._at = ("", 0)
        self.connections: set[asyncssh.SSHServerConnection] = set()
        device.on_down = self.close
        device.on_up = self._again

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._at[1]

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; with port 0, on one that is free. Raises OSError."""
        pairs = asyncssh.load_keypairs(self.key)
        if self.access.legacy:
            pairs[0].host_key_algorithms = [b"ssh-rsa"]
        self._acceptor = await asyncssh.listen(
            host,
            port,
            server_factory=lambda: _Door(self),
            server_host_keys=list(pairs),
            encoding=None,
            line_editor=False,
            server_version="Comware-7.1.070" if self.device.face.driver == "hp_comware" else "Cisco-1.25",
            reuse_address=True,
            login_timeout=60,
            **(LEGACY if self.access.legacy else {}),
        )
        self._at = (host, self._acceptor.get_port())

    async def _again(self) -> None:
        await self.listen(*self._at)

    async def close(self) -> None:
        """Stop listening and cut every connection, as when the power goes."""
        if self._acceptor is not None:
            self._acceptor.close()
        connections = list(self.connections)
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.wait_closed()


def host_key(path: Path, *, legacy: bool = False) -> asyncssh.SSHKey:
    """The key kept at that path; made there, for its owner only, when there is none."""
    if path.exists():
        return asyncssh.read_private_key(path)
    key = asyncssh.generate_private_key("ssh-rsa" if legacy else "ssh-ed25519")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    key.write_private_key(path)
    path.with_suffix(".pub").write_bytes(key.export_public_key())
    return key
