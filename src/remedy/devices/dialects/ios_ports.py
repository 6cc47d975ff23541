"""Switch ports as IOS and NX-OS show and configure them: where an address was learned, and in which VLAN a port is.

Decides how the tables are read. Leaves to others: whether a port may be touched (actions).

    Vlan    Mac Address       Type        Ports            IOS
       1    0010.0de0.e289    DYNAMIC     Gi1/0/5
    Destination Address  Address Type  VLAN  Destination Port
    0010.0de0.e289       Dynamic          1  FastEthernet0/1
    *   10     0010.0de0.e289   dynamic  0   F   F  Eth1/5   NX-OS
    Internet  10.0.10.50   4   aabb.cc00.1001  ARPA   Vlan10

Source: "Cisco IOS LAN Switching Command Reference", `show mac address-table`, `show interfaces switchport`,
`switchport access vlan`; "Cisco Nexus 9000 Series NX-OS Layer 2 Switching Configuration Guide".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import AnswerUnusable, UsageError
from remedy.devices import Lines, Port
from remedy.devices.dialects.ios import plain
from remedy.devices.dialects.ios_lists import lines_of, refused
from remedy.devices.dialects.ios_names import full_name

__all__ = ["CiscoPorts", "colons", "dotted"]

_MAC: Final = re.compile(r"(?<![\w.:])([0-9a-f]{4})\.([0-9a-f]{4})\.([0-9a-f]{4})(?![\w.:])", re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z-]*\d[\d/.:]*\Z")
_VLANS: Final = range(1, 4095)
_STATE: Final = re.compile(r"^(\S+) is ([a-z][^\n]*)", re.MULTILINE)
_BUNDLE: Final = re.compile(r"\(member of bundle (\S+)\)")


def dotted(mac: str) -> str:
    """A hardware address as Cisco writes it, `0010.0de0.e289`. Raises UsageError."""
    digits = re.sub(r"[:.-]", "", mac).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        raise UsageError(f"{mac[:40]!r} is no hardware address", hint="00:10:0d:e0:e2:89")
    return f"{digits[:4]}.{digits[4:8]}.{digits[8:]}"


def colons(dots: str) -> str:
    """The same in lower case with colons."""
    digits = dots.replace(".", "").lower()
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _learned(text: str) -> Iterator[tuple[str, str]]:
    """Every (hardware address, port in full) of an address table; the device's own addresses left out."""
    for line in lines_of(text):
        found = _MAC.search(line)
        if found is None:
            continue
        for name in line.split()[-1].split(","):
            if _NAME.match(name) and not name.upper().startswith("CPU"):
                yield found[0].lower(), full_name(name)


@dataclass(frozen=True, slots=True)
class CiscoPorts:
    """`remedy.devices.Switching` for IOS and NX-OS, which differ in three words."""

    interfaces: str
    neighbors: str

    def ask_mac(self, mac: str) -> Lines:
        """What to type to find the port a hardware address was learned on."""
        return (f"show mac address-table address {dotted(mac)}",)

    def read_mac(self, mac: str, texts: Sequence[str]) -> tuple[str, ...]:
        """The ports, in full. Raises AnswerUnusable for a refusal."""
        refused(texts)
        wanted = dotted(mac)
        return tuple(dict.fromkeys(port for text in texts for found, port in _learned(text) if found == wanted))

    def ask_arp(self, address: str) -> Lines:
        """What to type to find the hardware address of an IP address. Raises UsageError for anything else."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError as error:
            raise UsageError(f"{address[:80]!r} is no address", hint="one IPv4 or IPv6 address") from error
        return (f"show ip arp {ip}" if ip.version == 4 else f"show ipv6 {self.neighbors} {ip}",)  # noqa: PLR2004

    def read_arp(self, address: str, texts: Sequence[str]) -> str:
        """The hardware address, or empty. Raises AnswerUnusable for a refusal."""
        refused(texts)
        wanted = ipaddress.ip_address(address)
        for line in (line for text in texts for line in lines_of(text)):
            found = _MAC.search(line)
            if found is not None and any(_is_address(word, wanted) for word in line.split()):
                return colons(found[0])
        return ""

    def ask_port(self, port: str) -> Lines:
        """What to type to see a port's mode, VLAN and learned addresses."""
        name = plain(port, "a port")
        return (
            f"show {self.interfaces} {name} switchport",
            f"show {self.interfaces} {name}",
            f"show mac address-table interface {name}",
        )

    def read_port(self, port: str, texts: Sequence[str]) -> Port:
        """Read what those lines printed. Raises AnswerUnusable where mode, VLAN or state are not said."""
        refused(texts)
        text = "\n".join(texts)
        said: dict[str, str] = {}
        for line in lines_of(text):
            key, _, value = line.partition(":")
            said.setdefault(key.strip(), value.strip())
        state = next((found for found in _STATE.finditer(text) if _same(found[1], port)), None)
        if state is None or "Switchport" not in said:
            raise AnswerUnusable(f"the device does not say how {port} is set", hint="is it a port of this switch?")
        mode, vlan, unknown = "routed", 0, tuple(found[0] for found in _BUNDLE.finditer(text))
        if said["Switchport"].split()[0] == "Enabled":
            mode = _mode(said.get("Administrative Mode", ""), said.get("Operational Mode", ""))
            number = said.get("Trunking Native Mode VLAN" if mode == "trunk" else "Access Mode VLAN", "").split()
            if not number or not (number[0].isdecimal() and len(number[0]) <= 4):  # noqa: PLR2004
                raise AnswerUnusable(f"the device does not say which VLAN {port} is in", hint="is it an access port?")
            vlan = int(number[0])
        macs = dict.fromkeys(colons(mac) for mac, name in _learned(text) if _same(name, port))
        return Port(
            full_name(port),
            mode,
            vlan,
            up="administratively down" not in state[2].lower(),
            macs=tuple(macs),
            description=said.get("Description", ""),
            unknown=unknown,
        )

    def move(self, port: Port, vlan: int) -> Lines:
        """What to type to put an access port into another VLAN. Raises UsageError for other ports and numbers."""
        if vlan not in _VLANS:
            raise UsageError(f"{vlan} is no VLAN", hint=f"{_VLANS[0]} to {_VLANS[-1]}")
        if port.mode != "access":
            raise UsageError(f"{port.name} is no access port but {port.mode}", hint="shut it down instead")
        return (f"interface {plain(port.name, 'a port')}", f"switchport access vlan {vlan}")

    def shut(self, port: Port, *, down: bool) -> Lines:
        """What to type to shut a port down or bring it up."""
        return (f"interface {plain(port.name, 'a port')}", "shutdown" if down else "no shutdown")


def _mode(administrative: str, operational: str) -> str:
    """A port that negotiates counts as what it has become; a trunk by either word is a trunk."""
    if "trunk" in administrative or "trunk" in operational:
        return "trunk"
    return "access" if "access" in administrative or "dynamic" in administrative else administrative or "unknown"


def _same(one: str, other: str) -> bool:
    return full_name(one.rstrip(",")).casefold() == full_name(other).casefold()


def _is_address(word: str, wanted: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(word) == wanted
    except ValueError:
        return False
