"""Access lists in no vendor's words: rules, the lists they stand in, and the lines nobody understood.

Decides what a rule means. Leaves to others: reading and writing a vendor's words (one file a vendor), the rule file
that an administrator writes (`rulefile`), and what a whole list lets through (`shadows`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from remedy.devices.addresses import Span

__all__ = ["ANY", "Acl", "Endpoint", "Line", "Ports", "Rule"]

#: TCP or UDP ports, inclusive ranges, ascending and merged; empty means any.
Ports = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a rule: any address when all are empty, else these spans (one family) or the named group.

    `ports` count for TCP and UDP alone.
    """

    spans: tuple[Span, ...] = ()
    group: str = ""
    ports: Ports = ()


ANY = Endpoint()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the first that matches decides. `action` is "permit" or "deny", `family` 4 or 6.

    `protocol` is "ip" (every protocol), "tcp", "udp", "icmp", "icmpv6", or a number as text (IANA protocol numbers).
    `number` is its place in the vendor's numbering, None where it has none yet. `until` is RFC 3339 UTC or empty.
    `rest` are the words of the vendor's line beyond these (`established`, `tos 3`, `time-range X`), as they stand:
    a rule with a `rest` is never taken for one without.
    """

    action: str
    family: int
    protocol: str = "ip"
    source: Endpoint = ANY
    destination: Endpoint = ANY
    number: int | None = None
    comment: str = ""
    until: str = ""
    log: bool = False
    enabled: bool = True
    rest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line within a list that nobody understood: kept, shown, never written."""

    text: str


@dataclass(frozen=True, slots=True)
class Acl:
    """One list as a device has it. `name` is its name, or its number as text where it has no name.

    `kind` is the vendor's word ("basic", "advanced", "standard", "extended", "policy"). `order` is "config" or "auto"
    (Comware's depth-first order, which remedy never edits). `default` is what happens to what no rule matches: "deny",
    "permit", or empty where it depends on where the list is used (Comware's packet filter).
    """

    name: str
    family: int
    kind: str = ""
    rules: tuple[Rule, ...] = ()
    unknown: tuple[Line, ...] = ()
    order: str = "config"
    default: str = ""
    step: int = 0
    extra: tuple[tuple[str, str], ...] = field(default=())
