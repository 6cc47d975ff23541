"""Access lists pushed as a whole: a file's rules become the content of lists that are remedy's own.

Decides which lists those are, what each will hold, and what nobody may push. A list is remedy's own when it was not
there before, or when the comment of its first rule begins with `remedy`, which every push writes; somebody else's is
replaced only when told so. On a firewall with one policy a family, remedy's own rules are those that have no name but
the one remedy gives (`remedy-7`): they stand together, before the others' where there are none yet. Remedy's drop rule
on a blocked group is never touched. Leaves to others: the words (the vendor's file), the limits (`harm`), what is left
of a list when rules end (`lapsing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, cast

from remedy.actions.perimeter import device as typing
from remedy.actions.perimeter.device import PURPOSES, Desk
from remedy.actions.perimeter.expected import expected, is_policy, is_unified, way_back, way_on
from remedy.actions.perimeter.harm import Way, require_harmless
from remedy.actions.perimeter.lapsing import left_of
from remedy.core.canon import Json, canonical, digest
from remedy.core.errors import Refused, TargetUnfit, UsageError
from remedy.core.text import printable
from remedy.core.values import Change, Expect, Plan, wanted
from remedy.devices import Filters, Lines, Vendor
from remedy.devices.acl import Acl, Rule
from remedy.devices.addresses import Span, merged
from remedy.devices.dialects.secpath_policy import VIEWS
from remedy.devices.packing import pack
from remedy.devices.rulefile import Written
from remedy.devices.shadows import Shadow, joined, shadows
from remedy.probes import device

__all__ = ["MARK", "Wish", "by_list", "extend", "never_deciding"]

#: How the comment of the first rule of a list of remedy's own begins.
MARK: Final = "remedy"
_MARKED: Final = re.compile(rf"{MARK}(?:: |\Z)")
_GROUPS: Final = frozenset(group.name for groups in PURPOSES.values() for group in groups.values())
_MOST_NAMED: Final = 5
#: Rules times kinds of rules that are searched for rules that never decide: about 4 s.
_MOST_PAIRS: Final = 1_000_000
#: How lines begin that say what a list is, and not where it is applied.
_DEFINING: Final = ("acl ", "access-list ", "ip access-list ", "ipv6 access-list ", "rule ", "description ", "remark ")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: these rules, in these lists.

    `acl` names the list of rules that stand under none in the file, and alone is written then. `now` decides which
    rules have ended already. `replace` allows to replace somebody else's list. `seconds` is the device's timer.
    `ended` asks for less: of these rules, which the lists have held since `now`, what has ended by then goes. `only`
    names lists (name and family) that alone are meant.
    """

    rules: tuple[Written, ...]
    now: datetime
    seconds: int
    acl: str = ""
    replace: bool = False
    ways: tuple[Way, ...] = ()
    keep: Mapping[str, Sequence[str]] | None = None
    ended: datetime | None = None
    only: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Push:
    """One list: as it is, as it is to be, and which of its rules decide anew. `means` says what it then holds."""

    before: Acl | None
    goal: Acl
    mine: tuple[Rule, ...]
    impact: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    means: str = "holds exactly the file's rules"


def extend(plan: Plan, desk: Desk, wish: Wish) -> Plan:
    """Add to an empty plan what makes the lists hold the file's rules. Raises Refused and its kin, UsageError."""
    filters = desk.vendor.filters
    if filters is None:
        raise TargetUnfit(f"{desk.vendor.title} has no access lists that remedy can write", where=desk.name)
    texts = desk.ask([device.texts(desk.vendor, filters.ask_lists())])[0]
    here = filters.read_lists(texts)
    notes = [] if wish.ways else ["our own way to the device is not known: whether a rule is in it was not checked"]
    pushes = _pushes(desk.vendor, filters, here, wish, notes)
    applied = _applied(desk, [push.goal.name for push in pushes])
    changes: list[Change] = []
    expects: list[Expect] = []
    undo: list[str] = []
    impact: list[str] = []
    for push in pushes:
        require_harmless(
            push.goal,
            push.mine,
            before=push.before,
            ways=wish.ways,
            keep=wish.keep or {},
            acts=push.goal.name in applied,
        )
        step, expect = _step(desk, filters, push)
        expects.append(expect)
        notes += push.notes
        if step is None:
            notes.append(f"{_named(push.goal)} holds this already")
            continue
        changes.append(step)
        undo[:0] = step.undo.stdin.splitlines() if step.undo else []
        impact += push.impact
        if push.goal.name not in applied:
            notes.append(f"{_named(push.goal)} is applied nowhere: it filters nothing until somebody applies it")
    facts: Json = [
        [pack(one) for one in here if any(one.name == push.goal.name for push in pushes)],
        [*applied],
    ]
    plan = replace(plan, expects=tuple(expects), notes=tuple(notes), facts=canonical({"lists": digest(facts)}).decode())
    if not changes:
        return plan
    plan = replace(plan, impact=tuple(impact))
    seen = changes[0].seen or expects[0].probe
    return typing.guarded(plan, desk, changes, seen, undo=undo, seconds=wish.seconds)


def by_list(vendor: Vendor, wish: Wish) -> dict[tuple[str, int], list[Rule]]:
    """The rules of each list that is meant, by its name and family (0 where it holds both), in the order of the file.

    Raises UsageError for a rule of no list.
    """
    found: dict[tuple[str, int], list[Rule]] = {}
    for one in wish.rules:
        if wish.acl and one.acl and one.acl != wish.acl:
            continue
        name = one.acl or wish.acl
        if is_policy(vendor):
            if name and name not in VIEWS.values():
                raise UsageError(
                    f"{vendor.title} has no list {name!r}: it has one policy a family",
                    where=f"line {one.line}",
                    hint="a file for it has no `list` line; remedy's own rules then stand first in the policy",
                )
            name = VIEWS[one.rule.family]
        if not name:
            raise UsageError(
                "nothing says which list the rule belongs to",
                where=f"line {one.line}",
                hint="write `list NAME` above it, or give --list NAME",
            )
        key = (name, 0 if is_unified(vendor) else one.rule.family)
        if not wish.only or key in wish.only:
            found.setdefault(key, []).append(one.rule)
    return found


def _goals(vendor: Vendor, filters: Filters, wish: Wish) -> list[Acl]:
    """The lists that are meant, holding the file's rules as written, in the order of the file."""
    found = by_list(vendor, wish)
    if not found:
        raise UsageError("the file has no rule for this", hint="deny tcp from 203.0.113.0/24 to any port 22")
    made = []
    for (name, family), rules in found.items():
        family_of = family or (6 if all(rule.family == 6 for rule in rules) else 4)  # noqa: PLR2004 -- IPv6
        kind, default = ("policy", "deny") if is_policy(vendor) else ("", "")
        made.append(Acl(name, family_of, kind, tuple(rules), default=default))
    return [replace(goal, default=goal.default or _default(filters, goal)) for goal in made]


def _default(filters: Filters, goal: Acl) -> str:
    """What happens to what no rule of a new list matches, as the vendor's own reader says of such a list."""
    sample = replace(goal, rules=(Rule("permit", goal.family),))
    return next((one.default for one in filters.read_lists(["\n".join(filters.write_list(sample))]) if one.name), "")


def _pushes(vendor: Vendor, filters: Filters, here: Sequence[Acl], wish: Wish, notes: list[str]) -> list[_Push]:
    """What becomes of each list. Raises Refused where one is somebody else's."""
    made = []
    for asked in _goals(vendor, filters, wish):
        before = device.find(here, asked, unified=is_unified(vendor))
        if wish.ended is None:
            if before is None and (other := device.find_alike(here, asked)):
                there = printable(other.name, 63, one_line=True)
                raise Refused(f"{_named(asked)} is there as {there!r}", hint="give the list another name or number")
            made.append(_push(vendor, filters, before, asked, wish))
        elif before is not None:
            made.append(_lapse(vendor, filters, before, asked, (wish.now, wish.ended)))
        else:
            notes.append(f"{_named(asked)} is not there any more")
    return made


def _lapse(vendor: Vendor, filters: Filters, before: Acl, asked: Acl, times: tuple[datetime, datetime]) -> _Push:
    """What becomes of a list when what was written to it for a time has ended: anybody else's lines stay."""
    was, will = (_written(vendor, filters, asked, at) for at in times)
    rules, anew = left_of(before.rules, was, will)
    means = f"holds nothing of the file's that ended by {times[1].isoformat()}, and whatever else it held"
    gone = f"{_named(asked)}: what was pushed for a time has ended"
    return _Push(before, replace(before, rules=rules), anew, (gone,), means=means)


def _written(vendor: Vendor, filters: Filters, asked: Acl, at: datetime) -> tuple[Rule, ...]:
    """A file's rules as the device shows them once they are written at that time."""
    goal = replace(asked, rules=_marked(vendor, _prepared(filters, asked, at, [])))
    return expected(vendor, filters, None, goal, filters.write_list(goal)).rules if goal.rules else ()


def _marked(vendor: Vendor, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Rules of a list of remedy's own: the first bears its mark."""
    if not rules or is_policy(vendor):
        return rules
    said = rules[0].comment
    return (replace(rules[0], comment=f"{MARK}: {said}" if said else MARK), *rules[1:])


def _push(vendor: Vendor, filters: Filters, before: Acl | None, asked: Acl, wish: Wish) -> _Push:
    """What becomes of a list that is to hold the file's rules. Raises Refused where it is somebody else's."""
    notes: list[str] = []
    mine = _marked(vendor, _prepared(filters, asked, wish.now, notes))
    if before is None and is_policy(vendor):
        before = replace(asked, rules=())
    denied = sum(rule.action == "deny" for rule in mine)
    impact = [f"{_named(asked)}: {len(mine)} rules of the file, {denied} of which deny"]
    if is_policy(vendor) and before is not None:
        goal = replace(before, rules=_among(before.rules, mine))
        return _Push(before, goal, mine, tuple(impact), tuple(notes))
    if before is None:
        return _Push(None, replace(asked, rules=mine), mine, tuple(impact), tuple(notes))
    kept = tuple(rule for rule in before.rules if _is_block(rule))
    others = [rule for rule in before.rules if not _is_block(rule)]
    extra = tuple(pair for pair in before.extra if pair[0].partition(" ")[0] not in {"remark", "behind"})
    goal = replace(before, rules=(*kept, *mine), extra=extra)
    own = not others or bool(_MARKED.match(others[0].comment))
    if before.unknown:
        shown = printable(before.unknown[0].text, 80, one_line=True)
        notes.append(f"{_named(before)}: {len(before.unknown)} lines that nobody understands stay, such as: {shown}")
    foreign = not own and bool(filters.edit_list(before, goal))
    if foreign and not wish.replace:
        raise Refused(
            f"{_named(before)} is somebody else's: the first of its {len(others)} rules does not bear remedy's mark",
            hint="give the list another name, or --replace to have its rules replaced (undo brings them back)",
        )
    if foreign:
        gone = f"{_named(goal)} is somebody else's: its {len(others)} rules are replaced (--replace), undo brings them"
        impact.append(gone)
    return _Push(before, goal, mine, tuple(impact), tuple(notes))


def _prepared(filters: Filters, asked: Acl, at: datetime, notes: list[str]) -> tuple[Rule, ...]:
    """The file's rules as they are written to the device then: what has ended left out, overlaps merged."""
    ended = [rule for rule in asked.rules if rule.until and datetime.fromisoformat(rule.until) <= at]
    rules = [rule for rule in asked.rules if rule not in ended]
    if ended:
        notes.append(f"{_named(asked)}: {len(ended)} rules have ended and are left out")
    ends = sorted({rule.until for rule in rules if rule.until})
    if ends and not _holds_ends(filters, asked):
        rules = [replace(rule, until="") for rule in rules]
        notes.append(f"{_named(asked)}: the device cannot say when a rule ends; the record does, first at {ends[0]}")
    else:
        rules = [replace(rule, until=rule.until.replace("+00:00", "Z")) for rule in rules]
    fewer = joined(rules)
    found = never_deciding(fewer)
    if found is None:
        notes.append(f"{_named(asked)}: too many different rules to look for those that never decide")
        found = ()
    useless = {one.index for one in found if one.same}
    for one in [one for one in found if not one.same][:_MOST_NAMED]:
        by = ", ".join(_text(fewer[index]) for index in one.by)
        notes.append(f"never decides: {_text(fewer[one.index])}, because of {by}")
    left = tuple(_once(rule for index, rule in enumerate(fewer) if index not in useless))
    if len(left) < len(rules):
        notes.append(f"{_named(asked)}: {len(rules)} rules as written are {len(left)}, overlaps merged")
    return left


def never_deciding(rules: Sequence[Rule]) -> tuple[Shadow, ...] | None:
    """`shadows`, or None where that would take too long: its cost is rules times rules that differ beyond sources."""
    kinds = {(rule.action, rule.family, rule.protocol, rule.destination, rule.source.ports) for rule in rules}
    return shadows(rules) if len(rules) * len(kinds) <= _MOST_PAIRS else None


def _once(rules: Iterator[Rule]) -> Iterator[Rule]:
    """The same rules, each address once among those that say the same: a device refuses a rule that it has."""
    seen: set[tuple[Any, ...]] = set()
    for rule in rules:
        said = replace(rule, source=replace(rule.source, spans=()), comment="", log=False)
        parts = [part for span in rule.source.spans for part in span.prefixes()]
        new = [part for part in parts if (said, part) not in seen]
        seen.update((said, part) for part in new)
        if len(new) < len(parts):
            if not new:
                continue
            rule = replace(rule, source=replace(rule.source, spans=merged(new)))  # noqa: PLW2901
        yield rule


def _holds_ends(filters: Filters, asked: Acl) -> bool:
    """Whether a rule can say there when it ends: tried on the vendor's own words."""
    until = "2030-01-01T00:00:00Z"
    try:
        lines = filters.write_list(replace(asked, rules=(Rule("permit", asked.family, number=1, until=until),)))
        return any(rule.until == until for one in filters.read_lists(["\n".join(lines)]) for rule in one.rules)
    except UsageError:
        return False


def _among(there: Sequence[Rule], mine: Sequence[Rule]) -> tuple[Rule, ...]:
    """A policy with remedy's own rules replaced: where they stood, else behind remedy's drop rules at the top."""
    own = [not _is_block(rule) and not any(said.startswith("name ") for said in rule.rest) for rule in there]
    others = [rule for rule, is_own in zip(there, own, strict=True) if not is_own]
    if True in own:
        at = own.index(True)
    else:
        at = next((place for place, rule in enumerate(others) if not _is_block(rule)), len(others))
    return (*others[:at], *mine, *others[at:])


def _is_block(rule: Rule) -> bool:
    """Whether it is remedy's drop rule on a group of blocked addresses."""
    return rule.action == "deny" and bool({rule.source.group, rule.destination.group} & _GROUPS)


def _applied(desk: Desk, names: Sequence[str]) -> frozenset[str]:
    """The lists that the running configuration names besides defining them; a policy always acts."""
    if is_policy(desk.vendor):
        return frozenset(names)
    asked = list(dict.fromkeys(names))
    if not asked:
        return frozenset()
    lines = [f"{desk.vendor.terminal.running} | include {name}" for name in asked]
    said = cast("list[str]", desk.ask([device.texts(desk.vendor, lines)])[0])
    return frozenset(name for name, text in zip(asked, said, strict=True) if _is_named(name, text))


def _is_named(name: str, text: str) -> bool:
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])")
    lines = (line.strip() for line in text.splitlines())
    return any(word.search(line) and not line.startswith(_DEFINING) and "|" not in line for line in lines)


def _step(desk: Desk, filters: Filters, push: _Push) -> tuple[Change | None, Expect]:
    """The change of one list, None when it holds this already; and what must be read afterwards."""
    before, goal = push.before, push.goal
    do: Lines = filters.write_list(goal) if before is None else filters.edit_list(before, goal)
    after = expected(desk.vendor, filters, before, goal, do) if do else goal
    if do and before is not None and filters.edit_list(after, goal):
        raise Refused(
            f"{_named(goal)}: what has to be typed does not make the list that is wanted",
            where=desk.name,
            hint="look at it with `remedy acl diff`, and push fewer rules at once",
        )
    unified = is_unified(desk.vendor)
    how_far = device.content(desk.vendor, before, after, unified=unified)
    why = f"{_named(goal)} on {desk.name} {push.means}, read over a new login"
    expect = Expect(why, desk.name, how_far, wanted("after"), fresh=True, layer="perimeter")
    if not do:
        return None, expect
    undo = way_back(desk.vendor, filters, before, after, do)
    come, gone = _counts(before, after)
    typed = f"{_named(goal)}: {come} rules come, {gone} go, {len(after.rules)} then"
    step = typing.step(desk.name, typed, do, undo, how_far)
    again = typing.configure(way_on(desk.vendor, filters, before, after, do), through=True)
    return replace(step, again=again), expect


def _counts(before: Acl | None, after: Acl) -> tuple[int, int]:
    there = {replace(rule, number=None) for rule in before.rules} if before is not None else set()
    then = {replace(rule, number=None) for rule in after.rules}
    return len(then - there), len(there - then)


def _named(acl: Acl) -> str:
    shown = printable(acl.name, 63, one_line=True)
    return f"{'policy' if acl.kind == 'policy' else 'list'} {shown} (IPv{acl.family})"


def _text(rule: Rule) -> str:
    """A rule in the words of the rule file, shortened."""
    sides = (_side(rule.source.spans), _side(rule.destination.spans))
    ports = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in rule.destination.ports)
    return f"{rule.action} {rule.protocol} from {sides[0]} to {sides[1]}{f' port {ports}' if ports else ''}"


def _side(spans: Sequence[Span]) -> str:
    more = f",… ({len(spans)})" if len(spans) > 1 else ""
    return f"{spans[0]}{more}" if spans else "any"
