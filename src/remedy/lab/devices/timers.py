"""Timers that really fire: reverts, entries that age. A minute may be made short, so that tests need not wait.

Decides when; what happens then is the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Timers"]


@dataclass(slots=True)
class _Timer:
    handle: asyncio.TimerHandle
    due: float
    minutes: float


class Timers:
    """Timers by name. `minute` is how many seconds one of the device's minutes takes."""

    def __init__(self, minute: float = 60.0) -> None:
        """None runs."""
        self.minute = minute
        self._timers: dict[str, _Timer] = {}

    def start(self, name: str, minutes: float, then: Callable[[], None]) -> None:
        """Run `then` after that many of the device's minutes; one of that name that runs already is replaced."""
        self.stop(name)
        seconds = minutes * self.minute
        loop = asyncio.get_running_loop()
        self._timers[name] = _Timer(loop.call_later(seconds, self._fire, name, then), loop.time() + seconds, minutes)

    def _fire(self, name: str, then: Callable[[], None]) -> None:
        self._timers.pop(name, None)
        then()

    def stop(self, name: str) -> bool:
        """Stop it; false when none of that name runs."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.handle.cancel()
        return timer is not None

    def left(self, name: str) -> float | None:
        """Minutes until it fires, as the device counts them; None when none of that name runs."""
        timer = self._timers.get(name)
        if timer is None:
            return None
        return max(0.0, timer.due - asyncio.get_running_loop().time()) / self.minute

    def set_for(self, name: str) -> float | None:
        """For how many minutes it was started; None when none of that name runs."""
        timer = self._timers.get(name)
        return timer.minutes if timer else None

    def stop_all(self) -> None:
        """Stop every one, as a reboot does."""
        for name in list(self._timers):
            self.stop(name)
