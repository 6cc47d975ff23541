"""Numbers for the rules of a numbered list, and the fewest lines that make one list of another.

Comware and VRP decide by number, merge a rule that is typed on an existing number with what is there, refuse a rule
that is in the list already, and refuse any edit of a list in depth-first order. So a number in use is cleared before it
is used again, and what can be added before something is taken away is added first.

Follows the usage guidelines of `rule` in H3C Comware V7, ACL and QoS Command Reference.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from remedy.core.errors import Refused, UsageError
from remedy.core.text import printable
from remedy.devices.acl import Acl, Line, Rule
from remedy.devices.dialects.comware_write import Dialect, comment_of, enter, spelled, write_rule

__all__ = ["STEP", "TOP", "edit_list", "key", "settled", "write_list"]

#: What a list's step is where it says nothing, and the highest number of a rule.
STEP: Final = 5
TOP: Final = 65534

_NUMBER: Final = re.compile(r"^rule (\d{1,10})\b")


def key(rule: Rule) -> Rule:
    """The rule without what does not decide: number, comment, expiry, and whether its time range is running."""
    return replace(rule, number=None, comment="", until="", enabled=True)


def settled(acl: Acl, before: Acl | None = None) -> tuple[Rule, ...]:
    """The rules as the list will hold them: one address and port range a side, each with its number.

    Rules that are in `before` too keep their number there where the order allows. Raises UsageError when two rules are
    the same, when the numbers given run backwards, or when there is no number left between two that are given.
    """
    old = before.rules if before is not None else ()
    new: list[Rule] = []
    for rule in acl.rules:
        parts = list(spelled(rule))
        if len(parts) > 1:
            parts[1:] = [replace(part, number=None) for part in parts[1:]]
        new += parts
    seen: set[Rule] = set()
    for rule in new:
        if key(rule) in seen:
            said = printable(rule.comment, 60, one_line=True)
            raise UsageError(f"two rules of list {printable(acl.name, 60)} are the same: {rule.action} {said!r}")
        seen.add(key(rule))
    asked = {at for at, rule in enumerate(new) if rule.number is not None}
    _keep(new, old)
    used = {rule.number for rule in old if rule.number is not None}
    _fill(new, acl, asked, used, {int(match[1]) for line in _unknown(before) if (match := _NUMBER.match(line.text))})
    return tuple(new)


def _unknown(acl: Acl | None) -> tuple[Line, ...]:
    return acl.unknown if acl is not None else ()


def _keep(new: list[Rule], old: Sequence[Rule]) -> None:
    """Give rules that were there before the number they had, as many as can stand in ascending order."""
    numbers = {key(rule): rule.number for rule in old}
    candidates: list[tuple[int, int]] = []
    for at, rule in enumerate(new):
        had = numbers.get(key(rule))
        if rule.number is None and had is not None:
            candidates.append((at, had))
    # the longest ascending run of numbers, n log n
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, had) in enumerate(candidates):
        place = bisect.bisect_left(tails, had)
        before.append(ends[place - 1] if place else -1)
        if place == len(tails):
            tails.append(had)
            ends.append(index)
        else:
            tails[place], ends[place] = had, index
    chosen = ends[-1] if ends else -1
    given = [(at, rule.number) for at, rule in enumerate(new) if rule.number is not None]
    while chosen >= 0:
        at, had = candidates[chosen]
        # not where a number that was asked for stands in the way
        place = bisect.bisect(given, (at, -1))
        low = given[place - 1][1] if place else -1
        high = given[place][1] if place < len(given) else TOP + 1
        if low < had < high:
            new[at] = replace(new[at], number=had)
        chosen = before[chosen]


def _fill(new: list[Rule], acl: Acl, asked: set[int], used: set[int], taken: set[int]) -> None:
    """Number the rest, in the room between their neighbours; where there is none, what was kept is moved on.

    Numbers that are `used` before are avoided, so that what is new can be typed before what is old is undone.
    """
    asked = (
        {at for at, rule in enumerate(acl.rules) if rule.number is not None} if len(new) == len(acl.rules) else set()
    )
    step = acl.step or STEP
    last = -1
    run: list[int] = []
    for at in range(len(new) + 1):
        number = new[at].number if at < len(new) else TOP + 1
        if number is None:
            run.append(at)
            continue
        if number > TOP + (at == len(new)) or number <= last:
            raise UsageError(f"rule {number} of list {printable(acl.name, 60)} cannot stand where it does")
        if run:
            room = _room(last, number, len(run), step, used | taken, end=at == len(new))
            room = room or _room(last, number, len(run), step, taken, end=at == len(new))
            if room is None and at < len(new) and at not in asked:
                new[at] = replace(new[at], number=None)
                run.append(at)
                continue
            if room is None:
                raise UsageError(
                    f"list {printable(acl.name, 60)}: no {len(run)} numbers are free below rule {number}",
                    hint="give the rules other numbers, with room between them",
                )
            for place, free in zip(run, room, strict=True):
                new[place] = replace(new[place], number=free)
            run = []
        last = number


def _room(last: int, until: int, count: int, step: int, taken: Iterable[int], *, end: bool) -> list[int] | None:
    """That many free numbers between two, ascending: by steps at the end of a list, else spread evenly."""
    blocked = {number for number in taken if last < number < until}
    if end and not blocked:
        first = (last // step + 1) * step
        if first + (count - 1) * step <= TOP:
            return [first + step * place for place in range(count)]
    free: Sequence[int] = range(last + 1, until)
    if blocked:
        free = [number for number in free if number not in blocked]
    if len(free) < count:
        return None
    return [free[(place + 1) * len(free) // (count + 1)] for place in range(count)] if len(free) > count else list(free)


def write_list(acl: Acl, dialect: Dialect) -> tuple[str, ...]:
    """What to type to make the list from nothing."""
    rules = settled(acl)
    out = [enter(acl, dialect, new=True) + (" match-order auto" if acl.order == "auto" else "")]
    for name, value in acl.extra:
        if name == "description" and value:
            out.append(f"description {comment_of(Rule('permit', 4, comment=value))}")
    if acl.step not in {0, STEP}:
        out.append(f"step {acl.step}")
    kind = acl.kind or ("basic" if " basic " in out[0] else _kind(acl))
    for rule in rules:
        out += _lines(rule, kind, dialect)
    return (*out, "quit")


def _kind(acl: Acl) -> str:
    number = acl.name if acl.name.isdecimal() else dict(acl.extra).get("number", "")
    return "basic" if number and int(number) < 3000 else "advanced"  # noqa: PLR2004


def _lines(rule: Rule, kind: str, dialect: Dialect) -> list[str]:
    number = rule.number if rule.number is not None else 0
    comment = comment_of(rule)
    return [
        write_rule(rule, number, kind, dialect),
        *([f"rule {number} {dialect.comment} {comment}"] if comment else []),
    ]


def edit_list(before: Acl, after: Acl, dialect: Dialect) -> tuple[str, ...]:
    """What to type to make the one of the other; empty when there is nothing to do. Raises Refused, UsageError.

    Lines nobody understood stay, and their numbers are left alone.
    """
    if before.name != after.name or before.family != after.family or (after.kind and after.kind != before.kind):
        raise UsageError(
            f"list {printable(before.name, 60)} cannot become another list", hint="one name, family and kind"
        )
    if "auto" in {before.order, after.order}:
        raise Refused(
            f"list {printable(before.name, 60)} is in depth-first order (match-order auto), which takes no edits",
            hint="make a list in config order and apply that",
        )
    if any(rule.number is None for rule in before.rules):
        raise UsageError(
            f"list {printable(before.name, 60)}: the numbers of its rules are not known", hint="read it first"
        )
    if not after.step and before.step:
        after = replace(after, step=before.step)
    kind = before.kind or _kind(before)
    old = {rule.number: rule for rule in before.rules if rule.number is not None}
    new = {rule.number: rule for rule in settled(after, before) if rule.number is not None}
    out: list[str] = []
    kept = {number for number, rule in new.items() if number in old and key(old[number]) == key(rule)}
    gone = {key(rule) for number, rule in old.items() if number not in kept}
    at_once = [n for n, rule in new.items() if n not in kept and n not in old and key(rule) not in gone]
    for number in at_once:
        out += _lines(new[number], kind, dialect)
    out += [f"undo rule {number}" for number in old if number not in kept]
    for number, rule in new.items():
        if number not in kept and number not in at_once:
            out += _lines(rule, kind, dialect)
    for number in sorted(kept):
        was, wanted = old[number], new[number]
        if (was.comment, was.until) != (wanted.comment, wanted.until):
            said = comment_of(wanted)
            out.append(f"rule {number} {dialect.comment} {said}" if said else f"undo rule {number} {dialect.comment}")
    return (enter(before, dialect, new=False), *out, "quit") if out else ()
