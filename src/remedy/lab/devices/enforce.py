"""What a device's configuration amounts to, in no vendor's words, and who makes it hold.

A face says what it wants (`Wanted`); the device hands it to its `Enforcer` whenever it may have changed, once for many
changes. `Remembering` only keeps it: for tests of the language alone. Making nftables rules and bridge ports of it is
the lab's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from remedy.devices.acl import Rule
from remedy.devices.addresses import Span

__all__ = ["Enforcer", "Heard", "Neighbour", "Placed", "Remembering", "Stage", "SwitchPort", "Wanted"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule where it stands. `arriving`/`leaving` are the device's interfaces it is limited to; empty: any.

    `reaches` says which packets: "both", "through" (forwarded only) or "device" (for the device itself only).
    `key` names the rule for `Enforcer.hits`.
    """

    rule: Rule
    key: str
    arriving: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    reaches: str = "both"


@dataclass(frozen=True, slots=True)
class Stage:
    """A list that packets meet. The first rule that matches ends the stage; a packet passes if every stage permits.

    `hook` is "arriving" (all that enter by `interface`, through the device or for it), "leaving" (all that go out by
    it, forwarded or the device's own), or "policy" (all that is forwarded, and what is for the device itself).
    An empty `interface` is every one. `default` is for what no rule matches, `to_device` the same for packets to the
    device itself ("permit", "deny"). `family` 4 or 6 limits the stage to IPv4 or IPv6 packets.
    Established sessions: a stateful device (`Wanted.stateful`) asks its stages about the first packet only.
    """

    name: str
    family: int
    rules: tuple[Placed, ...]
    hook: str
    interface: str = ""
    default: str = "permit"
    to_device: str = "permit"


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """A port of a switch: `mode` "access", "trunk", "hybrid" or "routed"; `vlans` are those a trunk lets through."""

    name: str
    mode: str
    pvid: int
    up: bool
    vlans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that has to hold.

    `groups` are the object groups rules name, by name; `blocked` sources are dropped
    before any stage, and sessions of theirs end at once; `ports` are a switch's.
    """

    stages: tuple[Stage, ...] = ()
    groups: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    blocked: tuple[Span, ...] = ()
    ports: tuple[SwitchPort, ...] = ()
    stateful: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A hardware address (lower case, colons) learned on a port in a VLAN."""

    mac: str
    vlan: int
    port: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An IP address and the hardware address it resolved to, on an interface of the device."""

    address: str
    mac: str
    interface: str


class Enforcer(Protocol):
    """Makes a device's rules hold. Calls never overlap."""

    async def enforce(self, wanted: Wanted) -> None:
        """Make exactly this hold; returns when it does. Raises OSError when it cannot; the device logs that."""
        ...

    async def hits(self) -> Mapping[str, int]:
        """Packets met so far by rule, under `Placed.key`."""
        ...

    async def heard(self) -> tuple[Heard, ...]:
        """The switch's table of hardware addresses."""
        ...

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The table of resolved addresses (ARP, ND)."""
        ...

    async def links(self) -> Mapping[str, bool]:
        """Which interfaces have a carrier, by the device's own names; one not named is taken to have."""
        ...


class Remembering:
    """Keeps what is wanted and enforces nothing. `slow` are seconds each change takes."""

    def __init__(self, *, slow: float = 0.0) -> None:
        """Nothing is wanted yet."""
        self.slow = slow
        self.wanted = Wanted()
        self.changes = 0
        self.counts: dict[str, int] = {}
        self.table: tuple[Heard, ...] = ()
        self.arp: tuple[Neighbour, ...] = ()

    async def enforce(self, wanted: Wanted) -> None:
        """Keep it."""
        await asyncio.sleep(self.slow)
        self.wanted = wanted
        self.changes += 1

    async def hits(self) -> Mapping[str, int]:
        """What a test put there."""
        return self.counts

    async def heard(self) -> tuple[Heard, ...]:
        """Likewise."""
        return self.table

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """Likewise."""
        return self.arp

    async def links(self) -> Mapping[str, bool]:
        """All have a carrier."""
        return {}
