"""Cisco NX-OS: Nexus switches. Written from the reference; generation, reading and read-back only.

Decides which lines are typed and how their answers are read. Leaves to others: rules and lists (`dialects.ios*`).

    object-group ip address remedy-block         interface Ethernet1/1
      10 host 240.0.0.1                            ip access-group edge-in in
      20 198.51.100.0/24                         ip access-list edge-in
                                                   statistics per-entry
                                                   5 deny ip addrgroup remedy-block any

Addresses are prefixes; a group takes no ranges. `show running-config aclmgr` shows groups, lists and where they are
applied. A checkpoint (`checkpoint NAME`, `rollback running-config checkpoint NAME`) goes back when it is told to, and
not by itself: there is no timer. Packets are counted only where a list says `statistics per-entry`.

Source: "Cisco Nexus 9000 Series NX-OS Security Configuration Guide", chapter "Configuring IP ACLs" (`ip access-list`,
`resequence`, `object-group ip address`, `addrgroup`); "Cisco Nexus 9000 Series NX-OS System Management Configuration
Guide", chapter "Configuring Rollback"; "Cisco Nexus 9000 Series NX-OS Layer 2 Switching Configuration Guide".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from remedy.devices import Gate, Group, Lines, Members, Terminal, Vendor
from remedy.devices.dialects.ios import Words, plain
from remedy.devices.dialects.ios_edit import ListSyntax, NumberedFilters
from remedy.devices.dialects.ios_gates import NumberedGroups
from remedy.devices.dialects.ios_ports import CiscoPorts
from remedy.devices.dialects.ios_sight import GateSyntax, Sight, lists_of, member, placed, read_group

__all__ = ["VENDOR"]

_WORDS: Final = Words("Cisco NX-OS", "prefix", group="addrgroup")
_LISTS: Final = ListSyntax(_WORDS, kinds=False, sequence=False, numbered=True)
_ABSENT: Final = (r"(?m)^(?:ERROR: |% ?)?(?:Object-group|Object group|Access.?list) .*\bnot (?:exist|found)\b.*$",)


def _ask_group(group: Group) -> Lines:
    return (f"show object-group {plain(group.name, 'a group')}",)


def _read_group(group: Group, texts: Sequence[str]) -> Members:
    return read_group(group, texts, _WORDS)


def _ask_gate(gate: Gate, group: Group) -> Lines:
    del gate
    family = "ip" if group.family == 4 else "ipv6"  # noqa: PLR2004
    return (f"show {family} access-lists", "show running-config aclmgr", *_ask_group(group))


def _read_gate(gate: Gate, group: Group, texts: Sequence[str]) -> Sight:
    del gate
    lists = lists_of(texts[:2], group.family)
    return Sight(lists, placed(texts[1:2], group.family), _read_group(group, texts[2:]))


_APPLY: Final = {4: "ip access-group {} {}", 6: "ipv6 traffic-filter {} {}"}

VENDOR: Final = Vendor(
    name="cisco_nxos",
    title="Cisco NX-OS",
    driver="cisco_nxos",
    tried="text",
    terminal=Terminal(
        refusals=(
            r"(?m)^[ \t]*% ?(?:Invalid|Incomplete|Ambiguous|Permission|Unrecognized|Unknown)\b.*$",
            r"(?m)^(?:ERROR|Error):.*$",
            r"(?m)^Syntax error while parsing\b.*$",
            *_ABSENT,
        ),
        absent=_ABSENT,
        quiet=("terminal length 0", "terminal width 511", "terminal no monitor"),
        reading=("show", "dir"),
        save=("copy running-config startup-config",),
    ),
    reference=(
        "Cisco Nexus 9000 Series NX-OS Security Configuration Guide",
        "Cisco Nexus 9000 Series NX-OS System Management Configuration Guide",
        "Cisco Nexus 9000 Series NX-OS Layer 2 Switching Configuration Guide",
    ),
    systems=("nxos", "cisco.nxos.nxos"),
    groups=NumberedGroups(
        syntax=GateSyntax(_LISTS, {4: "object-group ip address {}", 6: "object-group ipv6 address {}"}, _APPLY),
        ask_group=_ask_group,
        read_group=_read_group,
        ask=_ask_gate,
        read=_read_gate,
        say=member(_WORDS),
        ranges=False,
    ),
    filters=NumberedFilters(_LISTS, ask=("show access-lists", "show running-config aclmgr")),
    switch=CiscoPorts(interfaces="interface", neighbors="neighbor"),
    secrets=(
        r"(?m)^[ \t]*username \S+ (?:.*?\s)?password \d (\S+)",
        r"(?m)^[ \t]*enable secret(?: \d)? (\S+)",
        r"(?m)^[ \t]*snmp-server community (\S+)",
        r"(?m)^[ \t]*snmp-server user .*? auth \S+ (\S+)",
        r"(?m)^[ \t]*snmp-server user .*? priv (?:aes-128 |des )?(\S+)",
        r"(?m)^[ \t]*snmp-server host \S+ .*?version (?:1|2c|3 \S+) (\S+)",
        r"(?m)^[ \t]*(?:tacacs|radius)-server (?:host \S+ (?:.*? )?)?key(?: \d)? (\S+)",
        r"(?m)^[ \t]*key-string(?: \d)? (\S.*?)[ \t]*$",
        r"(?m)^[ \t]*neighbor \S+ password(?: \d)? (\S+)",
        r"(?m)^[ \t]*password(?: \d)? (\S+)[ \t]*$",
        r"(?m)^[ \t]*ip ospf (?:authentication-key|message-digest-key \d+ md5)(?: \d)? (\S+)",
        r"(?m)^[ \t]*ntp authentication-key \d+ \S+ (\S+)",
        r"(?m)^[ \t]*(?:authentication|preempt.*?) (?:md5 )?(?:key-string|text)(?: \d)? (\S+)",
    ),
)
