"""Which few paths stay open on an isolated host.

Decides the exceptions: management to sshd's port, what keeps that path alive below it (neighbour discovery, path MTU,
a DHCP lease when the address is leased), and DNS only where policy pins it. Everything is pinned to addresses before
the first rule is written; names are never resolved by the rules.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from remedy.core.errors import Refused

#: A management prefix wider than this opens the host to strangers and isolates nothing.
WIDEST = {4: 16, 6: 40}


@dataclass(frozen=True, slots=True)
class Paths:
    """The exceptions of one isolation. `management` and `dns` are addresses or prefixes; `port` is sshd's TCP port.

    `onlink` are the prefixes of the host's own links, `leased` the one its management address is leased on ("" when
    it is not): what keeps management alive below TCP reaches no further than these.
    """

    management: tuple[str, ...]
    port: int
    dns: tuple[str, ...] = ()
    onlink: tuple[str, ...] = ()
    leased: str = ""

    def of(self, version: int) -> tuple[str, ...]:
        """The management addresses of one IP version, hosts without a prefix length."""
        return _of(self.management, version)

    def onlink_of(self, version: int) -> tuple[str, ...]:
        """The prefixes of the host's own links of one IP version."""
        return _of(self.onlink, version)

    def leased_of(self, version: int) -> str:
        """The prefix of the leased management address, "" when it is of the other IP version or not leased."""
        return self.leased if self.leased and ipaddress.ip_network(self.leased).version == version else ""

    def dns_of(self, version: int) -> tuple[str, ...]:
        """The pinned resolvers of one IP version."""
        return _of(self.dns, version)


def _of(addresses: tuple[str, ...], version: int) -> tuple[str, ...]:
    return tuple(a for a in addresses if ipaddress.ip_network(a).version == version)


def pin(management: tuple[str, ...], peer: str, strangers: tuple[str, ...]) -> tuple[str, ...]:
    """The management addresses, collapsed and sorted, with the address we are really seen from among them.

    Raises Refused when a prefix is so wide, or so wrong, that it lets in those it is meant to keep out.
    """
    nets = [ipaddress.ip_network(text, strict=False) for text in (*management, peer)]
    for net in nets:
        if net.prefixlen < WIDEST[net.version]:
            raise Refused(
                f"the management prefix {net} is too wide: a host open to it is not isolated",
                hint=f"name management hosts, or prefixes of /{WIDEST[net.version]} and longer, in remedy_management",
            )
        for stranger in strangers:
            address = ipaddress.ip_address(stranger)
            if address.version == net.version and address in net:
                raise Refused(
                    f"the management prefix {net} contains {stranger}, which lies outside the perimeter",
                    hint="correct remedy_management in the inventory",
                )
    out: list[str] = []
    for version in (4, 6):
        group = sorted({net for net in nets if net.version == version}, key=lambda n: (n.network_address, n.prefixlen))
        kept = [n for n in group if not any(o != n and n.subnet_of(o) for o in group)]  # type: ignore[arg-type]
        out += [str(n.network_address) if n.prefixlen == n.max_prefixlen else str(n) for n in kept]
    return tuple(out)
