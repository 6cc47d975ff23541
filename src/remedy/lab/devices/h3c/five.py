"""What Comware V5 has otherwise than V7: numbered lists in another notation, no object groups, no commit delay.

Followed: H3C S5500-EI and HP A5500, "ACL and QoS Command Reference" of Comware V5 (`acl`, `display acl`,
`packet-filter`, `display packet-filter`). What the device shows:

    Advanced ACL  3999, named remedy-block, 2 rules,
    ACL's step is 5
     rule 0 deny ip source 203.0.113.7 0

      Interface: GigabitEthernet1/0/1
      In-bound Policy:
        acl 3999, Successful
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from remedy.lab.devices.face import Refusal, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.h3c.acls import AccessList, AccessLists
from remedy.lab.devices.h3c.basics import Basics
from remedy.lab.devices.h3c.files import Files
from remedy.lab.devices.h3c.filters import Applied, Filters
from remedy.lab.devices.h3c.ports import full_name
from remedy.lab.devices.h3c.rules import ADVANCED4, ADVANCED6, BASIC4, BASIC6
from remedy.lab.devices.sessions import Login

__all__ = ["AccessLists5", "Basics5", "Files5", "Filters5"]


def _ungrouped(pattern: str) -> str:
    return pattern.replace("object-group <sgroup:gname> | ", "").replace("object-group <dgroup:gname> | ", "")


_BASIC4: Final = _ungrouped(BASIC4)
_BASIC6: Final = _ungrouped(BASIC6)
_ADVANCED4: Final = _ungrouped(ADVANCED4)
_ADVANCED6: Final = _ungrouped(ADVANCED6)


class Basics5(Basics):
    """The release; and paging off says so."""

    release: ClassVar[str] = "5.20, Release 2222P09"
    without: ClassVar[tuple[str, ...]] = ("paging",)

    @command("screen-length disable", "undo screen-length disable", views=("user",), reads=True)
    def paging5(self, login: Login, call: Call) -> str:
        """Switch paging off or on for this session."""
        self.paging(login, call)
        state = "enabled" if "undo" in call else "disabled"
        return f"% Screen-length configuration is {state} for current user.\n"


class Files5(Files):
    """No `configuration commit` at all."""

    without: ClassVar[tuple[str, ...]] = ("commit_delay", "commit")


@dataclass(slots=True)
class _List5(AccessList):
    """A list, which always has a number."""

    @property
    def head(self) -> str:
        """Its first line in the configuration."""
        family = "ipv6 " if self.family == 6 else ""  # noqa: PLR2004
        name = f" name {self.name}" if self.name != self.number else ""
        return f"acl {family}number {self.number}{name}{' match-order auto' if self.order == 'auto' else ''}"


class AccessLists5(AccessLists):
    """`acl number N [name X]` alone, without object groups in rules."""

    without: ClassVar[tuple[str, ...]] = ("enter", "basic4", "basic6", "advanced4", "advanced6")

    @staticmethod
    def make(family: int, kind: str, name: str, number: str) -> AccessList:
        """A new list."""
        return _List5(family, kind, name, number)

    @staticmethod
    def label(acl: AccessList) -> str:
        """`acl-adv-3001`, `acl6-basic-2000`, `acl-adv-3001-name`."""
        kind = "adv" if acl.kind == "advanced" else "basic"
        name = f"-{acl.name}" if acl.name != acl.number else ""
        return f"acl{'6' * (acl.family == 6)}-{kind}-{acl.number}{name}"  # noqa: PLR2004

    def shown(self, acl: AccessList, hits: dict[str, int]) -> str:
        """A list as `display acl` prints it."""
        kind = f"{acl.kind.capitalize()} {'IPv6 ' * (acl.family == 6)}ACL"  # noqa: PLR2004
        name = acl.name if acl.name != acl.number else "-none-"
        rules = f" {len(acl.rules)} rule{'s' * (len(acl.rules) != 1)},"
        lines = [f"{kind}  {acl.number}, named {name},{rules}{' match-order is auto,' * (acl.order == 'auto')}"]
        lines += [acl.description] * bool(acl.description)
        return "\n".join([*lines, f"ACL's step is {acl.step}", *self.shown_rules(acl, hits), ""])

    @command(_BASIC4, views=("acl4-basic",))
    def basic4_5(self, login: Login, call: Call) -> None:
        """A rule of an IPv4 basic list."""
        self.basic4(login, call)

    @command(_BASIC6, views=("acl6-basic",))
    def basic6_5(self, login: Login, call: Call) -> None:
        """A rule of an IPv6 basic list."""
        self.basic6(login, call)

    @command(_ADVANCED4, views=("acl4-advanced",))
    def advanced4_5(self, login: Login, call: Call) -> None:
        """A rule of an IPv4 advanced list."""
        self.advanced4(login, call)

    @command(_ADVANCED6, views=("acl6-advanced",))
    def advanced6_5(self, login: Login, call: Call) -> None:
        """A rule of an IPv6 advanced list."""
        self.advanced6(login, call)


class Filters5(Filters):
    """On interfaces alone, one list a direction and family, of lists that exist."""

    without: ClassVar[tuple[str, ...]] = (
        "apply", "apply_everywhere", "apply_vlan", "lift_everywhere", "lift_vlan", "set_default", "show",
        "show_verbose", "show_statistics",
    )  # fmt: skip

    @command(
        "packet-filter [ ipv6 ] { <number:n2000-3999> | name <acl:aclname> } { inbound | outbound }",
        views=("interface",),
    )
    def apply5(self, login: Login, call: Call) -> None:
        """Filter on an interface, where no list filters yet."""
        place, family = login.view.key[0], 6 if "ipv6" in call else 4
        way = "inbound" if "inbound" in call else "outbound"
        if self.face.part(AccessLists5).find(family, call.get("acl") or call["number"]) is None:
            raise Refusal(messages.NO_ACL)
        if any((a.place, a.way, a.family) == (place, way, family) for a in self.applied):
            raise Refusal(messages.FILTERED)
        self.apply(login, call)

    @command(
        "display packet-filter { all | interface [ <iface:iface> | <itype:itype> <inumber:inumber> ] }"
        " [ inbound | outbound ]",
        reads=True,
    )
    def show5(self, login: Login, call: Call) -> str:
        """Which lists filter where, and whether the hardware took them."""
        del login
        typed = call.get("iface") or call.get("itype") + call.get("inumber")
        ways = [w for w in ("inbound", "outbound") if w in call] or ["inbound", "outbound"]
        lines: list[str] = []
        for place in dict.fromkeys(a.place for a in self.applied):
            if typed and place != full_name(typed):
                continue
            lines.append(f"  Interface: {place}")
            for way in ways:
                inside = [a for a in self.applied if (a.place, a.way) == (place, way)]
                if inside:
                    lines.append(f"  {'In' if way == 'inbound' else 'Out'}-bound Policy:")
                    lines += [self._said(a) for a in inside]
        return "".join(f"{line}\n" for line in lines)

    def _said(self, applied: Applied) -> str:
        acl = self.face.part(AccessLists5).find(applied.family, applied.name)
        state = "Fail" if self.device.is_failed(applied.name) or acl is None else "Successful"
        return f"    acl{'6' * (applied.family == 6)} {acl.number if acl else applied.name}, {state}"  # noqa: PLR2004
