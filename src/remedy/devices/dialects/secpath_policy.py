"""SecPath's security policy: rules with names, read, written and edited; order is place, not number.

    Security-policy ip

     rule 0 name der (Inactive)
      action pass
      logging enable
      counting enable
      time-range dere
      source-zone trust
      source-ip client1
      source-ip-host 1.1.1.4
      source-ip-subnet 1.1.1.0 255.255.255.0
      source-ip-range 2.2.1.1 3.3.3.3
      service-port tcp destination eq 80

What is not said here is any; a rule without `action` drops; what no rule matches is dropped. Several lines of one kind
are alternatives, so a rule takes many addresses. A new rule stands last until it is moved: `move rule ID before ID` is
the one form that every release has.

Follows H3C SecPath Firewall Series Command Reference (V7), Security Command Reference, Security policy commands
(`rule`, `action`, `source-ip-host`, `service-port`, `move rule`, `disable`, `display security-policy`), and Object
policy commands (`move rule`: rule 5 before rule 2).
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.core.errors import UsageError
from remedy.core.text import printable
from remedy.devices.acl import ANY, Acl, Endpoint, Line, Ports, Rule
from remedy.devices.addresses import Span, merged
from remedy.devices.dialects.comware import UNTIL, answer
from remedy.devices.dialects.comware_edit import TOP
from remedy.devices.dialects.comware_write import comment_of, word

__all__ = ["VIEWS", "name_of", "read_policies", "unique", "view", "write_policy", "write_rule"]

#: The view of each family's policy, which is its name as well.
VIEWS: Final = {4: "ip", 6: "ipv6"}

_VIEW: Final = re.compile(r"^security-policy (ip|ipv6)\s*$", re.IGNORECASE)
_RULE: Final = re.compile(r"^\s*rule (?:(\d{1,9}) )?name (.*?)(?:\s+\((Inactive|Active)\))?$")
_ADDRESS: Final = re.compile(r"^(source|destination)-ip(?:-(host|subnet|range))? (\S.*)$")
_PROTOCOLS: Final = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}
_FAMILY: Final = {"ip": 4, "ipv6": 6}
_OPERATORS: Final = {"eq", "lt", "gt", "range"}


@dataclass(slots=True)
class _Reading:
    """A rule while it is read."""

    number: int | None
    name: str
    inactive: bool
    family: int
    action: str = "deny"
    log: bool = False
    enabled: bool = True
    comment: str = ""
    spans: dict[str, list[Span]] = field(default_factory=lambda: {"source": [], "destination": []})
    groups: dict[str, list[str]] = field(default_factory=lambda: {"source": [], "destination": []})
    services: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)

    def done(self) -> Rule:
        rest = [] if self.name == _given(self.number) else [f"name {self.name}"]
        sides = {}
        for side in ("source", "destination"):
            groups, spans = self.groups[side], self.spans[side]
            if len(groups) == 1 and not spans:
                sides[side] = Endpoint(group=groups[0])
            elif groups:
                sides[side] = ANY
                rest += [f"{side}-ip {group}" for group in groups] + [_address(side, span) for span in spans]
            else:
                sides[side] = Endpoint(spans=merged(spans))
        protocol, source, destination = _services(self.services)
        if self.services and protocol == "ip":
            rest += self.services
        until = UNTIL.match(self.comment)
        timed = any(said.startswith("time-range ") for said in self.rest)  # inactive by its time range is no state
        return Rule(
            action=self.action,
            family=self.family,
            protocol=protocol,
            source=replace(sides["source"], ports=source),
            destination=replace(sides["destination"], ports=destination),
            number=self.number,
            comment=(until[2] or "") if until else self.comment,
            until=until[1] if until else "",
            log=self.log,
            # inactive by its time range is no state of the rule: that is among the rest
            enabled=self.enabled and (timed or not self.inactive),
            rest=tuple(rest + self.rest),
        )


def read_policies(texts: Iterable[str]) -> tuple[Acl, ...]:
    """The policies of what `display security-policy` printed, or of a configuration. Raises AnswerUnusable."""
    found: dict[int, list[_Reading]] = {}
    unknown: dict[int, list[Line]] = {0: []}
    for text in texts:
        family, now = 0, None
        for line in answer(text):
            view, rule = _VIEW.match(line), _RULE.match(line)
            said = line.strip()
            if view:
                family, now = _FAMILY[view[1].lower()], None
                found.setdefault(family, [])
                unknown.setdefault(family, [])
            elif rule and family:
                now = _Reading(int(rule[1]) if rule[1] else None, rule[2], rule[3] == "Inactive", family)
                found[family].append(now)
            elif said in {"quit", "#", "return"}:
                now = None
            elif now is not None:
                _read_line(now, said)
            elif said != "accelerate enhanced enable":
                unknown[family].append(Line(said))
    acls = [
        Acl(VIEWS[f], f, "policy", tuple(one.done() for one in rules), tuple(unknown[f]), default="deny")
        for f, rules in found.items()
    ]
    return (*([Acl("", 4, unknown=tuple(unknown[0]))] if unknown[0] else []), *acls)


def _read_line(now: _Reading, said: str) -> None:
    key, _, value = said.partition(" ")
    address = _ADDRESS.match(said)
    if key == "action" and value in {"pass", "drop"}:
        now.action = "permit" if value == "pass" else "deny"
    elif said == "logging enable":
        now.log = True
    elif said == "disable":
        now.enabled = False
    elif key == "description":
        now.comment = value.strip()
    elif key == "service-port":
        now.services.append(said)
    elif address:
        side, what, words = address[1], address[2], address[3].split()
        span = _span(what, words, now.family) if what else None
        if what is None and len(words) == 1:
            now.groups[side].append(words[0])
        elif span is not None:
            now.spans[side].append(span)
        else:
            now.rest.append(said)
    else:
        now.rest.append(said)


def _span(what: str, words: Sequence[str], family: int) -> Span | None:
    try:
        if what == "subnet":
            network = ipaddress.ip_network("/".join(words), strict=False)
            low, high = network[0], network[-1]
        else:
            ends = [ipaddress.ip_address(said) for said in words]
            if len(ends) != (2 if what == "range" else 1):
                return None
            low, high = min(ends, key=int), max(ends, key=int)
    except (ValueError, TypeError):
        return None
    if low.version != family or high.version != family or getattr(low, "scope_id", None):
        return None
    return Span(family, int(low), int(high))


def _services(said: Sequence[str]) -> tuple[str, Ports, Ports]:
    """Protocol and ports, when one rule can say them; protocol "ip" and no ports otherwise."""
    protocols: set[str] = set()
    pairs: set[tuple[tuple[int, int], tuple[int, int]]] = set()
    full = (0, 65535)
    for line in said:
        words = line.split()[1:]
        if not words:
            return "ip", (), ()
        protocols.add(words.pop(0))
        ends = {"source": full, "destination": full}
        while words:
            side, operator = words[0], words[1] if len(words) > 1 else ""
            count = 2 if operator == "range" else 1
            numbers = [int(n) for n in words[2 : 2 + count] if n.isascii() and n.isdecimal() and len(n) < 6]  # noqa: PLR2004
            if side not in ends or operator not in _OPERATORS or len(numbers) < count or max(numbers) > full[1]:
                return "ip", (), ()
            low, high = min(numbers), max(numbers)
            ends[side] = {"eq": (low, low), "range": (low, high), "lt": (0, low - 1), "gt": (high + 1, full[1])}[
                operator
            ]
            del words[: 2 + count]
        pairs.add((ends["source"], ends["destination"]))
    if len(protocols) != 1:
        return "ip", (), ()
    protocol = protocols.pop()
    sources, destinations = sorted({s for s, _ in pairs}), sorted({d for _, d in pairs})
    if len(pairs) != len(sources) * len(destinations) or any(low > high for low, high in (*sources, *destinations)):
        return "ip", (), ()
    if not protocol.isascii() or not (protocol in _PROTOCOLS or (protocol.isdecimal() and len(protocol) < 4)):  # noqa: PLR2004
        return "ip", (), ()
    number = _PROTOCOLS.get(protocol, int(protocol) if protocol.isdecimal() else 0)
    names = {value: name for name, value in _PROTOCOLS.items()}
    ported = [() if ends == [full] else tuple(ends) for ends in (sources, destinations)]
    return names.get(number, str(number)), ported[0], ported[1]


def _given(number: int | None) -> str:
    """The name a rule gets that has none."""
    return f"remedy-{number}"


def name_of(rule: Rule) -> str:
    """The rule's name."""
    named = next((said for said in rule.rest if said.startswith("name ")), "")
    return named.removeprefix("name ") or _given(rule.number)


def _address(side: str, span: Span) -> str:
    if span.is_host:
        return f"{side}-ip-host {span.low}"
    if span.prefix is None:
        return f"{side}-ip-range {span.low} {span.high}"
    return f"{side}-ip-subnet {span.low} {span.prefix}"


def _ports(side: str, pair: tuple[int, int] | None) -> list[str]:
    if pair is None:
        return []
    low, high = pair
    return [side, *(("eq", str(low)) if low == high else ("range", str(low), str(high)))]


def write_rule(rule: Rule) -> list[str]:
    """The lines that make a rule, in the policy's view. Raises UsageError for what cannot be said."""
    where = f"rule {rule.number}" if rule.number is not None else f"the {rule.action} rule"
    if rule.action not in {"permit", "deny"} or rule.number is None or not 0 <= rule.number <= TOP:
        raise UsageError(f"{where}: not one of a policy", hint=f"permit or deny, numbers 0 to {TOP}")
    name = word(name_of(rule), "the rule's name")
    out = [f"rule {rule.number} name {name}", f"action {'pass' if rule.action == 'permit' else 'drop'}"]
    for side, end in (("source", rule.source), ("destination", rule.destination)):
        if any(span.family != rule.family for span in end.spans):
            raise UsageError(f"{where} is of IPv{rule.family} and has an address that is not")
        if end.group and end.spans:
            raise UsageError(f"{where} has a group and addresses on one side", hint="two rules, or all in the group")
        if end.group:
            out.append(f"{side}-ip {word(end.group, 'the group')}")
        if not any(span.is_everything for span in end.spans):
            out += [_address(side, span) for span in end.spans]
    out += _service_lines(rule, where)
    for said in rule.rest:
        if not said.startswith("name "):
            out.append(_typed(said))
    comment = comment_of(rule)
    out += [f"description {comment}"] * bool(comment) + ["logging enable"] * rule.log
    return [*out, *(["disable"] if not rule.enabled else []), "quit"]


def _typed(said: str) -> str:
    return " ".join(word(part, "the word") for part in said.split())


def _service_lines(rule: Rule, where: str) -> list[str]:
    ported = bool(rule.source.ports or rule.destination.ports)
    if rule.protocol == "ip" and not ported:
        return []
    if ported and rule.protocol not in {"tcp", "udp"}:
        raise UsageError(f"{where} has ports, which only TCP and UDP have", hint="one rule for each of them")
    known = rule.protocol in _PROTOCOLS
    if not known and not (rule.protocol.isascii() and rule.protocol.isdecimal() and int(rule.protocol) < 256):  # noqa: PLR2004
        raise UsageError(f"{where}: {rule.protocol!r} is no protocol", hint="ip, tcp, udp, icmp or a number")
    full = ((0, 65535),)
    sides = [
        [None] if not side.ports or side.ports == full else list(side.ports) for side in (rule.source, rule.destination)
    ]
    return [
        " ".join(["service-port", rule.protocol, *_ports("source", source), *_ports("destination", destination)])
        for source, destination in itertools.product(*sides)
    ]


def write_policy(acl: Acl) -> tuple[str, ...]:
    """What to type to make the policy from nothing."""
    used = {rule.number for rule in acl.rules if rule.number is not None}
    free = (number for number in itertools.count() if number not in used)
    rules = [rule if rule.number is not None else replace(rule, number=next(free)) for rule in acl.rules]
    unique(rules, acl)
    return (view(acl), *(line for rule in rules for line in write_rule(rule)), "quit")


def view(acl: Acl) -> str:
    """The line that enters the policy. Raises UsageError when there is no such policy."""
    if VIEWS.get(acl.family) != acl.name or acl.kind not in {"", "policy"}:
        shown = printable(acl.name, 60, one_line=True)
        raise UsageError(f"a SecPath has no list {shown!r}", hint="one policy a family: `ip` for IPv4, `ipv6` for IPv6")
    return f"security-policy {acl.name}"


def unique(rules: Sequence[Rule], acl: Acl) -> None:
    """Raise UsageError when two rules have one name or one number."""
    names = [name_of(rule).lower() for rule in rules]
    numbers = [rule.number for rule in rules]
    if len(set(names)) < len(names) or len(set(numbers)) < len(numbers):
        raise UsageError(f"two rules of policy {acl.name} have one name or one number", hint="number each rule once")
