"""A device of the lab for a test: its language alone, or answering SSH from a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import paramiko

from remedy.lab.devices.__main__ import Running, start
from remedy.lab.devices.device import Device
from remedy.lab.devices.enforce import Remembering
from remedy.lab.devices.sessions import Login

T = TypeVar("T")

PORTS = [f"GigabitEthernet1/0/{n}" for n in range(1, 5)]
PASSWORD = "Admin-1"
ACCOUNTS = {"admin": [PASSWORD, "admin"], "guest": ["Guest-1", "operator"]}


def options(face: str, **more: object) -> dict[str, Any]:
    """What a device is started with: nothing delays, nothing fails."""
    return {
        "face": face,
        "name": "H3C",
        "accounts": ACCOUNTS,
        "ports": PORTS,
        "minute": 0.2,
        "faults": {"activation": 0.0, "boot_seconds": 0.1},
        "secrets": {"super": "Super-1", "enable": "Super-1"},
        **more,
    }


class Desk:
    """The language of a device without a terminal: lines in, texts out."""

    def __init__(self, device: Device, role: str = "admin") -> None:
        """In the first view."""
        self.device = device
        self.login = Login(device, user="admin", role=role)

    @property
    def prompt(self) -> str:
        """The prompt now."""
        return self.device.face.prompt(self.login)

    async def type(self, *lines: str) -> str:
        """Type lines; what the last of them showed."""
        text = ""
        for line in lines:
            text = await self.login.perform(line)
        return text

    async def accept(self, *lines: str) -> None:
        """Type lines none of which may show anything but the way into system view."""
        for line in lines:
            text = await self.login.perform(line)
            assert not self.login.refused, f"{line}: {text}"

    async def wanted(self) -> Remembering:
        """The enforcer, once what is configured holds."""
        await self.device.settled()
        assert isinstance(self.device.enforcer, Remembering)
        return self.device.enforcer


@contextlib.asynccontextmanager
async def desk(face: str, **more: object) -> Any:  # noqa: ANN401 -- an async iterator of Desk
    """A device that is on, in this event loop."""
    running = await start(options(face, **more))
    try:
        yield Desk(running.device)
    finally:
        await running.stop()


class Rig:
    """A device that answers SSH, in a thread; `do` runs something in its event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, running: Running) -> None:
        """Running."""
        self.loop = loop
        self.running = running
        self.device = running.device

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.running.server.port

    def do(self, work: Coroutine[Any, Any, T], seconds: float = 30) -> T:
        """Run it in the device's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def set(self, **faults: object) -> None:
        """Set faults."""
        self.device.faults.change(faults)

    def wire(self, user: str = "admin", password: str = PASSWORD) -> Wire:
        """A terminal by plain SSH."""
        return Wire(self.port, user, password)


@contextlib.contextmanager
def rig(face: str, **more: object) -> Iterator[Rig]:
    """A device that answers on loopback, and is switched off afterwards."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = asyncio.run_coroutine_threadsafe(start(options(face, **more)), loop).result(30)
    try:
        yield Rig(loop, running)
    finally:
        asyncio.run_coroutine_threadsafe(running.stop(), loop).result(30)
        asyncio.run_coroutine_threadsafe(_rest(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _rest() -> None:
    """Let what was cancelled end."""
    others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Wire:
    """Bytes to and from a device's terminal."""

    def __init__(self, port: int, user: str, password: str) -> None:
        """Log in and ask for a shell."""
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        self.client.connect("127.0.0.1", port, user, password, look_for_keys=False, allow_agent=False, timeout=10)
        self.channel = self.client.invoke_shell()
        self.channel.settimeout(10)
        self.seen = b""

    def until(self, pattern: bytes) -> bytes:
        """Read to where the pattern matches; what came up to its end."""
        while (found := re.search(pattern, self.seen)) is None:
            data = self.channel.recv(65536)
            if not data:
                raise EOFError(self.seen)
            self.seen += data
        said, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return said

    def send(self, data: bytes) -> None:
        """Type bytes."""
        self.channel.sendall(data)

    def line(self, line: str, pattern: bytes = rb"[>\]]$") -> str:
        """Type a line and read to the prompt."""
        self.send(line.encode() + b"\n")
        return self.until(pattern).decode("utf-8", "replace")

    def ended(self) -> bytes:
        """Everything up to the end of the session."""
        while data := self.channel.recv(65536):
            self.seen += data
        return self.seen

    def __enter__(self) -> Self:
        """Once the first prompt is there."""
        self.until(rb"[>\]]$")
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.client.close()


def talk(face: str, lines: Iterable[str], more: Mapping[str, object] | None = None) -> list[str]:
    """What each line shows, from the first view on."""

    async def run() -> list[str]:
        async with desk(face, **(more or {})) as at:
            return [await at.type(line) for line in lines]

    return asyncio.run(run())


def write(path: Path, text: str) -> Path:
    """Write a file and give its path back."""
    path.write_text(text, encoding="utf-8")
    return path
