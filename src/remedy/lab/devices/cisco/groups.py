"""Object groups of networks, as IOS has them.

Followed: "Cisco IOS Security Command Reference" (`object-group (network)`, `show object-group`), "Security
Configuration Guide: Access Control Lists, Cisco IOS XE", Object Groups for ACLs (a group that a list uses can neither
be removed nor made empty) and Object Groups for IPv6 (`object-group v6-network`):

    object-group network remedy-block
     host 203.0.113.7
     198.51.100.0 255.255.255.0
     range 192.0.2.10 192.0.2.20
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from remedy.devices.addresses import Span
from remedy.lab.devices.cisco import words
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["Groups"]

_VIEWS: Final = ("group4", "group6")
_DEEPEST: Final = 8


class Groups(Part):
    """All groups by name: family, and members as kept with what each holds (None: another group)."""

    def __init__(self, face: Face) -> None:
        """None."""
        super().__init__(face)
        self.groups: dict[str, tuple[int, dict[str, Span | None]]] = {}
        self.descriptions: dict[str, str] = {}

    def configured(self) -> list[str]:
        """Each a section."""
        lines: list[str] = []
        for name, (family, members) in self.groups.items():
            lines += ["!", f"object-group {'network' if family == 4 else 'v6-network'} {name}"]  # noqa: PLR2004
            lines += [f" description {self.descriptions[name]}"] if self.descriptions.get(name) else []
            lines += [f" {member}" for member in members]
        return lines

    def spans(self) -> dict[str, tuple[Span, ...]]:
        """What each group holds, groups within groups and all."""
        return {name: tuple(self._spans(name, _DEEPEST)) for name in self.groups}

    def _spans(self, name: str, depth: int) -> Iterator[Span]:
        for member, span in self.groups[name][1].items():
            if span is not None:
                yield span
            elif depth and member.split()[1] in self.groups:
                yield from self._spans(member.split()[1], depth - 1)

    def usable(self, name: str, family: int) -> bool:
        """Whether a list may name the group. Raises Refusal for one that is empty or not there."""
        if name not in self.groups or self.groups[name][0] != family:
            raise Refusal(words.NO_GROUP.format(name))
        if not self.groups[name][1]:
            raise Refusal(words.GROUP_EMPTY.format(name))
        return True

    def _in_use(self, name: str) -> bool:
        nested = any(f"group-object {name}" in members for _, members in self.groups.values())
        return nested or any(part.refers_to(name) for part in self.face.parts if hasattr(part, "refers_to"))

    # views

    @command("object-group { network | v6-network } <group:word>", views=("config",))
    def enter(self, login: Login, call: Call) -> None:
        """Make a group, or enter it."""
        family, name = (6 if "v6-network" in call else 4), call["group"]
        if name in self.groups and self.groups[name][0] != family:
            raise Refusal(words.GROUP_TYPE.format(name))
        self.groups.setdefault(name, (family, {}))
        label = "config-v6network-group" if family == 6 else "config-network-group"  # noqa: PLR2004
        login.views.append(View(f"group{family}", label, name))

    @command("no object-group { network | v6-network } <group:word>", views=("config",))
    def remove(self, login: Login, call: Call) -> None:
        """Delete a group nothing uses."""
        del login
        name = call["group"]
        if name not in self.groups:
            raise Refusal(words.NO_GROUP.format(name))
        if self._in_use(name):
            raise Refusal(words.GROUP_IN_USE.format(name))
        del self.groups[name]

    @command("description <text>", "no description", views=_VIEWS)
    def describe(self, login: Login, call: Call) -> None:
        """Describe it."""
        self.descriptions[login.view.key] = call.get("text")[:200]

    # members

    @command(
        *(
            f"{no}{pattern}"
            for no in ("", "no ")
            for pattern in ("host <host:ip>", "<net:ip> <mask:slashmask>", "range <low:ip> <high:ip>", "any",
                            "group-object <other:word>")
        ),
        views=("group4",),
    )  # fmt: skip
    def member4(self, login: Login, call: Call) -> None:
        """Add or remove an IPv4 member."""
        if call.get("net"):
            mask = call["mask"].removeprefix("/")
            try:
                net = ipaddress.IPv4Network(f"{call['net']}/{mask}", strict=False)
            except ValueError:
                raise Refusal(argument="mask") from None
            text = f"host {net[0]}" if net.prefixlen == 32 else f"{net[0]} {net.netmask}"  # noqa: PLR2004
            self._change(login, call, text, Span(4, int(net[0]), int(net[-1])))
        else:
            self._common(login, call, 4)

    @command(
        *(f"{no}{pattern}" for no in ("", "no ") for pattern in ("host <host:ip6>", "<net:prefix6>", "any",
                                                                   "group-object <other:word>")),
        views=("group6",),
    )  # fmt: skip
    def member6(self, login: Login, call: Call) -> None:
        """Add or remove an IPv6 member."""
        if call.get("net"):
            net = ipaddress.IPv6Network(call["net"], strict=False)
            text = f"host {str(net[0]).upper()}" if net.prefixlen == 128 else str(net).upper()  # noqa: PLR2004
            self._change(login, call, text, Span(6, int(net[0]), int(net[-1])))
        else:
            self._common(login, call, 6)

    def _common(self, login: Login, call: Call, family: int) -> None:
        if call.get("host"):
            address = ipaddress.ip_address(call["host"])
            self._change(login, call, f"host {str(address).upper()}", Span(family, int(address), int(address)))
        elif call.get("low"):
            low, high = int(ipaddress.IPv4Address(call["low"])), int(ipaddress.IPv4Address(call["high"]))
            if low >= high:
                raise Refusal(argument="high")
            self._change(login, call, f"range {call['low']} {call['high']}", Span(4, low, high))
        elif call.get("other"):
            other = call["other"]
            if other not in self.groups or self.groups[other][0] != family or other == login.view.key:
                raise Refusal(words.NO_GROUP.format(other))
            self._change(login, call, f"group-object {other}", None)
        else:
            self._change(login, call, "any", Span(family, 0, (1 << (32 if family == 4 else 128)) - 1))  # noqa: PLR2004

    def _change(self, login: Login, call: Call, text: str, span: Span | None) -> None:
        name = login.view.key
        members = self.groups[name][1]
        if call.words[0] != "no":
            most = self.device.faults.group_limit
            if most and text not in members and len(members) >= most:
                raise Refusal(words.GROUP_FULL.format(name))
            members[text] = span
            return
        if text not in members:
            raise Refusal(words.NO_MEMBER.format(name))
        if len(members) == 1 and self._in_use(name):
            raise Refusal(words.GROUP_IN_USE.format(name))
        del members[text]

    @command("show object-group [ name ] [ <group:word> ]", views=("exec", "privileged"), reads=True)
    def show(self, login: Login, call: Call) -> str:
        """The groups and their members."""
        del login
        name = call.get("group")
        if name and name not in self.groups:
            raise Refusal(words.NO_GROUP.format(name))
        sections = []
        for group, (family, members) in self.groups.items():
            if name in {"", group}:
                kind = "Network" if family == 4 else "V6-Network"  # noqa: PLR2004
                sections.append("\n".join([f"{kind} object group {group}", *(f" {member}" for member in members), ""]))
        return "\n".join(sections)
