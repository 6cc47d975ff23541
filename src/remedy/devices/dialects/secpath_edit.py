"""The fewest lines that make one security policy of another: what stays keeps its place, what is new is moved.

Decides which rules stay (the longest run that is in the same order before and after); the rest are made anew. A new
rule stands last until it is moved before the one that follows it. References as in `secpath_policy`.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import replace

from remedy.core.errors import UsageError
from remedy.devices.acl import Acl, Rule
from remedy.devices.dialects.comware_edit import TOP
from remedy.devices.dialects.secpath_policy import name_of, unique, view, write_rule

__all__ = ["edit_policy"]


def _key(rule: Rule) -> Rule:
    """The rule without its number, and without a name that it only got for want of one."""
    return replace(rule, number=None, rest=tuple(sorted(rule.rest)))


def edit_policy(before: Acl, after: Acl) -> tuple[str, ...]:
    """What to type to make the one of the other; empty when there is nothing to do. Raises UsageError."""
    if (before.name, before.family) != (after.name, after.family):
        raise UsageError(f"policy {before.name!r} cannot become {after.name!r}", hint="one policy a family")
    old = before.rules
    kept = _kept(old, after.rules)
    used = {rule.number for rule in (*old, *after.rules) if rule.number is not None}
    free = (number for number in itertools.count() if number not in used)
    new: list[Rule] = []
    for at, rule in enumerate(after.rules):
        if at in kept:
            new.append(old[kept[at]])
        else:
            number = rule.number if rule.number is not None else next(free, TOP)
            new.append(replace(rule, number=number))
    unique(new, after)
    stays = set(kept.values())
    gone = [rule for at, rule in enumerate(old) if at not in stays]
    clashes = {rule.number for rule in new} | {name_of(rule).lower() for at, rule in enumerate(new) if at not in kept}
    first = [rule for rule in gone if rule.number in clashes or name_of(rule).lower() in clashes]
    out = [f"undo rule name {name_of(rule)}" for rule in first]
    following: Rule | None = None
    placed: list[list[str]] = []
    for at in reversed(range(len(new))):
        if at in kept:
            following = new[at]
            continue
        move = [f"move rule {new[at].number} before {following.number}"] if following is not None else []
        placed.append([*write_rule(new[at]), *move])
    out += [line for lines in reversed(placed) for line in lines]
    out += [f"undo rule name {name_of(rule)}" for rule in gone if rule not in first]
    return (view(before), *out, "accelerate enhanced enable", "quit") if out else ()


def _kept(old: Sequence[Rule], new: Sequence[Rule]) -> dict[int, int]:
    """Which rule before each rule afterwards is, for the longest run in one order. Cost n log n."""
    where: dict[Rule, list[int]] = {}
    for at, rule in enumerate(old):
        where.setdefault(_key(rule), []).append(at)
    pairs: list[tuple[int, int]] = []
    for at, rule in enumerate(new):
        places = where.get(_key(rule), [])
        fit = next((place for place in places if rule.number in {None, old[place].number}), None)
        if fit is not None:
            places.remove(fit)
            pairs.append((at, fit))
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, place) in enumerate(pairs):
        found = bisect.bisect_left(tails, place)
        before.append(ends[found - 1] if found else -1)
        tails[found : found + 1] = [place]
        ends[found : found + 1] = [index]
    kept: dict[int, int] = {}
    index = ends[-1] if ends else -1
    while index >= 0:
        kept[pairs[index][0]] = pairs[index][1]
        index = before[index]
    return kept
