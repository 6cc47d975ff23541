"""Which rules of a list can never decide anything, and which say the same twice.

Decides by the first rule that matches, as every vendor here does. A rule is shadowed when earlier rules with the
opposite action together take every packet of it, redundant when ones with the same action do. Only unions over one side
are found (many sources to one destination and port, the shape of block lists): what is reported is true, not
everything that is true is reported. Pure.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from remedy.devices.acl import Endpoint, Ports, Rule
from remedy.devices.addresses import Span, merged, subtract

__all__ = ["Shadow", "joined", "shadows"]

_TOP: Final = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
#: Stands for all that a named group holds, in the lane of that group.
_GROUP: Final = Span(0, 0, 0)
_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Shadow:
    """Rule `index` (from 0) never decides: `by` are the earlier rules that take its packets, at most three of them.

    `same` says that they do what it would do: it is redundant; otherwise it is shadowed, and does not do what it says.
    """

    index: int
    by: tuple[int, ...]
    same: bool


class _Lane:
    """Earlier rules that differ in their sources alone: together they can cover a later rule's sources.

    Pieces are disjoint and ascending, each with the index of the first rule that took it.
    """

    def __init__(self, sample: Rule) -> None:
        self.sample = sample
        self._firsts: list[int] = []
        self._pieces: list[tuple[int, int, int]] = []

    def _from(self, first: int) -> int:
        """The place of the first piece that ends at or after an address."""
        at = bisect.bisect_right(self._firsts, first)
        return at - 1 if at and self._pieces[at - 1][1] >= first else at

    def add(self, span: Span, index: int) -> None:
        """Give what nobody has taken yet of a span to a rule."""
        first, at = span.first, self._from(span.first)
        fresh: list[tuple[int, int, int]] = []
        start = at
        while at < len(self._pieces) and self._pieces[at][0] <= span.last:
            if self._pieces[at][0] > first:
                fresh.append((first, self._pieces[at][0] - 1, index))
            fresh.append(self._pieces[at])
            first = self._pieces[at][1] + 1
            at += 1
        if first <= span.last:
            fresh.append((first, span.last, index))
        self._pieces[start:at] = fresh
        self._firsts[start:at] = [piece[0] for piece in fresh]

    def covering(self, span: Span) -> tuple[int, ...]:
        """The rules that have taken all of a span; none when some of it is left."""
        first, at = span.first, self._from(span.first)
        owners: list[int] = []
        while at < len(self._pieces) and self._pieces[at][0] <= first <= span.last:
            owners.append(self._pieces[at][2])
            first = self._pieces[at][1] + 1
            at += 1
        return tuple(owners) if first > span.last else ()


def shadows(rules: Sequence[Rule]) -> tuple[Shadow, ...]:
    """Every rule that can be shown never to decide, in order.

    A disabled rule, one with an end and one with words that are not understood (`rest`) shadow nobody; of a named group
    only the very same one is known. Cost: rules times lanes (rules that differ in their sources alone are one lane).
    """
    lanes: dict[tuple[object, ...], _Lane] = {}
    out: list[Shadow] = []
    for index, rule in enumerate(rules):
        if not rule.enabled:
            continue
        found = _covered(rule, lanes.values())
        if found is not None:
            lane, by = found
            out.append(Shadow(index, by, lane.sample.action == rule.action))
        if not rule.rest and not rule.until:
            key = (rule.action, rule.family, rule.protocol, rule.destination, rule.source.ports, rule.source.group)
            if key not in lanes:
                lanes[key] = _Lane(rule)
            for span in _all(rule.source, rule.family) or (_GROUP,):
                lanes[key].add(span, index)
    return tuple(out)


def _covered(rule: Rule, lanes: Iterable[_Lane]) -> tuple[_Lane, tuple[int, ...]] | None:
    """The lane whose rules take all of this one's packets, and which of them."""
    wanted = _all(rule.source, rule.family) or (_GROUP,)
    for lane in lanes:
        sample = lane.sample
        if sample.family != rule.family or sample.protocol not in {"ip", rule.protocol}:
            continue
        if sample.source.group != rule.source.group or not _ports_within(rule.source.ports, sample.source.ports):
            continue
        if not _within(rule.destination, sample.destination, rule.family):
            continue
        parts = [lane.covering(span) for span in wanted]
        if all(parts):
            return lane, tuple(sorted({index for part in parts for index in part}))[:_MOST_NAMED]
    return None


def _within(side: Endpoint, other: Endpoint, family: int) -> bool:
    if not _ports_within(side.ports, other.ports) or side.group != other.group:
        return False
    return bool(side.group) or not subtract(_all(side, family), _all(other, family))


def _ports_within(ports: Ports, others: Ports) -> bool:
    if not others:
        return True
    return bool(ports) and all(any(low <= first and last <= high for low, high in others) for first, last in ports)


def _all(side: Endpoint, family: int) -> tuple[Span, ...]:
    return side.spans or (() if side.group else (Span(family, 0, _TOP[family]),))


def joined(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The same list with neighbours that differ in their sources alone made one, their sources merged.

    Neighbours only: the order of what is between others is kept. Comments of joined rules are those of the first.
    """
    out: list[Rule] = []
    waiting: list[Span] = []

    def flush() -> None:
        if out and waiting:
            last = out[-1]
            out[-1] = replace(last, source=replace(last.source, spans=merged(waiting)))
        waiting.clear()

    for rule in rules:
        alike = bool(out) and bool(waiting) and bool(rule.source.spans) and _but_source(out[-1]) == _but_source(rule)
        if alike:
            waiting.extend(rule.source.spans)
            continue
        flush()
        out.append(rule)
        waiting.extend(rule.source.spans)
    flush()
    return tuple(out)


def _but_source(rule: Rule) -> tuple[object, ...]:
    return (
        rule.action,
        rule.family,
        rule.protocol,
        rule.destination,
        rule.source.ports,
        rule.source.group,
        rule.until,
        rule.log,
        rule.enabled,
        rule.rest,
    )
