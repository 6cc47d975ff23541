"""Network devices, one file a vendor: text in, text out. Found by walking the folder.

A module of this package that knows a vendor names it in `VENDOR`, a `Vendor`: how its terminal behaves, and which of
the parts below it has. Everything here is pure: what a device prints comes in as text, what is to be typed goes out as
`Lines`. Leaves to others: typing and reading (transports), deciding what to change (actions), and the safety limits.

What a device prints is read strictly: a line that is not understood is kept and shown, never dropped in silence, and a
refusal is never taken for an empty answer.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from remedy.core.errors import UsageError
from remedy.devices.acl import Acl
from remedy.devices.addresses import Span

#: Lines as an administrator would type them, one command each, without prompts or line ends.
Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terminal:
    """How a vendor's command line behaves.

    `refusals` are regular expressions (multi-line, searched in what a line printed) that mean the line was refused;
    `absent` those of them that mean "there is no such thing", which a question takes for an answer. `answers` are
    (regular expression, text typed) for the blocking prompts that our own lines cause, such as `save`'s.
    `quiet` is typed after login: no paging, no log lines in the middle of output. `reading` are the first words of
    lines that only show (`display`, `show`, `dir`): nothing else is ever typed to answer a question.
    """

    refusals: tuple[str, ...]
    absent: tuple[str, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    quiet: Lines = ()
    reading: tuple[str, ...] = ("show",)
    save: Lines = ()
    running: str = "show running-config"


@dataclass(frozen=True, slots=True)
class Gate:
    """Where the one drop rule stands, from the inventory (`remedy_gates`).

    `acl` is the list's name or number (unused where there is one policy), `interface` and `direction` ("in", "out")
    where it is applied, `zone` the zone attackers come from (SecPath; empty: any). `matches` is "source" or
    "destination": which side the group is looked for in.
    """

    acl: str = ""
    interface: str = ""
    direction: str = "in"
    zone: str = ""
    matches: str = "source"


@dataclass(frozen=True, slots=True)
class Group:
    """An object group of remedy's own: one per family and device."""

    name: str
    family: int


@dataclass(frozen=True, slots=True)
class Members:
    """What a group holds. `absent`: there is no such group. `unknown` are lines that were not understood."""

    spans: tuple[Span, ...] = ()
    absent: bool = False
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateState:
    """What is there of a gate's drop rule for one group.

    `state`: "absent"; "ready" (there, before every other rule, applied, and nothing says that it does not act);
    "shadowed" (there, but something stands before it that would decide first); "inactive" (there, but the list is not
    applied at the gate, the rule is disabled, or the device marks it `(Failed)`); "foreign" (something that is not
    remedy's bears its name or stands in its place). `why` says it in words for all but absent and ready.
    `hits` is the number of packets the rule has met, -1 where the device does not say. `beside` counts what else rests
    on the gate's list where that is remedy's own: its other drop rules, and the other places where it is applied.
    """

    state: str
    why: str = ""
    hits: int = -1
    beside: int = 0


class Groups(Protocol):
    """The steady way to block: a drop rule on a group, set up once; then only members come and go."""

    #: Whether the vendor refuses a rule on an empty group, so that a placeholder has to stay in it.
    placeholder: bool
    #: Most members a group takes, as far as the vendor's reference says; 0 where it says nothing.
    most: int

    def ask_members(self, group: Group) -> Lines:
        """What to type to see the group's members."""
        ...

    def read_members(self, group: Group, texts: Sequence[str]) -> Members:
        """Read what those lines printed, placeholder left out."""
        ...

    def add(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type in configuration mode to add exactly these; the group is made where it is absent.

        `texts` are what `ask_members`' lines printed now; each of the spans is one that `sayable` gave.
        """
        ...

    def remove(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to remove exactly these: what is there by then, or what `add` would add, given the same."""
        ...

    def places(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> tuple[int, ...]:
        """The number that each of these has, or gets from `add`, given the same; empty where members have none.

        Where they have, `remove` goes by it: another member under one of these numbers would be removed instead.
        """
        ...

    def sayable(self, span: Span) -> tuple[Span, ...]:
        """The span as the vendor can hold it: itself, or the fewest members that are it (prefixes for a range)."""
        ...

    def ask_gate(self, gate: Gate, group: Group) -> Lines:
        """What to type to see whether the drop rule stands and acts."""
        ...

    def read_gate(self, gate: Gate, group: Group, texts: Sequence[str]) -> GateState:
        """Read what those lines printed."""
        ...

    def prepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to bring the rule to the top of the gate, given what `ask_gate`'s lines printed now.

        Other people's rules keep their order and bytes. Raises Refused where that cannot be done, saying why.
        """
        ...

    def unprepare(self, gate: Gate, group: Group, texts: Sequence[str]) -> Lines:
        """What to type to take back exactly what `prepare` would type or has typed; then the empty group too."""
        ...


class Filters(Protocol):
    """Access lists as text."""

    def ask_lists(self) -> Lines:
        """What to type to see all access lists."""
        ...

    def read_lists(self, texts: Sequence[str]) -> tuple[Acl, ...]:
        """Read what those lines printed, and any saved file of it."""
        ...

    def write_list(self, acl: Acl) -> Lines:
        """What to type in configuration mode to make this list from nothing.

        Raises UsageError for what the vendor cannot say, naming rule and reason.
        """
        ...

    def edit_list(self, before: Acl, after: Acl) -> Lines:
        """What to type to make the one of the other with the fewest lines; equal rules are not touched."""
        ...


@dataclass(frozen=True, slots=True)
class Revert:
    """The device's own timer: unless confirmed, it goes back by itself to the configuration before `arm`.

    `arm` is typed first, `confirm` over a fresh login. Both name the mode they are typed in ("configure" or "exec").
    `ask` shows whether it runs; empty where the device has no way to say. `again`, in the mode of `arm`, sets one that
    runs anew and keeps what it goes back to; empty where `arm` does that.
    """

    arm: Lines
    confirm: Lines
    arm_mode: str = "configure"
    confirm_mode: str = "configure"
    ask: Lines = ()
    again: Lines = ()


class Timed(Protocol):
    """A device that can revert by itself."""

    def revert(self, seconds: int) -> Revert:
        """The timer for at least that many seconds, in the device's own steps (minutes are rounded up)."""
        ...

    def is_running(self, texts: Sequence[str]) -> bool:
        """Whether the timer runs, from what `Revert.ask` printed."""
        ...

    def ask_able(self) -> Lines:
        """What to type to see whether the device can (an archive is set up, the version knows it)."""
        ...

    def read_able(self, texts: Sequence[str]) -> str:
        """Empty when it can; else the reason, with the lines to paste that would make it able."""
        ...


@dataclass(frozen=True, slots=True)
class Port:
    """One switch port as it is now.

    `mode` is "access", "trunk", "hybrid" or "routed"; `vlan` its access VLAN (PVID); `up` whether it is not shut down;
    `macs` the hardware addresses learned on it (lower case, colons).
    """

    name: str
    mode: str
    vlan: int
    up: bool
    macs: tuple[str, ...] = ()
    description: str = ""
    unknown: tuple[str, ...] = ()


class Switching(Protocol):
    """A switch whose ports can be found and moved to another VLAN."""

    def ask_mac(self, mac: str) -> Lines:
        """What to type to find the port a hardware address was learned on."""
        ...

    def read_mac(self, mac: str, texts: Sequence[str]) -> tuple[str, ...]:
        """The names of the ports it was learned on, as the vendor writes them in full."""
        ...

    def ask_arp(self, address: str) -> Lines:
        """What to type to find the hardware address of an IP address."""
        ...

    def read_arp(self, address: str, texts: Sequence[str]) -> str:
        """The hardware address, or empty."""
        ...

    def ask_port(self, port: str) -> Lines:
        """What to type to see a port's mode, VLAN and learned addresses."""
        ...

    def read_port(self, port: str, texts: Sequence[str]) -> Port:
        """Read what those lines printed."""
        ...

    def move(self, port: Port, vlan: int) -> Lines:
        """What to type to put an access port into another VLAN."""
        ...

    def shut(self, port: Port, *, down: bool) -> Lines:
        """What to type to shut a port down or bring it up."""
        ...


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's operating system. `driver` is netmiko's device type; `systems` Ansible's `ansible_network_os` names.

    `tried` is "emulator" (written from the reference, run against the lab's device) or "text" (generation, parsing and
    read-back only). `reference` names the vendor documents that the lines follow. Parts it lacks are None.
    """

    name: str
    title: str
    driver: str
    terminal: Terminal
    tried: str
    reference: tuple[str, ...]
    systems: tuple[str, ...] = ()
    groups: Groups | None = None
    filters: Filters | None = None
    timer: Timed | None = None
    switch: Switching | None = None
    #: Regular expressions with one group each: the secrets in a running configuration.
    secrets: tuple[str, ...] = ()
    #: What an administrator types, in no mode of configuration, to end the sessions that an address has opened, where a
    #: drop rule may let them go on: with `{address}` and `{family}`, 4 or 6.
    ends: str = ""


@functools.cache
def registered() -> dict[str, Vendor]:
    """Every vendor of the folder, by name, which is its module's."""
    found: dict[str, Vendor] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        vendor = getattr(importlib.import_module(f"{__name__}.{module.name}"), "VENDOR", None)
        if vendor is not None:
            found[module.name] = vendor
    return found


def named(name: str) -> Vendor:
    """The vendor called so, by its own name or one of Ansible's `ansible_network_os` names. Raises UsageError."""
    for vendor in registered().values():
        if name == vendor.name or name in vendor.systems:
            return vendor
    raise UsageError(f"no device platform is called {name!r}", hint=f"has: {', '.join(registered())}")
