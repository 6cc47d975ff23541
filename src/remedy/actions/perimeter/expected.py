"""What a list will hold once lines were typed, and the lines that take them back.

Decides from the lines themselves, in which every new rule has the number that it will have, what has to be undone under
which number. Leaves to others: the lines (the vendor's file). Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from remedy.devices import Filters, Lines, Vendor
from remedy.devices.acl import Acl, Rule
from remedy.devices.dialects.asa import WORDS, AsaFilters
from remedy.devices.dialects.comware import UNTIL
from remedy.devices.dialects.ios import atomic
from remedy.devices.h3c_secpath import Policies

__all__ = ["expected", "is_policy", "is_unified", "way_back", "way_on"]

#: A line that takes a rule away by its number; one that sets a rule's comment, or takes that away.
_GONE: Final = re.compile(r"^(?:undo rule|no|no sequence) (\d{1,10})$")
_COMMENT: Final = re.compile(r"^(undo )?rule (\d{1,10}) (?:comment|description|remark)(?: (.*))?$")
_REMARK: Final = re.compile(r"^(?:remark|behind) (\d{1,10})$")
_REMARKED: Final = re.compile(r"^(?:sequence )?(\d{1,10}) remark (.*)$")


def is_policy(vendor: Vendor) -> bool:
    """Whether the device has one policy a family in place of lists: rules of remedy's own stand among others' there."""
    return isinstance(vendor.filters, Policies)


def is_unified(vendor: Vendor) -> bool:
    """Whether one list holds both families."""
    return isinstance(vendor.filters, AsaFilters)


def expected(vendor: Vendor, filters: Filters, before: Acl | None, goal: Acl, lines: Sequence[str]) -> Acl:
    """The list as it will be read once the lines that make `goal` of `before` were typed."""
    if is_unified(vendor):
        # a line's place is its number
        return replace(goal, rules=tuple(one for rule in goal.rules for one in atomic(rule, WORDS)))
    text = "\n".join(line for line in lines if not line.startswith(("undo ", "no ", "move ")))
    typed = next((one for one in filters.read_lists([text]) if one.name == goal.name and one.rules), None)
    new = typed.rules if typed is not None else ()
    if is_policy(vendor):
        return replace(goal, rules=_placed(goal.rules, new, before.rules if before is not None else ()))
    if before is None:
        return replace(goal, rules=new, extra=typed.extra if typed is not None else ())
    gone = {int(match[1]) for line in lines if (match := _GONE.match(line))}
    rules = {rule.number: rule for rule in before.rules if rule.number not in gone}
    rules |= {rule.number: rule for rule in new}
    for line in lines:
        if (match := _COMMENT.match(line)) and (number := int(match[2])) in rules:
            rules[number] = _commented(rules[number], "" if match[1] else match[3] or "")
    ordered = tuple(rule for _, rule in sorted(rules.items(), key=lambda pair: -1 if pair[0] is None else pair[0]))
    remarks = [(_place(key), said) for key, said in before.extra if _place(key) not in {-1, *gone}]
    remarks += [(int(match[1]), match[2]) for line in lines if (match := _REMARKED.match(line))]
    extra = tuple(pair for pair in before.extra if _place(pair[0]) < 0)
    if remarks or extra != before.extra:
        ordered, kept = _remarked(ordered, sorted(remarks, key=lambda one: one[0]))
        extra = (*extra, *kept)
    return replace(goal, rules=ordered, extra=extra)


def _place(key: str) -> int:
    """The number of a remark that is kept under this key; -1 for what is none."""
    match = _REMARK.match(key)
    return int(match[1]) if match else -1


def _remarked(
    rules: Sequence[Rule], remarks: Sequence[tuple[int, str]]
) -> tuple[tuple[Rule, ...], list[tuple[str, str]]]:
    """Rules and remarks of a list whose lines have numbers: a remark is of the first rule that stands behind it."""
    out = []
    before = -1
    for rule in rules:
        number = before if rule.number is None else rule.number
        out.append(replace(rule, comment="\n".join(said for at, said in remarks if before < at <= number)))
        before = number
    return tuple(out), [(f"{'remark' if at <= before else 'behind'} {at}", said) for at, said in remarks]


def _commented(rule: Rule, said: str) -> Rule:
    until = UNTIL.match(said)
    return replace(rule, comment=(until[2] or "") if until else said, until=until[1] if until else "")


def _placed(goal: Sequence[Rule], new: Sequence[Rule], old: Sequence[Rule]) -> tuple[Rule, ...]:
    """A policy's rules in the order of `goal`, each under the number it has or was just given."""
    stock: dict[Rule, deque[Rule]] = defaultdict(deque)
    for rule in (*new, *old):
        stock[_key(rule)].append(rule)
    out = []
    for rule in goal:
        same = stock[_key(rule)]
        exact = next((one for one in same if rule.number in {None, one.number}), rule)
        if exact in same:
            same.remove(exact)
        out.append(exact)
    return tuple(out)


def _key(rule: Rule) -> Rule:
    return replace(rule, number=None, rest=tuple(sorted(rule.rest)))


def way_on(vendor: Vendor, filters: Filters, before: Acl | None, after: Acl, do: Lines) -> Lines:
    """What is typed where `do` was broken off: a list that was not there is begun anew.

    Else it is `do` itself, unless its lines mean another place by then.
    """
    if before is None:
        return (*way_back(vendor, filters, before, after, do), *do)
    return filters.settle(before, after, back=False) if isinstance(filters, AsaFilters) else do


def way_back(vendor: Vendor, filters: Filters, before: Acl | None, after: Acl, do: Lines) -> Lines:
    """What is typed to have the list as it was, however far it has come; one that was not there goes as a whole."""
    if isinstance(filters, AsaFilters) and before is not None:
        return filters.settle(before, after, back=True)
    if before is not None:
        return filters.edit_list(after, before)
    if is_unified(vendor):
        return (f"clear configure access-list {after.name}",)
    if "display" not in vendor.terminal.reading:
        return (f"no {do[0]}",)
    # the line that enters a list which is there: VRP makes a list with one word more
    enters = filters.edit_list(after, replace(after, rules=()))[0] if after.rules else do[0]
    return (f"undo {enters}",)
