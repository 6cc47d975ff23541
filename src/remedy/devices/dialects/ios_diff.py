"""Which lines of a list stay where they are when it becomes another one: the most that keep their order.

Decides what an edit leaves alone. A device holds no rule twice, so that the longest ascending sequence of places is the
answer (M. L. Fredman, "On computing the length of longest increasing subsequences", 1975): cost n log n, whatever is
replaced or turned round.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence

__all__ = ["hunks", "keys"]


def keys(texts: Sequence[Hashable], is_remark: Sequence[bool]) -> list[Hashable]:
    """A key for each line. A remark, which may stand twice, is known by the rule that it stands before."""
    rule: Hashable = None
    out: list[Hashable] = []
    for text, remark in zip(reversed(texts), reversed(is_remark), strict=True):
        rule = rule if remark else text
        out.append((text, rule) if remark else text)
    return out[::-1]


def _once(items: Iterable[Hashable]) -> Iterator[Hashable]:
    """Each item with how often it came before."""
    seen: Counter[Hashable] = Counter()
    for item in items:
        yield item, seen[item]
        seen[item] += 1


def hunks(was: Sequence[Hashable], goal: Sequence[Hashable]) -> Iterator[tuple[int, int, int, int]]:
    """Where the lists differ: (low, high, first, last), so that was[low:high] becomes goal[first:last]; ascending."""
    places = {item: at for at, item in enumerate(_once(was))}
    ends: list[int] = []  # the smallest place that an ascending run of each length ends with
    runs: list[int] = []  # where in `pairs` that is
    pairs: list[tuple[int, int, int]] = []  # place in was, place in goal, the pair before it in its run
    for at, item in enumerate(_once(goal)):
        place = places.get(item)
        if place is None:
            continue
        length = bisect_left(ends, place)
        pairs.append((place, at, runs[length - 1] if length else -1))
        if length == len(ends):
            ends.append(place)
            runs.append(len(pairs) - 1)
        else:
            ends[length], runs[length] = place, len(pairs) - 1
    kept: list[tuple[int, int]] = [(len(was), len(goal))]
    at = runs[-1] if runs else -1
    while at >= 0:
        kept.append(pairs[at][:2])
        at = pairs[at][2]
    low = first = 0
    for high, last in reversed(kept):
        if low < high or first < last:
            yield low, high, first, last
        low, first = high + 1, last + 1
