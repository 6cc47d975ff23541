"""H3C SecPath firewalls with Comware V7: one drop rule on an address object group, first in the security policy.

A firewall has one policy a family, in which rules decide by place: the drop rule is made, then moved before the first.
Rules and the members of groups act once matching is accelerated anew, which the device does by itself after 2 s (up to
100 rules) or 20 s (more), and at once on `accelerate enhanced enable`; so every change ends with that line.

    Security-policy ip

     rule 63210 name remedy-block-Untrust
      action drop
      counting enable
      source-zone Untrust
      source-ip remedy-block

Not said by any reference: how many members a group takes; so none is assumed.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.devices import Gate, GateState, Group, Lines, Members, Vendor
from remedy.devices.acl import Acl, Endpoint, Rule
from remedy.devices.addresses import Span
from remedy.devices.dialects import comware, comware_objects, secpath_policy
from remedy.devices.dialects.comware_edit import TOP
from remedy.devices.dialects.comware_write import word
from remedy.devices.dialects.secpath_edit import edit_policy
from remedy.devices.dialects.secpath_policy import VIEWS, name_of, write_rule
from remedy.devices.h3c_comware import SECRETS, TERMINAL, CommitDelay

__all__ = ["VENDOR"]

_AT_ONCE: Final = "accelerate enhanced enable"
_COUNTING: Final = "counting enable"
_NUMBERS: Final = 8192
_INACTIVE: Final = re.compile(r"^\s*rule \d+ name (.*?)\s+\(Inactive\)\s*$", re.MULTILINE)
_HITS: Final = re.compile(r"\((\d{1,18}) packets?\b")


class Policies:
    """`Filters` of SecPath: the two security policies."""

    def ask_lists(self) -> Lines:
        """What to type to see both policies."""
        return ("display security-policy ip", "display security-policy ipv6")

    def read_lists(self, texts: Sequence[str]) -> tuple[Acl, ...]:
        """Read what those lines printed, and any saved file of it."""
        return secpath_policy.read_policies(texts)

    def write_list(self, acl: Acl) -> Lines:
        """What to type to make this policy from nothing."""
        return secpath_policy.write_policy(acl)

    def edit_list(self, before: Acl, after: Acl) -> Lines:
        """What to type to make the one of the other."""
        return edit_policy(before, after)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is there of a gate and a group."""

    policy: Acl
    members: Members
    foreign: str
    off: bool
    hits: int
    idle: frozenset[str]


class Groups:
    """`Groups` of SecPath. A gate's `zone` is the source zone, outwards the destination zone; the rest is not used."""

    placeholder = False
    most = 0

    def ask_members(self, group: Group) -> Lines:
        """What to type to see the group's members."""
        return comware_objects.ask(group)

    def read_members(self, group: Group, texts: Sequence[str]) -> Members:
        """Read what that line printed."""
        return comware_objects.read(group, "\n".join(texts))

    def add(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to add exactly these; the group is made where it is absent."""
        del texts
        return (*comware_objects.add(group, spans), *_activate(group))

    def remove(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to remove exactly these."""
        del texts
        return (*comware_objects.remove(group, spans), *_activate(group))

    def places(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> tuple[int, ...]:
        """None: a member is removed by its address."""
        del group, spans, texts
        return ()

    def sayable(self, span: Span) -> tuple[Span, ...]:
        """The span itself: a group holds ranges."""
        return (span,)

    def ask_gate(self, gate: Gate, group: Group) -> Lines:
        """What to type to see whether the drop rule stands and acts."""
        family = VIEWS[group.family]
        return (
            f"display security-policy {family}",
            *comware_objects.ask(group),
            "display current-configuration | include security-policy",
            f"display security-policy statistics {family} rule {_named(gate, group)}",
        )

    def read_gate(self, gate: Gate, group: Group, texts: Sequence[str]) -> GateState:
        """Read what those lines printed."""
        return self._state(gate, group, _seen(group, texts))

    def _state(self, gate: Gate, group: Group, seen: _Seen) -> GateState:
        wanted = _wanted(gate, group)
        rule = _ours(seen.policy, wanted)
        if seen.foreign:
            return GateState("foreign", f"{group.name} is {seen.foreign}")
        if rule is None:
            return GateState("absent")
        if _plain(rule) != _plain(wanted):
            begun = _is_begun(rule, wanted)
            what = (
                "is there in part: a preparation was broken off" if begun else f"is not the drop rule on {group.name}"
            )
            return GateState("inactive" if begun else "foreign", f"rule {name_of(rule)} {what}")
        if seen.off or not rule.enabled:
            how = "marked (Inactive)" if name_of(rule) in seen.idle else "disabled"
            what = "security policies are switched off (`security-policy disable`)"
            return GateState("inactive", what if seen.off else f"rule {name_of(rule)} is {how}")
        before = seen.policy.rules[: seen.policy.rules.index(rule)]
        other = next((one for one in before if not _remedys(one)), None)
        if other is not None:
            return GateState("shadowed", f"rule {name_of(other)} decides before it")
        return GateState("ready", hits=seen.hits)

    def prepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to bring the rule to the top of the policy. Raises Refused where that cannot be done."""
        seen = _seen(group, texts)
        state = self._state(gate, group, seen)
        if state.state == "ready":
            return ()
        if state.state == "foreign":
            raise Refused(f"the gate is taken: {state.why}", hint="rename or remove that on the device")
        wanted = _wanted(gate, group)
        rule = _ours(seen.policy, wanted)
        if seen.off:
            raise Refused(
                "security policies are switched off: the rule would not act", hint="undo security-policy disable"
            )
        if rule is not None and _is_begun(rule, wanted):
            raise Refused(state.why, hint=f"resume or undo that run, or paste: undo rule name {name_of(rule)}")
        if rule is not None and name_of(rule) in seen.idle:
            raise Refused(f"the rule does not act: {state.why}", hint="free memory for rule matching on the device")
        first = next((one for one in seen.policy.rules if not _remedys(one)), None)
        out = [comware_objects.enter(group), "quit", f"security-policy {VIEWS[group.family]}"]
        if rule is None:
            rule = replace(wanted, number=_free(seen.policy, name_of(wanted)))
            out += write_rule(rule)
            first = seen.policy.rules[0] if seen.policy.rules else None
        elif not rule.enabled:
            out += [f"rule {rule.number} name {name_of(rule)}", "undo disable", "quit"]
        if first is not None and (rule not in seen.policy.rules or _after(seen.policy, rule, first)):
            out.append(f"move rule {rule.number} before {first.number}")
        return (*out, _AT_ONCE, "quit")

    def unprepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to take back what `prepare` would type or has typed; then the group, where it is empty."""
        seen = _seen(group, texts)
        wanted = _wanted(gate, group)
        rule = _ours(seen.policy, wanted)
        state = self._state(gate, group, seen).state
        view = f"security-policy {VIEWS[group.family]}"
        if rule is not None and state in {"shadowed", "inactive"}:
            return (view, *_back(seen.policy, rule), _AT_ONCE, "quit")
        out = [view, f"undo rule name {name_of(wanted)}", _AT_ONCE, "quit"]
        used = any(
            group.name.lower() in {one.source.group.lower(), one.destination.group.lower()}
            or any(said.lower().endswith(f"-ip {group.name.lower()}") for said in one.rest)
            for one in seen.policy.rules
            if one is not rule
        )
        if not used and not seen.members.spans and not seen.members.unknown:
            out.append(f"undo {comware_objects.enter(group)}")
        return tuple(out)


def _activate(group: Group) -> Lines:
    return (f"security-policy {VIEWS[group.family]}", _AT_ONCE, "quit")


def _named(gate: Gate, group: Group) -> str:
    """The drop rule's name, one a gate."""
    if gate.matches not in {"source", "destination"}:
        raise UsageError(f"a gate cannot match {gate.matches!r}", hint="matches: source or destination")
    zone = f"-{word(gate.zone, 'the zone')}" if gate.zone else ""
    way = "-out" if gate.zone and gate.direction == "out" else ""
    return f"{group.name}{zone}{way}{'' if gate.matches == 'source' else '-to'}"


def _wanted(gate: Gate, group: Group) -> Rule:
    zone = f"{'destination' if gate.direction == 'out' else 'source'}-zone {gate.zone}"
    rest = [f"name {_named(gate, group)}", _COUNTING, *([zone] if gate.zone else [])]
    side = Endpoint(group=group.name)
    rule = Rule("deny", group.family, rest=tuple(rest))
    return replace(rule, source=side) if gate.matches == "source" else replace(rule, destination=side)


def _seen(group: Group, texts: Sequence[str]) -> _Seen:
    if len(texts) < 3:  # noqa: PLR2004
        raise AnswerUnusable(f"{len(texts)} answers to 4 questions about the gate")
    policies = secpath_policy.read_policies(texts[:1])
    policy = next((acl for acl in policies if acl.family == group.family and acl.name), None)
    if policy is None:
        policy = Acl(VIEWS[group.family], group.family, "policy", default="deny")
    foreign = comware_objects.foreign(group, texts[1])
    members = Members(absent=True) if foreign else comware_objects.read(group, texts[1])
    off = any(line.strip() == "security-policy disable" for line in comware.answer(texts[2]))
    hits = _HITS.search("\n".join(texts[3:]))
    idle = frozenset(_INACTIVE.findall(texts[0].replace("\r", "")))
    return _Seen(policy, members, foreign, off, int(hits[1]) if hits else -1, idle)


def _ours(policy: Acl, wanted: Rule) -> Rule | None:
    """The rule of the gate's name."""
    name = name_of(wanted).lower()
    return next((rule for rule in policy.rules if name_of(rule).lower() == name), None)


def _remedys(rule: Rule) -> bool:
    """Whether a rule does nothing but drop a group of remedy's, whatever the zones: it cannot let anything through."""
    sides = sorted((rule.source.group.lower(), rule.destination.group.lower()))
    side = not sides[0] and sides[1].startswith("remedy-")
    words = ("name ", "source-zone ", "destination-zone ")
    rest = [said for said in rule.rest if said != _COUNTING and not said.startswith(words)]
    spans = rule.source.spans or rule.destination.spans
    return rule.action == "deny" and side and rule.protocol == "ip" and not rest and not spans


def _plain(rule: Rule) -> Rule:
    """The rule without what does not decide which packets it meets, names in small letters as the device takes them."""
    source, destination = (replace(s, group=s.group.lower()) for s in (rule.source, rule.destination))
    rest = tuple(sorted(said.lower() for said in rule.rest if said != _COUNTING))
    rule = replace(rule, number=None, comment="", until="", log=False, enabled=True, rest=rest)
    return replace(rule, source=source, destination=destination)


def _is_begun(rule: Rule, wanted: Rule) -> bool:
    """Whether the rule of the gate's name has some of its lines, and none of anybody else's."""
    here, whole = _plain(rule), _plain(wanted)
    sides = ((here.source, whole.source), (here.destination, whole.destination))
    parts = all(side in {Endpoint(), goal} for side, goal in sides) and set(here.rest) <= set(whole.rest)
    return parts and here.action == whole.action and here.protocol == whole.protocol and here != whole


def _free(policy: Acl, name: str) -> int:
    """A rule number that nobody has, far from those that are given out, and one of its own for every name.

    Two gates that are prepared from one answer must not meet on one number.
    """
    used = {rule.number for rule in policy.rules}
    first = TOP - zlib.crc32(name.lower().encode()) % _NUMBERS
    every = itertools.chain(range(first, -1, -1), range(TOP, first, -1))
    return next((number for number in every if number not in used), first)


def _after(policy: Acl, rule: Rule, other: Rule) -> bool:
    return policy.rules.index(rule) > policy.rules.index(other)


def _back(policy: Acl, rule: Rule) -> list[str]:
    """Put our rule back to where it stands in what was shown, and as it was."""
    at = policy.rules.index(rule)
    out = [f"rule {rule.number} name {name_of(rule)}", "disable", "quit"] if not rule.enabled else []
    if at + 1 < len(policy.rules):
        return [*out, f"move rule {rule.number} before {policy.rules[at + 1].number}"]
    return [f"undo rule name {name_of(rule)}", *write_rule(rule)] if at else out


VENDOR: Final = Vendor(
    name="h3c_secpath",
    title="H3C SecPath",
    driver="hp_comware",
    terminal=TERMINAL,
    tried="emulator",
    reference=(
        "H3C SecPath Firewall Series Command Reference (V7), Security Command Reference, Security policy commands",
        "H3C Comware V7, Security Command Reference, Object policy commands (`move rule`)",
        "H3C Comware V7, Security Command Reference, Object group commands",
        "H3C Comware V7, Fundamentals Configuration Guide, Managing configuration files, configuration commit delay",
        "H3C Comware V7, Security Command Reference, Session management commands (`reset session table ipv4`)",
    ),
    ends="reset session table ipv{family} source-ip {address}",
    systems=("secpath", "h3c.comware.secpath"),
    groups=Groups(),
    filters=Policies(),
    timer=CommitDelay(),
    secrets=SECRETS,
)
