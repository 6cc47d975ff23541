"""Interfaces of an IOS router, and the lists applied there.

Followed: "Cisco IOS Security Command Reference" (`ip access-group`), "Cisco IOS IPv6 Command Reference" (`ipv6
traffic-filter`), "Cisco IOS IP Addressing Services Command Reference" (`show ip interface`). What a router sends itself
does not meet the lists that filter what goes out. As shown:

    GigabitEthernet0/0 is up, line protocol is up
      Internet address is 198.18.1.20/24
      Outgoing access list is not set
      Inbound  access list is edge-in
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from remedy.lab.devices.cisco.lists import AccessLists
from remedy.lab.devices.enforce import Stage
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["Interface", "Interfaces", "full_name", "is_interface"]

_TYPES: Final = ("GigabitEthernet", "FastEthernet", "Ethernet", "TenGigabitEthernet", "Loopback", "Vlan", "Tunnel",
                 "Port-channel", "Management")  # fmt: skip
_NAME: Final = re.compile(r"([A-Za-z-]+)\s?(\d[\d/.:]*)")
_SHOW: Final = ("exec", "privileged")
_KEPT: Final = ("duplex", "speed", "ipv6 address", "negotiation", "mtu", "cdp")
WHICH: Final = "{ <iface:iface> | <itype:itype> <inumber:inumber> }"


def full_type(text: str) -> str | None:
    """An interface's type in full, from what was typed."""
    low = text.lower()
    return next((kind for kind in _TYPES if kind.lower().startswith(low)), None)


def is_interface(text: str) -> bool:
    """A type and a number in one word."""
    found = _NAME.fullmatch(text)
    return found is not None and full_type(found[1]) is not None


def full_name(text: str) -> str:
    """`gi0/0` is `GigabitEthernet0/0`."""
    found = _NAME.fullmatch(text)
    return f"{full_type(found[1])}{found[2]}" if found else text


def named(call: Call) -> str:
    """The interface of a line."""
    return full_name(call.get("iface") or call.get("itype") + call.get("inumber"))


@dataclass(slots=True)
class Interface:
    """One interface. `lists` are names by family and direction ("in", "out")."""

    name: str
    description: str = ""
    address: str = ""
    up: bool = True
    lines: dict[str, None] = field(default_factory=dict)
    lists: dict[tuple[int, str], str] = field(default_factory=dict)


class Interfaces(Part):
    """All interfaces, as the router is built; loopbacks and the like come and go."""

    def __init__(self, face: Face) -> None:
        """Those the device is built with."""
        super().__init__(face)
        self.interfaces = {name: Interface(name) for name in map(full_name, self.device.ports)}

    def configured(self) -> list[str]:
        """Each a section."""
        lines: list[str] = []
        for port in self.interfaces.values():
            lines += ["!", f"interface {port.name}"]
            lines += [f" description {port.description}"] if port.description else []
            lines += [f" ip address {port.address}" if port.address else " no ip address"]
            lines += [f" ip access-group {name} {way}" for (family, way), name in port.lists.items() if family == 4]  # noqa: PLR2004
            lines += [" shutdown"] if not port.up else []
            lines += [f" {line}" for line in port.lines]
            lines += [f" ipv6 traffic-filter {name} {way}" for (family, way), name in port.lists.items() if family == 6]  # noqa: PLR2004
        return lines

    def stages(self) -> Iterator[Stage]:
        """What packets meet."""
        acls = self.face.part(AccessLists)
        for port in self.interfaces.values():
            for (family, way), name in port.lists.items():
                arriving = way == "in"
                rules = acls.placed(family, name, "both" if arriving else "through")
                default = "deny" if rules else "permit"
                hook = "arriving" if arriving else "leaving"
                to_device = default if arriving else "permit"
                yield Stage(f"{name} {way}", family, rules, hook, port.name, default, to_device)

    def _here(self, login: Login) -> Interface:
        return self.interfaces[login.view.key]

    def _find(self, call: Call) -> Interface:
        port = self.interfaces.get(named(call))
        if port is None:
            raise Refusal(argument="iface" if call.get("iface") else "inumber")
        return port

    @command(f"interface {WHICH}", views=("config",))
    def enter(self, login: Login, call: Call) -> None:
        """Enter an interface; one that is no port is made."""
        name = named(call)
        if name not in self.interfaces and name.startswith(("Loopback", "Tunnel", "Vlan")):
            self.interfaces[name] = Interface(name)
        login.views.append(View("interface", "config-if", self._find(call).name))

    @command("description <text>", "no description", views=("interface",))
    def describe(self, login: Login, call: Call) -> None:
        """Describe it."""
        self._here(login).description = call.get("text")[:240]

    @command("ip address <address:ip> <mask:ip> [ secondary ]", "no ip address [ <text> ]", views=("interface",))
    def addressed(self, login: Login, call: Call) -> None:
        """Kept and shown; the lab gives its interfaces their addresses."""
        self._here(login).address = f"{call['address']} {call['mask']}" if call.get("address") else ""

    @command("shutdown", "no shutdown", views=("interface",))
    def shut(self, login: Login, call: Call) -> None:
        """Shut it down, or bring it up."""
        self._here(login).up = "no" in call

    @command(
        "ip access-group <acl:word> { in | out }", "ipv6 traffic-filter <acl:word> { in | out }", views=("interface",)
    )
    def apply(self, login: Login, call: Call) -> None:
        """Filter with a list, in place of the one before; it may come into being later."""
        family = 6 if call.words[0] == "ipv6" else 4
        self._here(login).lists[family, call.words[-1]] = call["acl"]

    @command("no ip access-group [ <acl:word> ] { in | out }", "no ipv6 traffic-filter [ <acl:word> ] { in | out }",
             views=("interface",))  # fmt: skip
    def lift(self, login: Login, call: Call) -> None:
        """Filter no longer."""
        family = 6 if call.words[1] == "ipv6" else 4
        lists = self._here(login).lists
        if call.get("acl", lists.get((family, call.words[-1]), "")) == lists.get((family, call.words[-1])):
            lists.pop((family, call.words[-1]), None)

    @command(
        *(f"{word} <text>" for word in (*_KEPT, "switchport")), "no switchport", "ipv6 enable", views=("interface",)
    )
    def keep(self, login: Login, call: Call) -> None:
        """Lines the lab makes nothing of."""
        self._here(login).lines[" ".join(call.words)] = None

    @command(*(f"no {word} [ <text> ]" for word in _KEPT), views=("interface",))
    def drop(self, login: Login, call: Call) -> None:
        """Forget them."""
        port, start = self._here(login), " ".join(call.words[1:])
        port.lines = {line: None for line in port.lines if not line.startswith(start)}

    # showing

    @command(f"show ip interface [ {WHICH} ]", views=_SHOW, reads=True)
    async def show(self, login: Login, call: Call) -> str:
        """Addresses and lists."""
        del login
        ports = [self._find(call)] if len(call.words) > 3 else list(self.interfaces.values())  # noqa: PLR2004
        links = await self.device.enforcer.links()
        return "".join(
            f"{line}\n" for port in ports for line in self._ip(port, up=port.up and links.get(port.name, True))
        )

    @staticmethod
    def _ip(port: Interface, *, up: bool) -> Iterator[str]:
        state = "up" if up else "down" if port.up else "administratively down"
        yield f"{port.name} is {state}, line protocol is {'up' if up else 'down'}"
        if not port.address:
            yield "  Internet protocol processing disabled"
            return
        address = ipaddress.IPv4Interface(port.address.replace(" ", "/"))
        yield f"  Internet address is {address}"
        yield "  Broadcast address is 255.255.255.255"
        yield "  Address determined by non-volatile memory"
        yield "  MTU is 1500 bytes"
        yield "  Helper address is not set"
        yield "  Directed broadcast forwarding is disabled"
        yield f"  Outgoing access list is {port.lists.get((4, 'out'), 'not set')}"
        yield f"  Inbound  access list is {port.lists.get((4, 'in'), 'not set')}"
        yield "  Proxy ARP is enabled"

    @command("show ip interface brief", views=_SHOW, reads=True)
    async def brief(self, login: Login, call: Call) -> str:
        """Every interface in a line."""
        del login, call
        links = await self.device.enforcer.links()
        lines = ["Interface                  IP-Address      OK? Method Status                Protocol"]
        for port in self.interfaces.values():
            up = port.up and links.get(port.name, True)
            state = "up" if up else "down" if port.up else "administratively down"
            address = port.address.split()[0] if port.address else "unassigned"
            lines.append(f"{port.name:<26} {address:<15} YES NVRAM  {state:<21} {'up' if up else 'down'}")
        return "\n".join([*lines, ""])

    @command(f"show ipv6 interface [ {WHICH} ]", views=_SHOW, reads=True)
    async def show6(self, login: Login, call: Call) -> str:
        """Lists for IPv6."""
        del login
        ports = [self._find(call)] if len(call.words) > 3 else list(self.interfaces.values())  # noqa: PLR2004
        lines = []
        for port in ports:
            lines.append(f"{port.name} is {'up' if port.up else 'administratively down'}, line protocol is up")
            lines.append("  IPv6 is enabled")
            for way, word in (("in", "Inbound"), ("out", "Outgoing")):
                lines += [f"  {word} access list {port.lists[6, way]}"] if (6, way) in port.lists else []
        return "".join(f"{line}\n" for line in lines)

    @command("show { ip arp | arp }", views=_SHOW, reads=True)
    async def arp(self, login: Login, call: Call) -> str:
        """Resolved IPv4 addresses."""
        del login, call
        lines = ["Protocol  Address          Age (min)  Hardware Addr   Type   Interface"]
        for found in await self.device.enforcer.neighbours():
            if ":" not in found.address:
                mac = found.mac.replace(":", "")
                dotted = ".".join(mac[n : n + 4] for n in (0, 4, 8))
                lines.append(f"Internet  {found.address:<17}{1:>8}   {dotted}  ARPA   {found.interface}")
        return "\n".join([*lines, ""])
