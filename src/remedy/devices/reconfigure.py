"""What to type to make one configuration of another, where that is known for certain; the rest is said, not typed.

Decides it section by section: groups of addresses, access lists and security policies (by the vendor's own files), and
on interfaces the filters, the description, the access VLAN and whether they are shut. What is referred to is made
before it is referred to, and removed after. A line with a secret is never typed: what is typed is shown and recorded.

References are those of the vendors' files. Taking a line back: H3C Comware V7, Fundamentals Configuration Guide, CLI,
"Using the undo form of a command"; Cisco IOS, Using the Command-Line Interface, "no and default forms". A group's
entries: H3C Security Command Reference, Object group commands (`undo network`, `undo group-object`); Cisco IOS Security
Command Reference, `object-group network`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.devices import Filters, Lines, Vendor, h3c_comware
from remedy.devices.acl import Acl
from remedy.devices.configuration import Sections, changed, is_secret, masked

__all__ = ["Steps", "carrying", "steps", "undo_word"]

#: Single words that carry logins: lines of terminals, SSH, users, AAA, the way back to us.
_CARRYING: Final = re.compile(
    r"(?:line|user-interface|ssh|telnet|local-user|username|user|role|aaa|domain|super|enable|radius|hwtacacs|tacacs"
    r"|ip route|ip route-static|ipv6 route|route|ip ssh|ip default-gateway|crypto key|public-key|password"
    r"|management-vlan|irf|vrf|ip vpn-instance)\b"
)
_LISTS: Final = re.compile(r"(?:acl|ip access-list|ipv6 access-list|security-policy) ")
_GROUP: Final = re.compile(r"object-group (?:ip address|ipv6 address|network|v6-network|ip address)\b")
_ENTRY: Final = re.compile(
    r"(?:network|group-object|network-object|host|range|description|\d+\.\d+\.\d+\.\d+|[0-9A-Fa-f]*:[0-9A-Fa-f:]*) ?"
)
_INTERFACE: Final = re.compile(r"interface ")
#: Lines of an interface that can be taken back by the whole line, and those of which the beginning is enough.
_BY_LINE: Final = re.compile(
    r"(packet-filter .*?(?:in|out)bound)(?: hardware-count)?$|(ip access-group .*)|(ipv6 traffic-filter .*)"
)
_BY_START: Final = re.compile(r"(description|shutdown|port access vlan|switchport access vlan)(?: .*)?$")


@dataclass(slots=True)
class Steps:
    """What to type, in parts that follow each other, and what cannot be said: head, lines to add, to remove."""

    made: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    left: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)

    @property
    def lines(self) -> Lines:
        """All of it in order."""
        return (*self.made, *self.edited, *self.applied, *self.removed, *self.emptied)


def undo_word(vendor: Vendor) -> str:
    """What takes a line back."""
    return "undo" if "display" in vendor.terminal.reading else "no"


def steps(vendor: Vendor, now: Sections, wanted: Sections, keys: Sequence[str]) -> Steps:
    """What makes these sections of `now` those of `wanted`."""
    out = Steps()
    for key in keys:
        old, new = now.get(key), wanted.get(key)
        lines = [*(old or ()), *(new or ()), key]  # those that stay get into the plan as well
        done = not any(is_secret(line, vendor) for line in lines) and _step(vendor, key, old, new, out)
        if not done:
            out.left.append((key, _surplus(new, old), _surplus(old, new)))
    return out


def _surplus(one: Sequence[str] | None, other: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(line for line in one or () if line not in set(other or ()))


def _step(vendor: Vendor, key: str, old: Sequence[str] | None, new: Sequence[str] | None, out: Steps) -> bool:
    if _GROUP.match(key):
        return _group(vendor, key, old, new, out)
    if _LISTS.match(key):
        return _list(vendor, key, old, new, out)
    if _INTERFACE.match(key) and old is not None and new is not None:
        return _interface(vendor, key, old, new, out)
    return False


def _group(vendor: Vendor, key: str, old: Sequence[str] | None, new: Sequence[str] | None, out: Steps) -> bool:
    come, go = _surplus(new, old), _surplus(old, new)
    if not all(_ENTRY.match(line) for line in (*come, *go)):
        return False
    undo = undo_word(vendor)
    leave = _leave(vendor)
    if new is None:
        out.emptied.append(f"{undo} {key}")
        return True
    if come or old is None:
        out.made += [key, *come, *leave]
    taken = [f"{undo} description" if line.startswith("description ") else f"{undo} {line}" for line in go]
    taken = [line for line in taken if not (line.endswith(" description") and any(c.startswith("desc") for c in come))]
    if taken:
        out.emptied[:0] = [key, *taken, *leave]
    return True


def _leave(vendor: Vendor) -> tuple[str, ...]:
    return ("quit",) if undo_word(vendor) == "undo" else ("exit",)


def _list(vendor: Vendor, key: str, old: Sequence[str] | None, new: Sequence[str] | None, out: Steps) -> bool:
    filters: Filters | None = vendor.filters
    if key.startswith("acl ") and vendor.name == "h3c_secpath":
        filters = h3c_comware.Lists()
    if filters is None:
        return False
    try:
        before, after = (_read(filters, key, lines) for lines in (old, new))
        if before is None and after is None:
            return False
        if key.startswith("security-policy "):
            some = before or after
            before = before or (replace(some, rules=()) if some else None)
            after = after or (replace(some, rules=()) if some else None)
        if before is None and after is not None:
            made = filters.write_list(after)
        elif before is not None and after is not None:
            made = filters.edit_list(before, after)
        else:
            head = next(iter(filters.write_list(before)), "") if before is not None else ""
            out.removed.append(f"{undo_word(vendor)} {(head or key).partition(' match-order ')[0]}")
            return True
    except (AnswerUnusable, Refused, UsageError):
        return False
    out.edited += [*made, *(() if made[-1:] == ("quit",) else _leave(vendor))]
    return bool(made)


def _read(filters: Filters, key: str, lines: Sequence[str] | None) -> Acl | None:
    """The one list that a section is, None where there is no such section. Raises UsageError for lines unknown."""
    if lines is None:
        return None
    found = filters.read_lists(["\n".join([key, *(f" {line}" for line in lines)])])
    if len(found) != 1 or not found[0].name or found[0].unknown:
        raise UsageError(f"{key} has lines that are not understood")
    return found[0]


def _interface(vendor: Vendor, key: str, old: Sequence[str], new: Sequence[str], out: Steps) -> bool:
    undo = undo_word(vendor)
    come, go = _surplus(new, old), _surplus(old, new)
    made: list[str] = []
    for line in go:
        by_line, by_start = _BY_LINE.match(line), _BY_START.match(line)
        if by_line:
            made.append(f"{undo} {next(filter(None, by_line.groups()))}")
        elif by_start:
            if not any(other.startswith(by_start[1]) for other in come):
                made.append(f"{undo} {by_start[1]}")
        else:
            return False
    if not all(_BY_LINE.match(line) or _BY_START.match(line) for line in come):
        return False
    out.applied += [key, *made, *come, *_leave(vendor)]
    return True


def carrying(vendor: Vendor, now: Sections, wanted: Sections, address: str) -> tuple[str, ...]:
    """What differs of the parts that carry our own session, as words for people; secrets masked.

    These are the lines of terminals, SSH, users and AAA, routes, the interface that has the device's address (every
    one with an address, where none has it), and the access lists that any of these name.
    """
    keys = changed(now, wanted)
    addressed = {key: lines for side in (now, wanted) for key, lines in side.items() if _INTERFACE.match(key)}
    ours = {key for key, lines in addressed.items() if any(address in line.split() for line in lines)}
    ours = ours or {key for key, lines in addressed.items() if any(re.match(r"ip(?:v6)? address ", x) for x in lines)}
    heads = {key for side in (now, wanted) for key in side if _CARRYING.match(key)} | ours
    words = {
        word for side in (now, wanted) for key in heads for line in side.get(key, ()) for word in line.split() if word
    }
    loose = {line for side in (now, wanted) for line in side.get("", ()) if _CARRYING.match(line)}
    words |= {word for line in loose for word in line.split()}
    out = [masked(key, vendor) for key in keys if key in heads]
    out += [
        key
        for key in keys
        if key not in heads and re.match(r"acl |ip(?:v6)? access-list ", key) and key.split()[-1] in words
    ]
    only = {*now.get("", ())} ^ {*wanted.get("", ())}
    out += [masked(line, vendor) for line in sorted(only) if _CARRYING.match(line)]
    return tuple(out)
