"""One rule of a Comware access list: its fields, its text, and what it means in no vendor's words.

Followed: "ACL and QoS Command Reference", `rule` in the four ACL views. As typed, shown and meant:

    rule 5 deny tcp source 198.51.100.7 0.0.0.255 destination-port eq 80 counting
    rule 5 deny tcp source 198.51.100.0 0.0.0.255 destination-port eq www counting
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.devices.acl import ANY, Endpoint, Ports
from remedy.devices.acl import Rule as Neutral
from remedy.devices.addresses import Span
from remedy.lab.devices.grammar import Call

__all__ = ["ADVANCED4", "ADVANCED6", "BASIC4", "BASIC6", "UNDO", "AclRule", "is_port", "is_protocol", "read_rule"]

_PORTS: Final = {
    "ftp-data": 20, "ftp": 21, "telnet": 23, "smtp": 25, "domain": 53, "dns": 53, "tftp": 69, "www": 80, "pop3": 110,
    "ntp": 123, "snmp": 161, "bgp": 179, "syslog": 514,
}  # fmt: skip
_SHOWN_TCP: Final = {
    20: "ftp-data",
    21: "ftp",
    23: "telnet",
    25: "smtp",
    53: "domain",
    80: "www",
    110: "pop3",
    179: "bgp",
}
_SHOWN_UDP: Final = {53: "dns", 69: "tftp", 123: "ntp", 161: "snmp", 514: "syslog"}
_PROTOCOLS: Final = {
    "ip": -1, "ipv6": -1, "icmp": 1, "igmp": 2, "ipinip": 4, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58, "ospf": 89,
}  # fmt: skip
_ORDER: Final = (
    "vpn-instance", "source", "source-port", "destination", "destination-port", "established", "ack", "fin", "psh",
    "rst", "syn", "urg", "icmp-type", "icmp6-type", "precedence", "tos", "dscp", "fragment", "logging", "counting",
    "time-range",
)  # fmt: skip

_LETTERS: Final = (("source", "s"), ("destination", "d"))
#: Fields of one word, and the argument that holds it.
_ARGUMENTS: Final = (
    *((flag, flag) for flag in ("ack", "fin", "psh", "rst", "syn", "urg", "dscp")),
    ("precedence", "prec"), ("tos", "tos"), ("time-range", "time"), ("vpn-instance", "vpn"),
)  # fmt: skip

_NUMBER = "[ <id:n0-65534> ] { deny | permit }"
_PORT = (
    "source-port { { eq | gt | lt | neq } <sport:port> | range <sport:port> <sport2:port> }"
    " | destination-port { { eq | gt | lt | neq } <dport:port> | range <dport:port> <dport2:port> }"
)
_COMMON = "counting | logging | fragment | time-range <time:word> | vpn-instance <vpn:word>"
_FLAGS = (
    "established | ack <ack:n0-1> | fin <fin:n0-1> | psh <psh:n0-1> | rst <rst:n0-1> | syn <syn:n0-1> | urg <urg:n0-1>"
)
_MORE = (
    f"{_FLAGS} | {_PORT} | dscp <dscp:word> | precedence <prec:word> | tos <tos:word>"
    f" | icmp-type <itype:word> [ <icode:n0-255> ] | icmp6-type <itype:word> [ <icode:n0-255> ] | {_COMMON}"
)
_SOURCE4 = "source { object-group <sgroup:gname> | <saddress:ip> <swildcard:wildcard> | any }"
_TARGET4 = "destination { object-group <dgroup:gname> | <daddress:ip> <dwildcard:wildcard> | any }"
_SOURCE6 = "source { object-group <sgroup:gname> | <saddress:ip6> <sprefix:n0-128> | <sboth:ip6p> | any }"
_TARGET6 = "destination { object-group <dgroup:gname> | <daddress:ip6> <dprefix:n0-128> | <dboth:ip6p> | any }"

BASIC4: Final = f"rule {_NUMBER} [ {_SOURCE4} | {_COMMON} ] *"
BASIC6: Final = f"rule {_NUMBER} [ {_SOURCE6} | {_COMMON} ] *"
ADVANCED4: Final = f"rule {_NUMBER} <protocol:protocol> [ {_SOURCE4} | {_TARGET4} | {_MORE} ] *"
ADVANCED6: Final = f"rule {_NUMBER} <protocol:protocol> [ {_SOURCE6} | {_TARGET6} | {_MORE} ] *"
UNDO: Final = f"undo rule <id:n0-65534> [ {' | '.join(_ORDER)} ] *"


def is_protocol(text: str) -> bool:
    """A protocol's name or number."""
    return text.lower() in _PROTOCOLS or (text.isascii() and text.isdigit() and int(text[:4]) < 256)  # noqa: PLR2004


def is_port(text: str) -> bool:
    """A port's name or number."""
    return text.lower() in _PORTS or (text.isascii() and text.isdigit() and int(text[:6]) < 65536)  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class AclRule:
    """A rule. `fields` maps a keyword of the reference to the words that follow it, as they are shown."""

    action: str
    protocol: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    comment: str = ""

    @property
    def text(self) -> str:
        """As it is shown, without `rule` and its number; also what makes two rules the same."""
        words = [self.action]
        if self.protocol:
            words.append(self.protocol)
        for name in _ORDER:
            if name in self.fields:
                words += [name, *self.fields[name]]
        return " ".join(words)

    @property
    def groups(self) -> tuple[str, ...]:
        """The object groups it names."""
        sides = (self.fields.get("source", ()), self.fields.get("destination", ()))
        return tuple(words[1] for words in sides if words[:1] == ("object-group",))

    def calling(self, typed: str, name: str) -> AclRule:
        """This with a group's name as the group has it, whatever the case it was typed in."""
        fields = {n: ("object-group", name) if w == ("object-group", typed) else w for n, w in self.fields.items()}
        return replace(self, fields=fields)

    def over(self, old: AclRule) -> AclRule:
        """This laid over an earlier rule of the same number: what was not typed stays ("usage guidelines")."""
        fields = {**old.fields, **self.fields}
        if self.protocol not in {"tcp", "udp"}:
            fields = {n: w for n, w in fields.items() if not n.endswith("-port")}
        return replace(self, fields=fields, comment=old.comment)

    def without(self, names: tuple[str, ...]) -> AclRule:
        """Some fields taken out (`undo rule N source`)."""
        return replace(self, fields={n: w for n, w in self.fields.items() if n not in names})

    def neutral(self, family: int, number: int) -> Neutral:
        """In no vendor's words."""
        protocol = {"": "ip", "ipv6": "ip"}.get(self.protocol, self.protocol)
        if protocol not in {"ip", "tcp", "udp", "icmp", "icmpv6"}:
            protocol = str(_PROTOCOLS.get(protocol, protocol))
        known = {"source", "destination", "source-port", "destination-port", "logging", "counting"}
        rest = [
            word for name in _ORDER if name in self.fields and name not in known for word in (name, *self.fields[name])
        ]
        return Neutral(
            action=self.action,
            family=family,
            protocol=protocol,
            source=self._side(family, "source"),
            destination=self._side(family, "destination"),
            number=number,
            comment=self.comment,
            log="logging" in self.fields,
            rest=tuple(rest),
        )

    def _side(self, family: int, name: str) -> Endpoint:
        words = self.fields.get(name, ())
        ports = _port_ranges(self.fields.get(f"{name}-port", ()))
        if words[:1] == ("object-group",):
            return Endpoint(group=words[1], ports=ports)
        if not words or words[0] == "any":
            return Endpoint(ports=ports) if ports else ANY
        if family == 6:  # noqa: PLR2004
            net = ipaddress.IPv6Network(words[0], strict=False)
            return Endpoint((Span(6, int(net[0]), int(net[-1])),), ports=ports)
        wildcard = 0 if words[1] == "0" else int(ipaddress.IPv4Address(words[1]))
        return Endpoint(_spans(int(ipaddress.IPv4Address(words[0])), wildcard), ports=ports)


def _spans(address: int, wildcard: int) -> tuple[Span, ...]:
    """The addresses that differ from one in the bits of a wildcard mask only, as ranges."""
    tail = (~wildcard & (wildcard + 1)).bit_length() - 1
    holes = [1 << bit for bit in range(tail, 32) if wildcard >> bit & 1]
    if len(holes) > 12:  # noqa: PLR2004 -- 4,096 ranges; nobody writes such a mask, and no filter should be made of it
        raise ValueError("wildcard mask with too many holes")
    starts = [address & ~wildcard & 0xFFFFFFFF]
    for hole in holes:
        starts += [start | hole for start in starts]
    return tuple(Span(4, start, start + (1 << tail) - 1) for start in sorted(starts))


def _port_ranges(words: tuple[str, ...]) -> Ports:
    if not words:
        return ()
    numbers = [_PORTS[w] if w in _PORTS else int(w) for w in words[1:]]
    if words[0] == "eq":
        return ((numbers[0], numbers[0]),)
    if words[0] == "gt":
        return ((numbers[0] + 1, 65535),)
    if words[0] == "lt":
        return ((0, numbers[0] - 1),)
    if words[0] == "neq":
        return tuple(r for r in ((0, numbers[0] - 1), (numbers[0] + 1, 65535)) if r[0] <= r[1])
    return ((min(numbers), max(numbers)),)


def read_rule(call: Call, family: int, *, advanced: bool) -> AclRule:
    """The rule a line is, in the form in which it is kept. Raises KeyError naming the argument that is wrong."""
    protocol = _protocol(call["protocol"].lower(), family) if advanced else ""
    fields = {name: _one_side(call, letter, family) for name, letter in _LETTERS if name in call}
    fields |= {
        f"{name}-port": _ports(call, name, letter, protocol) for name, letter in _LETTERS if call.get(f"{letter}port")
    }
    fields |= {name: (call[argument],) for name, argument in _ARGUMENTS if call.get(argument)}
    for name in ("icmp-type", "icmp6-type"):
        if name in call:
            fields[name] = tuple(v for v in (call.get("itype"), call.get("icode")) if v)
    fields |= {name: () for name in ("established", "fragment", "logging", "counting") if name in call}
    return AclRule("deny" if "deny" in call else "permit", protocol, fields)


def _one_side(call: Call, letter: str, family: int) -> tuple[str, ...]:
    if call.get(f"{letter}group"):
        return "object-group", call[f"{letter}group"]
    if call.get(f"{letter}both"):
        return _prefix(*call[f"{letter}both"].split("/"))
    if call.get(f"{letter}address"):
        return _address(call, letter, family)
    return ("any",)


def _ports(call: Call, name: str, letter: str, protocol: str) -> tuple[str, ...]:
    if protocol not in {"tcp", "udp"}:
        raise KeyError(f"{letter}port")
    shown = _SHOWN_TCP if protocol == "tcp" else _SHOWN_UDP
    typed = [call[f"{letter}port"], *([call[f"{letter}port2"]] if f"{letter}port2" in call.values else [])]
    numbers = [_PORTS[p.lower()] if p.lower() in _PORTS else int(p) for p in typed]
    return call.words[call.words.index(f"{name}-port") + 1], *(shown.get(n, str(n)) for n in numbers)


def _protocol(text: str, family: int) -> str:
    if text in _PROTOCOLS:
        if text in ({"ip", "icmp"} if family == 6 else {"ipv6", "icmpv6"}):  # noqa: PLR2004
            raise KeyError("protocol")
        return text
    names = {n: name for name, n in _PROTOCOLS.items() if n >= 0}
    return names.get(int(text), text)


def _address(call: Call, letter: str, family: int) -> tuple[str, ...]:
    address = call[f"{letter}address"]
    if family == 6:  # noqa: PLR2004
        return _prefix(address, call[f"{letter}prefix"])
    wildcard = call[f"{letter}wildcard"]
    bits = 0 if wildcard == "0" else int(ipaddress.IPv4Address(wildcard))
    if bits == 0xFFFFFFFF:  # noqa: PLR2004
        return ("any",)
    kept = ipaddress.IPv4Address(int(ipaddress.IPv4Address(address)) & ~bits & 0xFFFFFFFF)
    return str(kept), str(ipaddress.IPv4Address(bits)) if bits else "0"


def _prefix(address: str, length: str) -> tuple[str, ...]:
    if length == "0":
        return ("any",)
    net = ipaddress.IPv6Network((address, int(length)), strict=False)
    return (f"{str(net.network_address).upper()}/{length}",)
