"""H3C routers and switches with Comware V7: one drop rule on an address object group, on top of a packet filter's list.

Where a list is applied at the gate, the rule goes on top of that list, under a number below its lowest. Where none is,
a list of remedy's own is applied there, holding that rule alone: what no rule matches passes a packet filter unless
`packet-filter default deny` is set, which does not count where no list is applied; so with it set, the own list ends
with a rule that permits everything, and nothing but the group's members meets a change.

What acts is read from `display packet-filter verbose`, which marks what the hardware has no room for `(Failed)`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from remedy.devices import Group, Lines, Members, Revert, Terminal, Vendor
from remedy.devices.acl import Acl
from remedy.devices.addresses import Span
from remedy.devices.dialects import comware, comware_objects
from remedy.devices.dialects.comware_edit import edit_list, write_list
from remedy.devices.dialects.comware_gate import PacketFilter
from remedy.devices.dialects.comware_ports import Ports
from remedy.devices.dialects.comware_write import Dialect

__all__ = ["DIALECT", "SECRETS", "TERMINAL", "VENDOR", "CommitDelay"]

DIALECT: Final = Dialect(title="Comware V7")

TERMINAL: Final = Terminal(
    refusals=comware.REFUSALS,
    absent=comware.ABSENT,
    answers=(
        (r"save current configuration\? ?\[Y/N[^\]]*\]:?\s*$", "n"),
        (r"\(To leave the existing filename unchanged, press the enter key\):\s*$", ""),
        (r"commit delay.*\[Y/N[^\]]*\]:?\s*$", "y"),
        (r"will be saved to \S+ Continue\? ?\[Y/N[^\]]*\]:?\s*$", "y"),
        (r"overwrite(?: it)?\? ?\[Y/N[^\]]*\]:?\s*$", "y"),
    ),
    quiet=("undo terminal monitor", "screen-length disable"),
    reading=("display", "dir"),
    save=("save force",),
    running="display current-configuration",
)

SECRETS: Final = (
    r"\b(?:cipher|simple|hash|plain|irreversible-cipher)\s+(?!(?:cipher|simple|hash|plain)\s)(\S+)",
    r"^\s*snmp-agent community (?:read|write)\s+(?!(?:cipher|simple)\s)(\S+)",
    r"^\s*snmp-agent usm-user v3 .*\bauthentication-mode \S+ (?!(?:cipher|simple)\s)(\S+)",
    r"^\s*snmp-agent usm-user v3 .*\bprivacy-mode \S+ (?!(?:cipher|simple)\s)(\S+)",
    r"^\s*snmp-agent target-host .*\bparams securityname (?!(?:cipher|simple)\s)(\S+)",
    r"\b(?:pre-shared-key|shared-key|key-string) (?!(?:cipher|simple|hash|plain|address|hostname)\b)(\S+)\s*$",
)


class Lists:
    """`Filters` of Comware V7."""

    def ask_lists(self) -> Lines:
        """What to type to see all access lists."""
        return ("display acl all", "display acl ipv6 all")

    def read_lists(self, texts: Sequence[str]) -> tuple[Acl, ...]:
        """Read what those lines printed, and any saved file of it."""
        return comware.read_lists(texts)

    def write_list(self, acl: Acl) -> Lines:
        """What to type to make this list from nothing."""
        return write_list(acl, DIALECT)

    def edit_list(self, before: Acl, after: Acl) -> Lines:
        """What to type to make the one of the other."""
        return edit_list(before, after, DIALECT)


class Groups(PacketFilter):
    """`Groups` of Comware V7. Members are hosts and prefixes: not every switch's hardware takes a range."""

    placeholder = False
    most = 0

    def ask_members(self, group: Group) -> Lines:
        """What to type to see the group's members."""
        return comware_objects.ask(group)

    def read_members(self, group: Group, texts: Sequence[str]) -> Members:
        """Read what that line printed."""
        return comware_objects.read(group, "\n".join(texts))

    def add(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to add exactly these; the group is made where it is absent."""
        del texts
        return comware_objects.add(group, spans)

    def remove(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> Lines:
        """What to type to remove exactly these."""
        del texts
        return comware_objects.remove(group, spans)

    def places(self, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> tuple[int, ...]:
        """None: a member is removed by its address."""
        del group, spans, texts
        return ()

    def sayable(self, span: Span) -> tuple[Span, ...]:
        """The fewest prefixes that are the span."""
        return tuple(span.prefixes())


class CommitDelay:
    """`Timed` of Comware V7: `configuration commit delay` makes the device go back by itself, in whole minutes.

    No reference names a line that shows whether the timer runs, so nothing is asked; a version that does not know it
    refuses to arm it, before anything is changed. Everything configured meanwhile goes back with it, other people's
    lines as well. A later `configuration commit delay` moves the timer and keeps the point it goes back to.
    """

    def revert(self, seconds: int) -> Revert:
        """The timer for at least that many seconds, 1 to 65535 minutes."""
        minutes = min(max(1, math.ceil(seconds / 60)), 65535)
        return Revert(arm=(f"configuration commit delay {minutes}",), confirm=("configuration commit",))

    def is_running(self, texts: Sequence[str]) -> bool:
        """False: the device has no way to say."""
        del texts
        return False

    def ask_able(self) -> Lines:
        """What to type to see the version."""
        return ("display version",)

    def read_able(self, texts: Sequence[str]) -> str:
        """Empty for version 7 and later; else the reason."""
        said = "\n".join(line for text in texts for line in comware.answer(text))
        version = re.search(r"\bVersion (\d{1,3})\.", said)
        if version is None:
            return "the device does not say which version of Comware it has"
        if int(version[1]) < 7:  # noqa: PLR2004 -- Comware V7
            return f"Comware V{version[1]} has no `configuration commit delay`; it came with V7"
        return ""


VENDOR: Final = Vendor(
    name="h3c_comware",
    title="H3C Comware V7",
    driver="hp_comware",
    terminal=TERMINAL,
    tried="emulator",
    reference=(
        "H3C MSR 810/830/2600/3600 Routers Command Reference (V7), ACL and QoS Command Reference, ACL commands",
        "H3C Comware V7, Security Command Reference, Object group commands",
        "H3C Comware V7, Fundamentals Configuration Guide, Managing configuration files, configuration commit delay",
        "H3C Comware V7, Layer 2 LAN Switching Command Reference, VLAN commands, MAC address table commands",
    ),
    systems=("comware", "h3c.comware.comware", "h3c", "hp_comware"),
    groups=Groups(),
    filters=Lists(),
    timer=CommitDelay(),
    switch=Ports(),
    secrets=SECRETS,
)
