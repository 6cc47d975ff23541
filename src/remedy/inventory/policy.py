"""What the inventory says about a host beyond logging in: the `remedy_*` variables, typed and checked.

Decides names, types and defaults of these keys. Leaves to the actions what follows from them.

    remedy_addresses: [198.18.0.10, "2001:db8::10"]
    remedy_management: [198.18.250.0/24]
    remedy_probe: {tcp: [22, 80, 443]}
    remedy_impact: public web site of three branches
    remedy_budget: {isolations_per_hour: 5, group_share_percent: 25}
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from remedy.core.errors import InventoryError
from remedy.inventory import credentials

_MAX_PORT: Final = 65_535
_PROTOCOLS: Final = ("tcp", "udp")
_BUDGET_KEYS: Final = ("isolations_per_hour", "group_share_percent", "blocks_per_hour", "blocked_addresses")
_MOST: Final = 10**9
_BUDGET_RANGE: Final = {"group_share_percent": (100, "a percentage from 0 to 100")}
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class Ports:
    """Port numbers per protocol."""

    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits: isolations in any hour, and what share of a group's hosts may be cut off at the same time.

    Likewise blocks in any hour, and how many addresses one of them may name (an IPv6 /64 counts as one).
    """

    isolations_per_hour: int = 10
    group_share_percent: int = 50
    blocks_per_hour: int = 60
    blocked_addresses: int = 65_536


@dataclass(frozen=True, slots=True)
class Policy:
    """The `remedy_*` variables of one host. Addresses are IPv4 or IPv6 in their canonical text form.

    `known_hosts` is a path, "" when the inventory names none. `management` are addresses and prefixes that must keep
    reaching the host. `vantage` says from which side this host may probe others ("peer", "outside", "management", ""
    for never), `vantage_for` which (patterns). `probe` are the host's ports to be probed, `canaries` outside addresses
    it is probed towards on `canary_ports`, `resolvers` the name servers it uses. `impact` says what its loss means.
    `protected` hosts are never isolated. `dns` is "closed" or "pinned" during isolation. `require_grade` is the least
    layer that counts as contained: "", "host" or "network". `unreachable_from` are the sides from which nobody could
    reach the host before either: "peer", "outside", or one protocol alone, such as "outside/udp".
    """

    known_hosts: str = ""
    addresses: tuple[str, ...] = ()
    management: tuple[str, ...] = ()
    vantage: str = ""
    vantage_for: tuple[str, ...] = ("all",)
    probe: Ports = field(default_factory=Ports)
    canaries: tuple[str, ...] = ()
    canary_ports: Ports = field(default_factory=Ports)
    resolvers: tuple[str, ...] = ()
    impact: str = ""
    protected: bool = False
    budget: Budget = field(default_factory=Budget)
    dns: str = "closed"
    require_grade: str = ""
    unreachable_from: tuple[str, ...] = ()


def read(values: Mapping[str, object], where: Mapping[str, str]) -> Policy:
    """The policy in a host's rendered `remedy_*` variables; `where` gives `file:line` per variable.

    Keys that are no policy are left alone. Raises InventoryError naming file and key on a value of the wrong type.
    """
    settings: dict[str, object] = {}
    for name, parse in KEYS.items():
        value = values.get(name)
        if value is not None:
            settings[name.removeprefix("remedy_")] = parse(_Place(name, where.get(name, "")), value)
    return Policy(**settings)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Place:
    """The key a value belongs to, for messages."""

    key: str
    where: str

    def wrong(self, expected: str, value: object, hint: str = "") -> NoReturn:
        got = credentials.masked(self.key, value)
        raise InventoryError(f"{self.key}: expected {expected}, got {got!r}", where=self.where, hint=hint)

    def below(self, key: str) -> _Place:
        return _Place(f"{self.key}.{key}", self.where)


def _items(place: _Place, value: object) -> list[object]:
    """A list; a single value stands for a list of one, text with commas for several (INI has no lists)."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, dict):
        place.wrong("a list", value)
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _text(place: _Place, value: object) -> str:
    if not isinstance(value, str):
        place.wrong("text", value, "put it in quotes")
    return str(value)


def _choice(*allowed: str) -> Callable[[_Place, object], str]:
    def parse(place: _Place, value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            place.wrong(" or ".join(repr(word) for word in allowed), value)
        return str(value)

    return parse


def _flag(place: _Place, value: object) -> bool:
    word = str(value).lower()
    if not isinstance(value, (bool, int, str)) or word not in _YES | _NO:
        place.wrong("true or false", value)
    return word in _YES


def _addresses(place: _Place, value: object) -> tuple[str, ...]:
    found = []
    for item in _items(place, value):
        try:
            address = ipaddress.ip_address(item) if isinstance(item, str) else None
        except ValueError:
            address = None
        if address is None or "%" in str(address):
            place.wrong("IPv4 or IPv6 addresses", item, "names are not looked up here; write the address in quotes")
        found.append(str(address))
    return tuple(dict.fromkeys(found))


def _networks(place: _Place, value: object) -> tuple[str, ...]:
    found = []
    for item in _items(place, value):
        try:
            network = ipaddress.ip_network(item) if isinstance(item, str) else None
        except ValueError as error:
            place.wrong("addresses or prefixes", item, str(error))
        if network is None:
            place.wrong("addresses or prefixes", item, "put it in quotes")
        single = network.prefixlen == network.max_prefixlen
        found.append(str(network.network_address) if single else str(network))
    return tuple(dict.fromkeys(found))


def _words(place: _Place, value: object) -> tuple[str, ...]:
    items = _items(place, value)
    return tuple(_text(place, item) for item in items)


def _whole(place: _Place, value: object, least: int, most: int, what: str) -> int:
    text = str(value)
    if isinstance(value, (bool, float)) or not (text.isascii() and text.isdigit()):
        place.wrong(what, value)
    number = int(text[:12])
    if not least <= number <= most:
        place.wrong(what, value)
    return number


def _ports(place: _Place, value: object) -> Ports:
    if not isinstance(value, dict) or not all(key in _PROTOCOLS for key in value):
        place.wrong("a map with tcp and udp", value, "write {tcp: [80, 443], udp: [53]}")
    found = {}
    for protocol in _PROTOCOLS:
        at = place.below(protocol)
        items = _items(at, value[protocol]) if value.get(protocol) is not None else []
        numbers = (_whole(at, item, 1, _MAX_PORT, "port numbers from 1 to 65535") for item in items)
        found[protocol] = tuple(dict.fromkeys(numbers))
    return Ports(**found)


def budget(place_key: str, value: object, where: str) -> Budget:
    """A `remedy_budget` value. Raises InventoryError naming file and key."""
    return _budget(_Place(place_key, where), value)


def _budget(place: _Place, value: object) -> Budget:
    if not isinstance(value, dict) or not all(key in _BUDGET_KEYS for key in value):
        place.wrong(f"a map with {' and '.join(_BUDGET_KEYS)}", value)
    made = {}
    for key in _BUDGET_KEYS:
        most, what = _BUDGET_RANGE.get(key, (_MOST, "a whole number of 0 or more"))
        made[key] = _whole(place.below(key), value.get(key, getattr(Budget(), key)), 0, most, what)
    return Budget(**made)


def _sides(place: _Place, value: object) -> tuple[str, ...]:
    return tuple(
        _choice("peer", "outside", "peer/tcp", "peer/udp", "outside/tcp", "outside/udp")(place, word)
        for word in _words(place, value)
    )


#: Every policy key and the function that reads its value; the reference documentation is checked against it.
KEYS: Final[dict[str, Callable[[_Place, object], object]]] = {
    "remedy_known_hosts": _text,
    "remedy_addresses": _addresses,
    "remedy_management": _networks,
    "remedy_vantage": _choice("peer", "outside", "management"),
    "remedy_vantage_for": _words,
    "remedy_probe": _ports,
    "remedy_canaries": _addresses,
    "remedy_canary_ports": _ports,
    "remedy_resolvers": _addresses,
    "remedy_impact": _text,
    "remedy_protected": _flag,
    "remedy_budget": _budget,
    "remedy_dns": _choice("closed", "pinned"),
    "remedy_require_grade": _choice("host", "network"),
    "remedy_unreachable_from": _sides,
}
