"""H3C and 3Com switches with Comware V5: no address object groups, so the group is a list that holds a rule a member.

    Advanced ACL  3999, named remedy-block, 2 rules,
    ACL's step is 5
     rule 0 deny ip source 203.0.113.7 0 counting
     rule 5 deny ip source 198.51.100.0 0.0.0.255 counting

The list is remedy's own, named as the group. `packet-filter` takes one list a port, direction and family, and what no
rule matches passes; so it is applied where no list is, and where somebody's is, nothing can be done without renumbering
that: such a gate is refused. A rule is deleted by its number alone, so numbers are chosen and found in what
`ask_members`' line printed; whoever takes members away again later has to see first that these numbers still hold them
(`places`).

`display packet-filter` says `Successful` or `Fail` behind each list:

      Interface: GigabitEthernet1/0/1
      In-bound Policy:
        acl 3999, Successful
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.core.text import printable
from remedy.devices import Gate, GateState, Group, Lines, Members, Vendor
from remedy.devices.acl import Acl, Endpoint, Rule
from remedy.devices.addresses import Span
from remedy.devices.dialects import comware
from remedy.devices.dialects.comware_edit import STEP, TOP, edit_list, write_list
from remedy.devices.dialects.comware_ports import Ports, full_name, interface
from remedy.devices.dialects.comware_write import Dialect, word, write_rule
from remedy.devices.h3c_comware import SECRETS, TERMINAL

__all__ = ["VENDOR", "Groups"]

DIALECT: Final = Dialect(title="Comware V5", typed=False, grouped=False, named_alone=False)

_HELD: Final = ("counting",)
_NUMBERS: Final = range(3999, 2999, -1)
_PLACE: Final = re.compile(r"^\s*Interface:\s*(\S+)\s*$", re.IGNORECASE)
_BOUND: Final = re.compile(r"^\s*(In|Out)-?bound Policy:\s*$", re.IGNORECASE)
_APPLIED: Final = re.compile(
    r"^\s*acl\s*(?P<six>6|ipv6)?\s+(?P<name>[^\s,]+)\s*,\s*(?P<how>Successful|Fail\w*)\b", re.IGNORECASE
)
_CONFIGURED: Final = re.compile(
    r"^\s*packet-filter (?P<six>ipv6 )?(?P<name>(?:name )?\S+) (?P<bound>in|out)bound\s*$", re.IGNORECASE
)


class Lists:
    """`Filters` of Comware V5."""

    def ask_lists(self) -> Lines:
        """What to type to see all access lists."""
        return ("display acl all", "display acl ipv6 all")

    def read_lists(self, texts: Sequence[str]) -> tuple[Acl, ...]:
        """Read what those lines printed, and any saved file of it."""
        return comware.read_lists(texts)

    def write_list(self, acl: Acl) -> Lines:
        """What to type to make this list from nothing. V5 names a list only along with a number."""
        return write_list(acl, DIALECT)

    def edit_list(self, before: Acl, after: Acl) -> Lines:
        """What to type to make the one of the other."""
        return edit_list(before, after, DIALECT)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is there of a gate and a group. `applied` is the name or number of the list applied there, if any.

    `elsewhere` are those applied at other places.
    """

    acl: Acl | None
    lists: tuple[Acl, ...]
    applied: str
    failed: bool
    elsewhere: tuple[str, ...]

    @property
    def beside(self) -> int:
        """In how many other places the group's list is applied."""
        return sum(name.lower() in _names(self.acl) for name in self.elsewhere)


class Groups:
    """`Groups` of Comware V5. A gate matches sources alone."""

    placeholder = False
    most = TOP + 1

    def ask_members(self, group: Group) -> Lines:
        """What to type to see the group's members, and which numbers are free."""
        return (f"display acl {_six(group)}all",)

    def read_members(self, group: Group, texts: Sequence[str]) -> Members:
        """Read what that line printed; a rule that is not remedy's is unknown."""
        acl = _own(group, comware.read_lists(texts))
        if acl is None:
            return Members(absent=True)
        spans = tuple(rule.source.spans[0] for rule in acl.rules if _is_member(rule))
        strange = [f"rule {rule.number} {rule.action} …" for rule in acl.rules if not _is_member(rule)]
        return Members(spans, unknown=(*(line.text for line in acl.unknown), *strange))

    def add(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to add exactly these, under `places`. Raises AnswerUnusable without what the device shows."""
        acls = _asked(group, texts)
        entered = _enter(group, acls if _own(group, acls) is None else None)
        numbered = zip(spans, self.places(group, spans, texts), strict=True)
        return (entered, *(_said(span, number, group) for span, number in numbered), "quit")

    def remove(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to remove exactly these, or those that `add` would add. Raises AnswerUnusable as `add`."""
        numbers = self.places(group, spans, texts)
        return (_enter(group, None), *(f"undo rule {number}" for number in numbers), "quit")

    def places(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> tuple[int, ...]:
        """The number of each one's rule: its own where it is there, else the next free one."""
        acl = _own(group, _asked(group, texts))
        there = {rule.source.spans[0]: rule.number or 0 for rule in acl.rules if _is_member(rule)} if acl else {}
        free = iter(_free(acl, sum(span not in there for span in spans)))
        return tuple(there[span] if span in there else next(free) for span in spans)

    def sayable(self, span: Span) -> tuple[Span, ...]:
        """The fewest prefixes that are the span."""
        return tuple(span.prefixes())

    def ask_gate(self, gate: Gate, group: Group) -> Lines:
        """What to type to see whether the list stands and acts."""
        place = interface(gate.interface)
        return (
            "display packet-filter all",
            *self.ask_members(group),
            f"display current-configuration interface {place}",
        )

    def read_gate(self, gate: Gate, group: Group, texts: Sequence[str]) -> GateState:
        """Read what those lines printed."""
        seen = _seen(gate, group, texts)
        return replace(_state(gate, group, seen), beside=seen.beside)

    def prepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to make the list and apply it. Raises Refused where another list is applied."""
        seen = _seen(gate, group, texts)
        state = _state(gate, group, seen)
        if state.state == "ready":
            return ()
        if state.state == "foreign":
            raise Refused(
                f"the gate cannot be prepared: {state.why}",
                hint="Comware V5 has no object groups and takes one list a port: block at another device or port",
            )
        if seen.failed:
            raise Refused(
                f"the gate cannot be prepared: {gate.interface} says that its list has failed",
                hint=f"take it off by hand (undo packet-filter … {gate.direction}bound), then prepare again",
            )
        place = (
            f"interface {interface(gate.interface)}",
            f"packet-filter {_six(group)}name {word(group.name, 'the group')} {gate.direction}bound",
        )
        made = () if seen.acl is not None else (_enter(group, seen.lists), "quit")
        return (*made, *place, "quit")

    def unprepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to take back what `prepare` would type or has typed; then the list, where it is empty."""
        seen = _seen(gate, group, texts)
        filtered = f"undo packet-filter {_six(group)}name {word(group.name, 'the group')} {gate.direction}bound"
        out = [f"interface {interface(gate.interface)}", filtered, "quit"]
        if seen.acl is None or not (seen.acl.rules or seen.acl.unknown or seen.beside):
            out.append(f"undo acl {_six(group)}name {group.name}")
        return tuple(out)


def _six(group: Group) -> str:
    return "ipv6 " if group.family == 6 else ""  # noqa: PLR2004


def _own(group: Group, acls: Sequence[Acl]) -> Acl | None:
    name = group.name.lower()
    return next((acl for acl in acls if acl.name.lower() == name and acl.family == group.family), None)


def _enter(group: Group, taken: Sequence[Acl] | None) -> str:
    """The line that enters the list, or with `taken`, the lists that are there, makes it under a free number."""
    name = word(group.name, "the group")
    if taken is None:
        return f"acl {_six(group)}name {name}"
    used = {dict(acl.extra).get("number", acl.name) for acl in taken if acl.family == group.family}
    free = next((number for number in _NUMBERS if str(number) not in used), None)
    if free is None:
        raise Refused("every number from 3000 to 3999 has a list", hint="delete lists that nothing uses")
    return f"acl {_six(group)}number {free} name {name}"


def _is_member(rule: Rule) -> bool:
    rest = [said for said in rule.rest if said not in _HELD]
    bare = rule.action == "deny" and rule.protocol == "ip" and not rest
    return bare and len(rule.source.spans) == 1 and not rule.source.ports and rule.destination == Endpoint()


def _asked(group: Group, texts: Sequence[str]) -> tuple[Acl, ...]:
    if not texts:
        raise AnswerUnusable(
            f"the members of {group.name} were not asked for", hint="Comware V5 adds and deletes rules by number"
        )
    return comware.read_lists(texts)


def _free(acl: Acl | None, count: int) -> list[int]:
    """That many free numbers, multiples of the step first."""
    used = {rule.number for rule in acl.rules} if acl else set()
    every = itertools.chain(range(0, TOP + 1, STEP), (n for n in range(TOP + 1) if n % STEP))
    found = list(itertools.islice((number for number in every if number not in used), count))
    if len(found) < count:
        raise Refused(f"a list takes {TOP + 1} rules", hint="block prefixes instead of single addresses")
    return found


def _said(span: Span, number: int, group: Group) -> str:
    if span.family != group.family or span.is_everything:
        raise UsageError(f"{span} does not belong into {group.name}, which holds some IPv{group.family} addresses")
    rule = Rule("deny", group.family, source=Endpoint(spans=(span,)), rest=_HELD)
    return write_rule(rule, number, "advanced", DIALECT)


def _seen(gate: Gate, group: Group, texts: Sequence[str]) -> _Seen:
    if len(texts) < 3:  # noqa: PLR2004
        raise AnswerUnusable(f"{len(texts)} answers to 3 questions about the gate")
    if gate.direction not in {"in", "out"} or gate.matches != "source":
        raise UsageError(
            "Comware V5 cannot cut hosts off: a gate there is `in` or `out` and matches sources alone",
            hint="remedy acl prepare --for block; hosts are cut off at another device",
        )
    acls = comware.read_lists(texts[1:2])
    applied, failed, way, place = "", False, "", ""
    elsewhere: list[str] = []
    for line in comware.answer(texts[0]):
        turn, match, at = _BOUND.match(line), _APPLIED.match(line), _PLACE.match(line)
        if at:
            way, place = "", full_name(at[1])
        elif turn:
            way = turn[1].lower()
        elif match and bool(match["six"]) == (group.family == 6):  # noqa: PLR2004
            if (place, way) == (full_name(gate.interface), gate.direction):
                applied, failed = match["name"], match["how"].lower() != "successful"
            else:
                elsewhere.append(match["name"])
    for line in comware.answer(texts[2]):
        match = _CONFIGURED.match(line)
        if match and match["bound"].lower() == gate.direction and bool(match["six"]) == (group.family == 6):  # noqa: PLR2004
            applied = match["name"].removeprefix("name ")
    return _Seen(_own(group, acls), acls, applied, failed, tuple(elsewhere))


def _names(acl: Acl | None) -> set[str]:
    """What a list is called where it is applied."""
    return {acl.name.lower(), dict(acl.extra).get("number", acl.name)} if acl else set()


def _state(gate: Gate, group: Group, seen: _Seen) -> GateState:
    if seen.applied and seen.applied.lower() not in {group.name.lower(), *_names(seen.acl)}:
        shown = printable(seen.applied, 60, one_line=True)
        return GateState("foreign", f"list {shown} is applied at {gate.interface}")
    if seen.acl is None:
        return GateState("absent")
    strange = [rule for rule in seen.acl.rules if not _is_member(rule)]
    if strange or seen.acl.unknown:
        return GateState("foreign", f"list {group.name} holds rules that are not remedy's")
    if not seen.applied:
        return GateState("inactive", f"list {group.name} is not applied at {gate.interface}")
    if seen.failed:
        return GateState("inactive", f"list {group.name} is applied and marked Fail: the hardware has no room for it")
    return GateState("ready")


VENDOR: Final = Vendor(
    name="h3c_comware5",
    title="H3C Comware V5",
    driver="hp_comware",
    terminal=TERMINAL,
    tried="emulator",
    reference=(
        "H3C S5500-HI Switch Series, ACL and QoS Command Reference (Comware V5), ACL commands",
        "H3C S5500-HI Switch Series, Layer 2 LAN Switching Command Reference (Comware V5)",
    ),
    systems=("comware5", "h3c.comware.comware5"),
    groups=Groups(),
    filters=Lists(),
    switch=Ports(),
    secrets=SECRETS,
)
