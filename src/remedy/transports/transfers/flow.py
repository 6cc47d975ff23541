"""Bytes handed from thread to thread: bounded, stoppable from either end, and never without a sign of life.

Decides how much may lie between two threads and how a stream ends: the giver closes it (with an error when it broke),
the taker stops it when no more is wanted. Whoever waits longer than a tick tells the caller's `tell`, so that Ctrl-C
and a screen get their turn whatever the far end does. Leaves to others: what the bytes are.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from remedy.core.ports import Tell

T = TypeVar("T")

#: Seconds between two signs of life: ten a second are enough for any screen.
TICK: Final = 0.1


class Stopped(Exception):
    """The taker of a flow wants no more."""


class Flow(Generic[T]):
    """A queue between two threads that holds at most `limit` (a single larger item passes alone).

    Several flows may share one `condition`, so that a giver can wait for room in any of them.
    """

    def __init__(self, limit: int, condition: threading.Condition | None = None) -> None:
        """`limit` is in the unit of `put`'s `size`: bytes."""
        self.condition = condition or threading.Condition()
        self.waiting = 0
        self.stopped = False
        self._limit = limit
        self._items: deque[tuple[T, int]] = deque()
        self._closed = False
        self._error: BaseException | None = None

    def room(self, size: int) -> bool:
        """Whether `put` would return at once."""
        return self.stopped or not self._items or self.waiting + size <= self._limit

    def put(self, item: T, size: int, tick: Callable[[], None] | None = None) -> None:
        """Hand on one item; waits for room, calling `tick` meanwhile. Raises Stopped when no more is wanted."""
        with self.condition:
            while not self.room(size):
                wait(self.condition, tick)
            if self.stopped:
                raise Stopped
            self._items.append((item, size))
            self.waiting += size
            self.condition.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more comes; with `error` because it broke: the taker gets it raised after the last item."""
        with self.condition:
            if not self._closed:
                self._closed, self._error = True, error
                self.condition.notify_all()

    def stop(self) -> None:
        """Nothing more is wanted: what waits is dropped, the giver gets Stopped, another taker sees the end."""
        with self.condition:
            self.stopped = True
            self._items.clear()
            self.waiting = 0
            self.condition.notify_all()

    def take(self, tick: Callable[[], None] | None = None) -> Iterator[T]:
        """Everything in order. Raises the error that the flow was closed with."""
        while True:
            with self.condition:
                while not self._items and not self._closed and not self.stopped:
                    wait(self.condition, tick)
                if not self._items:
                    if self._error is not None and not self.stopped:
                        raise self._error
                    return
                item, size = self._items.popleft()
                self.waiting -= size
                self.condition.notify_all()
            yield item

    def __iter__(self) -> Iterator[T]:
        """`take` by a thread that has nobody to tell."""
        return self.take()


def wait(condition: threading.Condition, tick: Callable[[], None] | None) -> None:
    """With the condition's lock held: wait for a change. Whenever a tick passes without one, call `tick` unlocked.

    For `tick` may take its time, or raise.
    """
    if condition.wait(TICK if tick else None) or tick is None:
        return
    condition.release()
    try:
        tick()
    finally:
        condition.acquire()


class Progress:
    """A Tell that remembers what it was told, so that a sign of life can be given while nothing moves.

    What it is given goes on at once; `tick` at most ten times a second. Either may raise, to stop the stream.
    """

    def __init__(self, tell: Tell) -> None:
        """Hand on to `tell`."""
        self._tell = tell
        self._last = ("", 0, 0)
        self._next = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """As core.ports.Tell."""
        self._last = (what, done, total)
        self._next = time.monotonic() + TICK
        self._tell(what, done, total)

    def at(self, what: str, done: int, total: int) -> None:
        """The same, unless something was told less than a tick ago."""
        self._last = (what, done, total)
        self.tick()

    def tick(self) -> None:
        """Say again where it is, unless something was told less than a tick ago."""
        if time.monotonic() >= self._next:
            self(*self._last)


def in_thread(work: Callable[[], None], name: str) -> threading.Thread:
    """Start a thread that does not hold up the end of the process."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def together(number: int, work: Callable[[], None], tick: Callable[[], None], stop: Callable[[], None]) -> None:
    """Run `work` in `number` threads until each has returned, calling `tick` meanwhile.

    The first exception, or one of `tick`'s, calls `stop`, which has to make the others end; then it is raised.
    """
    condition = threading.Condition()
    errors: list[BaseException] = []
    left = number

    def one() -> None:
        nonlocal left
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- raised again by the thread that waits
            errors.append(error)
        with condition:
            left -= 1
            condition.notify_all()

    threads = [in_thread(one, "together") for _ in range(number)]
    try:
        with condition:
            while left and not errors:
                wait(condition, tick)
    except BaseException:
        _end(stop, threads)
        raise
    if errors:
        _end(stop, threads)
        raise errors[0]


def _end(stop: Callable[[], None], threads: list[threading.Thread]) -> None:
    stop()
    for thread in threads:
        thread.join(5)
