"""Which hosts the lab has, where they stand and what runs on them.

Decides names, zones, addresses, services and disk sizes. Leaves to others: making any of it exist.

Addresses come from 198.18.0.0/15 (RFC 2544, benchmarking) and 2001:db8::/32 (RFC 3849, documentation).
A host's last part is the same digits in both families: web01 is 198.18.1.11 and 2001:db8:0:1::11.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from remedy.core.errors import UsageError

__all__ = ["CONTROLLER", "LINK", "MAX_SCALE_HOSTS", "ZONES", "Host", "Topology", "Zone", "topology"]

#: The name faults and maps use for the machine the lab runs on.
CONTROLLER = "controller"
#: The link that joins the machine to the management zone.
LINK = "remedy-lab"
#: More hosts than this do not fit the scale zone's numbering.
MAX_SCALE_HOSTS = 1000
#: The scale zone's gateway and broadcast-like endings are skipped when numbering its hosts.
_RESERVED_ENDINGS = (0, 254, 255)


@dataclass(frozen=True)
class Zone:
    """One segment: a bridge inside its router. `number` is the third part of its IPv4 and the fourth of its IPv6."""

    name: str
    number: int
    prefix: int = 24
    router: str = "fw01"

    @property
    def bridge(self) -> str:
        """The bridge's name inside the router, at most 15 characters as the kernel wants."""
        return f"br-{self.name[:10]}"

    @property
    def v4(self) -> str:
        """The IPv4 network, for example `198.18.1.0/24`."""
        return f"198.18.{self.number}.0/{self.prefix}"

    @property
    def v6(self) -> str:
        """The IPv6 network, for example `2001:db8:0:1::/64`."""
        return f"2001:db8:0:{self.number}::/64"

    @property
    def gateway4(self) -> str:
        """The router's IPv4 address in this zone."""
        return f"198.18.{self.number}.254"

    @property
    def gateway6(self) -> str:
        """The router's IPv6 address in this zone."""
        return f"2001:db8:0:{self.number}::fe"

    @property
    def resolvers(self) -> tuple[str, str]:
        """fw01's addresses that answer this zone's questions for names: its own, or those of the DMZ in between."""
        zone = self if self.router == "fw01" else ZONES["dmz"]
        return zone.gateway4, zone.gateway6

    def address4(self, number: int) -> str:
        """The IPv4 address of the `number`-th place in this zone."""
        return str(ipaddress.IPv4Network(self.v4)[number])

    def address6(self, number: int) -> str:
        """The IPv6 address of the `number`-th place: the same decimal digits, read as hexadecimal."""
        return str(ipaddress.IPv6Address(f"2001:db8:0:{self.number}::{number}"))


ZONES: dict[str, Zone] = {
    zone.name: zone
    for zone in (
        Zone("outside", 0),
        Zone("dmz", 1),
        Zone("inside", 2),
        Zone("management", 3),
        Zone("branch", 4, router="core01"),
        Zone("partner", 5, router="asa01"),
        Zone("scale", 16, 20),
    )
}


@dataclass(frozen=True)
class Host:
    """One host of the lab. `services` maps a service's name to the TCP port it answers on when ready."""

    name: str
    zone: str
    number: int
    groups: tuple[str, ...] = ()
    services: dict[str, int] = field(default_factory=dict)
    disk_mib: int = 256
    systemd: bool = False
    iptables_only: bool = False

    @property
    def v4(self) -> str:
        """Its IPv4 address."""
        return ZONES[self.zone].address4(self.number)

    @property
    def v6(self) -> str:
        """Its IPv6 address."""
        zone = ZONES[self.zone]
        return zone.gateway6 if self.is_router else zone.address6(self.number)

    @property
    def mac(self) -> str:
        """Its hardware address; locally administered, derived from the IPv4 one so that it survives a power-cycle."""
        return "02:00:" + ":".join(f"{int(part):02x}" for part in self.v4.split("."))

    @property
    def port(self) -> str:
        """The name of its end of the cable inside fw01."""
        return f"p-{self.name}"

    @property
    def is_router(self) -> bool:
        """Whether this is fw01, which everything goes through."""
        return self.name == "fw01"

    @property
    def carries(self) -> tuple[Zone, ...]:
        """The zones whose bridges are inside this host."""
        return tuple(zone for zone in ZONES.values() if zone.router == self.name)

    @property
    def is_switch(self) -> bool:
        """Whether this is sw01, the access switch of the DMZ."""
        return self.name == "sw01"


_FIXED = (
    Host("fw01", "management", 254, ("firewall",), {"ssh": 22, "dns": 53, "cli": 2222}),
    Host("attacker", "outside", 66, ("vantage",), {"ssh": 22, "c2": 4444}),
    Host("offsite", "outside", 80, ("s3",), {"ssh": 22, "s3": 9000, "tsa": 3161}),
    Host("web01", "dmz", 11, ("web",), {"ssh": 22, "http": 80}),
    Host("web02", "dmz", 12, ("web", "vantage"), {"ssh": 22, "http": 80}),
    Host("legacy01", "dmz", 13, ("legacy", "vantage"), {"ssh": 22, "http": 80}, iptables_only=True),
    Host("db01", "inside", 21, ("db",), {"ssh": 22, "mysql": 3306}, disk_mib=12288),
    Host("backup01", "inside", 22, ("backup",), {"ssh": 22}, disk_mib=8192),
    Host("mon01", "management", 31, ("mon", "vantage"), {"ssh": 22}),
)

#: Hosts started only on request: each brings those of the zones it carries.
_EXTRA = (
    Host("sys01", "dmz", 14, ("systemd",), {"ssh": 22}, systemd=True),
    Host("core01", "dmz", 20, ("router",), {"ssh": 22, "cli": 2222}),
    Host("sw01", "management", 40, ("switch",), {"ssh": 22, "cli": 2222}),
    Host("asa01", "dmz", 30, ("firewall",), {"ssh": 22, "cli": 2222}),
)
_BEHIND = (
    Host("branch01", "branch", 11, ("branch",), {"ssh": 22, "http": 80}),
    Host("partner01", "partner", 11, ("branch",), {"ssh": 22, "http": 80}),
)


@dataclass(frozen=True)
class Topology:
    """All hosts of one lab, fw01 first."""

    hosts: tuple[Host, ...]

    def __getitem__(self, name: str) -> Host:
        """The host called `name`. Raises UsageError."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts if host.zone != "scale")
        raise UsageError(f"the lab has no host {name!r}", hint=f"its hosts are {names}")

    @property
    def router(self) -> Host:
        """fw01."""
        return self["fw01"]

    def router_of(self, host: Host) -> Host:
        """The host that `host` is plugged into: its zone's router, or the DMZ's switch where there is one."""
        if host.zone == "dmz" and not host.carries:
            for other in self.hosts:
                if other.is_switch:
                    return other
        return self[ZONES[host.zone].router]


def topology(scale_hosts: int = 0, extra: tuple[str, ...] = ()) -> Topology:
    """The lab with `scale_hosts` plain hosts (host001 …) and the named extra hosts.

    Raises UsageError for a number out of range or an unknown extra host.
    """
    if not 0 <= scale_hosts <= MAX_SCALE_HOSTS:
        raise UsageError(f"{scale_hosts} extra hosts", hint=f"give a number between 0 and {MAX_SCALE_HOSTS}")
    known = {host.name: host for host in _EXTRA}
    for name in extra:
        if name not in known:
            raise UsageError(f"no extra host is called {name!r}", hint=f"extra hosts: {', '.join(known)}")
    numbers: list[int] = []
    number = 0
    while len(numbers) < scale_hosts:
        number += 1
        if number % 256 not in _RESERVED_ENDINGS:
            numbers.append(number)
    scale = tuple(
        Host(f"host{place:03d}", "scale", number, ("scale",), {"ssh": 22}, disk_mib=64)
        for place, number in enumerate(numbers, 1)
    )
    chosen = tuple(known[name] for name in dict.fromkeys(extra))
    behind = tuple(host for host in _BEHIND if ZONES[host.zone].router in extra)
    return Topology(_FIXED + chosen + behind + scale)
