"""Several targets at once: each on its own, in parallel; one that fails leaves the others as they are."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from remedy.core.errors import Interrupted, Partial, RemedyError

T = TypeVar("T")
R = TypeVar("R")

_MOST_AT_ONCE: Final = 64


def each(items: Sequence[T], work: Callable[[T], R]) -> list[R | RemedyError]:
    """Do the work for every item, in parallel; a RemedyError becomes that item's result. Order is kept.

    KeyboardInterrupt ends the wait, not the work: the process may end, and nobody is held up by a silent device.
    """

    def one(item: T) -> R | RemedyError:
        try:
            return work(item)
        except RemedyError as error:
            return error
        except Exception as error:  # noqa: BLE001 -- one target's surprise must not stop the others
            return RemedyError(f"internal error: {type(error).__name__}: {error}", hint="the other hosts went on")

    if len(items) == 1:
        return [one(items[0])]
    results: dict[int, R | RemedyError] = {}
    _at_once(len(items), lambda index: results.update({index: one(items[index])}))
    return [results[index] for index in range(len(items))]


def _at_once(count: int, work: Callable[[int], None]) -> None:
    """Do the work for every number below `count`, in threads that the end of the process does not wait for."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(count):
        waiting.put(index)
    broken: list[BaseException] = []

    def run() -> None:
        try:
            while not broken:
                work(waiting.get_nowait())
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 -- raised where the work was asked for
            broken.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(_MOST_AT_ONCE, count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]


def exit_code(codes: Sequence[int]) -> int:
    """One code for several targets: theirs when they agree, else 20 (partial).

    Among codes that all mean "done", the more doubtful one wins: 22 over 0.
    """
    distinct = set(codes)
    if not distinct:
        return 0
    if len(distinct) == 1:
        return distinct.pop()
    if distinct <= {0, 22}:
        return 22
    if distinct <= {0, 10}:
        return 10
    if Interrupted.exit_code in distinct:
        return Interrupted.exit_code
    return Partial.exit_code
