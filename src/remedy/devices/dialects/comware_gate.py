"""The drop rule of Comware V7 at a packet filter: whether it stands and acts, putting it there, taking it back.

    Interface: GigabitEthernet1/0/1
     In-bound policy:
      IPv4 ACL 2001, Hardware-count (Failed)
       rule 0 permit
       rule 5 permit source 1.1.1.1 0 (Failed)
      IPv4 ACL 2002 (Failed), Hardware-count (Failed)
      IPv4 default action: Deny, Hardware-count (Failed)

`(Failed)` behind a list or a rule means that it does not act; behind `Hardware-count` that it is not counted.

Follows H3C Comware V7, ACL and QoS Command Reference, ACL commands (`packet-filter`, `packet-filter global`,
`packet-filter vlan`, `packet-filter default deny`, `display packet-filter verbose`, `rule`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.core.text import printable
from remedy.devices import Gate, GateState, Group, Lines, Members
from remedy.devices.acl import ANY, Acl, Endpoint, Rule
from remedy.devices.dialects import comware, comware_objects
from remedy.devices.dialects.comware_edit import TOP
from remedy.devices.dialects.comware_ports import interface
from remedy.devices.dialects.comware_write import Dialect, enter, write_rule

__all__ = ["Applied", "PacketFilter", "read_applied"]

_V7: Final = Dialect(title="Comware V7")
_DIRECTION: Final = re.compile(r"^\s*(In|Out)-?bound policy:\s*$", re.IGNORECASE)
_LIST: Final = re.compile(
    r"^\s*(?P<ip>IPv4|IPv6|MAC|User-defined) (?:(?:basic|advanced) )?ACL (?:named? )?(?P<name>[^\s,]+)(?P<tail>.*)$",
    re.IGNORECASE,
)
_PLACE: Final = re.compile(r"^\s*(?:Interface|VLAN|Global|Zone-pair)\s*:")
_DEFAULT: Final = "packet-filter default deny"
_HITS: Final = re.compile(r"^(\d{1,18}) (?:times? matched|matche?s?|packets?)$")
_HELD: Final = ("counting",)


@dataclass(slots=True)
class Applied:
    """A list applied at a place: whether the hardware took it, and which of its rules it did not take."""

    family: int
    name: str
    failed: bool
    refused: set[int] = field(default_factory=set)
    hits: dict[int, int] = field(default_factory=dict)


def read_applied(text: str, direction: str) -> list[Applied]:
    """The lists applied in a direction ("in", "out"), in the order in which they decide."""
    found: list[Applied] = []
    here = False
    for line in comware.answer(text):
        turn = _DIRECTION.match(line)
        match = _LIST.match(line)
        if turn:
            here = turn[1].lower() == direction
        elif _PLACE.match(line):
            here = False
        elif here and match:
            family = {"ipv4": 4, "ipv6": 6}.get(match["ip"].lower(), 0)
            found.append(Applied(family, match["name"], match["tail"].lstrip().startswith("(Failed)")))
        elif here and found:
            _mark(found[-1], line)
    return found


def _mark(applied: Applied, line: str) -> None:
    read = comware.read_rule(line, applied.family)
    if read is None or read[0].number is None:
        return
    if any(mark.lower() == "failed" for mark in read[1]):
        applied.refused.add(read[0].number)
    met = next(filter(None, map(_HITS.match, read[1])), None)
    if met or "counting" in read[0].rest:
        applied.hits[read[0].number] = int(met[1]) if met else -1


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is there of a gate and a group."""

    applied: tuple[Applied, ...]
    lists: dict[str, Acl]
    own: Acl | None
    grouped: bool
    emptied: bool
    denies: bool
    foreign: str

    def of(self, applied: Applied) -> Acl:
        """The list that is applied."""
        found = self.lists.get(applied.name.lower())
        if found is None:
            shown = printable(applied.name, 60, one_line=True)
            raise AnswerUnusable(f"list {shown} is applied and `display acl` does not show it")
        return found


class PacketFilter:
    """The part of `Groups` that knows gates. `gate.interface` may also be `global` or `vlan N`."""

    def ask_gate(self, gate: Gate, group: Group) -> Lines:
        """What to type to see whether the drop rule stands and acts."""
        return (
            f"display packet-filter verbose {_place(gate)} {_bound(gate)}",
            "display acl ipv6 all" if group.family == 6 else "display acl all",  # noqa: PLR2004
            *comware_objects.ask(group),
            "display current-configuration | include packet-filter",
            f"display packet-filter statistics {_place(gate)} {_bound(gate)}",
        )

    def read_gate(self, gate: Gate, group: Group, texts: Sequence[str]) -> GateState:
        """Read what those lines printed."""
        seen = _seen(gate, group, texts)
        acl = seen.of(seen.applied[0]) if seen.applied else seen.own
        return replace(self._state(gate, group, seen), beside=_beside(acl, _wanted(gate, group)))

    def _state(self, gate: Gate, group: Group, seen: _Seen) -> GateState:
        wanted = _wanted(gate, group)
        if seen.foreign:
            return GateState("foreign", f"{group.name} is {seen.foreign}")
        if not seen.applied:
            return _unapplied(seen.own, wanted)
        first = seen.applied[0]
        acl = seen.of(first)
        if gate.acl and gate.acl.lower() not in _names(seen, first):
            return GateState("foreign", f"the inventory says {gate.acl}, and {acl.name} is applied there")
        later = next((one for one in seen.applied[1:] if _mine(seen.of(one), wanted)), None)
        if later is not None and not _mine(acl, wanted):
            return GateState("shadowed", f"list {acl.name} decides before {later.name}, where the rule is")
        return _standing(acl, wanted, first)

    def prepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to bring the rule to the top of the gate. Raises Refused where that cannot be done."""
        state = self.read_gate(gate, group, texts)
        if state.state == "ready":
            return ()
        if state.state == "foreign":
            raise Refused(
                f"the gate is taken: {state.why}", hint="rename or remove that on the device, or the gate's acl"
            )
        seen = _seen(gate, group, texts)
        wanted = _wanted(gate, group)
        out: list[str] = [comware_objects.enter(group), "quit"]
        if seen.applied:
            acl = seen.of(seen.applied[0])
            if state.state == "inactive":
                raise Refused(
                    f"the rule stands in list {acl.name} and does not act: {state.why}",
                    hint="free room in the hardware (`display qos-acl resource`), then prepare again",
                )
            return (*out, *_on_top(acl, wanted))
        if gate.acl:
            raise Refused(
                f"list {gate.acl} is not applied at {gate.interface}",
                hint="apply it there, or leave `acl` out of the gate: then a list of remedy's own is applied",
            )
        own = _own(gate, group)
        if seen.own is not None and not seen.own.rules:
            raise Refused(state.why, hint=f"resume or undo that run, or paste: undo {enter(own, _V7, new=False)}")
        if seen.own is None:
            out += [enter(own, _V7, new=True), write_rule(wanted, 0, "advanced", _V7)]
            if seen.denies:
                everything = Rule("permit", group.family)
                out.append(write_rule(everything, TOP, "advanced", _V7))
            out.append("quit")
        return (*out, *_apply(gate, own, undo=False))

    def unprepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to take back what `prepare` would type or has typed; then the group, where it is empty."""
        seen = _seen(gate, group, texts)
        wanted = _wanted(gate, group)
        own = _own(gate, group)
        out: list[str] = []
        others = [acl for acl in seen.lists.values() if acl.name.lower() != own.name.lower()]
        applied = seen.applied[0] if seen.applied else None
        if applied is not None and (applied.name.lower() != own.name.lower() or _beside(seen.own, wanted)):
            acl = seen.of(applied)
            mine = _mine(acl, wanted)
            others = [one for one in others if one is not acl]
            others.append(replace(acl, rules=tuple(rule for rule in acl.rules if rule not in mine)))
            if _standing(acl, wanted, applied).state == "shadowed" and mine[0].number is not None:
                number = _above(acl, wanted)
                if number is not None:
                    back = write_rule(mine[0], mine[0].number, acl.kind, _V7)
                    return (enter(acl, _V7, new=False), f"undo rule {number}", back, "quit")
            number = mine[0].number if mine else _above(acl, wanted)
            if number is not None:
                out += [enter(acl, _V7, new=False), f"undo rule {number}", "quit"]
        elif applied is None and seen.own is not None:
            return _apply(gate, own, undo=True)  # the list was there before, and only has to be applied
        else:
            out += [*_apply(gate, own, undo=True), f"undo {enter(own, _V7, new=False)}"]
        if not any(_uses(acl, group) for acl in others) and (seen.emptied or not seen.grouped):
            out.append(f"undo {comware_objects.enter(group)}")
        return tuple(out)


def _beside(acl: Acl | None, wanted: Rule) -> int:
    """How many other drop rules of remedy's stand in a list of its own."""
    if acl is None or not acl.name.lower().startswith("remedy-"):
        return 0
    mine = _mine(acl, wanted)
    return sum(_remedys(rule) and rule not in mine for rule in acl.rules)


def _unapplied(own: Acl | None, wanted: Rule) -> GateState:
    """The state where no list is applied."""
    if own is None:
        return GateState("absent")
    if _mine(own, wanted):
        return GateState("inactive", f"list {own.name} has the rule and is not applied there")
    if not own.rules and not own.unknown:
        return GateState("inactive", f"list {own.name} is empty and not applied there: a preparation was broken off")
    return GateState("foreign", f"a list called {own.name} is there that is not remedy's")


def _place(gate: Gate) -> str:
    if gate.interface == "global" or re.fullmatch(r"vlan [1-9]\d{0,3}", gate.interface):
        return gate.interface
    return f"interface {interface(gate.interface)}"


def _bound(gate: Gate) -> str:
    if gate.direction not in {"in", "out"} or gate.matches not in {"source", "destination"}:
        raise UsageError(
            f"a gate cannot be {gate.direction!r} and match {gate.matches!r}",
            hint="direction: in or out; matches: source or destination",
        )
    return f"{gate.direction}bound"


def _apply(gate: Gate, own: Acl, *, undo: bool) -> tuple[str, ...]:
    place = _place(gate)
    said = f"{'undo ' if undo else ''}packet-filter{' ipv6' if own.family == 6 else ''} name {own.name}"  # noqa: PLR2004
    if place.startswith("interface "):
        return (place, f"{said} {_bound(gate)}", "quit")
    return (f"{said} {place} {_bound(gate)}",)


def _own(gate: Gate, group: Group) -> Acl:
    """Remedy's own list for a gate: one a gate, so that taking one back leaves the others."""
    where = re.sub(r"[^0-9A-Za-z]+", "-", gate.interface).strip("-")
    side = "" if gate.matches == "source" else "-to"
    return Acl(f"{group.name}-{where}-{gate.direction}{side}"[:63], group.family, "advanced")


def _wanted(gate: Gate, group: Group) -> Rule:
    side = Endpoint(group=group.name)
    rule = Rule("deny", group.family, rest=_HELD)
    return replace(rule, source=side) if gate.matches == "source" else replace(rule, destination=side)


def _seen(gate: Gate, group: Group, texts: Sequence[str]) -> _Seen:
    if len(texts) < 4:  # noqa: PLR2004
        raise AnswerUnusable(f"{len(texts)} answers to 4 questions about the gate")
    acls = [acl for acl in comware.read_lists(texts[1:2]) if acl.family == group.family and acl.name]
    lists = {acl.name.lower(): acl for acl in acls}
    lists |= {number.lower(): acl for acl in acls for kind, number in acl.extra if kind == "number"}
    foreign = comware_objects.foreign(group, texts[2])
    members = Members(absent=True) if foreign else comware_objects.read(group, texts[2])
    denies = any(line.strip() == _DEFAULT for line in comware.answer(texts[3]))
    applied = [one for one in read_applied(texts[0], gate.direction) if one.family == group.family]
    try:
        counted = read_applied(texts[4], gate.direction) if len(texts) > 4 else []  # noqa: PLR2004
    except AnswerUnusable:  # not every model counts in hardware
        counted = []
    for one in applied:
        for other in counted:
            if (one.family, one.name) == (other.family, other.name):
                one.hits |= other.hits
    return _Seen(
        applied=tuple(applied),
        lists=lists,
        own=lists.get(_own(gate, group).name.lower()),
        grouped=not members.absent,
        emptied=not members.absent and not members.spans and not members.unknown,
        denies=denies,
        foreign=foreign,
    )


def _names(seen: _Seen, applied: Applied) -> set[str]:
    acl = seen.of(applied)
    return {acl.name.lower(), applied.name.lower(), dict(acl.extra).get("number", acl.name).lower()}


def _uses(acl: Acl, group: Group) -> bool:
    wanted = group.name.lower()
    known = any(wanted in {rule.source.group.lower(), rule.destination.group.lower()} for rule in acl.rules)
    return known or any(wanted in line.text.lower().split() for line in acl.unknown)


def _plain(rule: Rule) -> Rule:
    """The rule without what does not decide which packets it meets, names in small letters as the device takes them."""
    source, destination = (replace(s, group=s.group.lower()) for s in (rule.source, rule.destination))
    rest = tuple(said for said in rule.rest if said not in _HELD)
    return replace(
        rule, number=None, comment="", until="", log=False, rest=rest, source=source, destination=destination
    )


def _mine(acl: Acl, wanted: Rule) -> list[Rule]:
    return [rule for rule in acl.rules if _plain(rule) == _plain(wanted)]


def _standing(acl: Acl, wanted: Rule, applied: Applied) -> GateState:
    """The state of the rule in a list that is applied and decides first."""
    mine = _mine(acl, wanted)
    if not mine:
        group = wanted.source.group or wanted.destination.group
        for rule in acl.rules:
            if rule.action == "permit" and group in {rule.source.group, rule.destination.group}:
                return GateState("foreign", f"rule {rule.number} of list {acl.name} permits {group}")
        return GateState("absent")
    rule = mine[0]
    number = rule.number if rule.number is not None else -1
    if applied.failed or number in applied.refused:
        what = f"list {acl.name}" if applied.failed else f"rule {number} of list {acl.name}"
        return GateState("inactive", f"{what} is marked (Failed): the hardware has no room for it")
    before = [one for one in acl.rules[: acl.rules.index(rule)] if not _remedys(one)]
    if before:
        return GateState("shadowed", f"rule {before[0].number} of list {acl.name} decides before it")
    return GateState("ready", hits=applied.hits.get(number, -1))


def _remedys(rule: Rule) -> bool:
    """Whether a rule does nothing but drop a group of remedy's: it cannot let anything through."""
    sides = sorted((rule.source.group.lower(), rule.destination.group.lower()))
    bare = Endpoint()
    plain = _plain(replace(rule, source=bare, destination=bare))
    spans = rule.source.spans or rule.destination.spans or rule.source.ports or rule.destination.ports
    ours = not sides[0] and sides[1].startswith("remedy-") and not spans
    return ours and plain == Rule("deny", rule.family)


def _above(acl: Acl, wanted: Rule) -> int | None:
    """The number that the rule gets below all that are not remedy's; None when there is none.

    One for sources, the one below it for destinations, those of isolated hosts below both: two gates that are prepared
    from one answer never meet on one number, where the device would merge their rules into one that meets nothing.
    """
    numbers = [rule.number for rule in acl.rules if rule.number is not None and not _remedys(rule)]
    numbers += [int(match[1]) for line in acl.unknown if (match := re.match(r"rule (\d{1,9})\b", line.text))]
    group = wanted.source.group or wanted.destination.group
    place = (1 if wanted.source.group else 2) + (2 if group.lower().startswith("remedy-isolated") else 0)
    number = min(numbers, default=TOP) - place
    taken = {rule.number for rule in acl.rules if _remedys(rule) and _plain(rule) != _plain(wanted)}
    return number if number >= 0 and number not in taken else None


def _on_top(acl: Acl, wanted: Rule) -> tuple[str, ...]:
    """The lines that put the rule on top of somebody's list. Raises Refused where there is no room for it."""
    if acl.order == "auto":
        raise Refused(
            f"list {acl.name} is in depth-first order (match-order auto): a rule cannot be put on top of it",
            hint="make a list in config order with the same rules, apply that one, then prepare again",
        )
    if acl.kind == "basic" and wanted.destination != ANY:
        raise Refused(f"list {acl.name} is basic: it tells sources alone", hint="apply an advanced list there")
    number = _above(acl, wanted)
    if number is None:
        lowest = min((rule.number for rule in acl.rules if rule.number is not None), default=0)
        raise Refused(
            f"rule {lowest} of list {acl.name} leaves no number above it for the drop rule",
            hint=f"type that rule again under a higher number and `undo rule {lowest}`, then prepare again",
        )
    mine = _mine(acl, wanted)
    out = [enter(acl, _V7, new=False)]
    out += [f"undo rule {rule.number}" for rule in mine]
    out += [write_rule(wanted, number, acl.kind, _V7), "quit"]
    return tuple(out)
