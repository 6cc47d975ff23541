"""One device: its face, its stores, its timers, its sessions, its faults, and the rules it makes hold.

Decides when the configuration is loaded, saved, taken back and enforced. Leaves to others: the language (the face),
the terminal, and SSH (`serve`).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from remedy.lab.devices.enforce import Enforcer, Remembering
from remedy.lab.devices.face import Face
from remedy.lab.devices.faults import Faults
from remedy.lab.devices.stores import Stores
from remedy.lab.devices.timers import Timers

__all__ = ["Device", "Visitor"]

_SETTLE = 0.02  # seconds without a change before what was changed is enforced together
_LATEST = 0.5  # seconds it is enforced after at the latest, however many changes come


class Visitor(Protocol):
    """A session, as the device sees it."""

    user: str

    def notice(self, text: str) -> None:
        """Show a log line."""
        ...

    def cut(self) -> None:
        """End it without a word."""
        ...


class Device:
    """One device.

    `secrets` are the passwords it asks for besides the login's: "super" or "enable".
    `ports` are the interfaces it is built with, in the vendor's full spelling; `prefix` stands before its
    prompts, as a hot standby's role does (`RBM_P`).
    """

    def __init__(
        self,
        face: type[Face],
        *,
        name: str,
        enforcer: Enforcer | None = None,
        faults: Faults | None = None,
        folder: Path | None = None,
        minute: float = 60.0,
        secrets: dict[str, str] | None = None,
        ports: Sequence[str] = (),
        prefix: str = "",
    ) -> None:
        """Made, and switched off; `boot` switches it on."""
        self.name = name
        self.faults = faults or Faults()
        self.enforcer: Enforcer = enforcer or Remembering()
        self.stores = Stores(folder)
        self.timers = Timers(minute)
        self.secrets = secrets or {}
        self.ports = tuple(ports)
        self.prefix = prefix
        self.visitors: dict[int, Visitor] = {}
        self.logged: list[str] = []
        self.complaints: list[str] = []
        self.rollback_point = ""
        self.loading = asyncio.Lock()
        self.on_down: Callable[[], Awaitable[None]] | None = None
        self.on_up: Callable[[], Awaitable[None]] | None = None
        self.booted = 0.0
        self._dirty = asyncio.Event()
        self._touched = 0.0
        self._hurry = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._worker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.face = face(self)

    # life

    async def boot(self) -> None:
        """Load the startup configuration and begin to enforce. Returns when its rules hold."""
        self.booted = asyncio.get_running_loop().time()
        await self.load(self.stores.read(self.face.startup) or "", rebooted=True)
        if self._worker is None:
            self._worker = asyncio.create_task(self._enforce())
        self.hurry()
        await self.settled()

    async def reboot(self) -> None:
        """Lose what was not saved, every session and every timer; be back after `boot_seconds`."""
        await asyncio.sleep(_SETTLE)  # for the last words on the terminal
        if self.on_down is not None:
            await self.on_down()
        self.timers.stop_all()
        await asyncio.sleep(self.faults.boot_seconds)
        await self.boot()
        if self.on_up is not None:
            await self.on_up()

    async def off(self) -> None:
        """Switch it off; what it enforced stays as it is."""
        self.timers.stop_all()
        for task in (self._worker, *self._tasks):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(t for t in (self._worker, *self._tasks) if t), return_exceptions=True)
        self._worker = None

    def later(self, work: Awaitable[Any]) -> None:
        """Do it in a task of its own."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # configuration

    async def load(self, text: str, *, rebooted: bool = False) -> list[str]:
        """Replace the running configuration by that of a file; returns the lines that were refused.

        Sessions wait meanwhile; nothing of the way there is enforced, only where it ends.
        """
        from remedy.lab.devices.sessions import Login  # noqa: PLC0415 -- sessions know the device

        async with self.loading:
            self.face.forget(rebooted=rebooted)
            login = Login(self, user="startup", role="admin", views=self.face.loading())
            self.complaints = []
            for number, line in enumerate(text.splitlines()):
                if number % 100 == 99:  # noqa: PLR2004
                    await asyncio.sleep(0)
                if line.strip() == self.face.separator or not line.strip():
                    login.views = self.face.loading()
                    continue
                if not line.startswith(" ") and len(login.views) > len(self.face.loading()):
                    login.views = self.face.loading()
                answer = await login.perform(line.strip())
                if login.refused:
                    self.complaints.append(f"{line}: {answer.strip()}")
        self.changed()
        return self.complaints

    async def save(self, path: str = "") -> None:
        """Keep the running configuration as the startup file, or as another. Raises OSError when that fails."""
        await asyncio.sleep(self.faults.save_seconds)
        if self.faults.save_fails:
            raise OSError("no space left on device")
        self.stores.write(path or self.face.startup, self.face.running())

    def arm(self, name: str, minutes: float, text: str, done: Callable[[], None] | None = None) -> None:
        """Go back to that configuration after so many minutes, unless the timer is stopped before."""

        def fire() -> None:
            self.later(self._go_back(text, done))

        self.timers.start(name, minutes, fire)

    async def _go_back(self, text: str, done: Callable[[], None] | None) -> None:
        self.log("CFGMAN/5/CFGMAN_ROLLBACK", "Configuration rollback started.")
        await self.load(text)
        await self.settled()
        self.log("CFGMAN/5/CFGMAN_ROLLBACK", "Configuration rollback finished.")
        if done is not None:
            done()

    # enforcement

    def changed(self) -> None:
        """Something configured has changed: have it enforced soon."""
        self._touched = asyncio.get_running_loop().time()
        self._settled.clear()
        self._dirty.set()

    def hurry(self) -> None:
        """Have what was changed enforced now, without the vendor's delay."""
        self._hurry.set()

    async def settled(self) -> None:
        """Wait until what is configured now holds."""
        await self._settled.wait()

    async def _enforce(self) -> None:
        while True:
            await self._dirty.wait()
            await self._gathered()
            if self.loading.locked():
                async with self.loading:
                    pass
            self._dirty.clear()
            try:
                await self.enforcer.enforce(self.face.wanted())
            except (OSError, ValueError) as error:
                sys.stderr.write(f"{self.name}: not enforced: {error}\n")
                self.log("FILTER/3/FILTER_FAILED", "Failed to apply the packet filter.")
            if not self._dirty.is_set():
                self._settled.set()

    async def _gathered(self) -> None:
        """Wait for the vendor's delay; then until nothing changed for a moment, so that many lines are one change."""
        faults, loop = self.faults, asyncio.get_running_loop()
        delay = self.face.delay() * faults.activation_scale if faults.activation < 0 else faults.activation
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), max(delay, _SETTLE))
        self._hurry.clear()
        latest = loop.time() + _LATEST
        while loop.time() - self._touched < _SETTLE and loop.time() < latest:  # noqa: ASYNC110 -- for quiet, no event
            await asyncio.sleep(_SETTLE)

    def is_failed(self, *names: str) -> bool:
        """Whether a list's rules are to be without hardware resources, by any of its names."""
        return bool(self.faults.failed) and ("*" in self.faults.failed or any(n in self.faults.failed for n in names))

    # clock and log

    def now(self) -> dt.datetime:
        """The device's clock, which may be wrong."""
        offset = dt.timedelta(seconds=self.faults.clock_offset)
        return dt.datetime.now(dt.UTC) + offset

    def uptime(self) -> float:
        """Minutes since it was switched on."""
        return (asyncio.get_running_loop().time() - self.booted) / self.timers.minute

    def log(self, module: str, text: str) -> None:
        """Log a line; sessions that monitor see it where they are."""
        line = self.face.log_line(module, text)
        self.logged = [*self.logged[-511:], line]
        for visitor in list(self.visitors.values()):
            visitor.notice(line)
