"""Object groups of addresses, and of services by name only, as Comware V7 has them.

Followed: "Security Command Reference", object group commands. What the device keeps is not always what was typed: a
subnet of 32 bits or a range of one address becomes a host, a range that is a subnet becomes one, a range the wrong way
round is turned, and mask lengths are shown as masks:

    object-group ip address remedy-block
     0 network host address 203.0.113.7
     10 network subnet 198.51.100.0 255.255.255.0
     20 network range 192.0.2.10 192.0.2.20
     30 network group-object partners
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from remedy.devices.addresses import Span
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.sessions import Login

__all__ = ["AddressGroup", "Entry", "ObjectGroups"]

_VIEWS = ("group4", "group6")
_DEEPEST: Final = 5
_ID = "[ <id:n0-4294967294> ]"
_ENTRY4 = (
    "network { host { address <host:ip> | name <hostname:word> } | subnet <net:ip> <mask:mask>"
    " | range <low:ip> <high:ip> | group-object <group:gname> }"
)
_ENTRY6 = (
    "network { host { address <host:ip6> | name <hostname:word> } | subnet <net:ip6> <mask:n1-128>"
    " | range <low:ip6> <high:ip6> | group-object <group:gname> }"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a group: addresses, a host's name, or another group."""

    span: Span | None = None
    hostname: str = ""
    group: str = ""

    @property
    def text(self) -> str:
        """As it is shown, without its number."""
        if self.group:
            return f"network group-object {self.group}"
        if self.span is None:
            return f"network host name {self.hostname}"
        low, high, prefix = self.span.low.upper(), self.span.high.upper(), self.span.prefix
        if self.span.is_host:
            return f"network host address {low}"
        if prefix is None:
            return f"network range {low} {high}"
        if self.span.family == 6:  # noqa: PLR2004
            return f"network subnet {low} {prefix}"
        return f"network subnet {low} {ipaddress.IPv4Network((0, prefix)).netmask}"


@dataclass(slots=True)
class AddressGroup:
    """A group of addresses. `ids` finds the entry with a content."""

    family: int
    name: str
    description: str = ""
    entries: dict[int, Entry] = field(default_factory=dict)
    ids: dict[Entry, int] = field(default_factory=dict)
    highest: int = -1

    @property
    def head(self) -> str:
        """Its first line in the configuration."""
        return f"object-group {'ip' if self.family == 4 else 'ipv6'} address {self.name}"  # noqa: PLR2004

    def put(self, number: int, entry: Entry) -> None:
        """Set an entry. Raises Refusal when there is an identical one."""
        if self.ids.get(entry) is not None:
            raise Refusal(messages.OBJECT_EXISTS)
        self.take(number)
        self.entries[number] = entry
        self.ids[entry] = number
        self.highest = max(self.highest, number)

    def take(self, number: int) -> bool:
        """Remove an entry; false when it is not there."""
        entry = self.entries.pop(number, None)
        if entry is None:
            return False
        del self.ids[entry]
        if number == self.highest:
            self.highest = max(self.entries, default=-1)
        return True


class ObjectGroups(Part):
    """All address groups, and the names of service groups."""

    def __init__(self, face: Face) -> None:
        """None but `any`, which is not kept."""
        super().__init__(face)
        self.groups: dict[str, AddressGroup] = {}

    def configured(self) -> list[str]:
        """Each a section."""
        lines: list[str] = []
        for group in self.groups.values():
            lines += ["#", group.head]
            if group.description:
                lines.append(f" description {group.description}")
            lines += [f" {number} {entry.text}" for number, entry in sorted(group.entries.items())]
        return lines

    def find(self, name: str, family: int) -> AddressGroup | None:
        """A group by name, in any case, of that family."""
        group = self.groups.get(name.lower())
        return group if group is not None and group.family == family else None

    def spans(self) -> dict[str, tuple[Span, ...]]:
        """What each group holds, groups within groups and all, by name."""
        return {group.name: tuple(self._spans(group, _DEEPEST)) for group in self.groups.values()}

    def _spans(self, group: AddressGroup, depth: int) -> Iterator[Span]:
        for entry in group.entries.values():
            if entry.span is not None:
                yield entry.span
            elif entry.group and depth > 1 and entry.group.lower() in self.groups:
                yield from self._spans(self.groups[entry.group.lower()], depth - 1)

    def _depth(self, name: str, seen: tuple[str, ...] = ()) -> int:
        """How deep groups are nested below one; raises Refusal where they go round."""
        if name in seen:
            raise Refusal(messages.GROUP_LOOP)
        group = self.groups.get(name)
        inner = [e.group.lower() for e in group.entries.values() if e.group] if group else []
        return 1 + max((self._depth(n, (*seen, name)) for n in inner), default=0)

    def users_of(self, name: str) -> bool:
        """Whether anything in the configuration refers to the group."""
        key = name.lower()
        if any(e.group.lower() == key for g in self.groups.values() for e in g.entries.values() if e.group):
            return True
        return any(getattr(part, "refers_to", lambda _: False)(key) for part in self.face.parts if part is not self)

    def _here(self, login: Login) -> AddressGroup:
        group = self.groups.get(login.view.key[0])
        if group is None:
            raise Refusal(messages.NO_GROUP)
        return group

    # groups

    @command("object-group { ip | ipv6 } address <group:gname>", views=("system",))
    def enter(self, login: Login, call: Call) -> None:
        """Make a group, or enter it."""
        family = 6 if call.words[1] == "ipv6" else 4
        group = self._made(call["group"], family)
        label = f"obj-grp-{call.words[1]}-{group.name}"
        login.views.append(View(f"group{family}", label, (group.name.lower(), group.head)))

    def _made(self, name: str, family: int) -> AddressGroup:
        group = self.groups.get(name.lower())
        if group is not None and group.family != family:
            raise Refusal(messages.GROUP_TYPE)
        return group or self.groups.setdefault(name.lower(), AddressGroup(family, name))

    @command("undo object-group { ip | ipv6 } address <group:gname>", views=("system",))
    def remove(self, login: Login, call: Call) -> None:
        """Delete a group nobody refers to; one that is not there is no error."""
        del login
        group = self.groups.get(call["group"].lower())
        if group is None:
            return
        if group.family != (6 if call.words[2] == "ipv6" else 4):
            raise Refusal(messages.GROUP_TYPE)
        if self.users_of(group.name):
            raise Refusal(messages.GROUP_IN_USE)
        del self.groups[group.name.lower()]

    @command("description <text>", "undo description", views=_VIEWS)
    def describe(self, login: Login, call: Call) -> None:
        """Describe the group."""
        self._here(login).description = call.get("text")[:127]

    # entries

    @command(f"{_ID} {_ENTRY4}", views=("group4",))
    def add4(self, login: Login, call: Call) -> None:
        """An object of an IPv4 group."""
        self._add(login, call)

    @command(f"{_ID} {_ENTRY6}", views=("group6",))
    def add6(self, login: Login, call: Call) -> None:
        """An object of an IPv6 group."""
        self._add(login, call)

    @command(f"undo {_ENTRY4}", "undo <id:n0-4294967294>", views=("group4",))
    def remove4(self, login: Login, call: Call) -> None:
        """Delete an object, by content or number."""
        self._remove(login, call)

    @command(f"undo {_ENTRY6}", "undo <id:n0-4294967294>", views=("group6",))
    def remove6(self, login: Login, call: Call) -> None:
        """Likewise."""
        self._remove(login, call)

    def _add(self, login: Login, call: Call) -> None:
        group = self._here(login)
        entry = _entry(call, group.family)
        number = int(call["id"]) if "id" in call.values else (group.highest // 10 + 1) * 10 if group.highest >= 0 else 0
        limit = self.device.faults.group_limit
        if limit and number not in group.entries and len(group.entries) >= limit:
            raise Refusal(messages.GROUP_FULL)
        if entry.group:
            self._made(entry.group, group.family)
        group.put(number, entry)
        if entry.group:
            try:
                deep = max(self._depth(name) for name in self.groups) > _DEEPEST
            except Refusal:
                deep = True
            if deep:
                group.take(number)
                raise Refusal(messages.GROUP_LOOP)

    def _remove(self, login: Login, call: Call) -> None:
        group = self._here(login)
        number = int(call["id"]) if "id" in call.values else group.ids.get(_entry(call, group.family), -1)
        if not group.take(number):
            raise Refusal(messages.NO_OBJECT)

    # showing

    @command(
        "display object-group [ { ip | ipv6 } address ] [ name <group:gname> ]",
        reads=True,
    )
    def show(self, login: Login, call: Call) -> str:
        """The groups and what is in them."""
        del login
        family = {"ip": 4, "ipv6": 6}.get(call.words[2] if len(call.words) > 2 else "")  # noqa: PLR2004
        wanted = call.get("group").lower()
        groups = [g for k, g in self.groups.items() if (not wanted or k == wanted) and family in {None, g.family}]
        if wanted and not groups:
            raise Refusal(messages.NO_GROUP)
        return "".join(self._shown(group) for group in groups)

    def _shown(self, group: AddressGroup) -> str:
        count = f"{len(group.entries)} object{'s' if len(group.entries) > 1 else ''}"
        used = "in use" if self.users_of(group.name) else "out of use"
        kind = "IP" if group.family == 4 else "IPv6"  # noqa: PLR2004
        lines = [f"{kind} address object group {group.name}: {count}({used})"]
        if group.description:
            lines.append(f" description {group.description}")
        lines += [f" {number} {entry.text}" for number, entry in sorted(group.entries.items())]
        return "\n".join([*lines, ""])


def _entry(call: Call, family: int) -> Entry:
    """The object a line is, in the form in which it is kept. Raises Refusal."""
    if call.get("group"):
        return Entry(group=call["group"])
    if call.get("hostname"):
        return Entry(hostname=call["hostname"].lower())
    parse = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address  # noqa: PLR2004
    if call.get("host"):
        address = int(parse(call["host"]))
        return Entry(Span(family, address, address))
    if call.get("low"):
        ends = sorted((int(parse(call["low"])), int(parse(call["high"]))))
        return Entry(Span(family, ends[0], ends[1]))
    try:
        net = ipaddress.ip_network(f"{call['net']}/{call['mask']}", strict=False)
    except ValueError:
        raise Refusal(argument="mask") from None
    return Entry(Span(family, int(net[0]), int(net[-1])))
