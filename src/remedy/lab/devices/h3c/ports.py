"""Interfaces, VLANs, and the tables of addresses, as a Comware V7 switch has them.

Followed: "Layer 2 LAN Switching Command Reference" (VLAN, MAC address table), "Interface Command Reference", "Layer 3
IP Services Command Reference" (ARP), and "Fundamentals", Entering an interface type, for the spellings. A port:

    interface GigabitEthernet1/0/3
     port link-mode bridge
     description web01
     port access vlan 20
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from remedy.lab.devices.enforce import SwitchPort
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.sessions import Login

__all__ = ["VLANS", "Interface", "Ports", "full_name", "full_type", "is_interface", "short_name", "vlan_numbers"]

#: Full spelling and acronym ("Entering an interface type", table 2).
_TYPES: Final = {
    "Bridge-Aggregation": "BAGG", "FortyGigE": "FGE", "GigabitEthernet": "GE", "HundredGigE": "HGE",
    "LoopBack": "Loop", "M-GigabitEthernet": "MGE", "NULL": "NULL", "Reth": "Reth", "Route-Aggregation": "RAGG",
    "Ten-GigabitEthernet": "XGE", "Tunnel": "Tun", "Twenty-FiveGigE": "WGE", "Vlan-interface": "Vlan-int",
}  # fmt: skip
_NAME: Final = re.compile(r"([A-Za-z][A-Za-z-]*?)\s*(\d+(?:/\d+)*(?::\d+)?(?:\.\d+)?)")
#: A list of VLANs, in the notation of the grammar.
VLANS: Final = "{ all | { <vlan:n1-4094> [ to <last:n1-4094> ] } * }"
_HEAD: Final = "interface <iface:iface>"
_HEAD2: Final = "interface <itype:itype> <inumber:inumber>"


def full_type(text: str) -> str | None:
    """An interface type in full, from an acronym or a unique beginning; None for none."""
    low = text.lower()
    for full, acronym in _TYPES.items():
        if low in {full.lower(), acronym.lower()}:
            return full
    found = [full for full in _TYPES if full.lower().startswith(low)]
    return found[0] if len(found) == 1 else None


def full_name(text: str) -> str:
    """`g1/0/3` is `GigabitEthernet1/0/3`; what is no interface's name stays as it is."""
    found = _NAME.fullmatch(text)
    kind = full_type(found[1]) if found else None
    return f"{kind}{found[2]}" if found and kind else text


def short_name(name: str) -> str:
    """`GigabitEthernet1/0/3` is `GE1/0/3`, as tables show it."""
    found = _NAME.fullmatch(name)
    if found and found[1] == "Vlan-interface":
        return f"Vlan{found[2]}"
    return f"{_TYPES.get(found[1], found[1])}{found[2]}" if found else name


def is_interface(text: str) -> bool:
    """A type and a number in one word."""
    found = _NAME.fullmatch(text)
    return found is not None and full_type(found[1]) is not None


def vlan_numbers(call: Call) -> list[int]:
    """The VLANs of a list typed after `vlan`: `all`, or `1 10 to 20`."""
    text = " ".join(call.words[call.words.index("vlan") + 1 :])
    if text.startswith("all"):
        return list(range(1, 4095))
    found: set[int] = set()
    for low, high in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", text):
        found.update(range(int(low), int(high or low) + 1))
    return sorted(n for n in found if 1 <= n <= 4094)  # noqa: PLR2004


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


@dataclass(slots=True)
class Interface:
    """One interface, as a switch ships it: a bridge port, up, access, VLAN 1."""

    name: str
    routed: bool = False
    description: str = ""
    mode: str = "access"
    vlan: int = 1
    trunk: set[int] = field(default_factory=lambda: {1})
    up: bool = True
    lines: dict[str, None] = field(default_factory=dict)


class Ports(Part):
    """All interfaces and VLANs."""

    def __init__(self, face: Face) -> None:
        """Those the device is built with, and VLAN 1."""
        super().__init__(face)
        routed = getattr(face, "routes", False)
        self.interfaces = {n: Interface(n, routed=routed) for n in map(full_name, self.device.ports)}
        self.vlans: dict[int, str] = {1: ""}

    def configured(self) -> list[str]:
        """VLANs, then interfaces."""
        lines: list[str] = []
        for number, name in sorted(self.vlans.items()):
            lines += ["#", f"vlan {number}", *([f" name {name}"] if name else [])]
        for interface in self.interfaces.values():
            lines += ["#", f"interface {interface.name}", *self._section(interface)]
        return lines

    def _section(self, port: Interface) -> Iterator[str]:
        if self._is_physical(port.name):
            yield f" port link-mode {'route' if port.routed else 'bridge'}"
        if port.description:
            yield f" description {port.description}"
        yield from self._links(port)
        yield from (f" {line}" for line in port.lines)
        for part in self.face.parts:
            yield from getattr(part, "on", lambda _: ())(port.name)
        if not port.up:
            yield " shutdown"

    @staticmethod
    def _links(port: Interface) -> Iterator[str]:
        """What an interface's section says of VLANs."""
        if port.mode != "access":
            yield f" port link-type {port.mode}"
        elif port.vlan != 1:
            yield f" port access vlan {port.vlan}"
        if port.mode == "trunk":
            if 1 not in port.trunk:
                yield " undo port trunk permit vlan 1"
            wanted = " ".join(str(a) if a == b else f"{a} to {b}" for a, b in _ranges(sorted(port.trunk - {1})))
            if wanted:
                yield f" port trunk permit vlan {wanted}"
            if port.vlan != 1:
                yield f" port trunk pvid vlan {port.vlan}"

    @staticmethod
    def _is_physical(name: str) -> bool:
        return "/" in name

    def switched(self) -> tuple[SwitchPort, ...]:
        """The bridge ports as they have to be."""
        return tuple(
            SwitchPort(p.name, "routed" if p.routed else p.mode, p.vlan, p.up, tuple(_ranges(sorted(p.trunk))))
            for p in self.interfaces.values()
            if self._is_physical(p.name)
        )

    def in_vlans(self) -> dict[str, tuple[str, ...]]:
        """The ports of each VLAN, by "vlan 10"."""
        return {f"vlan {n}": tuple(p.name for p in self.interfaces.values() if self._carries(p, n)) for n in self.vlans}

    @staticmethod
    def _carries(port: Interface, vlan: int) -> bool:
        return (
            not port.routed
            and "/" in port.name
            and (port.vlan == vlan or (port.mode == "trunk" and vlan in port.trunk))
        )

    def _here(self, login: Login) -> Interface:
        port = self.interfaces.get(login.view.key[0])
        if port is None:
            raise Refusal(messages.GONE)
        return port

    # views

    @command(_HEAD, _HEAD2, views=("system",))
    def enter(self, login: Login, call: Call) -> None:
        """Enter an interface; one that is not physical is made, for a VLAN there has to be."""
        argument = "iface" if call.get("iface") else "inumber"
        name = full_name(call.get("iface") or call["itype"] + call["inumber"])
        if name not in self.interfaces:
            number = re.sub(r"\D", "", name.rpartition("e")[2])
            if self._is_physical(name) or (name.startswith("Vlan-") and int(number or 0) not in self.vlans):
                raise Refusal(argument=argument)
            self.interfaces[name] = Interface(name, routed=True)
        login.views.append(View("interface", name, (name, f"interface {name}")))

    @command("undo interface <iface:iface>", "undo interface <itype:itype> <inumber:inumber>", views=("system",))
    def remove(self, login: Login, call: Call) -> None:
        """Delete an interface that is not physical."""
        del login
        name = full_name(call.get("iface") or call["itype"] + call["inumber"])
        if self._is_physical(name) or self.interfaces.pop(name, None) is None:
            raise Refusal(argument="iface" if call.get("iface") else "inumber")

    @command("vlan <vlan:n1-4094> [ to <last:n1-4094> ]", views=("system",))
    def enter_vlan(self, login: Login, call: Call) -> None:
        """Make a VLAN and enter it; several are only made."""
        first = int(call["vlan"])
        for number in range(first, int(call.get("last", call["vlan"])) + 1):
            self.vlans.setdefault(number, "")
        if "to" not in call:
            login.views.append(View("vlan", f"vlan{first}", (first, f"vlan {first}")))

    @command("undo vlan <vlan:n1-4094>", views=("system",))
    def remove_vlan(self, login: Login, call: Call) -> None:
        """Delete a VLAN; its access ports fall back to VLAN 1."""
        del login
        number = int(call["vlan"])
        if number == 1 or number not in self.vlans:
            raise Refusal(messages.NO_VLAN if number != 1 else "", argument="" if number != 1 else "vlan")
        del self.vlans[number]
        for port in self.interfaces.values():
            port.vlan = 1 if port.vlan == number and port.mode == "access" else port.vlan

    @command("name <text>", "undo name", "description <text>", views=("vlan",))
    def name_vlan(self, login: Login, call: Call) -> None:
        """Name a VLAN."""
        if login.view.key[0] not in self.vlans:
            raise Refusal(messages.GONE)
        self.vlans[login.view.key[0]] = call.get("text")[:32]

    # an interface's settings

    @command("description <text>", "undo description", views=("interface",))
    def describe(self, login: Login, call: Call) -> None:
        """Describe an interface."""
        self._here(login).description = call.get("text")[:255]

    @command("shutdown", "undo shutdown", views=("interface",))
    def shut(self, login: Login, call: Call) -> None:
        """Shut an interface down, or bring it up."""
        self._here(login).up = "undo" in call

    @command("port link-mode { bridge | route }", views=("interface",))
    def link_mode(self, login: Login, call: Call) -> None:
        """Make it a bridge port or a routed one."""
        self._here(login).routed = "route" in call

    @command("port link-type { access | trunk | hybrid }", "undo port link-type", views=("interface",))
    def link_type(self, login: Login, call: Call) -> None:
        """Set the link type; the VLANs go back to VLAN 1."""
        port = self._here(login)
        mode = "access" if "undo" in call else call.words[-1]
        if mode != port.mode:
            port.mode, port.vlan, port.trunk = mode, 1, {1}

    @command("port access vlan <vlan:n1-4094>", "undo port access vlan", views=("interface",))
    def access(self, login: Login, call: Call) -> None:
        """Put an access port into a VLAN that exists."""
        port, number = self._here(login), int(call.get("vlan", "1"))
        if port.mode != "access":
            raise Refusal(messages.NOT_ACCESS)
        if number not in self.vlans:
            raise Refusal(messages.NO_VLAN)
        port.vlan = number

    @command(f"port trunk permit vlan {VLANS}", f"undo port trunk permit vlan {VLANS}", views=("interface",))
    def permit(self, login: Login, call: Call) -> None:
        """Let VLANs through a trunk, or no longer."""
        port = self._here(login)
        if port.mode != "trunk":
            raise Refusal(messages.NOT_TRUNK)
        numbers = set(vlan_numbers(call))
        port.trunk = port.trunk - numbers if "undo" in call else port.trunk | numbers

    @command("port trunk pvid vlan <vlan:n1-4094>", "undo port trunk pvid", views=("interface",))
    def pvid(self, login: Login, call: Call) -> None:
        """Set a trunk's VLAN for untagged frames."""
        port = self._here(login)
        if port.mode != "trunk":
            raise Refusal(messages.NOT_TRUNK)
        port.vlan = int(call.get("vlan", "1"))

    @command("ip address <text>", "ipv6 address <text>", "stp <text>", "port-security <text>", "mac-address <text>",
             "combo <text>", "speed <text>", "duplex <text>", "undo ip address", views=("interface",))  # fmt: skip
    def keep(self, login: Login, call: Call) -> None:
        """Lines the lab makes nothing of: its interfaces have their addresses from it."""
        port = self._here(login)
        if "undo" in call:
            port.lines = {line: None for line in port.lines if not line.startswith("ip address")}
        else:
            port.lines[" ".join(call.words)] = None
