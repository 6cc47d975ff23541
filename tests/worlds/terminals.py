"""Command lines over real SSH on loopback, small enough to be odd in one way each.

A `Device` is an asyncssh server in a thread of its own. What it prints is decided by `talk`, which a test replaces to
misbehave; the default is an obedient Comware-like or IOS-like terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncssh

from remedy.core.values import Secret, Target
from remedy.devices import Terminal, Vendor

USER: Final = "ops"
PASSWORD: Final = "Front-Door-7"
ELEVATION: Final = "Back-Door-8"

COMWARE: Final = Vendor(
    name="comware",
    title="an obedient Comware",
    driver="hp_comware",
    terminal=Terminal(
        refusals=(r"^ ?% ?(?:Unrecognized|Wrong|Incomplete|Ambiguous|Too many).*", r"^% Permission denied.*"),
        answers=((r"Are you sure\? \[Y/N\]:", "Y"), (r"press the enter key\):", "")),
        quiet=("screen-length disable", "undo terminal monitor"),
        reading=("display", "dir"),
        save=("save",),
        running="display current-configuration",
    ),
    tried="emulator",
    reference=("tests",),
)
IOS: Final = Vendor(
    name="ios",
    title="an obedient IOS",
    driver="cisco_ios",
    terminal=Terminal(
        refusals=(r"^% ?(?:Invalid|Incomplete|Ambiguous).*",),
        answers=((r"\[startup-config\]\?", ""), (r"\[confirm\]", "")),
        quiet=("terminal length 0", "terminal width 0"),
        reading=("show", "dir"),
    ),
    tried="emulator",
    reference=("tests",),
)


class Gone(Exception):
    """The other end hung up."""


@dataclass
class Line:
    """One terminal session as a device sees it."""

    process: asyncssh.SSHServerProcess[bytes]
    pending: bytes = b""
    echo: bool = True

    def say(self, data: str | bytes, encoding: str = "utf-8") -> None:
        """Print."""
        self.process.stdout.write(data if isinstance(data, bytes) else data.encode(encoding))

    async def drain(self) -> None:
        """Wait until what was printed is on its way."""
        await self.process.stdout.drain()

    async def key(self) -> bytes:
        """The next byte typed."""
        if not self.pending:
            self.pending = await self.process.stdin.read(65536)
            if not self.pending:
                raise Gone
        byte, self.pending = self.pending[:1], self.pending[1:]
        return byte

    async def line(self, *, echo: bool | None = None) -> str | None:
        """The next line typed, echoed; None after Ctrl-C."""
        shown = self.echo if echo is None else echo
        typed = b""
        while True:
            if b"\n" in self.pending or b"\r" in self.pending or b"\x03" in self.pending:
                end = min(n for n in (self.pending.find(c) for c in (b"\n", b"\r", b"\x03")) if n >= 0)
                stop = self.pending[end : end + 1]
                typed += self.pending[:end]
                self.pending = self.pending[end + 1 :]
                if stop == b"\x03":
                    self.say("^C\r\n")
                    return None
                if shown:
                    self.say(typed)
                self.say("\r\n")
                return typed.decode("utf-8", "surrogateescape")
            typed += self.pending
            self.pending = await self.process.stdin.read(65536)
            if not self.pending:
                raise Gone


@dataclass
class Device:
    """A running device. Everything may be changed while it runs."""

    vendor: Vendor = COMWARE
    name: str = "H3C"
    banner: str = "\r\n* Copyright (c) 2004-2023 New H3C Technologies Co., Ltd. *\r\n\r\n"
    talk: Callable[[Device, Line], Awaitable[None]] | None = None
    #: What a line prints; None for nothing. May write by itself and return None.
    answer: Callable[[Device, Line, str], Awaitable[str | None]] | None = None
    view: str = ""
    configuring: bool = False
    privileged: bool = True
    typed: list[str] = field(default_factory=list)
    port: int = 0
    known_hosts: str = ""
    sessions: int = 0

    @property
    def angled(self) -> bool:
        """Whether it prompts as Comware does."""
        return self.vendor.driver == "hp_comware"

    @property
    def prompt(self) -> str:
        """The prompt now."""
        if self.angled:
            return f"[{self.name}{self.view}]" if self.configuring else f"<{self.name}>"
        return f"{self.name}{self.view}{'#' if self.privileged else '>'}"

    def target(self, **settings: Any) -> Target:  # noqa: ANN401 -- those of Target
        """The device as a target."""
        usual: dict[str, Any] = {"user": USER, "password": Secret("test", PASSWORD), "known_hosts": self.known_hosts}
        return Target("sw01", "127.0.0.1", self.port, **(usual | settings))

    async def obey(self, line: Line) -> None:
        """Behave."""
        self.configuring, self.view = False, ""
        line.say(self.banner)
        while True:
            line.say(self.prompt)
            typed = await line.line()
            if typed is None or not typed.strip():
                continue
            self.typed.append(typed)
            said = await self._answer(line, typed)
            if said:
                line.say(said)

    async def _answer(self, line: Line, typed: str) -> str | None:
        if self.answer is not None:
            said = await self.answer(self, line, typed)
            if said is not None:
                return said
        if typed in {"system-view", "configure terminal"}:
            self.configuring = self.privileged
            self.view = "" if self.angled or not self.privileged else "(config)"
            return None if self.privileged else "% Permission denied.\r\n"
        if typed in {"return", "end"}:
            self.configuring, self.view = False, ""
        return None


class _Door(asyncssh.SSHServer):
    """Who may come in, and how."""

    def __init__(
        self, methods: Collection[str], signatures: Sequence[str], guests: list[asyncssh.SSHServerConnection]
    ) -> None:
        self._methods = methods
        self._signatures = signatures
        self._guests = guests

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember who is in."""
        self._guests.append(conn)
        if self._signatures:
            conn._server_host_key_algs = [name.encode() for name in self._signatures]

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 -- asyncssh's signature, as below
        """Nobody comes in without."""
        return True

    def password_auth_supported(self) -> bool:
        """Whether a password will do."""
        return "password" in self._methods

    def validate_password(self, username: str, password: str) -> bool:
        """Whether it is the right one."""
        return (username, password) == (USER, PASSWORD)

    def kbdint_auth_supported(self) -> bool:
        """Whether questions are asked instead."""
        return "keyboard-interactive" in self._methods

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:  # noqa: ANN401, ARG002
        """One question, its answer hidden."""
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:  # noqa: ANN401
        """Whether it was answered."""
        return username == USER and list(responses) == [PASSWORD]


@contextlib.contextmanager
def serve(
    device: Device,
    folder: Path,
    *,
    host_keys: Sequence[str] = ("ssh-ed25519",),
    methods: Collection[str] = ("password",),
    signatures: Sequence[str] = (),
    **options: Any,  # noqa: ANN401 -- those of asyncssh.create_server
) -> Iterator[Device]:
    """Run a device for the length of the block; `signatures` are the host key algorithms it offers, "" for all."""
    keys = [asyncssh.generate_private_key(kind) for kind in host_keys]
    loop = asyncio.new_event_loop()
    guests: list[asyncssh.SSHServerConnection] = []

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        device.sessions += 1
        with contextlib.suppress(Gone, OSError, asyncssh.Error):
            await (device.talk(device, Line(process)) if device.talk else device.obey(Line(process)))
        with contextlib.suppress(OSError):
            process.exit(0)

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            lambda: _Door(methods, signatures, guests),
            "127.0.0.1",
            0,
            server_host_keys=keys,
            process_factory=handle,
            encoding=None,
            line_editor=False,
            **options,
        )

    async def stop() -> None:
        server.close()
        for guest in guests:
            guest.abort()
        await asyncio.gather(*(guest.wait_closed() for guest in guests), return_exceptions=True)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    device.port = server.get_port()
    known = folder / f"known_{device.port}"
    lines = (f"[127.0.0.1]:{device.port} {key.export_public_key().decode().strip()}\n" for key in keys)
    known.write_text("".join(lines))
    device.known_hosts = str(known)
    try:
        yield device
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
