"""The entries of Cisco's access lists: what is typed, what is kept of it, and what it means.

Followed: "Cisco IOS Security Command Reference" (`permit (IP)`, `deny (IP)`, `permit (IPv6)`), and "Cisco ASA Series
Command Reference" (`access-list extended`): IOS writes IPv4 networks with wildcard bits, ASA with masks; both write
IPv6 ones as prefixes. Ports that have a name are kept under it, a network of one address as `host`:

    permit tcp any host 192.0.2.1 eq 80          kept as    permit tcp any host 192.0.2.1 eq www

Decides where a line is wrong. Leaves to others: the words of the refusal, numbers, and remarks (`lists`, `asa_lists`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from remedy.devices.acl import ANY, Endpoint, Ports, Rule
from remedy.devices.addresses import Span

__all__ = ["Entry", "Syntax", "Wrong", "read"]

_PROTOCOLS: Final = {
    "icmp": "icmp", "icmp6": "icmpv6", "tcp": "tcp", "udp": "udp", "igmp": "2", "ipinip": "4", "gre": "47", "esp": "50",
    "ahp": "51", "ah": "51", "eigrp": "88", "ospf": "89", "nos": "94", "pim": "103", "pcp": "108", "sctp": "132",
}  # fmt: skip
_TCP: Final = {
    "echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "ftp-data": 20, "ftp": 21, "telnet": 23, "smtp": 25,
    "time": 37, "whois": 43, "tacacs": 49, "domain": 53, "gopher": 70, "finger": 79, "www": 80, "hostname": 101,
    "pop2": 109, "pop3": 110, "sunrpc": 111, "ident": 113, "nntp": 119, "bgp": 179, "irc": 194, "exec": 512,
    "login": 513, "cmd": 514, "lpd": 515, "talk": 517, "uucp": 540, "klogin": 543, "kshell": 544,
}  # fmt: skip
_UDP: Final = {
    "echo": 7, "discard": 9, "time": 37, "nameserver": 42, "tacacs": 49, "domain": 53, "bootps": 67, "bootpc": 68,
    "tftp": 69, "sunrpc": 111, "ntp": 123, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ss": 139, "snmp": 161,
    "snmptrap": 162, "xdmcp": 177, "dnsix": 195, "mobile-ip": 434, "isakmp": 500, "biff": 512, "who": 513,
    "syslog": 514, "talk": 517, "rip": 520, "non500-isakmp": 4500,
}  # fmt: skip
_ASA_TCP: Final = {"ssh": 22, "https": 443, "ldap": 389, "ldaps": 636, "sqlnet": 1521}
_ICMP: Final = ("echo", "echo-reply", "unreachable", "time-exceeded", "redirect", "traceroute", "packet-too-big",
                "echo-request", "nd-na", "nd-ns", "router-advertisement", "router-solicitation", "mtu-exceeded",
                "port-unreachable", "host-unreachable", "net-unreachable", "administratively-prohibited")  # fmt: skip
_FLAGS: Final = ("ack", "fin", "psh", "rst", "syn", "urg")
#: Words at the end that take another.
_WITH_VALUE: Final = ("time-range", "dscp", "precedence", "tos", "ttl", "option", "flow-label", "reflect", "timeout")
_MOST_PORTS: Final = 10
_LAST_PORT: Final = 65535
_LAST4: Final = 0xFFFFFFFF


class Wrong(Exception):
    """At which column a line is wrong; None where it is incomplete."""

    def __init__(self, column: int | None) -> None:
        """`column` counts from the beginning of the line."""
        super().__init__(column)
        self.column = column


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a list's entries are written.

    IPv4 networks have `wildcard` bits, or masks; `mixed`: entries of both families may stand in one list (ASA);
    `standard`: only sources are written. `has_group` tells a group that may be used.
    """

    family: int
    wildcard: bool = True
    mixed: bool = False
    standard: bool = False
    has_group: Callable[[str, int], bool] = lambda _name, _family: True


@dataclass(slots=True)
class Entry:
    """One entry. `words` are as kept, action first; `groups` the object groups it names; `families` those it is for."""

    action: str
    words: list[str]
    rule: Rule
    groups: tuple[str, ...] = ()
    families: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """As it is kept."""
        return " ".join(self.words)


@dataclass(slots=True)
class _Reader:
    """The words of a line, read from the left."""

    words: list[tuple[str, int]]
    syntax: Syntax
    at: int = 0
    kept: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    families: set[int] = field(default_factory=set)
    odd: bool = False

    @property
    def word(self) -> str:
        return self.words[self.at][0].lower() if self.at < len(self.words) else ""

    def wrong(self) -> Wrong:
        return Wrong(self.words[self.at][1] if self.at < len(self.words) else None)

    def take(self) -> str:
        """The next word as it stands."""
        if self.at >= len(self.words):
            raise Wrong(None)
        self.at += 1
        return self.words[self.at - 1][0]

    def is_word(self, *full: str) -> str:
        """The one of these words that the next one is, or abbreviates; empty for none."""
        if not self.word:
            return ""
        if self.word in full:
            return self.word
        found = [word for word in full if word.startswith(self.word)]
        return found[0] if len(found) == 1 and self.word.isalpha() else ""


def read(action: str, text: str, column: int, syntax: Syntax) -> Entry:
    """Read what stands after `permit` or `deny`, which begins at that column. Raises Wrong."""
    words = [(found[0], column + found.start()) for found in re.finditer(r"\S+", text)]
    reader = _Reader(words, syntax)
    protocol = "ip" if syntax.standard else _protocol(reader)
    source = _side(reader, protocol)
    target = ANY if syntax.standard else _side(reader, protocol)
    log, inactive, rest = _rest(reader, protocol)
    if len(reader.families) > 1:
        raise Wrong(column)
    family = next(iter(reader.families), syntax.family)
    rule = Rule(
        action,
        family,
        "icmpv6" if protocol == "icmp" and family == 6 else protocol,  # noqa: PLR2004
        source,
        target,
        log=log,
        enabled=not inactive,
        rest=(*rest, *(("wildcard",) if reader.odd else ())),
    )
    families = {"icmp": (4,), "icmpv6": (6,)}.get(protocol, tuple(reader.families) or (4, 6))
    return Entry(action, [action, *reader.kept], rule, tuple(reader.groups), families if syntax.mixed else (family,))


def _protocol(reader: _Reader) -> str:
    everything = "ip" if reader.syntax.family == 4 or reader.syntax.mixed else "ipv6"  # noqa: PLR2004
    if reader.word == everything:
        reader.kept.append(reader.take().lower())
        return "ip"
    if reader.word in _PROTOCOLS:
        name = reader.take().lower()
        reader.kept.append(name)
        return _PROTOCOLS[name]
    if reader.word.isdigit() and int(reader.word) < 256:  # noqa: PLR2004
        number = reader.take()
        name = {"1": "icmp", "6": "tcp", "17": "udp"}.get(number, number)
        reader.kept.append(name)
        return name
    raise reader.wrong()


def _side(reader: _Reader, protocol: str) -> Endpoint:
    spans, group = _address(reader)
    ports = _ports(reader, protocol) if protocol in {"tcp", "udp"} else ()
    return Endpoint(spans, group, ports)


def _address(reader: _Reader) -> tuple[tuple[Span, ...], str]:
    word = reader.is_word("any", "any4", "any6", "host", "object-group")
    if word == "any" or (word in {"any4", "any6"} and reader.syntax.mixed):
        reader.take()
        reader.kept.append(word)
        if word != "any":
            reader.families.add(int(word[-1]))
        return (), ""
    if word == "host":
        reader.take()
        here = reader.wrong()
        address = _parsed(reader)
        if address is None:
            raise here
        reader.kept += [] if reader.syntax.standard else ["host"]
        reader.kept.append(_shown(address))
        return (Span(address.version, int(address), int(address)),), ""
    if word == "object-group" and not reader.syntax.standard:
        reader.take()
        here = reader.wrong()
        name = reader.take()
        if not reader.syntax.has_group(name, reader.syntax.family):
            raise here
        reader.groups.append(name)
        reader.kept += ["object-group", name]
        return (), name
    if "/" in reader.word:
        return _prefix(reader), ""
    here = reader.wrong()
    address = _parsed(reader)
    if address is None or address.version != 4:  # noqa: PLR2004
        raise here
    return _network(reader, ipaddress.IPv4Address(int(address))), ""


def _parsed(reader: _Reader) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(reader.take())
    except ValueError:
        return None
    if address.version != reader.syntax.family and not reader.syntax.mixed:
        return None
    reader.families.add(address.version)
    return address


def _shown(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return str(address).upper() if address.version == 6 else str(address)  # noqa: PLR2004


def _prefix(reader: _Reader) -> tuple[Span, ...]:
    here = reader.wrong()
    try:
        net = ipaddress.IPv6Network(reader.take(), strict=False)
    except ValueError:
        raise here from None
    if reader.syntax.family == 4 and not reader.syntax.mixed:  # noqa: PLR2004
        raise here
    reader.families.add(6)
    if net.prefixlen == 0 and not reader.syntax.mixed:
        reader.kept.append("any")
        return ()
    reader.kept += ["host", _shown(net[0])] if net.prefixlen == 128 else [f"{_shown(net[0])}/{net.prefixlen}"]  # noqa: PLR2004
    return (Span(6, int(net[0]), int(net[-1])),)


def _network(reader: _Reader, address: ipaddress.IPv4Address) -> tuple[Span, ...]:
    if reader.syntax.standard and (reader.at >= len(reader.words) or not reader.word[:1].isdigit()):
        reader.kept.append(str(address))
        return (Span(4, int(address), int(address)),)
    here = reader.wrong()
    try:
        bits = int(ipaddress.IPv4Address(reader.take()))
    except ValueError:
        raise here from None
    wild = bits if reader.syntax.wildcard else bits ^ _LAST4
    if wild == _LAST4:
        reader.kept.append("any")
        return ()
    first = int(address) & ~wild
    if wild & (wild + 1):
        if not reader.syntax.wildcard:
            raise here
        reader.odd = True
    if wild == 0:
        reader.kept += [str(address)] if reader.syntax.standard else ["host", str(address)]
    else:
        reader.kept += [str(ipaddress.IPv4Address(first)), str(ipaddress.IPv4Address(bits))]
    return (Span(4, first, first | wild),)


def _ports(reader: _Reader, protocol: str) -> Ports:
    word = reader.word
    if word not in {"eq", "gt", "lt", "neq", "range"}:
        return ()
    names = _TCP if protocol == "tcp" else _UDP
    if reader.syntax.mixed and protocol == "tcp":
        names = names | _ASA_TCP
    reader.kept.append(reader.take().lower())
    numbers = [_port(reader, names)]
    if word == "range":
        numbers.append(_port(reader, names))
        return ((min(numbers), max(numbers)),)
    while word in {"eq", "neq"} and not reader.syntax.mixed and len(numbers) < _MOST_PORTS:
        if not (reader.word.isdigit() or reader.word in names) or not reader.word:
            break
        numbers.append(_port(reader, names))
    return tuple(_meant(word, sorted(numbers)))


def _port(reader: _Reader, names: dict[str, int]) -> int:
    here = reader.wrong()
    word = reader.take().lower()
    number = names.get(word, int(word) if word.isdigit() else _LAST_PORT + 1)
    if number > _LAST_PORT:
        raise here
    reader.kept.append(next((name for name, known in names.items() if known == number), str(number)))
    return number


def _meant(word: str, numbers: list[int]) -> Iterator[tuple[int, int]]:
    if word == "gt":
        yield numbers[0] + 1, _LAST_PORT
    elif word == "lt":
        yield 0, numbers[0] - 1
    elif word == "eq":
        yield from ((number, number) for number in numbers)
    else:
        low = 0
        for number in numbers:
            if low < number:
                yield low, number - 1
            low = number + 1
        if low <= _LAST_PORT:
            yield low, _LAST_PORT


def _rest(reader: _Reader, protocol: str) -> tuple[bool, bool, list[str]]:
    """What stands after the addresses: whether it logs, whether it is inactive, and the words that count."""
    log = inactive = False
    rest: list[str] = []
    while reader.word:
        here, word = reader.wrong(), reader.take().lower()
        if word in {"log", "log-input"}:
            log = True
            reader.kept.append(word)
            while reader.syntax.mixed and reader.word and reader.word != "inactive":
                reader.kept.append(reader.take().lower())
        elif word == "inactive" and reader.syntax.mixed:
            inactive = True
            reader.kept.append(word)
        elif word in _WITH_VALUE:
            value = reader.take()
            rest += [word, value]
            reader.kept += [word, value]
        elif word == "fragments" or (protocol == "tcp" and (word == "established" or word in _FLAGS)):
            rest.append(word)
            reader.kept.append(word)
        elif protocol in {"icmp", "icmpv6"} and (word in _ICMP or word.isdigit()):
            rest.append("echo" if word == "echo-request" else word)
            reader.kept.append(word)
        else:
            raise here
    return log, inactive, rest
