"""Comware V7: its answers, its lists, and the drop rule at a packet filter."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.devices.models import Comware
from tests.worlds.captures import CAPTURES, WITHOUT

from remedy.core.errors import AnswerUnusable, Refused, RemedyError, UsageError
from remedy.devices import Gate, GateState, Group, Port, named
from remedy.devices.acl import ANY, Acl, Endpoint, Rule
from remedy.devices.addresses import Span, parse
from remedy.devices.dialects import comware

VENDOR = named("h3c_comware")
assert VENDOR.groups is not None
assert VENDOR.filters is not None
assert VENDOR.switch is not None
assert VENDOR.timer is not None
GROUPS, FILTERS, SWITCH, TIMER = VENDOR.groups, VENDOR.filters, VENDOR.switch, VENDOR.timer
GROUP = Group("remedy-block", 4)
GROUP6 = Group("remedy-block6", 6)
GATE = Gate(interface="GigabitEthernet1/0/1")


def one(text: str) -> Acl:
    """The only list of a text."""
    (acl,) = FILTERS.read_lists([text])
    return acl


def asked(device: Comware, gate: Gate = GATE, group: Group = GROUP) -> list[str]:
    """What the device prints to the gate's questions."""
    return [device.show(line) for line in GROUPS.ask_gate(gate, group)]


def state(device: Comware, gate: Gate = GATE, group: Group = GROUP) -> GateState:
    """The gate's state."""
    return GROUPS.read_gate(gate, group, asked(device, gate, group))


def test_line_ends_and_a_bare_description() -> None:
    """CR NUL LF ends a line; the line between header and step is the description; echo and prompt are no content."""
    acl = one(
        "display acl 3767\r\0\nAdvanced IPv4 ACL 3767, 2 rules,\r\0\nold-web\r\0\nACL's step is 5, start ID is 0\r\0\n"
        " rule 200 permit udp tos max-reliability\r\0\n rule 5000 permit ospf tos 3\r\0\n<SW-1>"
    )
    assert (acl.name, acl.family, acl.kind, acl.step, acl.extra) == (
        "3767", 4, "advanced", 5, (("description", "old-web"),),
    )  # fmt: skip
    assert [(r.number, r.protocol, r.rest) for r in acl.rules] == [
        (200, "udp", ("tos", "max-reliability")),
        (5000, "89", ("tos", "3")),
    ]
    assert acl.unknown == ()


@pytest.mark.parametrize(
    ("header", "name", "number", "order"),
    [
        ("Advanced IPv4 ACL 3000, 1 rule,", "3000", "", "config"),
        ("Advanced IPv4 ACL 3000 named edge, 1 rule,", "edge", "3000", "config"),
        ("Advanced IPv4 ACL named edge, 1 rule,", "edge", "", "config"),
        ("Advanced ACL  3000, named -none-, 1 rule,", "3000", "", "config"),
        ("Advanced ACL  3000, named edge, 1 rule,", "edge", "3000", "config"),
        ("Advanced ACL EDGE 3998, 1 rule", "EDGE", "3998", "config"),
        ("Advanced IPv4 ACL 3000, 1 rule, match-order is auto,", "3000", "", "auto"),
        ("Advanced IPv4 ACL 3000,", "3000", "", "config"),
        ("acl advanced 3000", "3000", "", "config"),
        ("acl advanced name edge match-order auto", "edge", "", "auto"),
        ("acl number 3000 name edge", "edge", "3000", "config"),
    ],
)
def test_headers(header: str, name: str, number: str, order: str) -> None:
    """Headers of every version, with and without names, numbers and counts, name the same list."""
    acl = one(f"{header}\n rule 5 deny ip\n")
    assert (acl.name, dict(acl.extra).get("number", ""), acl.order) == (name, number, order)
    assert [rule.number for rule in acl.rules] == [5]


def test_comments_marks_and_expiry() -> None:
    """A comment line is no rule, marks in brackets are no words, and an expiry is read out of its comment."""
    acl = one(
        "Basic IPv4 ACL 2001, 2 rules,\nACL's step is 5\nACL accelerated\n"
        " rule 5 permit source 192.0.2.1 0 (5 times matched)\n rule 5 comment This is for (the) web.\n"
        " rule 10 deny source object-group bad time-range night (Inactive)\n"
        " rule 10 comment until 2026-11-21T00:00:00Z asked for\n"
    )
    first, second = acl.rules
    assert first == Rule(
        "permit", 4, source=Endpoint((parse("192.0.2.1"),)), number=5, comment="This is for (the) web."
    )
    assert (second.until, second.comment, second.enabled) == ("2026-11-21T00:00:00Z", "asked for", False)
    assert (second.source.group, second.rest) == ("bad", ("time-range", "night"))


def test_addresses_and_ports() -> None:
    """Wildcards become prefixes, those with holes stay words; port operators and names become ranges."""
    acl = FILTERS.read_lists(
        [
            (
                "acl advanced 3000\n"
                " rule 0 permit tcp source 192.0.2.77 0.0.0.255 source-port gt 1023 destination-port eq www\n"
                " rule 5 permit udp destination 198.51.100.7 0 destination-port range snmp snmptrap\n"
                " rule 10 deny tcp source 10.0.0.1 0.255.0.255 destination-port neq 22 established logging\n"
                " rule 15 deny 6 source any destination any destination-port lt 10\n"
                "#\nacl ipv6 advanced 3000\n rule 0 permit tcp source 2001:DB8::9/64 destination 2001:db8:1:: 48\n#\n"
            )
        ]
    )
    four, six = acl
    a, b, c, d = four.rules
    assert (str(a.source.spans[0]), a.source.ports, a.destination.ports) == (
        "192.0.2.0/24",
        ((1024, 65535),),
        ((80, 80),),
    )
    assert b.destination.ports == ((161, 162),)
    assert c.rest == ("source", "10.0.0.1", "0.255.0.255", "established")
    assert (c.source, c.destination.ports, c.log) == (ANY, ((0, 21), (23, 65535)), True)
    assert (d.protocol, d.source, d.destination.ports) == ("tcp", ANY, ((0, 9),))
    assert [str(six.rules[0].source.spans[0]), str(six.rules[0].destination.spans[0])] == [
        "2001:db8::/64",
        "2001:db8:1::/48",
    ]


def test_what_is_not_understood_is_kept() -> None:
    """Lines of lists and lines outside of them that say something unknown are shown, each where it stands."""
    stray, acl, mac = FILTERS.read_lists(
        [
            (
                "Something new\nAdvanced IPv4 ACL 3000, 2 rules,\nACL's step is 5\n rule 5 permit ip\n"
                " rule 7 allow all\n a new line\n"
                "MAC ACL 4000, 1 rule,\nACL's step is 5\n rule 0 permit type 0806 ffff\n"
            )
        ]
    )
    assert [line.text for line in stray.unknown] == ["Something new"]
    assert [line.text for line in acl.unknown] == ["rule 7 allow all", "a new line"]
    assert (mac.family, mac.kind, [line.text for line in mac.unknown]) == (0, "mac", ["rule 0 permit type 0806 ffff"])


def test_cut_output_is_no_answer() -> None:
    """A list or group that shows less than it announces is not decided from."""
    with pytest.raises(AnswerUnusable, match="announces 3 rules and shows 1"):
        FILTERS.read_lists(["Advanced IPv4 ACL 3000, 3 rules,\nACL's step is 5\n rule 5 permit ip\n"])
    with pytest.raises(AnswerUnusable, match="announces 2 objects"):
        GROUPS.read_members(
            GROUP, ["IP address object group remedy-block: 2 objects(in use)\n0 network host address 192.0.2.1\n"]
        )


def test_a_description_that_says_no_is_no_refusal() -> None:
    """Sentences refuse where they come first, so that a list's description may say anything."""
    acl = one("Advanced IPv4 ACL 3000, 0 rules,\nThe old list, not used\nACL's step is 5\n")
    assert dict(acl.extra)["description"] == "The old list, not used"
    assert comware.answer("The ACL does not exist.\n") == []
    for said in ("Permission denied.\n", "%Nov 20 10:00:00:123 2026 SW IFNET/3/X: up\nThe ACL is being used.\n"):
        with pytest.raises(AnswerUnusable):
            comware.answer(said)


def test_members_of_every_form() -> None:
    """Hosts, subnets and ranges are members, names and nested groups unknown lines, and an absent group is absent."""
    text = (
        "Ip address object-group REMEDY-BLOCK: 6 objects(out of use)\n0 network host address 192.0.2.1\n"
        "10 network host name host\n20 network subnet 198.51.100.1 255.255.255.0\n"
        "30 network range 203.0.113.9 203.0.113.7\n"
        "40 network group-object obj1\n50 network subnet 10.0.0.0 wildcard 0.255.0.255\n"
    )
    read = GROUPS.read_members(GROUP, [text])
    assert [str(span) for span in read.spans] == ["192.0.2.1", "198.51.100.0/24", "203.0.113.7-203.0.113.9"]
    assert len(read.unknown) == 3
    assert GROUPS.read_members(GROUP, [""]).absent
    assert GROUPS.read_members(GROUP, ["The object group does not exist.\n"]).absent
    with pytest.raises(AnswerUnusable, match="group of another kind"):
        GROUPS.read_members(GROUP, ["IPv6 address object group remedy-block: 0 objects(out of use)\n"])


def test_ranges_become_prefixes() -> None:
    """A group of a switch gets prefixes, whatever was asked for."""
    assert [str(part) for part in GROUPS.sayable(parse("192.0.2.1-192.0.2.4"))] == [
        "192.0.2.1", "192.0.2.2/31", "192.0.2.4",
    ]  # fmt: skip
    with pytest.raises(UsageError):
        GROUPS.add(GROUP6, [Span(6, 0, (1 << 128) - 1)], ())


@pytest.mark.parametrize("matches", ["source", "destination"])
@pytest.mark.parametrize("group", [GROUP, GROUP6])
@pytest.mark.parametrize("place", ["GigabitEthernet1/0/1", "vlan 10", "global"])
def test_own_list(place: str, group: Group, matches: str) -> None:
    """Where no list is applied, one of remedy's own is, with the drop rule alone; taken back, nothing is left."""
    device = Comware()
    gate = Gate(interface=place, matches=matches)
    assert state(device, gate, group).state == "absent"
    texts = asked(device, gate, group)
    device.type(GROUPS.prepare(gate, group, texts))
    (acl,) = device.acls.values()
    assert list(acl["rules"].values()) == [
        f"deny ip{'v6' if group.family == 6 else ''} {matches} object-group {group.name} counting"
    ]
    assert state(device, gate, group).state == "ready"
    assert GROUPS.prepare(gate, group, asked(device, gate, group)) == ()
    later = GROUPS.unprepare(gate, group, asked(device, gate, group))
    assert later == GROUPS.unprepare(gate, group, texts)
    device.type(later)
    assert (device.acls, device.objects, [f for f in device.filters.values() if f]) == ({}, {}, [])


def test_own_list_keeps_what_passes_where_default_is_deny() -> None:
    """With `packet-filter default deny` set, remedy's list ends with a rule that permits everything."""
    device = Comware()
    device.default_deny = True
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    (acl,) = device.acls.values()
    assert acl["rules"][65534] == "permit ip"
    assert state(device).state == "ready"


def test_own_list_that_is_not_applied() -> None:
    """A list of remedy's own that is only not applied is applied, and taken off again; it stays."""
    device = Comware()
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    device.filters.clear()
    texts = asked(device)
    assert state(device).state == "inactive"
    held = str(device.acls)
    device.type(GROUPS.prepare(GATE, GROUP, texts))
    assert state(device).state == "ready"
    device.type(GROUPS.unprepare(GATE, GROUP, texts))
    assert (state(device).state, str(device.acls)) == ("inactive", held)


def applied(device: Comware, *rules: str, place: str = "GigabitEthernet1/0/1") -> None:
    """Somebody's list 3000, applied."""
    device.type(["acl advanced 3000", *rules, "quit", f"interface {place}", "packet-filter 3000 inbound", "quit"])


def test_on_top_of_somebodys_list() -> None:
    """Where a list is applied, the rule stands below its lowest number, and other people's rules keep theirs."""
    device = Comware()
    applied(device, "rule 5 permit tcp destination-port eq 443", "rule 5 comment web", "rule 10 deny ip")
    kept = dict(device.acls["4", "3000"]["rules"])
    before = asked(device)
    device.type(GROUPS.prepare(GATE, GROUP, before))
    rules = device.acls["4", "3000"]["rules"]
    assert rules == {4: "deny ip source object-group remedy-block counting", **kept}
    assert state(device) == GateState("ready")
    device.type(GROUPS.add(GROUP, [parse("203.0.113.7")], ()))
    for texts in (asked(device), before):
        lines = GROUPS.unprepare(GATE, GROUP, texts)
        assert lines[:3] == ("acl advanced 3000", "undo rule 4", "quit")
    device.type(GROUPS.unprepare(GATE, GROUP, asked(device)))
    assert device.acls["4", "3000"]["rules"] == kept
    assert device.objects == {("ip", "remedy-block"): ["host address 203.0.113.7"]}


def test_both_sides_of_one_list() -> None:
    """A gate for sources and one for destinations, prepared from one answer, stand side by side, neither shadowed."""
    device = Comware()
    applied(device, "rule 5 permit tcp")
    gates = [GATE, replace(GATE, matches="destination")]
    for lines in [GROUPS.prepare(gate, GROUP, asked(device, gate)) for gate in gates]:
        device.type(lines)
    assert sorted(device.acls["4", "3000"]["rules"]) == [3, 4, 5]
    assert [state(device, gate).state for gate in gates] == ["ready", "ready"]
    for gate in gates:
        device.type(GROUPS.unprepare(gate, GROUP, asked(device, gate)))
    assert (device.acls["4", "3000"]["rules"], device.objects) == ({5: "permit tcp"}, {})


def test_shadowed_rule_is_brought_up_and_put_back() -> None:
    """A rule that somebody's rule precedes is shadowed; prepared, it is on top; taken back, it is where it was."""
    device = Comware()
    device.type(["object-group ip address remedy-block", "quit"])
    applied(device, "rule 5 permit tcp", "rule 20 deny ip source object-group remedy-block counting")
    texts = asked(device)
    found = state(device)
    assert (found.state, found.why) == ("shadowed", "rule 5 of list 3000 decides before it")
    start = dict(device.acls["4", "3000"]["rules"])
    device.type(GROUPS.prepare(GATE, GROUP, texts))
    assert state(device).state == "ready"
    device.type(GROUPS.unprepare(GATE, GROUP, texts))
    assert device.acls["4", "3000"]["rules"] == start


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (["rule 0 permit tcp"], "rule 0 of list 3000 leaves no number"),
        (["rule 5 permit ip source object-group remedy-block"], "rule 5 of list 3000 permits remedy-block"),
    ],
)
def test_no_room_and_foreign(rules: list[str], says: str) -> None:
    """Where rule 0 is taken, or somebody permits remedy's group, the gate is refused with the reason."""
    device = Comware()
    device.type(["object-group ip address remedy-block", "quit"])
    applied(device, *rules)
    with pytest.raises(Refused, match=says) as refused:
        GROUPS.prepare(GATE, GROUP, asked(device))
    assert refused.value.hint


def test_depth_first_lists_are_refused() -> None:
    """A list in depth-first order takes no rule on top, and no edit."""
    device = Comware()
    applied(device, "rule 5 permit tcp")
    texts = asked(device)
    texts[1] = texts[1].replace("1 rules,", "1 rules, match-order is auto,")
    with pytest.raises(Refused, match="depth-first"):
        GROUPS.prepare(GATE, GROUP, texts)
    acl = one(texts[1])
    with pytest.raises(Refused, match="depth-first"):
        FILTERS.edit_list(acl, replace(acl, rules=()))


@pytest.mark.parametrize("failed", ["3000", "3000 4"])
def test_failed_in_hardware(failed: str) -> None:
    """A list or rule that is marked (Failed) does not act; a counter that is marked so does not matter."""
    device = Comware()
    applied(device, "rule 5 permit tcp")
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    assert state(device).state == "ready"
    device.failed = {failed}
    assert state(device).state == "inactive"
    assert "(Failed)" in state(device).why
    with pytest.raises(Refused, match="does not act"):
        GROUPS.prepare(GATE, GROUP, asked(device))


def test_hits() -> None:
    """The packets that the rule has met are those that the hardware counted, where it counts."""
    device = Comware()
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    texts = asked(device)
    counted = [*texts[:4], texts[4].replace("counting", "counting (12 packets)")]
    assert GROUPS.read_gate(GATE, GROUP, counted) == GateState("ready", hits=12)
    refused = "                ^\n % Unrecognized command found at '^' position.\n"
    assert GROUPS.read_gate(GATE, GROUP, [*texts[:4], refused]) == GateState("ready")


def test_names_and_places_that_are_taken() -> None:
    """A group of another kind, another list than the inventory's, and a list that is not applied are refused."""
    device = Comware()
    device.type(["object-group ipv6 address remedy-block", "quit"])
    assert state(device).state == "foreign"
    other = Comware()
    applied(other, "rule 5 permit tcp")
    gate = replace(GATE, acl="3500")
    assert state(other, gate).state == "foreign"
    assert state(other, replace(GATE, acl="3000")).state == "absent"
    with pytest.raises(Refused, match="is not applied"):
        GROUPS.prepare(gate, GROUP, asked(Comware(), gate))


def test_two_gates_share_a_group() -> None:
    """Taking one gate back leaves the other one's rule and the group they share."""
    device = Comware()
    second = Gate(interface="GigabitEthernet1/0/2")
    for gate in (GATE, second):
        device.type(GROUPS.prepare(gate, GROUP, asked(device, gate)))
    device.type(GROUPS.unprepare(GATE, GROUP, asked(device)))
    assert (state(device).state, state(device, second).state) == ("absent", "ready")
    device.type(GROUPS.unprepare(second, GROUP, asked(device, second)))
    assert device.objects == {}


def test_edit_is_minimal() -> None:
    """A new rule takes a number between its neighbours; a rule that is in both lists is not typed."""
    before = one(
        "Advanced IPv4 ACL 3000, 3 rules,\nACL's step is 5\n rule 0 permit tcp\n rule 5 permit udp\n rule 10 deny ip\n"
    )
    new = Rule("permit", 4, "icmp", comment="ping")
    rules = (before.rules[0], new, before.rules[2])
    assert FILTERS.edit_list(before, replace(before, rules=rules)) == (
        "acl advanced 3000",
        "rule 6 permit icmp",
        "rule 6 comment ping",
        "undo rule 5",
        "quit",
    )
    lines = FILTERS.edit_list(before, replace(before, rules=(*before.rules[:2], new, before.rules[2])))
    assert lines == ("acl advanced 3000", "rule 8 permit icmp", "rule 8 comment ping", "quit")
    assert FILTERS.edit_list(before, replace(before, rules=(*before.rules, new)))[1] == "rule 15 permit icmp"
    assert FILTERS.edit_list(before, replace(before, rules=before.rules[1:])) == (
        "acl advanced 3000",
        "undo rule 0",
        "quit",
    )
    noted = replace(before, rules=(replace(before.rules[0], comment="x"), *before.rules[1:]))
    assert FILTERS.edit_list(before, noted) == ("acl advanced 3000", "rule 0 comment x", "quit")
    assert FILTERS.edit_list(noted, before) == ("acl advanced 3000", "undo rule 0 comment", "quit")


def test_a_number_in_use_is_cleared_first() -> None:
    """A rule typed on a number in use would merge with what is there, so that one is undone before."""
    before = one("acl advanced 3000\n rule 5 permit tcp destination-port eq 80\n")
    after = replace(before, rules=(Rule("deny", 4, "tcp", number=5),))
    assert FILTERS.edit_list(before, after) == ("acl advanced 3000", "undo rule 5", "rule 5 deny tcp", "quit")


def test_no_room_between_numbers() -> None:
    """Without a free number between, rules that were kept move on; where numbers were asked for, it is refused."""
    before = one("acl advanced 3000\n rule 0 permit tcp\n rule 1 deny ip\n")
    new = Rule("permit", 4, "udp")
    device = Comware()
    device.type(["acl advanced 3000", "rule 0 permit tcp", "rule 1 deny ip", "quit"])
    rules = (before.rules[0], new, replace(before.rules[1], number=None))
    device.type(FILTERS.edit_list(before, replace(before, rules=rules)))
    assert [rule for _, rule in sorted(device.acls["4", "3000"]["rules"].items())] == [
        "permit tcp",
        "permit udp",
        "deny ip",
    ]
    with pytest.raises(UsageError, match="numbers are free below rule 1"):
        FILTERS.edit_list(before, replace(before, rules=(before.rules[0], new, before.rules[1])))


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Rule("permit", 4, "ip", source=Endpoint(ports=((80, 80),))), "has ports"),
        (Rule("permit", 4, "carp"), "is no protocol"),
        (Rule("permit", 4, source=Endpoint((parse("2001:db8::1"),))), "has an address that is not"),
        (Rule("permit", 4, source=Endpoint(group="a b")), "cannot be typed"),
        (Rule("permit", 4, comment="why?"), "cannot be typed"),
        (Rule("allow", 4), "neither permit nor deny"),
    ],
)
def test_what_cannot_be_said(rule: Rule, says: str) -> None:
    """What Comware cannot say is refused with the reason before anything is typed."""
    with pytest.raises(UsageError, match=says):
        FILTERS.write_list(Acl("3000", 4, "advanced", (rule,)))


@pytest.mark.parametrize("name", ["3000000", "4000", "all", "9edge", "a b", ""])
def test_names_that_cannot_be(name: str) -> None:
    """A list gets no name that the device takes for something else."""
    with pytest.raises(UsageError):
        FILTERS.write_list(Acl(name, 4, "", ()))


def test_a_basic_list_tells_sources_alone() -> None:
    """A rule with a destination does not go into a basic list."""
    rule = Rule("deny", 4, source=Endpoint((parse("192.0.2.0/24"),)))
    assert FILTERS.write_list(Acl("2000", 4, "", (rule,))) == (
        "acl basic 2000", "rule 0 deny source 192.0.2.0 0.0.0.255", "quit",
    )  # fmt: skip
    with pytest.raises(UsageError, match="sources alone"):
        FILTERS.write_list(Acl("2000", 4, "", (replace(rule, destination=rule.source, source=ANY),)))


def test_timer() -> None:
    """The device's timer is in whole minutes, rounded up; V5 has none."""
    assert TIMER.revert(61).arm == ("configuration commit delay 2",)
    assert TIMER.revert(1).confirm == ("configuration commit",)
    assert TIMER.revert(10**9).arm == ("configuration commit delay 65535",)
    said = "H3C Comware Software, Version 7.1.070, Release 3507P18\n"
    assert TIMER.read_able([said]) == ""
    assert "V5" in TIMER.read_able([said.replace("Version 7.1", "Version 5.20")])
    assert TIMER.read_able(["\n"])


def test_finding_a_port() -> None:
    """A hardware address is found with the port's full name, on several ports where it was learned on several."""
    table = (
        "MAC Address      VLAN ID    State            Port/NickName            Aging\n"
        "0001-0101-0101   100        Multiport        GE1/0/1                  N\n"
        "                                             GE1/0/2\n"
        "0033-0033-0033   100        Blackhole        N/A                      N\n"
        "00e0-fc00-5829   100        Learned          XGE1/0/4                 Y\n"
        "00e0-fc00-582a   100        Learned          Bridge-Aggregation1      AGING\n"
    )
    assert SWITCH.ask_mac("00:E0:fc:00:58:29") == ("display mac-address 00e0-fc00-5829",)
    assert SWITCH.read_mac("00:e0:fc:00:58:29", [table]) == ("Ten-GigabitEthernet1/0/4",)
    assert SWITCH.read_mac("00:01:01:01:01:01", [table]) == ("GigabitEthernet1/0/1", "GigabitEthernet1/0/2")
    assert SWITCH.read_mac("00:33:00:33:00:33", [table]) == ()
    arp = "10.20.1.2       2c23-3a40-7e18 1        XGE1/0/48                5     D\n"
    assert SWITCH.read_arp("10.20.1.2", [arp]) == "2c:23:3a:40:7e:18"
    assert SWITCH.read_arp("10.20.1.3", [arp]) == ""
    assert SWITCH.ask_arp("2001:db8::1") == ("display ipv6 neighbors 2001:db8::1",)


def port(link: str = "UP", kind: str = "A", *config: str) -> Port:
    """A port as its three answers say."""
    brief = (
        "Brief information on interfaces in bridge mode:\nLink: ADM - administratively down; Stby - standby\n"
        "Interface            Link Speed   Duplex Type PVID Description\n"
        f"GE1/0/7              {link}  1G(a)   F(a)   {kind}    20   web 01\n"
    )
    text = "\n".join(["#", "interface GigabitEthernet1/0/7", " port link-mode bridge", *config, "#", "return", ""])
    macs = "00e0-fc00-5829   20         Learned          GE1/0/7                  Y\n"
    return SWITCH.read_port("GigabitEthernet1/0/7", [brief, text, macs])


def test_reading_and_moving_a_port() -> None:
    """An access port is moved and shut; its other settings are shown as lines nobody understood."""
    found = port("UP", "A", " port access vlan 20", " stp edged-port", " description web 01")
    assert found == Port(
        "GigabitEthernet1/0/7", "access", 20, True, ("00:e0:fc:00:58:29",), "web 01", ("stp edged-port",)
    )
    assert SWITCH.move(found, 666) == ("interface GigabitEthernet1/0/7", "port access vlan 666", "quit")
    assert SWITCH.shut(found, down=True) == ("interface GigabitEthernet1/0/7", "shutdown", "quit")
    assert SWITCH.shut(found, down=False)[1] == "undo shutdown"
    assert not port("ADM").up
    assert not port("UP", "A", " shutdown").up
    with pytest.raises(UsageError):
        SWITCH.move(found, 4095)
    with pytest.raises(AnswerUnusable):
        SWITCH.read_port("GigabitEthernet1/0/8", ["", "", ""])


@pytest.mark.parametrize(("kind", "mode"), [("T", "trunk"), ("H", "hybrid")])
def test_uplinks_are_not_moved(kind: str, mode: str) -> None:
    """A port that carries several VLANs is never moved."""
    found = port("UP", kind)
    assert found.mode == mode
    with pytest.raises(Refused):
        SWITCH.move(found, 666)


def test_port_in_full() -> None:
    """The long form of a port's state says the same as the short one."""
    text = (
        "GigabitEthernet1/0/7\nCurrent state: Administratively DOWN\nLine protocol state: DOWN\n"
        "Description: web 01\nPVID: 20\nPort link-type: Access\n Tagged VLANs:   None\n Untagged VLANs: 20\n"
    )
    found = SWITCH.read_port("GE1/0/7", [text])
    assert (found.mode, found.vlan, found.up, found.description) == ("access", 20, False, "web 01")


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (" password cipher $c$3$abc", "$c$3$abc"),
        (" password simple cipher1", "cipher1"),
        (" password hash $h$6$xyz==", "$h$6$xyz=="),
        ("super password role network-admin hash $h$6$q", "$h$6$q"),
        (" snmp-agent community read public", "public"),
        (" snmp-agent community write cipher $c$3$w", "$c$3$w"),
        (" vrrp vrid 1 authentication-mode simple cipher $c$3$v", "$c$3$v"),
        (" key authentication cipher $c$3$k", "$c$3$k"),
        (" snmp-agent usm-user v3 u g simple authentication-mode sha aaa privacy-mode aes128 bbb", "bbb"),
        ("  pre-shared-key address 192.0.2.1 255.255.255.255 key cipher $c$3$p", "$c$3$p"),
    ],
)
def test_secrets(line: str, secret: str) -> None:
    """Passwords, communities and keys of a configuration are found, the words before them are not taken for them."""
    found = {match[1] for pattern in VENDOR.secrets for match in re.finditer(pattern, line, re.MULTILINE)}
    assert secret in found
    assert not found & {"cipher", "simple", "hash", "read", "write"}


@pytest.mark.skipif(not CAPTURES.is_dir(), reason=WITHOUT)
def test_captures() -> None:
    """What real devices printed is read: every rule, every address, no line lost."""
    folder = CAPTURES / "hp_comware"
    acls = [
        acl
        for path in (*(folder / "display_acl").iterdir(), folder / "doc_examples" / "display_acl_2001.txt")
        for acl in FILTERS.read_lists([path.read_bytes().decode("latin1")])
    ]
    assert {acl.name: len(acl.rules) for acl in acls} == {"3767": 2, "2001": 2}
    assert not any(acl.unknown for acl in acls)
    arp = (folder / "display_arp" / "hp_comware_display_arp.txt").read_text()
    assert SWITCH.read_arp("10.20.1.2", [arp]) == "2c:23:3a:40:7e:18"
    macs = (folder / "display_mac-address" / "hp_comware_display_mac-address.txt").read_text()
    assert SWITCH.read_mac("de:ad:be:ef:00:42", [macs]) == ("GigabitEthernet1/0/10",)
    brief = (folder / "display_interface_brief" / "genie1.txt").read_text()
    assert SWITCH.read_port("BAGG5", [brief]).mode == "trunk"
    assert SWITCH.read_port("Vlan1", [brief]).mode == "routed"
    full = (folder / "display_interface" / "genie1.txt").read_text()
    found = SWITCH.read_port("GigabitEthernet3/8/0/38", [full])
    assert (found.mode, found.vlan, found.up) == ("access", 17, True)
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode("latin1")
            for read in (lambda t=text: FILTERS.read_lists([t]), lambda t=text: GROUPS.read_gate(GATE, GROUP, [t] * 4)):
                try:
                    read()
                except RemedyError:
                    continue


@settings(max_examples=60)
@given(
    rules=st.dictionaries(
        st.integers(0, 40), st.sampled_from([f"permit tcp destination-port eq {n}" for n in range(1, 9)]), max_size=5
    ),
    ours=st.one_of(st.none(), st.integers(0, 40)),
    matches=st.sampled_from(["source", "destination"]),
)
def test_gates_of_any_kind(rules: dict[int, str], ours: int | None, matches: str) -> None:
    """Prepared, the rule decides first and nobody else's moved; taken back, all is as it was before."""
    device = Comware()
    gate = replace(GATE, matches=matches)
    there = {number: text for text, number in {text: number for number, text in rules.items()}.items()}
    lines = [f"rule {number} {text}" for number, text in there.items()]
    if ours is not None and ours not in there:
        device.type(["object-group ip address remedy-block", "quit"])
        lines.append(f"rule {ours} deny ip {matches} object-group remedy-block counting")
    applied(device, *lines)
    before, held = asked(device, gate), dict(device.acls["4", "3000"]["rules"])
    first = state(device, gate).state
    try:
        typed = GROUPS.prepare(gate, GROUP, before)
    except Refused:
        assert min(there) <= 1
        return
    back = GROUPS.unprepare(gate, GROUP, before)
    device.type(typed)
    now = device.acls["4", "3000"]["rules"]
    assert state(device, gate).state == "ready"
    assert {number: text for number, text in now.items() if "object-group" not in text} == there
    assert "object-group" in now[min(now)]
    if first != "ready":
        assert typed
        device.type(back)
        assert device.acls["4", "3000"]["rules"] == held
        assert bool(device.objects) == (first == "shadowed")
