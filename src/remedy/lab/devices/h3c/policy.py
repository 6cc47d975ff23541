"""The security policies of a SecPath firewall: one for IPv4, one for IPv6.

Followed: "Security Command Reference", security policy commands (`security-policy`, `rule`, `action`, `source-zone`,
`source-ip`, `source-ip-host`, `move rule`, `move rule name`, `counting enable`, `accelerate enhanced enable`, `display
security-policy`, `… statistics`). Rules are met in the order in which they stand, a new one stands last, and what none
matches is dropped. What was changed acts when it has been accelerated: by itself after 2 seconds, 20 beyond 100 rules.

    security-policy ip
     rule 0 name remedy-block
      action drop
      counting enable
      source-zone Untrust
      source-ip remedy-block
     rule 1 name web
      action pass
      service http
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.devices.acl import ANY, Endpoint, Ports, Rule
from remedy.devices.addresses import Span
from remedy.lab.devices.enforce import Placed, Stage
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.h3c.groups import ObjectGroups
from remedy.lab.devices.h3c.zones import Zones
from remedy.lab.devices.sessions import Login

__all__ = ["PolicyRule", "SecurityPolicy"]

_ACCELERATING: Final = 5.0  # seconds at most
_RULE: Final = ("policyrule4", "policyrule6")
_POLICY: Final = ("policy4", "policy6")
_ENDS: Final = "top | bottom | up | down"
_TO_PORTS: Final = "[ destination { eq <port:n0-65535> | range <port:n0-65535> <last:n0-65535> } ]"
#: Predefined services: protocol and destination ports.
_SERVICES: Final[dict[str, tuple[str, Ports]]] = {
    "any": ("ip", ()), "http": ("tcp", ((80, 80),)), "https": ("tcp", ((443, 443),)), "ssh": ("tcp", ((22, 22),)),
    "telnet": ("tcp", ((23, 23),)), "ftp": ("tcp", ((21, 21),)), "smtp": ("tcp", ((25, 25),)), "ping": ("icmp", ()),
    "pingv6": ("icmpv6", ()), "dns-tcp": ("tcp", ((53, 53),)), "dns-udp": ("udp", ((53, 53),)),
    "ntp": ("udp", ((123, 123),)), "mysql": ("tcp", ((3306, 3306),)), "icmp": ("icmp", ()),
}  # fmt: skip
_SIDES: Final = ("source", "destination")


def _addresses(side: str, kind: str) -> str:
    masks = "<mask:mask>" if kind == "ip" else "<mask:n0-128>"
    return (
        f"{{ {side}-ip <group:gname> | {side}-ip-host <host:{kind}> | {side}-ip-subnet <net:{kind}> {masks}"
        f" | {side}-ip-range <low:{kind}> <high:{kind}> }}"
    )


@dataclass(slots=True)
class PolicyRule:
    """A rule. `lines` are its criteria as they are shown, in the order of the reference's display."""

    number: int
    name: str
    action: str = "drop"
    lines: dict[str, None] = field(default_factory=dict)
    criteria: dict[str, tuple[str, object]] = field(default_factory=dict)

    def having(self, kind: str) -> list[object]:
        """The values of one kind of criterion."""
        return [value for what, value in self.criteria.values() if what == kind]

    @property
    def services(self) -> list[tuple[str, Ports]]:
        """Protocol and destination ports of each service."""
        return [value for what, value in self.criteria.values() if what == "service" and isinstance(value, tuple)]

    @property
    def head(self) -> str:
        """Its first line."""
        return f"rule {self.number} name {self.name}"


class SecurityPolicy(Part):
    """Both policies."""

    def __init__(self, face: Face) -> None:
        """Empty: everything between zones is dropped."""
        super().__init__(face)
        self.rules: dict[int, list[PolicyRule]] = {4: [], 6: []}
        self.enabled = True

    def configured(self) -> list[str]:
        """Each a section, when there is something in it."""
        lines: list[str] = [] if self.enabled else ["#", " security-policy disable"]
        for family, rules in self.rules.items():
            if rules:
                lines += ["#", f"security-policy {_ip(family)}"]
                lines += [f" {line}" for rule in rules for line in self._shown(rule)]
        return lines

    @staticmethod
    def _shown(rule: PolicyRule, mark: str = "") -> list[str]:
        action = ["action pass"] if rule.action == "pass" else ["action drop"]
        return [rule.head + mark, *(f" {line}" for line in [*action, *sorted(rule.lines, key=_place)])]

    def refers_to(self, group: str) -> bool:
        """Whether a rule names the group."""
        return any(
            str(name).lower() == group
            for rules in self.rules.values()
            for rule in rules
            for side in _SIDES
            for name in rule.having(f"{side}-ip")
        )

    def stages(self) -> Iterator[Stage]:
        """What packets meet; nothing where policies are switched off."""
        for family, rules in self.rules.items() if self.enabled else ():
            placed = tuple(p for rule in rules if not self._is_off(rule) for p in self._placed(family, rule))
            yield Stage(f"security-policy {_ip(family)}", family, placed, "policy", default="deny")

    def _is_off(self, rule: PolicyRule) -> bool:
        return "disable" in rule.lines or self.device.is_failed(rule.name, str(rule.number))

    def _placed(self, family: int, rule: PolicyRule) -> Iterator[Placed]:
        arriving = self._interfaces(rule, "source-zone")
        targets = [str(z) for z in rule.having("destination-zone")]
        leaving = self._interfaces(rule, "destination-zone")
        neutral = Rule("deny" if rule.action == "drop" else "permit", family, number=rule.number, comment=rule.name)
        for protocol, ports in rule.services or [("ip", ())]:
            for source in self._sides(rule, "source"):
                for target in self._sides(rule, "destination"):
                    one = replace(neutral, protocol=protocol, source=source, destination=replace(target, ports=ports))
                    key = f"policy:{family}:{rule.name}"
                    if arriving is None:
                        continue
                    if not targets:
                        yield Placed(one, key, arriving)
                    if any(z != "Local" for z in targets) and leaving:
                        yield Placed(one, key, arriving, leaving, "through")
                    if "Local" in targets:
                        yield Placed(one, key, arriving, reaches="device")

    def _interfaces(self, rule: PolicyRule, kind: str) -> tuple[str, ...] | None:
        """The interfaces of a rule's zones; none for any, None where its zones have none."""
        zones = [str(z) for z in rule.having(kind)]
        found = tuple(i for z in zones for i in self.face.part(Zones).members.get(z, ()))
        return found if found or not zones else None

    @staticmethod
    def _sides(rule: PolicyRule, side: str) -> list[Endpoint]:
        groups = [Endpoint(group=str(g)) for g in rule.having(f"{side}-ip")]
        spans = tuple(s for s in rule.having(f"{side}-span") if isinstance(s, Span))
        return [*groups, *([Endpoint(spans)] if spans else [])] or [ANY]

    # views

    @command("security-policy { ip | ipv6 }", views=("system",))
    def enter(self, login: Login, call: Call) -> None:
        """Enter a policy."""
        which = call.words[1]
        family = 6 if which == "ipv6" else 4
        login.views.append(View(f"policy{family}", f"security-policy-{which}", (family, f"security-policy {which}")))

    @command("security-policy disable", "undo security-policy disable", views=("system",))
    def switch(self, login: Login, call: Call) -> None:
        """Switch both policies off, or on again."""
        del login
        self.enabled = "undo" in call

    @command("rule [ <id:n0-65535> ] name <rule:rname>", "rule <id:n0-65535>", views=_POLICY)
    def enter_rule(self, login: Login, call: Call) -> None:
        """Make a rule at the end, or enter one by number or name."""
        family = login.view.key[0]
        rules = self.rules[family]
        by_id = next((r for r in rules if r.number == int(call.get("id", "-1"))), None)
        by_name = next((r for r in rules if r.name.lower() == call.get("rule").lower()), None)
        if by_name is not None and "id" in call.values and by_name is not by_id:
            raise Refusal(messages.NAME_USED)
        rule = by_id or by_name
        if rule is not None and call.get("rule") and rule.name.lower() != call["rule"].lower():
            raise Refusal(messages.NAME_USED)
        if rule is None:
            if not call.get("rule"):
                raise Refusal(messages.NO_RULE)
            number = int(call["id"]) if "id" in call.values else max((r.number for r in rules), default=-1) + 1
            rule = PolicyRule(number, call["rule"])
            rules.append(rule)
        label = f"security-policy-{_ip(family)}-{rule.number}-{rule.name}"
        login.views.append(View(f"policyrule{family}", label, (family, rule.number, f"security-policy {_ip(family)}")))

    @command("undo rule { <id:n0-65535> | name <rule:rname> }", views=_POLICY)
    def remove_rule(self, login: Login, call: Call) -> None:
        """Delete a rule."""
        rules = self.rules[login.view.key[0]]
        rules.remove(self._find(rules, call.get("id"), call.get("rule")))

    @staticmethod
    def _find(rules: list[PolicyRule], number: str, name: str) -> PolicyRule:
        for rule in rules:
            if (number and rule.number == int(number)) or (name and rule.name.lower() == name.lower()):
                return rule
        raise Refusal(messages.NO_RULE)

    @command(
        f"move rule <id:n0-65535> {{ {{ before | after }} <other:n0-65535> | {_ENDS} }}",
        f"move rule name <rule:rname> {{ {{ before | after }} name <othername:rname> | {_ENDS} }}",
        views=_POLICY,
    )
    def move(self, login: Login, call: Call) -> None:
        """Put a rule elsewhere in the order."""
        rules = self.rules[login.view.key[0]]
        rule = self._find(rules, call.get("id"), call.get("rule"))
        where = next(w for w in ("before", "after", "top", "bottom", "up", "down") if w in call)
        at = rules.index(rule)
        if where in {"before", "after"}:
            other = self._find(rules, call.get("other"), call.get("othername"))
            if other is rule:
                return
            rules.remove(rule)
            rules.insert(rules.index(other) + (where == "after"), rule)
            return
        rules.remove(rule)
        rules.insert({"top": 0, "bottom": len(rules), "up": max(0, at - 1), "down": at + 1}[where], rule)

    @command("accelerate enhanced enable", views=_POLICY)
    async def accelerate(self, login: Login, call: Call) -> None:
        """Have what was changed act now: when the prompt comes back, it does."""
        del login, call
        self.device.hurry()
        if not self.device.loading.locked():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.device.settled(), _ACCELERATING)

    # what a rule is

    def _here(self, login: Login) -> PolicyRule:
        family, number = login.view.key[0], login.view.key[1]
        return self._find(self.rules[family], str(number), "")

    @command("action { drop | pass }", "undo action [ pass ]", views=_RULE)
    def act(self, login: Login, call: Call) -> None:
        """What happens to what it matches."""
        self._here(login).action = "drop" if "undo" in call else call.words[1]

    @command(*(f"{side}-zone <zone:gname>" for side in _SIDES),
             *(f"undo {side}-zone [ <zone:gname> ]" for side in _SIDES), views=_RULE)  # fmt: skip
    def zone(self, login: Login, call: Call) -> None:
        """A zone packets come from or go to."""
        kind = call.words[1] if "undo" in call else call.words[0]
        zone = self.face.part(Zones).find(call.get("zone"))
        if call.get("zone") and zone is None:
            raise Refusal(messages.NO_ZONE)
        self._change(login, call, kind, f"{kind} {zone}" if zone else "", zone)

    @command(*(pattern for side in _SIDES for pattern in (_addresses(side, "ip"), f"undo {_addresses(side, 'ip')}")),
             views=("policyrule4",))  # fmt: skip
    def address4(self, login: Login, call: Call) -> None:
        """An address packets come from or go to."""
        self._address(login, call)

    @command(*(pattern for side in _SIDES for pattern in (_addresses(side, "ip6"), f"undo {_addresses(side, 'ip6')}")),
             views=("policyrule6",))  # fmt: skip
    def address6(self, login: Login, call: Call) -> None:
        """Likewise."""
        self._address(login, call)

    def _address(self, login: Login, call: Call) -> None:
        family = login.view.key[0]
        word = call.words[1] if "undo" in call else call.words[0]
        side = word.partition("-")[0]
        if call.get("group"):
            group = self.face.part(ObjectGroups).find(call["group"], family)
            if group is None and "undo" not in call:
                raise Refusal(messages.NO_GROUP)
            name = group.name if group else call["group"]
            self._change(login, call, f"{side}-ip", f"{side}-ip {name}", name)
            return
        text, span = _typed(call, family)
        self._change(login, call, f"{side}-span", f"{word} {text}", span)

    @command("service <service:gname>", "undo service [ <service:gname> ]", views=_RULE)
    def service(self, login: Login, call: Call) -> None:
        """A predefined service packets are of."""
        name = call.get("service").lower()
        if name and name not in _SERVICES:
            raise Refusal(messages.NO_SERVICE)
        self._change(login, call, "service", f"service {name}" if name else "", _SERVICES.get(name))

    @command(
        f"service-port {{ tcp | udp }} {_TO_PORTS}",
        f"undo service-port {{ tcp | udp }} {_TO_PORTS}",
        views=_RULE,
    )
    def service_port(self, login: Login, call: Call) -> None:
        """Ports packets go to."""
        protocol = "tcp" if "tcp" in call else "udp"
        ports = ((int(call["port"]), int(call.get("last", call["port"]))),) if call.get("port") else ()
        text = " ".join(call.words[1:] if "undo" in call else call.words)
        self._change(login, call, "service", text, (protocol, ports))

    @command("counting enable", "logging enable", "disable", "undo counting enable", "undo logging enable",
             "undo disable", "description <text>", "undo description", "time-range <text>", "profile <text>",
             "application <text>", "user <text>", "track <text>", "session <text>", views=_RULE)  # fmt: skip
    def setting(self, login: Login, call: Call) -> None:
        """What the lab shows, and acts on in part: counting, logging, switched off, and lines it only keeps."""
        rule = self._here(login)
        words = call.words[1:] if "undo" in call else call.words
        if words[0] == "description":
            rule.lines = {line: None for line in rule.lines if not line.startswith("description ")}
        line = " ".join(words)
        if "undo" in call:
            rule.lines.pop(line, None)
        else:
            rule.lines[line] = None

    def _change(self, login: Login, call: Call, kind: str, line: str, value: object) -> None:
        """Add a criterion, or with `undo` take one away, or all of its kind."""
        rule = self._here(login)
        if "undo" not in call:
            rule.lines[line] = None
            rule.criteria[line] = (kind, value)
            return
        gone = [line] if line else [text for text, (what, _) in rule.criteria.items() if what == kind]
        for text in gone:
            rule.lines.pop(text, None)
            rule.criteria.pop(text, None)

    # showing

    @command("display security-policy { ip | ipv6 } [ rule { all | name <rule:rname> } ]", reads=True)
    def show(self, login: Login, call: Call) -> str:
        """A policy's rules in order. A rule that does not act is marked."""
        del login
        family = 6 if call.words[2] == "ipv6" else 4
        wanted = call.get("rule").lower()
        lines = [f"Security-policy {_ip(family)}", ""]
        for rule in self.rules[family]:
            if not wanted or rule.name.lower() == wanted:
                failed = self.device.is_failed(rule.name, str(rule.number))
                lines += [f" {line}" for line in self._shown(rule, " (Inactive)" * failed)]
        return "\n".join([*lines, ""])

    @command("display security-policy statistics { ip | ipv6 } [ rule <rule:rname> ]", reads=True)
    async def show_statistics(self, login: Login, call: Call) -> str:
        """What rules that count have met."""
        del login
        family = 6 if call.words[3] == "ipv6" else 4
        hits = await self.device.enforcer.hits()
        lines = [f"Security-policy {_ip(family)} statistics"]
        for rule in self.rules[family]:
            if call.get("rule").lower() not in {"", rule.name.lower()} or "counting enable" not in rule.lines:
                continue
            met = hits.get(f"policy:{family}:{rule.name}", 0)
            lines += [f" {rule.head}", f"  action: {rule.action} ({met} packets, {met * 64} bytes)"]
        return "\n".join([*lines, ""])


def _typed(call: Call, family: int) -> tuple[str, Span]:
    parse = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address  # noqa: PLR2004
    if call.get("host"):
        address = parse(call["host"])
        return str(address).upper(), Span(family, int(address), int(address))
    if call.get("low"):
        low, high = sorted((parse(call["low"]), parse(call["high"])))
        return f"{low} {high}".upper(), Span(family, int(low), int(high))
    try:
        net = ipaddress.ip_network(f"{call['net']}/{call['mask']}", strict=False)
    except ValueError:
        raise Refusal(argument="mask") from None
    mask = net.netmask if isinstance(net, ipaddress.IPv4Network) else net.prefixlen
    return f"{str(net.network_address).upper()} {mask}", Span(family, int(net[0]), int(net[-1]))


_PLACES: Final = (
    "description", "disable", "profile", "logging", "counting", "time-range", "track", "session", "source-zone",
    "destination-zone", "source-ip", "source-ip-host", "source-ip-subnet", "source-ip-range", "destination-ip",
    "destination-ip-host", "destination-ip-subnet", "destination-ip-range", "service", "service-port", "application",
    "user",
)  # fmt: skip


def _place(line: str) -> int:
    """Where a line stands in the display of a rule."""
    return _PLACES.index(line.partition(" ")[0])


def _ip(family: int) -> str:
    return "ip" if family == 4 else "ipv6"  # noqa: PLR2004
