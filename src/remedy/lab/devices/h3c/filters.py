"""Where access lists filter packets on a Comware switch: `packet-filter` on interfaces, in VLANs, everywhere.

Followed: "ACL and QoS Command Reference", ACL commands (`packet-filter`, `display packet-filter`, `… verbose`,
`… statistics`). A rule that found no room in hardware is marked, and does not act:

    Interface: GigabitEthernet1/0/1
     In-bound policy:
      IPv4 ACL 3000, Hardware-count
       rule 0 deny ip source object-group remedy-block (Failed)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from remedy.lab.devices.enforce import Stage
from remedy.lab.devices.face import Face, Part, Refusal, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.h3c.acls import AccessLists
from remedy.lab.devices.h3c.ports import VLANS, Ports, full_name, vlan_numbers
from remedy.lab.devices.sessions import Login

__all__ = ["Applied", "Filters"]

_LIST = "packet-filter [ ipv6 ] { <number:n2000-3999> | name <acl:aclname> }"
_WAY = "{ inbound | outbound }"
_PLACE = "{ global | vlan [ <vlan:n1-4094> ] | interface [ <iface:iface> | <itype:itype> <inumber:inumber> ] }"


@dataclass(frozen=True, slots=True)
class Applied:
    """A list at a place: `place` is "global", "vlan 10" or an interface's full name."""

    place: str
    way: str
    family: int
    name: str
    counts: bool = False

    @property
    def line(self) -> str:
        """As it is configured, without the place."""
        which = self.name if self.name.isdigit() else f"name {self.name}"
        return f"packet-filter {'ipv6 ' if self.family == 6 else ''}{which}"  # noqa: PLR2004


class Filters(Part):
    """All places where packets are filtered."""

    def __init__(self, face: Face) -> None:
        """None; what nothing matches is let through (`packet-filter default deny`, default)."""
        super().__init__(face)
        self.applied: list[Applied] = []
        self.denies = False

    def configured(self) -> list[str]:
        """What stands in system view; `on` gives the interfaces'."""
        lines = [" packet-filter default deny"] if self.denies else []
        lines += [
            f" {a.line} {a.place} {a.way}{' hardware-count' * a.counts}"
            for a in self.applied
            if " " in a.place or a.place == "global"
        ]
        return ["#", *lines] if lines else []

    def on(self, interface: str) -> list[str]:
        """The lines of an interface's section."""
        return [f" {a.line} {a.way}{' hardware-count' * a.counts}" for a in self.applied if a.place == interface]

    def stages(self, members: dict[str, tuple[str, ...]]) -> Iterator[Stage]:
        """What packets meet; `members` are the interfaces of each VLAN ("vlan 10")."""
        places = dict.fromkeys((a.place, a.way, a.family) for a in self.applied)
        acls = self.face.part(AccessLists)
        default = "deny" if self.denies else "permit"
        for place, way, family in places:
            here = [a for a in self.applied if (a.place, a.way, a.family) == (place, way, family)]
            rules = tuple(rule for a in here for rule in acls.placed(family, a.name))
            interfaces = (
                members.get(place, ("",)) if place.startswith("vlan") else ("" if place == "global" else place,)
            )
            hook = "arriving" if way == "inbound" else "leaving"
            for interface in interfaces:
                yield Stage(f"{place} {way}", family, rules, hook, interface, default, default)

    # applying

    @command(f"{_LIST} {_WAY} [ hardware-count ]", views=("interface",))
    def apply(self, login: Login, call: Call) -> None:
        """Filter on an interface."""
        if login.view.key[0] not in self.face.part(Ports).interfaces:
            raise Refusal(messages.GONE)
        self._apply(login.view.key[0], call)

    @command(f"{_LIST} global {_WAY} [ hardware-count ]", views=("system",))
    def apply_everywhere(self, login: Login, call: Call) -> None:
        """Filter on all physical interfaces."""
        del login
        self._apply("global", call)

    @command(f"{_LIST} vlan {VLANS} {_WAY} [ hardware-count ]", views=("system",))
    def apply_vlan(self, login: Login, call: Call) -> None:
        """Filter in VLANs."""
        del login
        for number in vlan_numbers(call):
            self._apply(f"vlan {number}", call)

    def _apply(self, place: str, call: Call) -> None:
        family, way = 6 if "ipv6" in call else 4, "inbound" if "inbound" in call else "outbound"
        new = Applied(place, way, family, call.get("acl") or call["number"], "hardware-count" in call)
        self.applied = [a for a in self.applied if (a.place, a.way, a.family, a.name) != (place, way, family, new.name)]
        self.applied.append(new)

    @command(f"undo {_LIST} {_WAY}", views=("interface",))
    def lift(self, login: Login, call: Call) -> None:
        """No longer filter on an interface."""
        self._lift(login.view.key[0], call)

    @command(f"undo {_LIST} global {_WAY}", views=("system",))
    def lift_everywhere(self, login: Login, call: Call) -> None:
        """Likewise."""
        del login
        self._lift("global", call)

    @command(f"undo {_LIST} vlan {VLANS} {_WAY}", views=("system",))
    def lift_vlan(self, login: Login, call: Call) -> None:
        """Likewise."""
        del login
        for number in vlan_numbers(call):
            self._lift(f"vlan {number}", call)

    def _lift(self, place: str, call: Call) -> None:
        family, way = 6 if "ipv6" in call else 4, "inbound" if "inbound" in call else "outbound"
        name = call.get("acl") or call["number"]
        kept = [a for a in self.applied if (a.place, a.way, a.family, a.name) != (place, way, family, name)]
        if len(kept) == len(self.applied):
            raise Refusal(messages.NO_ACL)
        self.applied = kept

    @command("packet-filter default deny", "undo packet-filter default deny", views=("system",))
    def set_default(self, login: Login, call: Call) -> None:
        """What happens to packets that no rule matches."""
        del login
        self.denies = "undo" not in call

    # showing

    @command(f"display packet-filter {_PLACE} [ inbound | outbound ]", reads=True)
    def show(self, login: Login, call: Call) -> str:
        """Which lists filter where."""
        del login
        return self._show(call, lambda a: [self._head(a)])

    @command(
        f"display packet-filter verbose {_PLACE} {_WAY} [ [ ipv6 ] {{ <number:n2000-3999> | name <acl:aclname> }} ]",
        reads=True,
    )
    def show_verbose(self, login: Login, call: Call) -> str:
        """With their rules, and which found no room."""
        del login
        acls = self.face.part(AccessLists)

        def rules(applied: Applied) -> list[str]:
            acl = acls.find(applied.family, applied.name)
            lines = [self._head(applied)]
            for number, rule in acl.ordered() if acl else ():
                failed = self.device.is_failed(acl.name, f"{acl.name}/{number}") if acl else False
                lines.append(f"   rule {number} {rule.text}{' (Failed)' * failed}")
            return lines

        return self._show(call, rules)

    @command(
        f"display packet-filter statistics {_PLACE} {_WAY} [ [ ipv6 ] {{ <number:n2000-3999> | name <acl:aclname> }} ]",
        reads=True,
    )
    async def show_statistics(self, login: Login, call: Call) -> str:
        """With the packets they have met in hardware, where they count."""
        del login
        acls = self.face.part(AccessLists)
        hits = await self.device.enforcer.hits()

        def rules(applied: Applied) -> list[str]:
            acl = acls.find(applied.family, applied.name)
            lines, sums = [self._head(applied)], {"permit": 0, "deny": 0}
            for number, rule in acl.ordered() if acl else ():
                met = hits.get(f"acl:{applied.family}:{acl.name}:{number}", 0) if acl else 0
                counted = met if applied.counts or "counting" in rule.fields else 0
                sums[rule.action] += counted
                failed = self.device.is_failed(acl.name, f"{acl.name}/{number}") if acl else False
                lines.append(
                    f"   rule {number} {rule.text}{f' ({counted} packets)' * bool(counted)}{' (Failed)' * failed}"
                )
            total = sum(sums.values())
            permitted = 100 * sums["permit"] // total if total else 0
            lines.append(f"   Totally {sums['permit']} packets permitted, {sums['deny']} packets denied")
            lines.append(f"   Totally {permitted}% permitted, {100 - permitted if total else 0}% denied")
            return lines

        return self._show(call, rules)

    def _head(self, applied: Applied) -> str:
        failed = " (Failed)" * self.device.is_failed(applied.name)
        return f"  IPv{applied.family} ACL {applied.name}{failed}{', Hardware-count' * applied.counts}"

    def _show(self, call: Call, shown: Callable[[Applied], list[str]]) -> str:
        place = self._place(call)
        name, family = call.get("acl") or call.get("number"), 6 if "ipv6" in call else 4
        ways = [w for w in ("inbound", "outbound") if w in call] or ["inbound", "outbound"]
        found = [
            a
            for a in self.applied
            if a.way in ways and (a.place == place or (place.endswith("*") and a.place.startswith(place[:-1])))
        ]
        if name:
            found = [a for a in found if (a.name, a.family) == (name, family)]
        lines: list[str] = []
        for here in dict.fromkeys(
            a.place for a in found if place != "*" or (" " not in a.place and a.place != "global")
        ):
            title = (
                "Global:"
                if here == "global"
                else f"VLAN: {here[5:]}"
                if here.startswith("vlan")
                else f"Interface: {here}"
            )
            lines.append(title)
            for way in ways:
                inside = [a for a in found if a.place == here and a.way == way]
                if inside:
                    lines.append(" In-bound policy:" if way == "inbound" else " Out-bound policy:")
                    for applied in inside:
                        lines += shown(applied)
                    if self.denies:
                        lines += [f"  IPv{f} default action: Deny" for f in dict.fromkeys(a.family for a in inside)]
        return "".join(f"{line}\n" for line in lines)

    @staticmethod
    def _place(call: Call) -> str:
        if "global" in call:
            return "global"
        if "vlan" in call:
            return f"vlan {call.get('vlan') or '*'}"
        typed = call.get("iface") or call.get("itype") + call.get("inumber")
        return full_name(typed) if typed else "*"
