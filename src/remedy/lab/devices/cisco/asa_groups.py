"""Object groups of networks, as an ASA has them; members of both families may be in one.

Followed: "Cisco ASA Series Command Reference" (`object-group`, `network-object`, `group-object`, `show running-config
object-group`): a group that a list uses can neither be removed nor made empty.

    object-group network remedy-block
     network-object host 203.0.113.7
     network-object 198.51.100.0 255.255.255.0
     network-object 2001:db8:66::/48
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from remedy.devices.addresses import Span
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["AsaGroups"]

_DEEPEST: Final = 8
_MEMBER: Final = (
    "network-object { host <host:ip> | host <host6:ip6> | <net:ip> <mask:ip> | <net6:prefix6> }",
    "group-object <other:word>",
)
IN_USE: Final = "Removing object-group ({}) not allowed, it is being used."
LAST: Final = "ERROR: Removing the last object of object-group ({}) not allowed, it is being used."
EMPTY: Final = "ERROR: object-group ({}) is empty."
ABSENT: Final = "ERROR: object-group ({}) does not exist."
EXISTS: Final = "Adding obj (network-object {}) to grp ({}) failed; object already exists"
NO_MEMBER: Final = "ERROR: obj ({}) is not in grp ({})"
FULL: Final = "ERROR: object-group ({}) cannot take more objects."


class AsaGroups(Part):
    """All groups by name: members as kept with what each holds (None: another group)."""

    def __init__(self, face: Face) -> None:
        """None."""
        super().__init__(face)
        self.groups: dict[str, dict[str, Span | None]] = {}
        self.descriptions: dict[str, str] = {}

    def configured(self) -> list[str]:
        """Each a section."""
        return [line for name in self.groups for line in self.section(name)]

    def section(self, name: str) -> Iterator[str]:
        """One group's."""
        yield f"object-group network {name}"
        if self.descriptions.get(name):
            yield f" description {self.descriptions[name]}"
        yield from (f" {member}" for member in self.groups[name])

    def spans(self) -> dict[str, tuple[Span, ...]]:
        """What each group holds, groups within groups and all."""
        return {name: tuple(self._spans(name, _DEEPEST)) for name in self.groups}

    def _spans(self, name: str, depth: int) -> Iterator[Span]:
        for member, span in self.groups[name].items():
            if span is not None:
                yield span
            elif depth and member.split()[1] in self.groups:
                yield from self._spans(member.split()[1], depth - 1)

    def usable(self, name: str, family: int) -> bool:
        """Whether a list may name the group. Raises Refusal for one that is empty or not there."""
        del family
        if name not in self.groups:
            raise Refusal(ABSENT.format(name))
        if not self.groups[name]:
            raise Refusal(EMPTY.format(name))
        return True

    def _in_use(self, name: str) -> bool:
        nested = any(f"group-object {name}" in members for members in self.groups.values())
        return nested or any(part.refers_to(name) for part in self.face.parts if hasattr(part, "refers_to"))

    @command("object-group network <group:word>", views=("config",))
    def enter(self, login: Login, call: Call) -> None:
        """Make a group, or enter it."""
        self.groups.setdefault(call["group"], {})
        login.views.append(View("group", "config-network-object-group", call["group"]))

    @command("no object-group network <group:word>", "clear configure object-group", views=("config",))
    def remove(self, login: Login, call: Call) -> None:
        """Delete a group nothing uses."""
        del login
        names = [call["group"]] if call.get("group") else list(self.groups)
        for name in names:
            if name not in self.groups:
                raise Refusal(ABSENT.format(name))
            if self._in_use(name):
                raise Refusal(IN_USE.format(name))
            del self.groups[name]

    @command("description <text>", "no description", views=("group",))
    def describe(self, login: Login, call: Call) -> None:
        """Describe it."""
        self.descriptions[login.view.key] = call.get("text")[:200]

    @command(*(f"{no}{pattern}" for no in ("", "no ") for pattern in _MEMBER), views=("group",))
    def member(self, login: Login, call: Call) -> None:
        """Add or remove a member."""
        name = login.view.key
        members = self.groups[name]
        text, span = self._typed(call, name)
        if call.words[0] != "no":
            most = self.device.faults.group_limit
            if text in members:
                raise Refusal(EXISTS.format(text.removeprefix("network-object "), name))
            if most and len(members) >= most:
                raise Refusal(FULL.format(name))
            members[text] = span
            return
        if text not in members:
            raise Refusal(NO_MEMBER.format(text, name))
        if len(members) == 1 and self._in_use(name):
            raise Refusal(LAST.format(name))
        del members[text]

    def _typed(self, call: Call, name: str) -> tuple[str, Span | None]:
        if call.get("other"):
            if call["other"] not in self.groups or call["other"] == name:
                raise Refusal(ABSENT.format(call["other"]))
            return f"group-object {call['other']}", None
        if call.get("host") or call.get("host6"):
            address = ipaddress.ip_address(call.get("host") or call["host6"])
            return f"network-object host {address}", Span(address.version, int(address), int(address))
        try:
            net = ipaddress.ip_network(call.get("net6") or f"{call['net']}/{call['mask']}")
        except ValueError:
            raise Refusal(argument="net6" if call.get("net6") else "mask") from None
        shown = f"{net[0]} {net.netmask}" if isinstance(net, ipaddress.IPv4Network) else str(net)
        return f"network-object {shown}", Span(net.version, int(net[0]), int(net[-1]))

    @command("show running-config object-group [ id <group:word> ]", "show running-config object-group network",
             views=("privileged",), reads=True)  # fmt: skip
    def show(self, login: Login, call: Call) -> str:
        """The groups as configured."""
        del login
        name = call.get("group")
        if name and name not in self.groups:
            raise Refusal(ABSENT.format(name))
        found = [name] if name else list(self.groups)
        return "".join(f"{line}\n" for group in found for line in self.section(group))
