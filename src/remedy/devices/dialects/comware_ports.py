"""Ports of Comware switches: where a hardware address was learned, a port's mode and VLAN, and moving it.

Each text is recognised by what it is, so that versions may show more or less of it:

    GigabitEthernet1/0/1                          (V5: GigabitEthernet1/0/1 current state: UP)
    Current state: Administratively DOWN
    PVID: 20
    Port link-type: Access

    The brief information of interface(s) under bridge mode:
    Interface            Link Speed   Duplex Type PVID Description
    GE1/0/1              ADM  auto    A      A    20   web01

    MAC Address      VLAN ID    State            Port/NickName            Aging
    00e0-fc00-5829   100        Learned          GE1/0/4                  Y

    interface GigabitEthernet1/0/1
     port access vlan 20
     shutdown

Follows H3C Comware V7 and V5, Layer 2 LAN Switching Command Reference (`port access vlan`, `port link-type`, `display
mac-address`), Interface Command Reference (`display interface`, `shutdown`), Layer 3 IP Services Command Reference
(`display arp`, `display ipv6 neighbors`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.core.text import printable
from remedy.devices import Lines, Port
from remedy.devices.dialects.comware import answer

__all__ = ["Ports", "full_name", "interface"]

#: How tables shorten the types of interfaces.
_SHORT: Final = {
    "BAGG": "Bridge-Aggregation",
    "RAGG": "Route-Aggregation",
    "Eth": "Ethernet",
    "FGE": "FortyGigE",
    "GE": "GigabitEthernet",
    "HGE": "HundredGigE",
    "M-E": "M-Ethernet",
    "M-GE": "M-GigabitEthernet",
    "MGE": "M-GigabitEthernet",
    "TGE": "Ten-GigabitEthernet",
    "Vlan": "Vlan-interface",
    "WGE": "Twenty-FiveGigE",
    "XGE": "Ten-GigabitEthernet",
}
_NAME: Final = re.compile(
    r"^([A-Za-z](?:[A-Za-z]|-(?=[A-Za-z]))*)\s*(\d{1,4}(?:/\d{1,4}){0,4}(?::\d{1,3})?(?:\.\d{1,5})?)$"
)
_MAC: Final = re.compile(r"^[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}$", re.IGNORECASE)
_ENTRY: Final = re.compile(
    r"^\s*([0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})\s+(\d+)\s+(\S.*?)\s+(\S+)\s+(\S+)\s*$", re.IGNORECASE
)
_MORE: Final = re.compile(r"^\s{20,}(\S+)\s*$")
_LINKS: Final = frozenset({"UP", "DOWN", "ADM", "Stby", "DSP", "DRV"})
_MODES: Final = {"A": "access", "T": "trunk", "H": "hybrid"}
_VLANS: Final = range(1, 4095)
# Lines of a port's configuration that say nothing beyond what is read elsewhere.
_IDLE: Final = re.compile(r"^(?:interface \S+(?: \S+)?|port link-mode bridge|undo shutdown|port link-type access)$")


def full_name(name: str) -> str:
    """The name as configuration has it: `GE1/0/4` is GigabitEthernet1/0/4. Unknown ones stay as they are."""
    match = _NAME.match(name.strip())
    return f"{_SHORT.get(match[1], match[1])}{match[2]}" if match else name.strip()


def interface(name: str) -> str:
    """The name, when it is one of an interface and can be typed. Raises UsageError."""
    if not _NAME.match(name):
        shown = printable(name, 80, one_line=True)
        raise UsageError(f"{shown!r} is no interface", hint="GigabitEthernet1/0/1, Vlan-interface10")
    return name


def _colons(mac: str) -> str:
    digits = mac.replace("-", "").lower()
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _dashes(mac: str) -> str:
    digits = re.sub(r"[^0-9a-f]", "", mac.lower())
    if len(digits) != 12 or not re.fullmatch(r"[0-9a-fA-F:.-]{12,17}", mac):  # noqa: PLR2004
        raise UsageError(f"{printable(mac, 40, one_line=True)!r} is no hardware address", hint="52:54:00:12:34:56")
    return "-".join(digits[at : at + 4] for at in range(0, 12, 4))


class Ports:
    """`Switching` of Comware V7 and V5."""

    def ask_mac(self, mac: str) -> Lines:
        """What to type to find the port a hardware address was learned on."""
        return (f"display mac-address {_dashes(mac)}",)

    def read_mac(self, mac: str, texts: Sequence[str]) -> tuple[str, ...]:
        """The names of the ports it was learned on, in full."""
        wanted = _dashes(mac).lower()
        return tuple(dict.fromkeys(port for found, port in _table(texts) if found == wanted))

    def ask_arp(self, address: str) -> Lines:
        """What to type to find the hardware address of an IP address."""
        parsed = _address(address)
        return (f"display arp {parsed}" if parsed.version == 4 else f"display ipv6 neighbors {parsed}",)  # noqa: PLR2004

    def read_arp(self, address: str, texts: Sequence[str]) -> str:
        """The hardware address, or empty."""
        wanted = _address(address)
        for text in texts:
            for line in answer(text):
                words = line.split()
                if len(words) > 1 and _MAC.match(words[1]) and _same(words[0], wanted):
                    return _colons(words[1])
        return ""

    def ask_port(self, port: str) -> Lines:
        """What to type to see a port's mode, VLAN and learned addresses."""
        name = interface(port)
        return (
            f"display interface {name}",
            f"display current-configuration interface {name}",
            f"display mac-address interface {name}",
        )

    def read_port(self, port: str, texts: Sequence[str]) -> Port:
        """Read what those lines printed. Raises AnswerUnusable when they do not say what the port is."""
        wanted = full_name(port)
        now = Port(name=wanted, mode="", vlan=0, up=True)
        macs = tuple(dict.fromkeys(_colons(mac) for mac, where in _table(texts) if where == wanted))
        for text in texts:
            said = answer(text)
            if any(line.startswith(("interface ", " port ")) for line in said):
                now = _configured(now, said)
            else:
                now = _shown(now, said)
        if now.mode not in {"access", "trunk", "hybrid", "routed"} or (now.mode != "routed" and now.vlan not in _VLANS):
            raise AnswerUnusable(f"the device does not say what port {printable(wanted, 60, one_line=True)} is")
        return replace(now, macs=macs)

    def move(self, port: Port, vlan: int) -> Lines:
        """What to type to put an access port into another VLAN, which has to be there."""
        if port.mode != "access":
            raise Refused(
                f"port {port.name} is a {port.mode} port: it carries more than one host's VLAN",
                hint="name the host's own port in the inventory, or shut it down",
            )
        if vlan not in _VLANS:
            raise UsageError(f"{vlan} is no VLAN", hint="1 to 4094")
        return (f"interface {interface(port.name)}", f"port access vlan {vlan}", "quit")

    def shut(self, port: Port, *, down: bool) -> Lines:
        """What to type to shut a port down or bring it up."""
        return (f"interface {interface(port.name)}", "shutdown" if down else "undo shutdown", "quit")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise UsageError(f"{printable(text, 60, one_line=True)!r} is no address") from error
    if getattr(found, "scope_id", None):
        raise UsageError(f"{printable(text, 60, one_line=True)!r} has a zone", hint="write the address alone")
    return found


def _same(text: str, wanted: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(text) == wanted
    except ValueError:
        return False


def _table(texts: Sequence[str]) -> list[tuple[str, str]]:
    """The (hardware address, port) pairs of a MAC address table; one learned on several ports comes several times."""
    found: list[tuple[str, str]] = []
    for text in texts:
        mac = ""
        for line in answer(text):
            entry = _ENTRY.match(line)
            more = _MORE.match(line)
            if entry and entry[3].lower() != "blackhole" and _NAME.match(entry[4]):
                mac = entry[1].lower()
                found.append((mac, full_name(entry[4])))
            elif more and mac and _NAME.match(more[1]):
                found.append((mac, full_name(more[1])))
            else:
                mac = ""
    return found


def _shown(port: Port, lines: Sequence[str]) -> Port:
    """What `display interface`, brief or not, says of the port."""
    bridged = False
    ours = False
    for line in lines:
        words = line.split()
        text = line.strip()
        if "bridge mode" in line or "route mode" in line:
            bridged = "bridge mode" in line
        elif len(words) > 1 and words[1] in _LINKS and full_name(words[0]) == port.name:
            port = replace(port, up=words[1] != "ADM")
            if bridged and len(words) > 5:  # noqa: PLR2004 -- interface, link, speed, duplex, type, PVID
                vlan = int(words[5]) if words[5].isdecimal() and len(words[5]) < 6 else 0  # noqa: PLR2004
                port = replace(port, mode=_MODES.get(words[4], ""), vlan=vlan, description=" ".join(words[6:]))
            elif not bridged:
                port = replace(port, mode="routed", vlan=0, description=" ".join(words[4:]))
        elif len(words) == 1 or (len(words) > 2 and words[1:3] == ["current", "state:"]):  # noqa: PLR2004
            ours = full_name(words[0]) == port.name if _NAME.match(words[0]) else ours
            if ours and "current state:" in text:
                port = replace(port, up="dministrativ" not in text)
        elif ours:
            port = _detail(port, text)
    return port


def _detail(port: Port, text: str) -> Port:
    key, _, value = text.partition(":")
    value = value.strip()
    if key == "Current state":
        return replace(port, up="dministrativ" not in value)
    if key == "PVID" and value.isdecimal() and len(value) < 6:  # noqa: PLR2004
        return replace(port, vlan=int(value), mode=port.mode or "access")
    if key == "Port link-type":
        return replace(port, mode=value.lower())
    if key == "Description":
        return replace(port, description="" if value == f"{port.name} Interface" else value)
    if key in {"Internet address", "Internet Address"}:
        return replace(port, mode="routed", vlan=0)
    return port


def _configured(port: Port, lines: Sequence[str]) -> Port:
    """What the port's part of the configuration says; lines that are about something else are kept."""
    unknown: list[str] = []
    for line in lines:
        text = line.strip()
        words = text.split()
        if text.startswith("description "):
            port = replace(port, description=text.removeprefix("description ").strip())
        elif text == "shutdown":
            port = replace(port, up=False)
        elif re.fullmatch(r"port access vlan \d{1,4}", text):
            port = replace(port, mode=port.mode or "access", vlan=int(words[3]))
        elif re.fullmatch(r"port link-type (?:trunk|hybrid)", text):
            port = replace(port, mode=port.mode or words[2])
        elif re.fullmatch(r"port (?:trunk|hybrid) pvid (?:vlan )?\d{1,4}", text):
            port = replace(port, vlan=int(words[-1]))
        elif text == "port link-mode route":
            port = replace(port, mode="routed", vlan=0)
        elif text not in {"#", "return"} and not _IDLE.match(text):
            unknown.append(text)
    return replace(port, unknown=(*port.unknown, *unknown))
