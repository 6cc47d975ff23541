"""Security zones of a SecPath firewall, and the blacklist of sources.

Followed: "Security Command Reference", security zone commands (`security-zone`, `import interface`) and attack
detection and prevention commands (`blacklist global enable`, `blacklist ip`). An entry with an aging time is not
saved. As shown:

    IP address      VPN instance   DS-Lite tunnel peer  Type    TTL(sec) Dropped
    203.0.113.7     --             --                   Manual  1170     0
    203.0.113.8     --             --                   Manual  Never    14478
"""

from __future__ import annotations

import ipaddress
from typing import Final

from remedy.devices.addresses import Span, parse
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.h3c.ports import full_name
from remedy.lab.devices.sessions import Login

__all__ = ["Blacklist", "Zones"]

_DEFAULT: Final = ("Local", "Trust", "DMZ", "Untrust", "Management")
_WHICH: Final = "{ <iface:iface> | <itype:itype> <inumber:inumber> }"


class Zones(Part):
    """Which interfaces are in which zone."""

    def __init__(self, face: Face) -> None:
        """The five that cannot be deleted, empty."""
        super().__init__(face)
        self.members: dict[str, list[str]] = {name: [] for name in _DEFAULT}

    def configured(self) -> list[str]:
        """Each a section."""
        lines: list[str] = []
        for name, interfaces in self.members.items():
            lines += ["#", f"security-zone name {name}", *(f" import interface {i}" for i in interfaces)]
        return lines

    def find(self, name: str) -> str | None:
        """A zone's name as it was given, whatever the case."""
        return next((zone for zone in self.members if zone.lower() == name.lower()), None)

    @command("security-zone name <zone:gname>", views=("system",))
    def enter(self, login: Login, call: Call) -> None:
        """Make a zone, or enter it."""
        name = self.find(call["zone"]) or call["zone"]
        self.members.setdefault(name, [])
        login.views.append(View("zone", f"security-zone-{name}", (name, f"security-zone name {name}")))

    @command("undo security-zone name <zone:gname>", views=("system",))
    def remove(self, login: Login, call: Call) -> None:
        """Delete a zone that is not one of the five."""
        del login
        name = self.find(call["zone"])
        if name is None or name in _DEFAULT:
            raise Refusal(messages.NO_ZONE)
        del self.members[name]

    @command(f"import interface {_WHICH} [ vlan <vlan:n1-4094> ]", f"undo import interface {_WHICH}", views=("zone",))
    def bring_in(self, login: Login, call: Call) -> None:
        """Put an interface into the zone; it can be in one only."""
        zone, name = login.view.key[0], full_name(call.get("iface") or call["itype"] + call["inumber"])
        if zone not in self.members:
            raise Refusal(messages.GONE)
        if "undo" in call:
            if name in self.members[zone]:
                self.members[zone].remove(name)
            return
        if any(name in interfaces for other, interfaces in self.members.items() if other != zone):
            raise Refusal(messages.IN_ZONE)
        if name not in self.members[zone]:
            self.members[zone].append(name)

    @command("display security-zone [ name <zone:gname> ]", reads=True)
    def show(self, login: Login, call: Call) -> str:
        """The zones and their interfaces."""
        del login
        wanted = call.get("zone").lower()
        lines: list[str] = []
        for name, interfaces in self.members.items():
            if not wanted or name.lower() == wanted:
                lines += [f"Name: {name}", "Members:", *(f"  {i}" for i in interfaces or ["None"]), ""]
        return "".join(f"{line}\n" for line in lines)


class Blacklist(Part):
    """Sources whose packets are dropped before anything else."""

    def __init__(self, face: Face) -> None:
        """None, and off."""
        super().__init__(face)
        self.enabled = False
        self.entries: dict[str, bool] = {}

    def configured(self) -> list[str]:
        """What does not age, and the switch."""
        lines = [" blacklist global enable"] if self.enabled else []
        lines += [f" blacklist {_family(a)} {a}" for a, ages in self.entries.items() if not ages]
        return ["#", *lines] if lines else []

    def inherit(self, old: Part) -> None:
        """Entries that age are in no configuration."""
        if isinstance(old, Blacklist):
            self.entries.update({address: True for address, ages in old.entries.items() if ages})

    def spans(self) -> tuple[Span, ...]:
        """The sources, when the list is on."""
        return tuple(parse(address) for address in self.entries) if self.enabled else ()

    @command("blacklist global enable", "undo blacklist global enable", views=("system",))
    def enable(self, login: Login, call: Call) -> None:
        """Switch it on for all interfaces, or off."""
        del login
        self.enabled = "undo" not in call
        self.device.hurry()

    @command(
        "blacklist { ip <ip:ip> | ipv6 <ip6:ip6> } [ timeout <minutes:n1-1000> ]",
        views=("system",),
    )
    def add(self, login: Login, call: Call) -> None:
        """Block a source, for good or for so many minutes."""
        del login
        argument = "ip" if call.get("ip") else "ip6"
        address = ipaddress.ip_address(call[argument])
        if address.is_loopback or address.is_multicast or address.is_reserved or address.is_unspecified:
            raise Refusal(argument=argument)
        text = str(address)
        self.entries[text] = "minutes" in call.values
        self.device.timers.stop(f"blacklist {text}")
        if "minutes" in call.values:
            self.device.timers.start(
                f"blacklist {text}", float(call["minutes"]), lambda: self.face.part(Blacklist).age(text)
            )
        self.device.hurry()

    def age(self, address: str) -> None:
        """Drop an entry whose time is over."""
        self.entries.pop(address, None)
        self.device.hurry()
        self.device.changed()

    @command("undo blacklist { ip <ip:ip> | ipv6 <ip6:ip6> }", views=("system",))
    def remove(self, login: Login, call: Call) -> None:
        """No longer block a source."""
        del login
        text = str(ipaddress.ip_address(call.get("ip") or call["ip6"]))
        if text not in self.entries:
            raise Refusal(messages.NO_ENTRY)
        del self.entries[text]
        self.device.timers.stop(f"blacklist {text}")
        self.device.hurry()

    @command("display blacklist { ip [ <ip:ip> ] | ipv6 [ <ip6:ip6> ] }", reads=True)
    async def show(self, login: Login, call: Call) -> str:
        """The entries, with the seconds they have left."""
        del login
        hits = await self.device.enforcer.hits()
        wanted, six = call.get("ip") or call.get("ip6"), "ipv6" in call
        if six:
            lines = ["IPv6 address                            VPN instance   Type    TTL(sec) Dropped"]
        else:
            lines = ["IP address      VPN instance   DS-Lite tunnel peer  Type    TTL(sec) Dropped"]
        for address in self.entries:
            if (":" in address) != six or (wanted and str(ipaddress.ip_address(wanted)) != address):
                continue
            left = self.device.timers.left(f"blacklist {address}")
            ttl = "Never" if left is None else str(int(left * 60))
            name = f"{address:<39} --            " if six else f"{address:<15} --             --                  "
            lines.append(f"{name} Manual  {ttl:<8} {hits.get(f'blocked:{address}', 0)}")
        return "\n".join([*lines, ""])


def _family(address: str) -> str:
    return "ipv6" if ":" in address else "ip"
