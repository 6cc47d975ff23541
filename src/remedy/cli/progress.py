"""How far long streams have come: bytes, rate and time left, in one line.

Decides how a rate is measured, what the line says and how often it is due. Leaves to others: where it is shown
(`screen`) and in which form a program gets it (`document`).

    checking cms-20261119.sql.gz   412 MB of 1.35 GB  30 %  96.1 MB/s  0:10 left
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from remedy.engine.job import Event

#: Seconds between two looks of a person at a terminal, at a log, and of a program at a stream of JSON lines.
ON_TERMINAL: Final = 0.1
IN_LOG: Final = 10.0
IN_STREAM: Final = 1.0
#: Seconds over which the rate is measured: long enough to be steady, short enough to show that a way has become slow.
_WINDOW: Final = 5.0
_SAMPLES: Final = 50
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_DIGITS: Final = 3


def size(count: float) -> str:
    """A number of bytes in three digits: `912 B`, `4.13 kB`, `412 MB`, `1.35 GB` (powers of 1,000)."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    digits = max(0, _DIGITS - len(str(int(value)))) if unit else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def span(seconds: float) -> str:
    """A length of time as a clock shows it: `0:07`, `12:40`, `3:05:00`; from two days on `4 days`."""
    left = max(0, round(seconds))
    if left >= 2 * _DAY:
        return f"{left // _DAY} days"
    hours, rest = divmod(left, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(slots=True)
class _Stream:
    """One stream: what came last, and what was seen within the window."""

    text: str
    done: int = 0
    total: int = 0
    heard: float = 0.0
    seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_SAMPLES))

    def rate(self) -> float:
        """Bytes a second, 0 while that cannot be said."""
        if not self.seen:
            return 0.0
        (first, before), (last, now) = self.seen[0], self.seen[-1]
        return (now - before) / (last - first) if last > first else 0.0


class Progress:
    """Every stream under way. Not locked: its owner is."""

    def __init__(self, *, every: float, at_once: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """The line is due at most once in `every` seconds, the first one `at_once` or only after as long."""
        self._every, self._at_once, self._clock = every, at_once, clock
        self._streams: dict[str, _Stream] = {}
        self._shown: float | None = None

    def heard(self, event: Event) -> bool:
        """Take a "progress" event; whether the line is due again."""
        now = self._clock()
        for target, other in [*self._streams.items()]:  # what came to its end, or is told no more
            if target != event.target and (0 < other.total <= other.done or now - other.heard > _WINDOW):
                del self._streams[target]
        stream = self._streams.get(event.target)
        if stream is None or stream.text != event.text or event.done < stream.done:
            stream = self._streams[event.target] = _Stream(event.text)
            stream.seen.append((now, event.done))
        stream.done, stream.total, stream.heard = event.done, event.total, now
        if now - stream.seen[-1][0] >= _WINDOW / _SAMPLES:
            stream.seen.append((now, event.done))
            while now - stream.seen[0][0] > _WINDOW and len(stream.seen) > 2:  # noqa: PLR2004 -- a rate needs two
                stream.seen.popleft()
        if self._shown is None:
            self._shown = now
            return self._at_once
        if now - self._shown < self._every:
            return False
        self._shown = now
        return True

    def ended(self, target: str) -> None:
        """Nothing more comes from `target` for the present."""
        self._streams.pop(target, None)
        if not self._streams:
            self._shown = None

    def line(self) -> str:
        """One line: the only stream in full, several each in brief; "" when there is none."""
        if len(self._streams) == 1:
            return _full(next(iter(self._streams.values())))
        return "  ·  ".join(f"{target}: {_brief(stream)}" for target, stream in self._streams.items())


class Pace:
    """Which events a program is to get: all but the progress of one stream within a second of the last."""

    def __init__(self, *, every: float = IN_STREAM, clock: Callable[[], float] = time.monotonic) -> None:
        """At most one progress event of a stream in `every` seconds; its last one always."""
        self._every, self._clock = every, clock
        self._last: dict[tuple[str, str], float] = {}

    def due(self, event: Event) -> bool:
        """Whether this one is to be passed on."""
        if event.kind != "progress":
            return True
        now, stream = self._clock(), (event.target, event.text)
        ended = 0 < event.total <= event.done
        if not ended and stream in self._last and now - self._last[stream] < self._every:
            return False
        self._last[stream] = now
        return True


def _full(stream: _Stream) -> str:
    rate = stream.rate()
    parts = [f"{size(stream.done)} of {size(stream.total)}", _percent(stream)] if stream.total else [size(stream.done)]
    if rate:
        parts.append(f"{size(rate)}/s")
        if stream.total:
            parts.append(f"{span((stream.total - stream.done) / rate)} left")
    return f"{stream.text}   {'  '.join(parts)}"


def _brief(stream: _Stream) -> str:
    rate = stream.rate()
    how_far = _percent(stream) if stream.total else size(stream.done)
    return f"{how_far}  {size(rate)}/s" if rate else how_far


def _percent(stream: _Stream) -> str:
    return f"{min(100, stream.done * 100 // stream.total)} %"
