"""Cisco ASA: firewalls whose lists stand in order and hold IPv4 and IPv6 together (9.0 and later).

Decides which lines are typed and how their answers are read. Leaves to others: the lists (`dialects.asa`).

    object-group network remedy-block
     network-object host 240.0.0.1
     network-object 198.51.100.0 255.255.255.0
    access-list outside_in extended deny ip object-group remedy-block any
    access-group outside_in in interface outside

A group that a list uses can be neither emptied nor deleted, so one address that cannot send anything stays in it. A
group takes ranges only as objects of their own, so they become prefixes. There is no timer that reverts.

Where an interface has no list, the security levels decide. A list of ours would replace that decision: closed by its
end, or opened by a `permit ip any any` before it. Neither is done; the rule goes into a list that is there.

Source: "Cisco ASA Series Command Reference" (`access-list extended`, `access-group`, `object-group network`,
`network-object`, `show access-list`, `shun`); "Cisco ASA Series Firewall CLI Configuration Guide", chapters "Objects
for Access Control" ("You cannot remove an object or make an object empty if it is used in a command") and "Access
Rules".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import Refused, UsageError
from remedy.devices import Gate, GateState, Group, Lines, Members, Terminal, Vendor
from remedy.devices.addresses import Span
from remedy.devices.dialects.asa import WORDS, AsaFilters, AsaLine, asa_lines
from remedy.devices.dialects.ios import UnreadableError, address_words, canonical_address, mask, plain, prefixed
from remedy.devices.dialects.ios_lists import hits_of, lines_of, refused
from remedy.devices.dialects.ios_sight import PLACEHOLDERS, checked

__all__ = ["VENDOR"]

_APPLIED: Final = re.compile(
    r"^access-group (?P<name>\S+) (?:(?P<direction>in|out) interface (?P<interface>\S+)|(?P<all>global))(?P<more>.*)$"
)
_GROUP: Final = re.compile(r"^object-group (?P<kind>\S+) (?P<name>\S+)(?: (?:tcp|udp|tcp-udp))?\s*$")
_ABSENT: Final = (r"(?m)^ERROR: .*\bdoes not exist\b.*$",)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What the device's answers say of a gate: lists by name, (interface, direction, list), and the group."""

    lists: dict[str, list[AsaLine]]
    applied: tuple[tuple[str, str, str], ...]
    members: Members
    hits: int

    def rules(self, name: str) -> list[AsaLine]:
        """The list's lines without remarks."""
        return [line for line in self.lists.get(name, []) if line.kind != "remark"]


def _read_group(group: Group, texts: Sequence[str]) -> Members:
    refused(texts)
    spans: list[Span] = []
    unknown: list[str] = []
    there = inside = False
    for line in lines_of("\n".join(texts)):
        if header := _GROUP.match(line):
            named = header["name"] == group.name
            inside = named and header["kind"] == "network"
            there = there or inside
            unknown += [line.strip()] if named and not inside else []
        elif line.strip() and not line.startswith(" "):
            inside = False
        elif inside and line.strip() and not line.strip().startswith("description"):
            word, _, text = hits_of(line)[0].partition(" ")
            span = _span(text, group.family) if word == "network-object" else None
            if span is None:
                unknown.append(line.strip())
            else:
                spans.append(span)
    return Members(tuple(dict.fromkeys(spans)), absent=not there, unknown=tuple(unknown))


def _span(text: str, family: int) -> Span | None:
    said = text.split()
    try:
        if len(said) == 2 and said[0] == "host":  # noqa: PLR2004
            number = canonical_address(said[1], family)
            return Span(family, number, number)
        if len(said) == 2 and family == 4:  # noqa: PLR2004
            return mask(canonical_address(said[0], 4), canonical_address(said[1], 4), wildcard=False)
        return prefixed(text, family) if len(said) == 1 and "/" in text else None
    except UnreadableError:
        return None


def _member(span: Span) -> str:
    return f"network-object {address_words(span, WORDS)}"


class AsaGroups:
    """`remedy.devices.Groups` of the ASA."""

    placeholder: bool = True
    most: int = 0

    def ask_members(self, group: Group) -> Lines:
        """What to type to see the group's members."""
        return (f"show running-config object-group id {plain(group.name, 'a group')}",)

    def read_members(self, group: Group, texts: Sequence[str]) -> Members:
        """Read what those lines printed, placeholder left out. Raises AnswerUnusable for a refusal."""
        seen = _read_group(group, texts)
        spans = tuple(span for span in seen.spans if span != PLACEHOLDERS[group.family])
        return Members(spans, seen.absent, seen.unknown)

    def sayable(self, span: Span) -> tuple[Span, ...]:
        """The span's prefixes."""
        return tuple(span.prefixes())

    def add(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to add exactly these. The group's header makes it where it is absent."""
        del texts
        lines = tuple(_member(span) for span in self._members(group, spans))
        return (self._header(group), *lines) if lines else ()

    def remove(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to remove exactly these."""
        del texts
        lines = tuple(f"no {_member(span)}" for span in self._members(group, spans))
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
        return spans

    def _header(self, group: Group) -> str:
        return f"object-group network {plain(group.name, 'a group')}"

    def _rule(self, gate: Gate, group: Group) -> str:
        named = f"object-group {group.name}"
        return f"deny ip {named} any" if gate.matches == "source" else f"deny ip any {named}"

    def ask_gate(self, gate: Gate, group: Group) -> Lines:
        """What to type to see whether the drop rule stands and acts. Only counted lines that name the group are asked.

        A list's own output would name every member of every group in it.
        """
        checked(gate)
        return (
            "show running-config access-list",
            "show running-config access-group",
            *self.ask_members(group),
            f"show access-list | include object-group {group.name}",
        )

    def _sight(self, gate: Gate, group: Group, texts: Sequence[str]) -> _Sight:
        refused(texts)
        applied = []
        for line in lines_of("\n".join(texts[1:2])):
            if (found := _APPLIED.match(line)) and "control-plane" not in found["more"]:
                interface = "global" if found["all"] else found["interface"]
                applied.append((interface, found["direction"] or "in", found["name"]))
        rule = self._rule(gate, group)
        counted = asa_lines(texts[3:])
        at = next((name for _, _, name in _at_gate(gate, applied)), gate.acl)
        hits = next((line.hits for line in counted.get(at, []) if line.text.split()[:5] == rule.split()), -1)
        return _Sight(asa_lines(texts[:1]), tuple(applied), _read_group(group, texts[2:3]), hits)

    def read_gate(self, gate: Gate, group: Group, texts: Sequence[str]) -> GateState:
        """Read what those lines printed."""
        sight = self._sight(gate, group, texts)
        rule = self._rule(gate, group)
        at = next((name for _, _, name in _at_gate(gate, sight.applied)), "")
        name = gate.acl if gate.acl and at != gate.acl and _place(sight, gate.acl, rule) >= 0 else at or gate.acl
        place = _place(sight, name, rule)
        if place < 0:
            strange = next((line for line in sight.rules(name) if _is_strange(line, group)), None)
            if strange is not None:
                return GateState("foreign", f"{name} holds another line on {group.name}: {strange.typed}")
            if sight.members.absent and sight.members.unknown:
                return GateState("foreign", f"{group.name} is something else: {sight.members.unknown[0]}")
            return GateState("absent")
        state, why = self._acts(gate, group, sight, name, place)
        return GateState(state, why, sight.hits)

    def _acts(self, gate: Gate, group: Group, sight: _Sight, name: str, place: int) -> tuple[str, str]:
        """The state of a rule that stands at that place of the list, and why."""
        if name not in {listed for _, _, listed in _at_gate(gate, sight.applied)}:
            where = f"at {gate.interface} {gate.direction}" if gate.interface else "at any interface"
            return "inactive", f"the list {name} is not applied {where}"
        if _is_disabled(sight.rules(name)[place]):
            return "inactive", "the rule is disabled (`inactive`)"
        before = [line for line in sight.rules(name)[:place] if not _is_own(line)]
        if before:
            return "shadowed", f"before it stands: {before[0].typed}"
        if PLACEHOLDERS[group.family] not in sight.members.spans:
            why = f"{group.name} lacks {PLACEHOLDERS[group.family]}, so that its last member could not be removed"
            return "inactive", why
        return "ready", ""

    def prepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to bring the rule to the top of the gate. Raises Refused where that cannot be done."""
        done, _ = self._steps(gate, group, self._sight(gate, group, texts))
        return done

    def unprepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to take back what `prepare` would type now; where all is done already, everything of ours."""
        sight = self._sight(gate, group, texts)
        try:
            done, undone = self._steps(gate, group, sight)
        except Refused:
            done = undone = ()
        return undone if done else self._take_down(gate, group, sight)

    def _steps(self, gate: Gate, group: Group, sight: _Sight) -> tuple[Lines, Lines]:
        """The lines that are still missing, and the lines that take them back."""
        name, rule = self._target(gate, sight), self._rule(gate, group)
        if sight.members.absent and sight.members.unknown:
            raise Refused(
                f"{group.name} is something else on this device: {sight.members.unknown[0]}",
                hint="rename or remove that object group",
            )
        done: list[str] = []
        undone: list[str] = []
        placeholder = PLACEHOLDERS[group.family]
        if placeholder not in sight.members.spans:
            done += [self._header(group), _member(placeholder)]
            undone = [self._header(group), f"no {_member(placeholder)}"]
            if sight.members.absent:
                undone = [f"no {self._header(group)}"]
        rules, place = sight.rules(name), _place(sight, name, rule)
        strange = next((line for line in rules if _is_strange(line, group)), None)
        if strange is not None:
            raise Refused(
                f"{name} holds another line on {group.name}: {strange.typed}", hint="remove it, or use another list"
            )
        if place < 0 or _is_disabled(rules[place]) or not all(_is_own(line) for line in rules[:place]):
            back = []
            if place >= 0:
                old = rules[place]
                done.append(f"no access-list {name} {old.typed}")
                line = sight.lists[name].index(old) + 1
                back = [f"access-list {name} line {line} {old.typed}"]
            done.append(f"access-list {name} line 1 extended {rule}")
            undone = [f"no access-list {name} extended {rule}", *back, *undone]
        return tuple(done), tuple(undone)

    def _target(self, gate: Gate, sight: _Sight) -> str:
        """The list that the rule goes into. Raises Refused where there is none that decides at the gate."""
        checked(gate)
        at = next((name for _, _, name in _at_gate(gate, sight.applied)), "")
        if gate.acl and at and at != gate.acl:
            raise Refused(
                f"{gate.interface} {gate.direction} has the list {at}, not {gate.acl}",
                hint="name the list that is applied in `remedy_gates`",
            )
        if not at:
            where = f"{gate.interface} {gate.direction}" if gate.interface else "any interface"
            apply = f"access-group {gate.acl or 'LIST'} {gate.direction} interface {gate.interface or 'NAME'}"
            raise Refused(
                f"no list is applied at {where}: there the security levels decide, and a list would replace them",
                hint=f"write a list that permits what is to pass and apply it ({apply}), then name it in "
                "`remedy_gates`; for single sources `shun ADDRESS` needs no list",
            )
        if any(line.kind != "extended" for line in sight.rules(at)):
            raise Refused(f"{at} is no extended access list", hint="the rule needs an extended one")
        return at

    def _take_down(self, gate: Gate, group: Group, sight: _Sight) -> Lines:
        rule = self._rule(gate, group)
        lines: list[str] = []
        for name in sight.lists:
            rules, place = sight.rules(name), _place(sight, name, rule)
            if place < 0 or not _belongs(gate, name, sight):
                continue
            if len(rules) == 1:
                raise Refused(
                    f"the drop rule is the only one of {name}: the device would delete the list and take it off its "
                    "interface",
                    hint="write the list's rules first",
                )
            lines.append(f"no access-list {name} {rules[place].typed}")
        uses = sum(group.name in line.text.split() for name in sight.lists for line in sight.rules(name))
        empty = set(sight.members.spans) <= {PLACEHOLDERS[group.family]} and not sight.members.unknown
        if lines and uses == len(lines) and empty and not sight.members.absent:
            lines.append(f"no {self._header(group)}")
        return tuple(lines)


def _at_gate(gate: Gate, applied: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [
        one
        for one in applied
        if (one[:2] == (gate.interface, gate.direction) if gate.interface else one[2] == gate.acl)
    ]


def _belongs(gate: Gate, name: str, sight: _Sight) -> bool:
    """Whether the list is this gate's: the one it names, or the one that is applied there."""
    at = {listed for _, _, listed in _at_gate(gate, sight.applied)}
    return name in at or name == gate.acl


def _place(sight: _Sight, name: str, rule: str) -> int:
    """The rule's place among the list's rules; -1 where it is not. What stands behind it may be options."""
    for at, line in enumerate(sight.rules(name)):
        if line.kind == "extended" and line.text.split()[:5] == rule.split() and _is_own(line):
            return at
    return -1


def _is_own(line: AsaLine) -> bool:
    """Whether the line is a drop rule of ours, whatever is logged: it lets nothing through."""
    said = line.text.split()
    named = [word for at, word in enumerate(said[1:], 1) if said[at - 1] == "object-group"]
    head = said[:2] == ["deny", "ip"] and "any" in said[2:5] and len(named) == 1 and named[0].startswith("remedy-")
    return head and (not said[5:] or said[5] in ("log", "inactive")) and "time-range" not in said


def _is_strange(line: AsaLine, group: Group) -> bool:
    """Whether the line is somebody's on our group: one list may be applied at several gates, each with its rule."""
    return group.name in line.text.split() and not _is_own(line)


def _is_disabled(line: AsaLine) -> bool:
    return line.text.split()[-1] == "inactive"


VENDOR: Final = Vendor(
    name="cisco_asa",
    title="Cisco ASA",
    driver="cisco_asa",
    tried="emulator",
    terminal=Terminal(
        refusals=(
            r"(?m)^ERROR:.*$",
            r"(?m)^% ?(?:Invalid|Incomplete|Ambiguous|Unrecognized|Unknown)\b.*$",
            r"(?m)^Command (?:authorization failed|not valid|failed|Ignored)\b.*$",
            r"(?m)^%?Error\b.*$",
            r"(?m)^(?:Adding|Removing) obj .* failed.*$",
            r"(?m)^(?:Access Rules Download|Compilation).* (?:failed|aborted).*$",
            r"(?m)^Specified .* (?:does not exist|not found).*$",
            *_ABSENT,
        ),
        absent=_ABSENT,
        # asked once on a new device when configuration mode is entered; "ask later" changes nothing
        answers=((r"\[Y\]es, \[N\]o, \[A\]sk later:\s*", "A"),),
        quiet=("terminal pager 0", "terminal no monitor"),
        reading=("show", "dir"),
        save=("write memory",),
    ),
    reference=(
        "Cisco ASA Series Command Reference",
        "Cisco ASA Series Firewall CLI Configuration Guide",
    ),
    ends="clear conn address {address}",
    systems=("asa", "cisco.asa.asa"),
    groups=AsaGroups(),
    filters=AsaFilters(),
    secrets=(
        r"(?m)^[ \t]*(?:enable password|passwd|enable secret)(?: level \d+)? (\S+)",
        r"(?m)^[ \t]*username \S+ password (\S+)",
        r"(?m)^[ \t]*snmp-server community(?: \d)? (\S+)",
        r"(?m)^[ \t]*snmp-server host \S+ \S+(?: (?:poll|trap))? community(?: \d)? (\S+)",
        r"(?m)^[ \t]*snmp-server user .*? auth \S+ (\S+)",
        r"(?m)^[ \t]*snmp-server user .*? priv (?:\S+ )*?(\S+)[ \t]*$",
        r"(?m)^[ \t]*(?:ikev1 |ikev2 (?:local|remote)-authentication )?pre-shared-key(?: \d)? (\S+)",
        r"(?m)^[ \t]*key(?: \d)? (?!chain\b|\d+\s*$)(\S+)[ \t]*$",
        r"(?m)^[ \t]*(?:failover key|failover ipsec pre-shared-key)(?: \d)? (\S+)",
        r"(?m)^[ \t]*ldap-login-password(?: \d)? (\S+)",
        r"(?m)^[ \t]*(?:ospf|ip ospf).*? (?:authentication-key|message-digest-key \d+ md5)(?: \d)? (\S+)",
        r"(?m)^[ \t]*ntp authentication-key \d+ \S+(?: \d)? (\S+)",
        r"(?m)^[ \t]*vpdn username \S+ password(?: \d)? (\S+)",
        r"(?m)^[ \t]*key-string(?: \d)? (\S.*?)[ \t]*$",
    ),
)
