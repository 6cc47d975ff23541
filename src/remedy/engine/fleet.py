"""Several targets at once: each on its own, in parallel; one that fails leaves the others as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from remedy.core.errors import Interrupted, Partial, RemedyError

T = TypeVar("T")
R = TypeVar("R")

_MOST_AT_ONCE: Final = 64


def each(items: Sequence[T], work: Callable[[T], R]) -> list[R | RemedyError]:
    """Do the work for every item, in parallel; a RemedyError becomes that item's result. Order is kept."""

    def one(item: T) -> R | RemedyError:
        try:
            return work(item)
        except RemedyError as error:
            return error
        except Exception as error:  # noqa: BLE001 -- one target's surprise must not stop the others
            return RemedyError(f"internal error: {type(error).__name__}: {error}", hint="the other hosts went on")

    if len(items) == 1:
        return [one(items[0])]
    with ThreadPoolExecutor(max_workers=min(_MOST_AT_ONCE, max(1, len(items)))) as pool:
        return list(pool.map(one, items))


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
