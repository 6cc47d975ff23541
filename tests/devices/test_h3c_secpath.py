"""SecPath: security policies, and the drop rule that stands first in them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.devices.models import SecPath

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.devices import Gate, GateState, Group, named
from remedy.devices.acl import Acl, Endpoint, Rule
from remedy.devices.addresses import parse
from remedy.devices.dialects.secpath_blacklist import Blacklist

VENDOR = named("h3c_secpath")
assert VENDOR.groups is not None
assert VENDOR.filters is not None
GROUPS, FILTERS = VENDOR.groups, VENDOR.filters
GROUP = Group("remedy-block", 4)
GROUP6 = Group("remedy-block6", 6)
GATE = Gate(zone="Untrust")

POLICY = """Security-policy ip

 rule 0 name der (Inactive)
  action pass
  profile er
  logging enable
  counting enable
  time-range dere
  source-zone trust
  source-ip erer
  source-ip-host 1.1.1.4
  destination-ip-subnet 192.0.2.0 255.255.255.0
  destination-ip-range 198.51.100.7 198.51.100.9
  service ftp
 rule 7 name web
  description until 2026-11-21T00:00:00Z asked for
  disable
  service-port tcp source gt 1023 destination eq 80
  service-port tcp source gt 1023 destination eq 443
  source-ip office
"""


def asked(device: SecPath, gate: Gate = GATE, group: Group = GROUP) -> list[str]:
    """What the device prints to the gate's questions."""
    return [device.show(line) for line in GROUPS.ask_gate(gate, group)]


def state(device: SecPath, gate: Gate = GATE, group: Group = GROUP) -> GateState:
    """The gate's state."""
    return GROUPS.read_gate(gate, group, asked(device, gate, group))


def names(device: SecPath, family: str = "ip") -> list[str]:
    """The policy's rules, in order."""
    return [rule["name"] for rule in device.policies[family]]


def device_with(*rules: str) -> SecPath:
    """A firewall with rules that pass everything."""
    device = SecPath()
    lines = ["security-policy ip"]
    for number, name in enumerate(rules):
        lines += [f"rule {number * 10} name {name}", "action pass", "quit"]
    device.type([*lines, "quit"])
    return device


def test_reading_a_policy() -> None:
    """Addresses, groups and services become what a rule can say; the rest stays, word for word."""
    (acl,) = FILTERS.read_lists([POLICY])
    assert (acl.name, acl.family, acl.kind, acl.default, acl.unknown) == ("ip", 4, "policy", "deny", ())
    der, web = acl.rules
    assert (der.number, der.action, der.log, der.enabled) == (0, "permit", True, True)
    assert [str(span) for span in der.destination.spans] == ["192.0.2.0/24", "198.51.100.7-198.51.100.9"]
    assert set(der.rest) == {
        "name der",
        "profile er",
        "counting enable",
        "time-range dere",
        "source-zone trust",
        "source-ip erer",
        "source-ip-host 1.1.1.4",
        "service ftp",
    }
    assert (web.action, web.enabled, web.until, web.comment) == ("deny", False, "2026-11-21T00:00:00Z", "asked for")
    assert (web.protocol, web.source) == ("tcp", Endpoint(group="office", ports=((1024, 65535),)))
    assert web.destination.ports == ((80, 80), (443, 443))


def test_services_that_one_rule_cannot_say() -> None:
    """Services of several protocols stay as they stand, and the rule is not taken for one without them."""
    (acl,) = FILTERS.read_lists(
        ["security-policy ip\nrule 1 name x\naction pass\nservice-port tcp destination eq 53\nservice-port udp\nquit\n"]
    )
    assert acl.rules[0].protocol == "ip"
    assert "service-port udp" in acl.rules[0].rest


@pytest.mark.parametrize("group", [GROUP, GROUP6])
@pytest.mark.parametrize("zone", ["", "Untrust"])
@pytest.mark.parametrize("matches", ["source", "destination"])
def test_first_rule(group: Group, zone: str, matches: str) -> None:
    """The drop rule is made and stands first; nobody else's moves; taken back, nothing is left."""
    device = device_with("web", "any")
    gate = Gate(zone=zone, matches=matches)
    before = asked(device, gate, group)
    family = "ipv6" if group.family == 6 else "ip"
    others = names(device, family)
    assert state(device, gate, group).state == "absent"
    device.type(GROUPS.prepare(gate, group, before))
    assert names(device, family)[1:] == others
    assert state(device, gate, group) == GateState("ready", hits=5)
    assert GROUPS.prepare(gate, group, asked(device, gate, group)) == ()
    assert GROUPS.unprepare(gate, group, before) == GROUPS.unprepare(gate, group, asked(device, gate, group))
    device.type(GROUPS.unprepare(gate, group, asked(device, gate, group)))
    assert (names(device, family), device.objects) == (others, {})


def test_two_gates_and_a_block() -> None:
    """Two zones, prepared from one answer, have a rule each; the group they share goes with the last of them, empty."""
    device = device_with("any")
    second = Gate(zone="Partner")
    for lines in [GROUPS.prepare(gate, GROUP, asked(device, gate)) for gate in (GATE, second)]:
        device.type(lines)
    assert (state(device).state, state(device, second).state) == ("ready", "ready")
    device.type(GROUPS.add(GROUP, [parse("203.0.113.7")], ()))
    device.type(GROUPS.unprepare(GATE, GROUP, asked(device)))
    device.type(GROUPS.unprepare(second, GROUP, asked(device, second)))
    assert device.objects == {("ip", "remedy-block"): ["host address 203.0.113.7"]}


def test_shadowed_and_disabled() -> None:
    """A rule that is not first is moved up and back again; one that is disabled is enabled, and back again."""
    device = device_with("web", "any")
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    number = device.policies["ip"][0]["number"]
    device.type(["security-policy ip", f"move rule 0 before {number}", "quit"])
    texts = asked(device)
    assert state(device).why == "rule web decides before it"
    device.type(GROUPS.prepare(GATE, GROUP, texts))
    assert state(device).state == "ready"
    device.type(GROUPS.unprepare(GATE, GROUP, texts))
    assert names(device) == ["web", "remedy-block-Untrust", "any"]
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    device.type(["security-policy ip", f"rule {number} name remedy-block-Untrust", "disable", "quit", "quit"])
    texts = asked(device)
    assert state(device).state == "inactive"
    device.type(GROUPS.prepare(GATE, GROUP, texts))
    assert state(device).state == "ready"
    device.type(GROUPS.unprepare(GATE, GROUP, texts))
    assert state(device).state == "inactive"


def test_policies_that_are_off() -> None:
    """Where security policies are switched off, the rule does not act and nothing is prepared."""
    device = device_with("any")
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    device.policies_off = True
    assert state(device).state == "inactive"
    with pytest.raises(Refused, match="switched off"):
        GROUPS.prepare(GATE, GROUP, asked(device))


def test_a_rule_that_is_marked() -> None:
    """A rule that the device marks (Inactive) does not act, and typing lines does not help it."""
    device = device_with("any")
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    texts = asked(device)
    texts[0] = texts[0].replace("name remedy-block-Untrust", "name remedy-block-Untrust (Inactive)")
    assert GROUPS.read_gate(GATE, GROUP, texts).why == "rule remedy-block-Untrust is marked (Inactive)"
    with pytest.raises(Refused, match="marked"):
        GROUPS.prepare(GATE, GROUP, texts)


def test_foreign() -> None:
    """A rule of remedy's name that is another one, and a group of another kind, are refused."""
    device = device_with("remedy-block-Untrust")
    assert state(device).state == "foreign"
    with pytest.raises(Refused, match="is not the drop rule"):
        GROUPS.prepare(GATE, GROUP, asked(device))
    other = device_with("any")
    other.type(["object-group ipv6 address remedy-block", "quit"])
    assert state(other).state == "foreign"


def test_acts_at_once() -> None:
    """Every change ends by having the device match anew, since it would otherwise act seconds later."""
    spans = [parse("203.0.113.7"), parse("198.51.100.7-198.51.100.20")]
    assert GROUPS.add(GROUP, spans, ()) == (
        "object-group ip address remedy-block",
        "network host address 203.0.113.7",
        "network range 198.51.100.7 198.51.100.20",
        "quit",
        "security-policy ip",
        "accelerate enhanced enable",
        "quit",
    )
    assert GROUPS.remove(GROUP6, [parse("2001:db8::/32")], ())[1] == "undo network subnet 2001:db8:: 32"
    assert "accelerate enhanced enable" in GROUPS.prepare(GATE, GROUP, asked(device_with("any")))


def test_edit_moves_what_is_new() -> None:
    """A new rule is made, then moved before the one that follows it; what stays is not typed."""
    device = device_with("web", "any")
    (before,) = FILTERS.read_lists([device.show("display security-policy ip")])
    new = Rule("deny", 4, "tcp", Endpoint((parse("203.0.113.0/24"),)), comment="bad")
    lines = FILTERS.edit_list(before, replace(before, rules=(before.rules[0], new, before.rules[1])))
    assert lines == (
        "security-policy ip",
        "rule 1 name remedy-1",
        "action drop",
        "source-ip-subnet 203.0.113.0 24",
        "service-port tcp",
        "description bad",
        "quit",
        "move rule 1 before 10",
        "accelerate enhanced enable",
        "quit",
    )
    device.type(lines)
    assert names(device) == ["web", "remedy-1", "any"]
    (now,) = FILTERS.read_lists([device.show("display security-policy ip")])
    assert FILTERS.edit_list(now, before) == (
        "security-policy ip",
        "undo rule name remedy-1",
        "accelerate enhanced enable",
        "quit",
    )


@pytest.mark.parametrize(
    ("acl", "says"),
    [
        (Acl("3000", 4, "policy"), "has no list"),
        (Acl("ip", 6, "policy"), "has no list"),
        (Acl("ip", 4, "policy", (Rule("permit", 4, number=1), Rule("deny", 4, number=1))), "one name or one number"),
        (Acl("ip", 4, "policy", (Rule("permit", 4, rest=("name a b",)),)), "cannot be typed"),
        (Acl("ip", 4, "policy", (Rule("permit", 4, "carp"),)), "is no protocol"),
        (Acl("ip", 4, "policy", (Rule("permit", 4, "ip", Endpoint(ports=((1, 1),))),)), "has ports"),
    ],
)
def test_what_cannot_be_said(acl: Acl, says: str) -> None:
    """What a policy cannot say is refused with the reason before anything is typed."""
    with pytest.raises(UsageError, match=says):
        FILTERS.write_list(acl)


def test_blacklist() -> None:
    """Single sources are dropped for a time that the device keeps; who added them and what is left is read."""
    black = Blacklist()
    spans = [parse("203.0.113.7"), parse("2001:db8::7")]
    assert black.add(spans, 1000) == (
        "blacklist ip 203.0.113.7 timeout 1000",
        "blacklist ipv6 2001:db8::7 timeout 1000",
    )
    assert black.remove(spans[:1]) == ("undo blacklist ip 203.0.113.7",)
    four = (
        "IP address      VPN instance   DS-Lite tunnel peer  Type    TTL(sec) Dropped\n"
        "203.0.113.7     --             --                   Manual  600      14\n"
        "192.0.2.9       --             --                   Dynamic Never    0\n"
        "192.0.2.9       vpn1           --                   Manual  Never    0\n"
    )
    six = "IPv6 address            VPN instance   Type    TTL(sec) Dropped\n2001:DB8::7   --   Manual  9   1\n"
    read = black.read([four, six, " blacklist global enable\n"])
    assert read.acts
    assert [(str(e.span), e.seconds, e.hits, e.ours) for e in read.entries] == [
        ("203.0.113.7", 600, 14, True),
        ("192.0.2.9", -1, 0, False),
        ("2001:db8::7", 9, 1, True),
    ]
    assert len(read.unknown) == 1
    assert not black.read(["", "", "#\n"]).acts
    for minutes in (0, 1001):
        with pytest.raises(UsageError, match="1 to 1000"):
            black.add(spans, minutes)
    with pytest.raises(UsageError, match="more than one"):
        black.add([parse("192.0.2.0/24")], 5)
    with pytest.raises(AnswerUnusable):
        black.read([" % Unrecognized command found at '^' position.\n"] * 3)


@settings(max_examples=60)
@given(
    others=st.lists(st.sampled_from("abcdef"), unique=True, max_size=5),
    ours=st.one_of(st.none(), st.integers(0, 5)),
    off=st.booleans(),
)
def test_policies_of_any_kind(others: list[str], ours: int | None, off: bool) -> None:  # noqa: FBT001
    """Prepared, the rule decides first and nobody else's moved; taken back, the policy is as it was before."""
    device = device_with(*others)
    if ours is not None:
        device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
        rule = device.policies["ip"].pop(0)
        device.policies["ip"].insert(ours, rule)
        rule["lines"] += ["disable"] * off
    before, held = asked(device), deepcopy(device.policies)
    first = state(device).state
    typed, back = GROUPS.prepare(GATE, GROUP, before), GROUPS.unprepare(GATE, GROUP, before)
    device.type(typed)
    assert state(device).state == "ready"
    assert [name for name in names(device) if not name.startswith("remedy")] == others
    if first != "ready":
        device.type(back)
        assert [(r["name"], sorted(r["lines"])) for r in device.policies["ip"]] == [
            (r["name"], sorted(r["lines"])) for r in held["ip"]
        ]
