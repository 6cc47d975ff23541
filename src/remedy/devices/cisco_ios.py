"""Cisco IOS and IOS-XE: routers and Catalyst switches.

Decides which lines are typed and how their answers are read. Leaves to others: rules and lists (`dialects.ios*`).

    object-group network remedy-block            show running-config | include ^interface|ip access-group
     host 240.0.0.1                              interface GigabitEthernet0/1
     host 203.0.113.7                             ip access-group edge-in in
     range 198.51.100.7 198.51.100.20            show ip access-lists
    ip access-list extended edge-in              Extended IP access list edge-in
     5 deny ip object-group remedy-block any         5 deny ip object-group remedy-block any (12 matches)

Where lists are applied is read from the configuration: `show ip interface` leaves them out at an interface that has no
IPv4 address of its own (`Internet protocol processing disabled`), a switch port among them, where they act all the
same.

Some releases pass over a line with an object group for packets that the router itself is to process: the rule stops
what is forwarded, not for certain what is sent to the device.

The timer is "Configuration Rollback Confirmed Change": `configure terminal revert timer N` (1 to 120 minutes) keeps a
copy of the running configuration in the archive and goes back to it unless `configure confirm` comes in time. There is
one for the whole device: while it runs another is refused, and `configure revert timer N` gives it its full time again.

Source: "Cisco IOS Security Command Reference" (`object-group network`, `ip access-list`, `ipv6 access-list`,
`show object-group`); "Security Configuration Guide: Access Control Lists, Cisco IOS XE", chapters "Object Groups for
ACLs" and "IPv6 ACLs" (`object-group v6-network`); "Cisco IOS Configuration Fundamentals Command Reference" (`configure
terminal`, `configure confirm`, `configure revert`, `show archive`, `show archive config rollback timer`); "Cisco IOS
LAN Switching Command Reference".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from remedy.core.errors import UsageError
from remedy.devices import Gate, Group, Lines, Members, Revert, Terminal, Vendor
from remedy.devices.dialects.ios import Words, plain
from remedy.devices.dialects.ios_edit import ListSyntax, NumberedFilters
from remedy.devices.dialects.ios_gates import NumberedGroups
from remedy.devices.dialects.ios_lists import refused
from remedy.devices.dialects.ios_ports import CiscoPorts
from remedy.devices.dialects.ios_sight import GateSyntax, Sight, lists_of, member, placed, read_group

__all__ = ["VENDOR"]

_WORDS: Final = Words("Cisco IOS", "wildcard", many=10)
#: A group's networks have a mask where a rule's have wildcard bits.
_GROUP_WORDS: Final = Words("Cisco IOS", "mask", many=10)
_LISTS: Final = ListSyntax(_WORDS)
_MINUTES: Final = 120

_ABSENT: Final = (
    r"(?m)^% ?(?:Object-group|Object group|Access.?list) .*\b(?:not exist|not found|not configured)\b.*$",
    r"(?m)^% ?No Rollback Confirmed Change pending.*$",
    r"(?m)^[ \t]*Archive feature not enabled[ \t]*$",
)
#: `%` opens a refusal; what is looked past are log lines (`%SYS-5-CONFIG_I:`), warnings, and a VLAN made on the way.
_REFUSALS: Final = (
    r"(?m)^%(?![A-Z0-9_]+(?:-[A-Z0-9_]+)*-[0-7]-)(?! ?(?i:warning|note|info))(?! ?Access VLAN does not exist).*$",
    r"(?m)^Command rejected\b.*$",
    r"(?m)^(?:Error|ERROR)\b.*$",
    r"(?m)^Command authorization failed\b.*$",
    r"(?m)^[ \t]*Configuration mode (?:is )?locked\b.*$",
    r"(?m)^startup-config file open failed\b.*$",
    r"(?m)^(?:Access-list|Object-group|Object group) .*\b(?:in use|conflict|cannot|not allowed|does not exist)\b.*$",
    *_ABSENT,
)


def _ask_group(group: Group) -> Lines:
    return (f"show object-group {plain(group.name, 'a group')}",)


def _read_group(group: Group, texts: Sequence[str]) -> Members:
    return read_group(group, texts, _GROUP_WORDS)


#: What shows a family's lists, and how the lines begin that apply one.
_LISTED: Final = {
    4: ("show ip access-lists", "ip access-group"),
    6: ("show ipv6 access-list", "ipv6 traffic-filter"),
}


def _ask_gate(gate: Gate, group: Group) -> Lines:
    """All lists and all interfaces: whether something else uses the group or the list decides what can be undone."""
    del gate
    lists, applied = _LISTED[group.family]
    return (lists, f"show running-config | include ^interface|{applied}", *_ask_group(group))


def _read_gate(gate: Gate, group: Group, texts: Sequence[str]) -> Sight:
    del gate
    lists = lists_of(texts[:1], group.family)
    refused(texts)
    return Sight(lists, placed(texts[1:2], group.family), _read_group(group, texts[2:]))


class RollbackTimer:
    """`remedy.devices.Timed`: Configuration Rollback Confirmed Change, IOS 12.4(20)T and later."""

    def revert(self, seconds: int) -> Revert:
        """The timer for at least that many seconds, in minutes. Raises UsageError beyond 120 minutes."""
        minutes = max(1, -(-seconds // 60))
        if minutes > _MINUTES:
            raise UsageError(f"the timer of Cisco IOS ends after {_MINUTES} minutes", hint="choose a shorter time")
        return Revert(
            arm=(f"configure terminal revert timer {minutes}", "end"),
            confirm=("configure confirm",),
            arm_mode="exec",
            confirm_mode="exec",
            ask=("show archive config rollback timer",),
            again=(f"configure revert timer {minutes}",),
        )

    def is_running(self, texts: Sequence[str]) -> bool:
        """Whether the timer runs: `Timer value: 3 min`, or `%No Rollback Confirmed Change pending`."""
        refused(texts)
        return any("Timer value" in text or "Timer type" in text for text in texts)

    def ask_able(self) -> Lines:
        """What to type to see whether an archive is set up."""
        return ("show archive",)

    def read_able(self, texts: Sequence[str]) -> str:
        """Empty when the device can; else the reason, with the lines to paste."""
        text = "\n".join(texts)
        if "Archive feature not enabled" in text:
            return (
                "no configuration archive is set up, which the revert timer needs; paste: "
                "configure terminal / archive / path flash:remedy / end"
            )
        if "archive file" in text or "archive configurations" in text:
            return ""
        return "this release has no configuration archive, so that the device cannot revert by itself"


_APPLY: Final = {4: "ip access-group {} {}", 6: "ipv6 traffic-filter {} {}"}

VENDOR: Final = Vendor(
    name="cisco_ios",
    title="Cisco IOS and IOS-XE",
    driver="cisco_ios",
    tried="emulator",
    terminal=Terminal(
        refusals=_REFUSALS,
        absent=_ABSENT,
        answers=(
            (r"Overwrite the previous NVRAM configuration\?\s*\[confirm\]", "y"),
            (r"Destination filename \[startup-config\]\?", ""),
        ),
        quiet=("terminal length 0", "terminal width 0", "terminal no monitor"),
        reading=("show", "dir"),
        save=("write memory",),
    ),
    reference=(
        "Cisco IOS Security Command Reference",
        "Security Configuration Guide: Access Control Lists, Cisco IOS XE",
        "Cisco IOS Configuration Fundamentals Command Reference",
        "Cisco IOS LAN Switching Command Reference",
    ),
    systems=("ios", "cisco.ios.ios", "cisco_xe", "iosxe"),
    groups=NumberedGroups(
        syntax=GateSyntax(_LISTS, {4: "object-group network {}", 6: "object-group v6-network {}"}, _APPLY),
        ask_group=_ask_group,
        read_group=_read_group,
        ask=_ask_gate,
        read=_read_gate,
        say=member(_GROUP_WORDS),
        ranges=True,
    ),
    filters=NumberedFilters(_LISTS, ask=("show access-lists", "show running-config")),
    timer=RollbackTimer(),
    switch=CiscoPorts(interfaces="interfaces", neighbors="neighbors"),
    secrets=(
        r"(?m)^[ \t]*enable (?:secret|password)(?: level \d+)?(?: \d+)? (\S+)[ \t]*$",
        r"(?m)^[ \t]*username \S+ (?:.*?\s)?(?:password|secret)(?: \d+)? (\S+)[ \t]*$",
        r"(?m)^[ \t]*password(?: \d+)? (\S+)[ \t]*$",
        r"(?m)^[ \t]*snmp-server community (\S+)",
        r"(?m)^[ \t]*snmp-server host \S+(?: vrf \S+)?(?: (?:traps|informs))?(?: version (?:1|2c|3 \S+))? (\S+)",
        r"(?m)^[ \t]*snmp-server user .*? auth \S+ (\S+)",
        r"(?m)^[ \t]*snmp-server user .*? priv (?:\S+ )*?(\S+)[ \t]*$",
        r"(?m)^[ \t]*key-string(?: \d)? (\S.*?)[ \t]*$",
        r"(?m)^[ \t]*(?:tacacs|radius)-server (?:host \S+ (?:.*? )?)?key(?: \d)? (\S+)",
        r"(?m)^[ \t]*key(?: \d)? (?!chain\b|\d+\s*$)(\S+)[ \t]*$",
        r"(?m)^[ \t]*crypto isakmp key(?: \d)? (\S+) ",
        r"(?m)^[ \t]*pre-shared-key(?: (?:local|remote|address .*? key))?(?: \d)? (\S+)[ \t]*$",
        r"(?m)^[ \t]*(?:ip ospf|area) .*?(?:authentication-key|message-digest-key \d+ md5)(?: \d)? (\S+)",
        r"(?m)^[ \t]*(?:standby|vrrp|glbp) .*?authentication (?:md5 )?(?:key-string|text)(?: \d)? (\S+)",
        r"(?m)^[ \t]*neighbor \S+ password(?: \d)? (\S+)",
        r"(?m)^[ \t]*server-private \S+ .*?key(?: \d)? (\S+)",
        r"(?m)^[ \t]*(?:ip ftp password|isis password|vtp password)(?: \d)? (\S+)",
        r"(?m)^[ \t]*ntp authentication-key \d+ \S+ (\S+)",
        r"(?m)^[ \t]*ppp (?:chap|pap).*? password(?: \d)? (\S+)",
        r"(?m)^[ \t]*(?:wpa-psk ascii|security wpa psk set-key ascii|server-key)(?: \d)? (\S+)",
    ),
)
