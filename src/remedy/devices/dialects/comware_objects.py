"""Comware's address object groups: what a group holds, read and written.

    Ip address object group obj2: 5 objects(out of use)
    0 network host address 1.1.1.1
    10 network host name host
    20 network subnet 1.1.1.1 255.255.255.0
    30 network range 1.1.1.1 1.1.1.2
    40 network group-object obj1

"A packet is considered matching an object group if it matches an object in the group" (SecPath firewall web help,
Object groups): a rule on an empty group matches nothing. An object is deleted by its content as well as by its number;
one that is there already is refused. No limit of members is named.

Follows H3C Comware V7, Security Command Reference, Object group commands (`object-group`, `network`, `display
object-group`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from remedy.core.errors import AnswerUnusable, UsageError
from remedy.core.text import printable
from remedy.devices import Group, Lines, Members
from remedy.devices.addresses import Span
from remedy.devices.dialects.comware import answer
from remedy.devices.dialects.comware_write import word

__all__ = ["add", "ask", "enter", "foreign", "read", "remove"]

_HEADER: Final = re.compile(
    r"^\s*(?P<what>IPv6 address|IP address|Port|Service|MAC[ -]address)\s+object[ -]group\s+(?P<name>.+?)\s*:\s*"
    r"(?P<count>\d{1,9}) objects?\s*(?:\((?P<use>[^()]*)\))?\s*$",
    re.IGNORECASE,
)
_OBJECT: Final = re.compile(r"^\s*(?:\d{1,10}\s+)?network\s+(\S+)\s+(\S.*?)\s*$")
_FAMILIES: Final = {"ip address": 4, "ipv6 address": 6}


def enter(group: Group) -> str:
    """The line that enters the group, making it where there is none."""
    return f"object-group {_family(group.family)} address {word(group.name, 'the group')}"


def _family(family: int) -> str:
    return "ipv6" if family == 6 else "ip"  # noqa: PLR2004


def ask(group: Group) -> Lines:
    """What to type to see the group; by its name alone, so that a group of another kind is seen as well."""
    return (f"display object-group name {word(group.name, 'the group')}",)


def read(group: Group, text: str) -> Members:
    """What the group holds. Raises AnswerUnusable for a refusal, for cut output, and for a group of another kind."""
    header: re.Match[str] | None = None
    spans: list[Span] = []
    unknown: list[str] = []
    objects = 0
    for line in answer(text):
        found = _HEADER.match(line)
        if found and header is None and found["name"].lower() == group.name.lower():
            header = found
            continue
        made = _OBJECT.match(line)
        objects += bool(made)
        span = _span(made[1], made[2].split(), group.family) if made and header else None
        if span is not None:
            spans.append(span)
        elif not line.strip().startswith("description "):
            unknown.append(line.strip())
    if header is None:
        if unknown:
            shown = printable(unknown[0], 120, one_line=True)
            raise AnswerUnusable(f"no group {group.name} in what the device shows of it: {shown}")
        return Members(absent=True)
    if not _ours(header, group):
        raise AnswerUnusable(f"{group.name} is {foreign(group, text)}", hint="rename that group on the device")
    if objects < int(header["count"]):
        raise AnswerUnusable(f"{group.name} announces {header['count']} objects and shows {objects}: output is cut")
    return Members(tuple(spans), unknown=tuple(unknown))


def foreign(group: Group, text: str) -> str:
    """What bears the group's name and is no group of such addresses; empty where there is no such thing."""
    found = next(filter(None, map(_HEADER.match, answer(text))), None)
    return "" if found is None or _ours(found, group) else f"a group of another kind, {found['what'].lower()}"


def _ours(header: re.Match[str], group: Group) -> bool:
    return _FAMILIES.get(header["what"].lower()) == group.family


def _span(what: str, words: Sequence[str], family: int) -> Span | None:
    try:
        if what == "host" and len(words) == 2 and words[0] == "address":  # noqa: PLR2004
            low = high = ipaddress.ip_address(words[1])
        elif what == "range" and len(words) == 2:  # noqa: PLR2004
            low, high = sorted((ipaddress.ip_address(words[0]), ipaddress.ip_address(words[1])), key=int)
        elif what == "subnet" and len(words) == 2:  # noqa: PLR2004
            network = ipaddress.ip_network("/".join(words), strict=False)
            low, high = network[0], network[-1]
        else:
            return None
    except (ValueError, TypeError):
        return None
    if low.version != family or high.version != family or getattr(low, "scope_id", None):
        return None
    return Span(family, int(low), int(high))


def _said(span: Span, group: Group) -> str:
    if span.family != group.family:
        raise UsageError(f"{span} does not belong into {group.name}, a group of IPv{group.family}")
    if span.is_host:
        return f"network host address {span.low}"
    prefix = span.prefix
    if prefix is None:
        return f"network range {span.low} {span.high}"
    if prefix == 0 and span.family == 6:  # noqa: PLR2004
        raise UsageError("a group cannot hold all IPv6 addresses", hint="its prefixes are 1 to 128 long")
    return f"network subnet {span.low} {prefix}"


def add(group: Group, spans: Sequence[Span]) -> Lines:
    """What to type to add exactly these."""
    return (enter(group), *(_said(span, group) for span in spans), "quit")


def remove(group: Group, spans: Sequence[Span]) -> Lines:
    """What to type to remove exactly these."""
    return (enter(group), *(f"undo {_said(span, group)}" for span in spans), "quit")
