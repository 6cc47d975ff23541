"""Remedy's object group and its drop rule in a numbered access list: IOS, IOS-XE and NX-OS.

Decides where the rule stands, whether it acts, and the lines that put it on top and take it away again. Leaves to
others: what the device's answers look like (`Reader`, one for each vendor), and the words of a list (`ios_edit`).

    object-group network remedy-block          ip access-list extended edge-in
     host 240.0.0.1                             5 deny ip object-group remedy-block any
     host 203.0.113.7

A device neither deletes nor empties a group that a list uses, so one address that cannot send anything stays in it:
240.0.0.1 (reserved, RFC 1112, 4) and 100::1 (discard-only, RFC 6666).

Where an interface has no list, everything passes. Putting the rule there alone would close it, since a list ends in a
deny that is not written: remedy's own list, `remedy-gate` or `remedy-gate6`, permits the rest. A list of others is
never made, never emptied, never renumbered.

Source: "Cisco IOS Security Configuration Guide: Access Control Lists", chapter "Object Groups for ACLs" ("You cannot
remove an object group or make an object group empty if it is used in an ACL"); "Cisco Nexus 9000 Series NX-OS Security
Configuration Guide", chapter "Configuring IP ACLs", section "Configuring Object Groups".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.core.errors import Refused, UsageError
from remedy.devices import Gate, GateState, Group, Lines, Members
from remedy.devices.addresses import Span
from remedy.devices.dialects.ios import plain
from remedy.devices.dialects.ios_lists import Entry
from remedy.devices.dialects.ios_sight import (
    OWN_LISTS,
    PLACEHOLDERS,
    GateSyntax,
    Sight,
    applied_at,
    checked,
    find,
    list_at,
    rules_of,
    uses,
)

__all__ = ["NumberedGroups"]

#: Numbers for a rule on top: low, and none that a device gives out by itself (multiples of ten).
_TOP_NUMBERS: Final = (5, 4, 3, 2, 1, 6, 7, 8, 9)
_LAST: Final = 10000


@dataclass(slots=True)
class _Work:
    """What a preparation does, so that it can be typed and taken back."""

    makes_group: bool = False
    adds_placeholder: bool = False
    list_name: str = ""
    list_lines: list[str] = field(default_factory=list)
    list_undo: list[str] = field(default_factory=list)
    makes_list: bool = False
    applies: bool = False


@dataclass(slots=True)
class NumberedGroups:
    """`remedy.devices.Groups` for devices whose lists have line numbers.

    `ask` and `read` are the vendor's: the lines that show the gate, and what they printed. `say` words a member,
    `ranges` says whether a group takes ranges of IPv4 addresses.
    """

    syntax: GateSyntax
    ask_group: Callable[[Group], Lines]
    read_group: Callable[[Group, Sequence[str]], Members]
    ask: Callable[[Gate, Group], Lines]
    read: Callable[[Gate, Group, Sequence[str]], Sight]
    say: Callable[[Span], str]
    ranges: bool
    placeholder: bool = True
    most: int = 0

    def ask_members(self, group: Group) -> Lines:
        """What to type to see the group's members."""
        return self.ask_group(group)

    def read_members(self, group: Group, texts: Sequence[str]) -> Members:
        """Read what those lines printed, placeholder left out. Raises AnswerUnusable for a refusal."""
        seen = self.read_group(group, texts)
        spans = tuple(span for span in seen.spans if span != PLACEHOLDERS[group.family])
        return Members(spans, seen.absent, seen.unknown)

    def sayable(self, span: Span) -> tuple[Span, ...]:
        """The span as a group holds it: itself, or its prefixes where a group takes no such range."""
        if span.prefix is not None or (self.ranges and span.family == 4):  # noqa: PLR2004
            return (span,)
        return tuple(span.prefixes())

    def add(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to add exactly these. The group's header makes it where it is absent."""
        del texts
        lines = tuple(self.say(span) for span in self._members(group, spans))
        return (self._header(group), *lines) if lines else ()

    def remove(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to remove exactly these."""
        del texts
        lines = tuple(f"no {self.say(span)}" for span in self._members(group, spans))
        return (self._header(group), *lines) if lines else ()

    def places(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> tuple[int, ...]:
        """None: a member is removed by its address."""
        del group, spans, texts
        return ()

    def _members(self, group: Group, spans: Sequence[Span]) -> Sequence[Span]:
        for span in spans:
            if span == PLACEHOLDERS[group.family]:
                raise UsageError(f"{span} keeps {group.name} from being empty", hint="no packet comes from it")
            if span.family != group.family:
                raise UsageError(f"{span} is not of {group.name}'s family", hint="IPv6 has a group of its own")
            if self.sayable(span) != (span,):
                raise UsageError(f"a group cannot hold the range {span}", hint="its prefixes can")
        return spans

    def _header(self, group: Group) -> str:
        return self.syntax.group[group.family].format(plain(group.name, "a group's name"))

    def rule(self, gate: Gate, group: Group) -> str:
        """The drop rule as it is typed and shown."""
        sides = (f"{self.syntax.words.group} {group.name}", "any")
        first, second = sides if gate.matches == "source" else sides[::-1]
        return f"deny {'ip' if group.family == 4 else 'ipv6'} {first} {second}"  # noqa: PLR2004

    def ask_gate(self, gate: Gate, group: Group) -> Lines:
        """What to type to see whether the drop rule stands and acts."""
        checked(gate)
        return self.ask(gate, group)

    def read_gate(self, gate: Gate, group: Group, texts: Sequence[str]) -> GateState:
        """Read what those lines printed."""
        sight = self.read(gate, group, texts)
        gate = _of_family(gate, group, sight)
        return replace(self._state(gate, group, sight), beside=self._beside(gate, group, sight))

    def _beside(self, gate: Gate, group: Group, sight: Sight) -> int:
        """What rests on remedy's own list besides this gate's rule, where that list is the gate's."""
        name = OWN_LISTS[group.family]
        if (list_at(gate, sight) or gate.acl or name) != name:
            return 0
        rules = sum(self._is_own(one.text) and one.text != self.rule(gate, group) for one in rules_of(sight, name))
        places = [listed for _, _, listed in sight.applied].count(name)
        return rules + places - [listed for _, _, listed in applied_at(gate, sight)].count(name)

    def _state(self, gate: Gate, group: Group, sight: Sight) -> GateState:
        rule = self.rule(gate, group)
        at = list_at(gate, sight)
        name = gate.acl if gate.acl and at != gate.acl and find(sight, gate.acl, rule) is not None else at
        name = name or gate.acl or OWN_LISTS[group.family]
        found = find(sight, name, rule)
        if found is None:
            strange = [one for one in rules_of(sight, name) if self._is_strange(one.text, group)]
            if strange:
                return GateState("foreign", f"{name} holds another line on {group.name}: {strange[0].line}")
            if sight.members.absent and sight.members.unknown:
                return GateState("foreign", f"{group.name} is something else: {sight.members.unknown[0]}")
            return GateState("absent")
        state, why = self._acts(gate, group, sight, name, found[0])
        return GateState(state, why, found[1].hits)

    def _acts(self, gate: Gate, group: Group, sight: Sight, name: str, place: int) -> tuple[str, str]:
        """The state of a rule that stands at that place of the list, and why."""
        if sight.members.absent:
            return "inactive", f"there is no group {group.name}"
        if name not in {listed for _, _, listed in applied_at(gate, sight)}:
            where = f"at {gate.interface} {gate.direction}" if gate.interface else "at any interface"
            return "inactive", f"the list {name} is not applied {where}"
        before = [one for one in rules_of(sight, name)[:place] if not self._is_own(one.text)]
        if before:
            return "shadowed", f"before it stands: {before[0].line}"
        if PLACEHOLDERS[group.family] not in sight.members.spans:
            why = f"{group.name} lacks {PLACEHOLDERS[group.family]}, so that its last member could not be removed"
            return "inactive", why
        return "ready", ""

    def prepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to bring the rule to the top of the gate. Raises Refused where that cannot be done."""
        sight = self.read(gate, group, texts)
        gate = _of_family(gate, group, sight)
        work = self._plan(gate, group, sight)
        lines: list[str] = []
        if work.adds_placeholder:
            lines += [self._header(group), self.say(PLACEHOLDERS[group.family])]
        if work.list_lines:
            lines += [self._list(work.list_name, group.family), *work.list_lines]
        if work.applies:
            lines += [f"interface {gate.interface}", self._apply(work.list_name, gate, group)]
        return tuple(lines)

    def unprepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to take back what `prepare` would type now; where all is done already, everything of ours."""
        sight = self.read(gate, group, texts)
        gate = _of_family(gate, group, sight)
        try:
            work = self._plan(gate, group, sight)
        except Refused:
            return self._withdraw(gate, group, sight)
        standing = [name for name in sight.lists if find(sight, name, self.rule(gate, group)) is not None]
        if standing and work.list_name not in standing:
            return self._withdraw(gate, group, sight)
        if not (work.adds_placeholder or work.list_lines or work.applies):
            return self._take_down(gate, group, sight)
        family, lines = group.family, list[str]()
        if work.applies:
            lines += [f"interface {gate.interface}", f"no {self._apply(work.list_name, gate, group)}"]
        if work.makes_list:
            lines.append(f"no {self._list(work.list_name, family)}")
        elif work.list_lines:
            lines += [self._list(work.list_name, family), *work.list_undo]
        if work.makes_group:
            lines.append(f"no {self._header(group)}")
        elif work.adds_placeholder:
            lines += [self._header(group), f"no {self.say(PLACEHOLDERS[family])}"]
        return tuple(lines)

    def _plan(self, gate: Gate, group: Group, sight: Sight) -> _Work:
        checked(gate)
        if sight.members.absent and sight.members.unknown:
            raise Refused(
                f"{group.name} is something else on this device: {sight.members.unknown[0]}",
                hint="rename or remove that object group",
            )
        work = _Work(makes_group=sight.members.absent)
        work.adds_placeholder = PLACEHOLDERS[group.family] not in sight.members.spans
        work.list_name = self._target(gate, group, sight)
        own = work.list_name == OWN_LISTS[group.family]
        entries = rules_of(sight, work.list_name)
        if not own and not entries:
            raise Refused(
                f"{work.list_name} holds no rule, so that everything passes it; a first one would close it",
                hint=f"write its rules first; to keep it open: {self._list(work.list_name, group.family)} / "
                f"permit {'ip' if group.family == 4 else 'ipv6'} any any",  # noqa: PLR2004
            )
        kind = sight.lists[work.list_name][0] if work.list_name in sight.lists else ""
        if kind == "standard":
            raise Refused(
                f"{work.list_name} is a standard list, which takes no object groups",
                hint="write it as an extended list and apply that one",
            )
        work.applies = bool(gate.interface) and not list_at(gate, sight)
        if own:
            self._own_list(work, gate, group, entries)
        else:
            self._top(work, gate, group, entries)
        return work

    def _target(self, gate: Gate, group: Group, sight: Sight) -> str:
        """The list that the rule goes into."""
        at = list_at(gate, sight)
        if not gate.interface:
            if not gate.acl:
                raise Refused("this gate names neither list nor interface", hint="complete `remedy_gates`")
            if not at:
                raise Refused(
                    f"the list {gate.acl} is applied at no interface, so a rule in it would not act",
                    hint=f"apply it (interface X / {self.syntax.apply[group.family].format(gate.acl, gate.direction)})"
                    ", or name the interface in `remedy_gates`",
                )
            return gate.acl
        if at and gate.acl and at != gate.acl:
            raise Refused(
                f"{gate.interface} {gate.direction} has the list {at}, not {gate.acl}",
                hint="name the list that is applied in `remedy_gates`",
            )
        return at or OWN_LISTS[group.family]

    def _own_list(self, work: _Work, gate: Gate, group: Group, entries: Sequence[Entry]) -> None:
        family = group.family
        permit = f"permit {'ip' if family == 4 else 'ipv6'} any any"  # noqa: PLR2004
        foreign = [entry.line for entry in entries if not self._is_own(entry.text) and entry.text != permit]
        if foreign:
            raise Refused(
                f"{work.list_name} holds a line that is not remedy's: {foreign[0]}", hint="move it to another list"
            )
        work.makes_list = not entries
        rule = self.rule(gate, group)
        texts = [entry.text for entry in entries]
        if rule not in texts or permit in texts[: texts.index(rule)]:
            self._top(work, gate, group, entries)
        if permit not in texts:
            work.list_lines.append(self.syntax.lists.entry(_LAST, permit, family))
            work.list_undo.insert(0, self.syntax.lists.drop(_LAST, family))

    def _top(self, work: _Work, gate: Gate, group: Group, entries: Sequence[Entry]) -> None:
        family, rule = group.family, self.rule(gate, group)
        strange = [one for one in entries if self._is_strange(one.text, group)]
        if strange:
            raise Refused(
                f"{work.list_name} holds another line on {group.name}: {strange[0].line}",
                hint="remove that line, or use another list",
            )
        place = next((at for at, entry in enumerate(entries) if entry.text == rule), None)
        if place is not None and all(self._is_own(entry.text) for entry in entries[:place]):
            return
        others = [entry.number or 0 for entry in entries if not self._is_own(entry.text)]
        taken = {entry.number for entry in entries}
        lowest = min(others, default=_LAST)
        number = next((n for n in _TOP_NUMBERS if n < lowest and n not in taken), None)
        if number is None:
            paste = f"ip access-list resequence {work.list_name} 10 10"
            if not self.syntax.lists.kinds:
                paste = f"resequence ip access-list {work.list_name} 10 10"
            if family == 6:  # noqa: PLR2004
                paste = f"give the lines of {work.list_name} higher numbers"
            raise Refused(
                f"no line number is free before line {lowest} of {work.list_name}",
                hint=f"this renumbers other people's lines, so paste it yourself: {paste}",
            )
        lists = self.syntax.lists
        work.list_lines.append(lists.entry(number, rule, family))
        work.list_undo.append(lists.drop(number, family))
        if place is not None and (old := entries[place].number) is not None:
            work.list_lines.insert(0, lists.drop(old, family))
            work.list_undo.append(lists.entry(old, rule, family))

    def _take_down(self, gate: Gate, group: Group, sight: Sight) -> Lines:
        family, rule = group.family, self.rule(gate, group)
        name = list_at(gate, sight)
        entries = rules_of(sight, name)
        others = [one for one in entries if one.text != rule and self._is_own(one.text)]
        lines: list[str] = []
        if name == OWN_LISTS[family] and gate.interface and not others:
            lines += [f"interface {gate.interface}", f"no {self._apply(name, gate, group)}"]
            if sum(listed == name for _, _, listed in sight.applied) > 1:
                return tuple(lines)
            lines.append(f"no {self._list(name, family)}")
        else:
            lines += self._drop(name, entries, rule, family)
        shared = any(uses(sight, listed, group) for listed in sight.lists if listed != name)
        shared = shared or any(group.name in one.text.split() for one in others)
        return (*lines, *(() if shared else self._no_group(group, sight)))

    def _withdraw(self, gate: Gate, group: Group, sight: Sight) -> Lines:
        """Take the rule out of wherever it stands: the gate is no longer as it was when the rule was put there."""
        rule = self.rule(gate, group)
        lines: list[str] = []
        for name in sight.lists:
            entries = rules_of(sight, name)
            if not any(entry.text == rule for entry in entries):
                continue
            if name == OWN_LISTS[group.family] and name not in {listed for _, _, listed in sight.applied}:
                lines.append(f"no {self._list(name, group.family)}")
            else:
                lines += self._drop(name, entries, rule, group.family)
        if not lines:
            return ()
        left = any(
            group.name in entry.text.split() and entry.text != rule
            for name in sight.lists
            for entry in rules_of(sight, name)
        )
        return (*lines, *(() if left else self._no_group(group, sight)))

    def _drop(self, name: str, entries: Sequence[Entry], rule: str, family: int) -> Lines:
        if len(entries) == 1:
            raise Refused(
                f"the drop rule is the only line of {name}: without it everything passes",
                hint="write the list's rules first, or take the list off its interface",
            )
        number = next((entry.number for entry in entries if entry.text == rule), None)
        return (self._list(name, family), self.syntax.lists.drop(number or 0, family))

    def _no_group(self, group: Group, sight: Sight) -> Lines:
        """The line that deletes the group, if it is empty but for its placeholder."""
        empty = set(sight.members.spans) <= {PLACEHOLDERS[group.family]} and not sight.members.unknown
        return (f"no {self._header(group)}",) if empty and not sight.members.absent else ()

    def _is_own(self, text: str) -> bool:
        """Whether the line is a drop rule of ours: it lets nothing through, whatever stands behind it."""
        said = text.split()
        names = [said[at + 1] for at, word in enumerate(said[:-1]) if word == self.syntax.words.group]
        return said[:1] == ["deny"] and len(said) == 5 and len(names) == 1 and names[0].startswith("remedy-")  # noqa: PLR2004

    def _is_strange(self, text: str, group: Group) -> bool:
        """Whether the line is somebody's on our group: one list may be applied at several gates, each with its rule."""
        return group.name in text.split() and not self._is_own(text)

    def _list(self, name: str, family: int) -> str:
        return self.syntax.lists.header(name, family)

    def _apply(self, name: str, gate: Gate, group: Group) -> str:
        return self.syntax.apply[group.family].format(name, gate.direction)


def _of_family(gate: Gate, group: Group, sight: Sight) -> Gate:
    """The gate as IPv6 has it: an IPv4 list's name says nothing of the IPv6 list at the same interface."""
    other = group.family == 6 and gate.interface and gate.acl not in sight.lists  # noqa: PLR2004
    return replace(gate, acl="") if other else gate
