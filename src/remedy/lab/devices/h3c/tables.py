"""What a Comware device shows of its ports: VLANs, links, hardware addresses, resolved addresses.

Followed: the same references as `ports`; the columns are those of captured output of Comware V7 switches:

    MAC ADDR       VLAN ID  STATE          PORT INDEX               AGING TIME(s)
    aaaa-bbbb-cccc 10       Learned        GigabitEthernet1/0/41    AGING

      Type: S-Static   D-Dynamic   O-Openflow   R-Rule   M-Multiport  I-Invalid
    IP address      MAC address    VLAN     Interface                Aging Type
    10.20.1.2       2c23-3a40-7e18 1        GE1/0/48                 5     D
"""

from __future__ import annotations

import ipaddress
import re

from remedy.lab.devices.face import Part, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c.ports import Interface, Ports, full_name, short_name
from remedy.lab.devices.sessions import Login

__all__ = ["Tables"]

_LETTERS = {"access": "A", "trunk": "T", "hybrid": "H"}


def _dashed(mac: str) -> str:
    """`aa:bb:cc:dd:ee:ff` is `aabb-ccdd-eeff`."""
    digits = re.sub(r"[^0-9a-f]", "", mac.lower())
    return "-".join(digits[n : n + 4] for n in (0, 4, 8))


class Tables(Part):
    """Nothing of its own: shows what the ports and the enforcer know."""

    @command(
        "display mac-address [ <mac:mac> ] [ vlan <vlan:n1-4094> ]",
        "display mac-address [ <mac:mac> ] interface { <iface:iface> | <itype:itype> <inumber:inumber> }",
        reads=True,
    )
    async def macs(self, login: Login, call: Call) -> str:
        """The table of hardware addresses."""
        del login
        lines = ["MAC ADDR       VLAN ID  STATE          PORT INDEX               AGING TIME(s)"]
        typed = call.get("iface") or call.get("itype") + call.get("inumber")
        for heard in await self.device.enforcer.heard():
            if call.get("mac") and _padded(call["mac"]) != _dashed(heard.mac):
                continue
            if (typed and full_name(typed) != heard.port) or call.get("vlan", str(heard.vlan)) != str(heard.vlan):
                continue
            lines.append(f"{_dashed(heard.mac)} {heard.vlan:<8} Learned        {heard.port:<24} AGING")
        return "\n".join([*lines, ""]) if len(lines) > 1 else "No MAC address found.\n"

    @command("display arp [ <ip:ip> | all ]", reads=True)
    async def arp(self, login: Login, call: Call) -> str:
        """The table of resolved IPv4 addresses; the port is that on which the hardware address was learned."""
        del login
        ports = {h.mac: h for h in await self.device.enforcer.heard()}
        lines = [
            "  Type: S-Static   D-Dynamic   O-Openflow   R-Rule   M-Multiport  I-Invalid",
            "IP address      MAC address    VLAN     Interface                Aging Type",
        ]
        for found in await self.device.enforcer.neighbours():
            if ":" in found.address or call.get("ip", found.address) != found.address:
                continue
            heard = ports.get(found.mac)
            vlan, port = (str(heard.vlan), heard.port) if heard else ("N/A", found.interface)
            lines.append(f"{found.address:<15} {_dashed(found.mac)} {vlan:<8} {short_name(port):<24} {16:<5} D")
        return "\n".join([*lines, ""])

    @command("display ipv6 neighbors { <ip6:ip6> | all | dynamic }", reads=True)
    async def neighbors(self, login: Login, call: Call) -> str:
        """The table of resolved IPv6 addresses (`display ipv6 neighbors`, Layer 3—IP Services Command Reference)."""
        del login
        ports = {h.mac: h for h in await self.device.enforcer.heard()}
        wanted = call.get("ip6") and str(ipaddress.IPv6Address(call["ip6"]))
        lines = [
            "Type: S-Static    D-Dynamic    O-Openflow     R-Rule    IS-Invalid static",
            "IPv6 address                            MAC address    VLAN/VSI   Interface      State T  Aging",
        ]
        for found in await self.device.enforcer.neighbours():
            if ":" not in found.address or wanted not in {"", found.address}:
                continue
            heard = ports.get(found.mac)
            vlan, port = (str(heard.vlan), heard.port) if heard else ("--", found.interface)
            address = found.address.upper()
            lines.append(f"{address:<39} {_dashed(found.mac)} {vlan:<10} {short_name(port):<14} REACH D  30")
        return "\n".join([*lines, ""])

    @command("display vlan brief", reads=True)
    def vlans(self, login: Login, call: Call) -> str:
        """The VLANs and their ports, three to a line."""
        del login, call
        lines = [
            "Brief information about all VLANs:",
            "Supported Minimum VLAN ID: 1",
            "Supported Maximum VLAN ID: 4094",
            "Default VLAN ID: 1",
            "VLAN ID   Name                             Port",
        ]
        part = self.face.part(Ports)
        for number, name in sorted(part.vlans.items()):
            ports = [short_name(p) for p in part.in_vlans()[f"vlan {number}"]]
            rows = ["  ".join(ports[n : n + 3]) for n in range(0, len(ports), 3)] or [""]
            lines.append(f"{number:<9} {name or f'VLAN {number:04}':<32} {rows[0]}".rstrip())
            lines += [f"{'':43}{row}" for row in rows[1:]]
        return "\n".join([*lines, ""])

    @command("display vlan <vlan:n1-4094>", reads=True)
    def vlan(self, login: Login, call: Call) -> str:
        """One VLAN."""
        del login
        part, number = self.face.part(Ports), int(call["vlan"])
        if number not in part.vlans:
            return "The VLAN does not exist.\n"
        name = part.vlans[number] or f"VLAN {number:04}"
        bridge = [p for p in part.interfaces.values() if p.name in part.in_vlans()[f"vlan {number}"]]
        tagged = [p.name for p in bridge if p.vlan != number]
        untagged = [p.name for p in bridge if p.vlan == number]
        lines = [
            f" VLAN ID: {number}",
            " VLAN type: Static",
            " Route interface: Not configured",
            f" Description: {name}",
            f" Name: {name}",
            f" Tagged ports: {'' if tagged else 'None'}",
            *(f"    {p}" for p in tagged),
            f" Untagged ports: {'' if untagged else 'None'}",
            *(f"    {p}" for p in untagged),
        ]
        return "\n".join([*lines, ""])

    @command("display interface brief", "display interface brief description", reads=True)
    async def brief(self, login: Login, call: Call) -> str:
        """Every interface in a line."""
        del login, call
        links = await self.device.enforcer.links()
        routed, bridged = [], []
        for port in self.face.part(Ports).interfaces.values():
            link = "ADM" if not port.up else "UP" if links.get(port.name, True) else "DOWN"
            name = short_name(port.name)
            if port.routed:
                address = next((line.split()[2] for line in port.lines if line.startswith("ip address ")), "--")
                routed.append(
                    f"{name:<20} {link:<4} {'UP' if link == 'UP' else 'DOWN':<8} {address:<15} {port.description}"
                )
            else:
                kind = _LETTERS[port.mode]
                bridged.append(f"{name:<20} {link:<4} 1G(a)   F(a)   {kind:<4} {port.vlan:<4} {port.description}")
        lines = [
            "Brief information on interfaces in route mode:",
            "Link: ADM - administratively down; Stby - standby",
            "Protocol: (s) - spoofing",
            "Interface            Link Protocol Primary IP      Description",
            *(line.rstrip() for line in routed),
            "",
            "Brief information on interfaces in bridge mode:",
            "Link: ADM - administratively down; Stby - standby",
            "Speed: (a) - auto",
            "Duplex: (a)/A - auto; H - half; F - full",
            "Type: A - access; T - trunk; H - hybrid",
            "Interface            Link Speed   Duplex Type PVID Description",
            *(line.rstrip() for line in bridged),
        ]
        return "\n".join([*lines, ""])

    @command("display interface { <iface:iface> | <itype:itype> <inumber:inumber> }", reads=True)
    async def one(self, login: Login, call: Call) -> str:
        """One interface."""
        del login
        name = full_name(call.get("iface") or call["itype"] + call["inumber"])
        port = self.face.part(Ports).interfaces.get(name)
        if port is None:
            return f"The interface {name} does not exist.\n"
        up = port.up and (await self.device.enforcer.links()).get(name, True)
        return self._one(port, "UP" if up else "DOWN")

    def _one(self, port: Interface, link: str) -> str:
        state = link if port.up else "Administratively DOWN"
        lines = [
            port.name,
            f"Current state: {state}",
            f"Line protocol state: {link}",
            f"Description: {port.description or f'{port.name} Interface'}",
            "Maximum transmission unit: 1500",
        ]
        if not port.routed:
            others = sorted(port.trunk - {port.vlan}) if port.mode == "trunk" else []
            lines += [
                f"PVID: {port.vlan}",
                f"Port link-type: {port.mode.capitalize()}",
                f" Tagged VLANs:   {', '.join(map(str, others)) or 'None'}",
                f" Untagged VLANs: {port.vlan}",
            ]
        return "\n".join([*lines, ""])


def _padded(typed: str) -> str:
    """A hardware address as tables show it: `1-2-3` is `0001-0002-0003`."""
    return "-".join(part.zfill(4).lower() for part in re.split(r"[-.]", typed))
