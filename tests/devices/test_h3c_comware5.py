"""Comware V5: the group is a list of its own, numbered rules are its members."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.devices.models import Comware

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.devices import Gate, GateState, Group, named
from remedy.devices.acl import Acl, Rule
from remedy.devices.addresses import Span, parse
from remedy.devices.h3c_comware5 import Groups

VENDOR = named("h3c_comware5")
GROUPS = Groups()
assert VENDOR.filters is not None
FILTERS = VENDOR.filters
GROUP = Group("remedy-block", 4)
GROUP6 = Group("remedy-block6", 6)
GATE = Gate(interface="GigabitEthernet1/0/1")


def members(device: Comware, group: Group = GROUP) -> list[str]:
    """What the device prints to the question for members."""
    return [device.show(line) for line in GROUPS.ask_members(group)]


def asked(device: Comware, group: Group = GROUP) -> list[str]:
    """What the device prints to the gate's questions."""
    return [device.show(line) for line in GROUPS.ask_gate(GATE, group)]


def state(device: Comware, group: Group = GROUP) -> GateState:
    """The gate's state."""
    return GROUPS.read_gate(GATE, group, asked(device, group))


@pytest.mark.parametrize("group", [GROUP, GROUP6])
def test_gate(group: Group) -> None:
    """The list is made under a free number, applied, and taken back without a trace; members keep it."""
    device = Comware(five=True)
    device.type(["acl number 3999", "rule 0 permit tcp", "quit"])
    before = asked(device, group)
    assert state(device, group).state == "absent"
    device.type(GROUPS.prepare(GATE, group, before))
    assert state(device, group).state == "ready"
    assert GROUPS.prepare(GATE, group, asked(device, group)) == ()
    assert GROUPS.unprepare(GATE, group, before) == GROUPS.unprepare(GATE, group, asked(device, group))
    span = parse("203.0.113.7" if group.family == 4 else "2001:db8::7")
    device.type(GROUPS.add(group, [span], members(device, group)))
    assert state(device, group).state == "ready"
    assert f"undo acl {'ipv6 ' if group.family == 6 else ''}name {group.name}" not in GROUPS.unprepare(
        GATE, group, asked(device, group)
    )
    device.type(GROUPS.remove(group, [span], members(device, group)))
    device.type(GROUPS.unprepare(GATE, group, asked(device, group)))
    assert [key for key in device.acls if key != ("4", "3999")] == []
    assert not device.filters["GigabitEthernet1/0/1"]


def test_members_are_taken_back_by_the_number_they_will_have() -> None:
    """What takes an addition back is known before it is typed, from the same answer."""
    device = Comware(five=True)
    device.type(["acl number 3999 name remedy-block", "rule 5 deny ip source 192.0.2.1 0 counting", "quit"])
    texts = members(device)
    spans = [parse("203.0.113.7"), parse("198.51.100.0/24")]
    add, back = GROUPS.add(GROUP, spans, texts), GROUPS.remove(GROUP, spans, texts)
    assert add == (
        "acl name remedy-block",
        "rule 0 deny ip source 203.0.113.7 0 counting",
        "rule 10 deny ip source 198.51.100.0 0.0.0.255 counting",
        "quit",
    )
    assert back == ("acl name remedy-block", "undo rule 0", "undo rule 10", "quit")
    assert GROUPS.places(GROUP, spans, texts) == (0, 10)
    device.type(add)
    assert GROUPS.remove(GROUP, spans, members(device)) == back
    assert GROUPS.places(GROUP, spans, members(device)) == (0, 10)
    device.type(back)
    assert [str(span) for span in GROUPS.read_members(GROUP, members(device)).spans] == ["192.0.2.1"]


def test_nothing_is_numbered_unasked() -> None:
    """Without the device's answer no number is guessed."""
    for change in (GROUPS.add, GROUPS.remove):
        with pytest.raises(AnswerUnusable, match="were not asked for"):
            change(GROUP, [parse("192.0.2.1")], ())
    with pytest.raises(UsageError):
        GROUPS.add(GROUP, [Span(4, 0, (1 << 32) - 1)], [""])


def test_somebodys_list_at_the_gate() -> None:
    """One list a port: where somebody's is applied, the gate is refused."""
    device = Comware(five=True)
    device.type(
        ["acl number 3000", "rule 5 permit ip", "quit", "interface GigabitEthernet1/0/1", "packet-filter 3000 inbound"]
    )
    assert state(device) == GateState("foreign", "list 3000 is applied at GigabitEthernet1/0/1")
    with pytest.raises(Refused, match="3000 is applied"):
        GROUPS.prepare(GATE, GROUP, asked(device))


def test_a_list_at_two_gates() -> None:
    """The gates of a family share one list: it counts where else it is applied, and goes with the last one."""
    device = Comware(five=True)
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    other = Gate(interface="GigabitEthernet1/0/2")
    before = [device.show(line) for line in GROUPS.ask_gate(other, GROUP)]
    assert GROUPS.read_gate(other, GROUP, before) == GateState(
        "inactive", "list remedy-block is not applied at GigabitEthernet1/0/2", beside=1
    )
    device.type(GROUPS.prepare(other, GROUP, before))
    assert state(device) == GateState("ready", beside=1)
    assert GROUPS.unprepare(GATE, GROUP, asked(device)) == (
        "interface GigabitEthernet1/0/1",
        "undo packet-filter name remedy-block inbound",
        "quit",
    )


def test_failed_and_foreign_lists() -> None:
    """A list that the hardware has no room for does not act; rules that are not remedy's make its list foreign."""
    device = Comware(five=True)
    device.type(GROUPS.prepare(GATE, GROUP, asked(device)))
    device.failed = {"remedy-block"}
    assert state(device).state == "inactive"
    with pytest.raises(Refused):
        GROUPS.prepare(GATE, GROUP, asked(device))
    device.failed = set()
    device.type(["acl name remedy-block", "rule 0 permit tcp", "quit"])
    assert state(device).state == "foreign"
    assert GROUPS.read_members(GROUP, members(device)).unknown
    with pytest.raises(UsageError):
        GROUPS.read_gate(Gate(interface="GigabitEthernet1/0/1", matches="destination"), GROUP, asked(device))


def test_names_want_numbers() -> None:
    """V5 names a list only along with a number, and enters it by either."""
    rule = Rule("permit", 4)
    with pytest.raises(UsageError, match="only along with a number"):
        FILTERS.write_list(Acl("edge", 4, "advanced", (rule,)))
    acl = Acl("edge", 4, "advanced", (replace(rule, number=5),), extra=(("number", "3001"),))
    assert FILTERS.write_list(acl)[0] == "acl number 3001 name edge"
    assert FILTERS.edit_list(acl, Acl("edge", 4, "advanced"))[0] == "acl name edge"
    assert VENDOR.timer is None
    with pytest.raises(UsageError, match="numbers of its rules"):
        FILTERS.edit_list(Acl("edge", 4, "advanced", (rule,), extra=acl.extra), acl)
