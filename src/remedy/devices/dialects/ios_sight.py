"""What IOS and NX-OS show of a gate: lists with their lines, where they are applied, and the members of a group.

Decides how those answers are read, line by line. Leaves to others: what follows from them (`ios_gates`).

    Network object group remedy-block           interface GigabitEthernet0/1
     host 203.0.113.7                            ip access-group edge-in in
     range 198.51.100.7 198.51.100.20            ipv6 traffic-filter edge6 in
     192.0.2.0 255.255.255.0
    IPv4 address object-group remedy-block
        10 host 203.0.113.7

Source: "Cisco IOS Security Command Reference", `show object-group`, `show ip access-lists`, `ip access-group`; "Cisco
Nexus 9000 Series NX-OS Security Configuration Guide", chapter "Configuring IP ACLs".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import UsageError
from remedy.devices import Gate, Group, Members
from remedy.devices.addresses import Span
from remedy.devices.dialects.ios import UnreadableError, Words, address_words, canonical_address, mask, plain, prefixed
from remedy.devices.dialects.ios_edit import ListSyntax
from remedy.devices.dialects.ios_lists import Entry, hits_of, lines_of, listings, refused
from remedy.devices.dialects.ios_names import full_name

__all__ = [
    "OWN_LISTS",
    "PLACEHOLDERS",
    "GateSyntax",
    "Sight",
    "applied_at",
    "checked",
    "find",
    "list_at",
    "lists_of",
    "member",
    "placed",
    "read_group",
    "rules_of",
    "uses",
]

#: Addresses that no packet carries: they keep a group from being empty.
PLACEHOLDERS: Final[Mapping[int, Span]] = {
    4: Span(4, int(ipaddress.IPv4Address("240.0.0.1")), int(ipaddress.IPv4Address("240.0.0.1"))),
    6: Span(6, int(ipaddress.IPv6Address("100::1")), int(ipaddress.IPv6Address("100::1"))),
}
OWN_LISTS: Final[Mapping[int, str]] = {4: "remedy-gate", 6: "remedy-gate6"}


@dataclass(frozen=True, slots=True)
class GateSyntax:
    """The lines in which IOS and NX-OS differ. `{}` stands for the name, by family."""

    lists: ListSyntax
    group: Mapping[int, str]
    apply: Mapping[int, str]

    @property
    def words(self) -> Words:
        """How a rule is worded."""
        return self.lists.words


@dataclass(frozen=True, slots=True)
class Sight:
    """What a device's answers say of a gate. `lists` by name: the vendor's word for its kind, and its lines.

    `applied` are (interface, direction, list). `members` is the group with its placeholder still in it.
    """

    lists: Mapping[str, tuple[str, tuple[Entry, ...]]]
    applied: tuple[tuple[str, str, str], ...]
    members: Members


def checked(gate: Gate) -> None:
    """Raise UsageError for a gate that cannot be typed."""
    for word, what in ((gate.acl, "a list's name"), (gate.interface, "an interface")):
        if word:
            plain(word, what)
    if gate.direction not in ("in", "out"):
        raise UsageError(f"a gate's direction is in or out, not {gate.direction!r}", hint="fix `remedy_gates`")
    if gate.matches not in ("source", "destination"):
        raise UsageError(f"a gate matches source or destination, not {gate.matches!r}", hint="fix `remedy_gates`")


_MADE: Final = re.compile(
    r"^(?:object-group (?P<made>\S.*?) (?P<made_name>\S+)"
    r"|(?P<shown>[A-Z]\S.*?) object[ -]group (?P<shown_name>\S+))\s*$"
)
_FAMILIES: Final = {
    "network": 4, "ip address": 4, "ipv4 address": 4, "v6-network": 6, "ipv6 address": 6,
}  # fmt: skip
_MEMBER: Final = re.compile(r"(?:\d{1,10} +)?(?P<text>\S.*)\Z")
#: A line number has at most ten digits.
_DIGITS: Final = 10
#: A sub-interface's header may say more: `interface Serial0/1/0.100 point-to-point`.
_INTERFACE: Final = re.compile(r"^interface (?P<name>[A-Za-z][\w/.:-]*\d)(?: [a-z-]+)?\s*$")
_INSIDE: Final = re.compile(
    r"^\s+(?:ip (?:port )?access-group|ipv6 (?:port )?traffic-filter) (?P<name>\S+) (?P<direction>in|out)\b.*$"
)


def _span(text: str, family: int, words: Words) -> Span | None:
    said = text.split()
    try:
        if said == ["any"]:
            return Span(family, 0, (1 << (32 if family == 4 else 128)) - 1)  # noqa: PLR2004
        if len(said) == 2 and said[0] == "host":  # noqa: PLR2004
            number = canonical_address(said[1], family)
            return Span(family, number, number)
        if len(said) == 3 and said[0] == "range" and family == 4:  # noqa: PLR2004
            first, last = (canonical_address(word, 4) for word in said[1:])
            return Span(4, first, last) if first <= last else None
        if len(said) == 2 and family == 4:  # noqa: PLR2004 -- a group has a mask where a rule has wildcard bits
            return mask(canonical_address(said[0], 4), canonical_address(said[1], 4), wildcard=words.masks == "prefix")
        return prefixed(text, family) if len(said) == 1 and "/" in text else None
    except UnreadableError:
        return None


def read_group(group: Group, texts: Sequence[str], words: Words) -> Members:
    """The group's members, from `show object-group` or a configuration. Raises AnswerUnusable for a refusal.

    A group of that name but of another kind counts as absent, its header as unknown.
    """
    refused(texts)
    spans: list[Span] = []
    unknown: list[str] = []
    there = inside = False
    for line in lines_of("\n".join(texts)):
        if header := _MADE.match(line):
            name = header["made_name"] or header["shown_name"]
            kind = (header["made"] or header["shown"] or "").lower()
            inside = name == group.name and _FAMILIES.get(kind) == group.family
            there = there or inside
            if name == group.name and not inside:
                unknown.append(line.strip())
        elif line.strip() and not line[0].isspace():
            inside = False
        elif inside and (found := _MEMBER.match(line.strip())):
            if found["text"].lower().startswith("description"):
                continue
            span = _span(found["text"], group.family, words)
            if span is None:
                unknown.append(found["text"])
            else:
                spans.append(span)
    return Members(tuple(dict.fromkeys(spans)), absent=not there, unknown=tuple(unknown))


def lists_of(texts: Sequence[str], family: int) -> dict[str, tuple[str, tuple[Entry, ...]]]:
    """The family's lists by name: the vendor's word for the kind, and the lines, not understood ones too."""
    refused(texts)
    out: dict[str, tuple[str, tuple[Entry, ...]]] = {}
    for text in texts:
        for listing in listings(text):
            if listing.family == family and listing.name not in out:
                strays = [entry for stray in listing.strays if (entry := _stray(stray)) is not None]
                entries = [*listing.entries, *strays]
                if all(entry.number is not None for entry in entries):
                    entries.sort(key=lambda entry: entry.number or 0)
                out[listing.name] = (listing.kind, tuple(entries))
    return out


def _stray(line: str) -> Entry | None:
    """A numbered line that is neither rule nor remark (`10 evaluate web`); other lines decide nothing."""
    text, hits, last = hits_of(line)
    number, _, rest = text.partition(" ")
    if last is None and number.isdecimal() and len(number) <= _DIGITS and rest:
        return Entry(int(number), rest.strip(), hits)
    return Entry(last, text, hits) if last is not None else None


def placed(texts: Sequence[str], family: int) -> tuple[tuple[str, str, str], ...]:
    """Where lists of the family are applied: (interface, "in" or "out", list)."""
    return tuple(_placed(lines_of("\n".join(texts)), family))


def _placed(lines: Sequence[str], family: int) -> Iterator[tuple[str, str, str]]:
    interface = ""
    for line in lines:
        if found := _INTERFACE.match(line):
            interface = found["name"]
        elif line.strip() and not line[0].isspace():
            interface = ""
        elif interface and (inside := _INSIDE.match(line)) and line.strip().startswith("ipv6") == (family == 6):  # noqa: PLR2004
            yield interface, inside["direction"], inside["name"]


def applied_at(gate: Gate, sight: Sight) -> list[tuple[str, str, str]]:
    """Where lists are applied, as far as it is this gate."""
    here = full_name(gate.interface).casefold()
    return [
        one
        for one in sight.applied
        if one[1] == gate.direction and (full_name(one[0]).casefold() == here if here else one[2] == gate.acl)
    ]


def list_at(gate: Gate, sight: Sight) -> str:
    """The list applied at the gate; empty when none is."""
    return next((name for _, _, name in applied_at(gate, sight)), "")


def rules_of(sight: Sight, name: str) -> tuple[Entry, ...]:
    """The list's rules, remarks left out."""
    entries = sight.lists[name][1] if name in sight.lists else ()
    return tuple(entry for entry in entries if not entry.text.startswith("remark"))


def find(sight: Sight, name: str, rule: str) -> tuple[int, Entry] | None:
    """The rule's place among the list's rules, and its line."""
    return next(((at, entry) for at, entry in enumerate(rules_of(sight, name)) if entry.text == rule), None)


def uses(sight: Sight, name: str, group: Group) -> bool:
    """Whether a line of the list names the group."""
    return any(group.name in entry.text.split() for entry in rules_of(sight, name))


def member(words: Words) -> Callable[[Span], str]:
    """How a group's member is worded: `host A`, a prefix, or `range A B`."""

    def say(span: Span) -> str:
        return f"range {span.low} {span.high}" if span.prefix is None else address_words(span, words)

    return say
