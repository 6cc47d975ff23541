"""A kept configuration put back on devices of the lab: round trips, bad days, kills, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.acting import Settled
from tests.worlds.firewalls import OTHERS, Firewall, firewall

from remedy import devices
from remedy.actions.block import Block
from remedy.actions.device_restore import DeviceRestore, Part
from remedy.actions.perimeter import device as typing
from remedy.actions.prepare import Prepare
from remedy.core.errors import AnswerUnusable, StalePlan, Unreachable
from remedy.devices.configuration import Sections, changed, fingerprint, sections, whole
from remedy.devices.reconfigure import steps
from remedy.probes import configuration

SECRET: Final = "Gh7-secret-word"
#: What somebody else types, of all kinds that can be put back.
OTHER_EDIT: Final = {
    "secpath": (
        "object-group ip address partners",
        "network host address 192.0.2.9",
        "network subnet 192.0.2.64 255.255.255.192",
        "quit",
        "security-policy ip",
        "rule 20 name partner",
        "action pass",
        "source-ip partners",
        "quit",
        "undo rule name office",
        "quit",
        "acl advanced 3999",
        "rule 5 deny tcp source 192.0.2.0 0.0.0.255",
        "quit",
    ),
    "comware": (
        "object-group ip address partners",
        "network host address 192.0.2.9",
        "quit",
        "acl advanced 3000",
        "undo rule 10",
        "rule 15 deny udp source object-group partners",
        "quit",
        "acl basic 2001",
        "rule 5 deny source 192.0.2.0 0.0.0.255",
        "quit",
        "interface GigabitEthernet1/0/2",
        "description taken over",
        "packet-filter 3000 inbound",
        "shutdown",
        "quit",
    ),
    "ios": (
        "object-group network partners",
        "host 192.0.2.9",
        "192.0.2.64 255.255.255.192",
        "exit",
        "ip access-list extended OUTSIDE-IN",
        "no 10",
        "15 deny udp object-group partners any",
        "exit",
        "ip access-list extended NEW",
        "10 deny ip any any",
        "exit",
        "interface GigabitEthernet0/2",
        "description taken over",
        "ip access-group OUTSIDE-IN in",
        "shutdown",
        "exit",
    ),
    "asa": (
        "object-group network partners",
        "network-object host 192.0.2.9",
        "network-object 192.0.2.64 255.255.255.192",
        "exit",
        "object-group network remedy-block",
        *(f"network-object host 203.0.113.{number}" for number in range(1, 9)),
        "exit",
    ),
}
#: A group that a device can fill up: its header, its members, and what takes one off.
CROWD: Final = {
    "secpath": ("object-group ip address crowd", "network host address 192.0.2.{}", "undo ", "quit"),
    "comware": ("object-group ip address crowd", "network host address 192.0.2.{}", "undo ", "quit"),
    "ios": ("object-group network crowd", "host 192.0.2.{}", "no ", "exit"),
    "asa": ("object-group network crowd", "network-object host 192.0.2.{}", "no ", "exit"),
}


#: Only H3C's configurations are replaced as a whole; Cisco's are edited line by line.
H3C: Final = pytest.mark.parametrize("fw", ["comware", "secpath"], indirect=True)


@pytest.fixture(params=sorted(OTHER_EDIT))
def fw(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Firewall]:
    """A device with an administrator's own rules, prepared for blocking, saved."""
    with firewall(tmp_path, request.param) as made:
        edit(made, OTHERS[request.param])
        for family in (4, 6):
            assert made.act(Prepare(made.vendor, made.gate, family), f"P{family}").status == "verified"
        yield made


def edit(fw: Firewall, lines: tuple[str, ...]) -> None:
    """Somebody types this, unsaved."""
    reply = fw.sessions.send(typing.configure(lines), at="fw01")
    assert reply.status == 0, reply


def now(fw: Firewall) -> Sections:
    """The sections that the device has."""
    (text,) = fw.sessions.ask([configuration.running(devices.named(fw.vendor))], at="fw01")
    return sections(str(text))


def back_to(fw: Firewall, wanted: Sections) -> DeviceRestore:
    """The action that makes it so, line by line."""
    there = now(fw)
    keys = changed(there, wanted)
    parts = tuple(Part(key, tuple(wanted.get(key, ())), key in wanted) for key in keys)
    return DeviceRestore(fw.vendor, "kept.cfg", parts, fingerprint(there, keys), seconds=30)


def test_back_after_a_block(fw: Firewall) -> None:
    """After a block, exactly its members are taken off, verified and saved; the undo blocks again."""
    start, text = now(fw), fw.asked("running")
    assert (
        fw.act(Block(fw.vendor, (fw.gate,), ("203.0.113.7", "2001:db8:66::/64"), seconds=30), "B1").status == "verified"
    )
    blocked = fw.asked("running")
    action = back_to(fw, start)
    plan = fw.plan(action)
    typed = plan.changes[0].do.stdin.splitlines()
    undone = [line for line in typed if line.startswith(("undo ", "no "))]
    assert len(undone) == 2, typed
    assert (plan.guard is None) == (devices.named(fw.vendor).timer is None)
    assert fw.asked("running") == blocked, "planning types nothing"
    outcome = fw.act(action, "D1")
    assert (outcome.status, outcome.doubts) == ("verified", ())
    assert fw.asked("running") == text == fw.asked("saved")
    assert fw.act(back_to(fw, start), "D2").status == "unchanged"
    assert fw.undo(outcome.plan).status == "verified"
    assert fw.asked("running") == blocked


def test_back_after_somebody_else(fw: Firewall) -> None:
    """Groups, lists, policies and interfaces that somebody has edited are as before; the undo gives his edit back."""
    start, text = now(fw), fw.asked("running")
    edit(fw, OTHER_EDIT[fw.face])
    edited = now(fw)
    outcome = fw.act(back_to(fw, start), "D1")
    assert (outcome.status, outcome.doubts) == ("verified", ())
    assert fw.asked("running") == text
    assert fw.undo(outcome.plan).status == "verified"
    assert now(fw) == edited


@pytest.mark.parametrize("way", ["resume", "undo"])
def test_killed_at_every_step(fw: Firewall, way: str) -> None:
    """Killed at any moment, `resume` ends with the kept configuration, `undo` with what was there."""
    start = now(fw)
    edit(fw, OTHER_EDIT[fw.face])
    edited = now(fw)
    for moment in fw.moments(fw.plan(back_to(fw, start), "R0")):
        plan = fw.plan(back_to(fw, start), f"R{moment}")
        fw.killed(plan, moment)
        if way == "resume":
            ended = fw.resume()
            assert all(one.status in {"verified", "unverified"} for one in ended), (moment, ended)
            if ended:
                assert now(fw) == start, moment
        undone = fw.undo(plan, f"U{moment}")
        assert undone.status in {"verified", "unchanged"}, (moment, undone.doubts)
        assert now(fw) == edited, moment


def test_the_link_is_lost_in_the_middle(fw: Firewall) -> None:
    """Cut off after any line, `resume` ends with the kept configuration, `undo` with what was there."""
    start = now(fw)
    edit(fw, OTHER_EDIT[fw.face])
    edited, broken = now(fw), 0
    for lost in range(8, 36, 4):
        plan = fw.plan(back_to(fw, start), f"R{lost}")
        engine = fw.engine()
        fw.set(drop_after=lost)
        try:
            engine.apply(fw.job(Settled(plan), plan.run), plan, engine.approve(plan, "ops"))
        except Unreachable:
            broken += 1
        fw.set(drop_after=0)
        if lost % 3:
            assert [one.status for one in fw.resume()] in ([], ["verified"]), lost
        undone = fw.undo(plan, f"U{lost}")
        assert undone.status in {"verified", "unchanged"}, (lost, undone.doubts)
        assert now(fw) == edited, lost
    assert broken, "it was lost while it was typed, at least once"


def test_a_refused_line(fw: Firewall) -> None:
    """A line that the device refuses takes back the ones before it and names the line."""
    head, member, undo, leave = CROWD[fw.face]
    edit(fw, (head, *(member.format(n) for n in range(1, 12)), leave))
    full = now(fw)
    edit(fw, (head, *(undo + member.format(n) for n in range(2, 12)), leave))
    before = now(fw)
    fw.set(group_limit=6)
    outcome = fw.act(back_to(fw, full), "D1")
    assert (outcome.status, outcome.exit_code) == ("failed", 20)
    assert any(member.format("") in doubt for doubt in outcome.doubts), outcome.doubts
    assert now(fw) == before


def test_it_has_changed_since(fw: Firewall) -> None:
    """A part that was equal when it was compared and is not any more stops the restore before anything is typed."""
    start = now(fw)
    head, member, _, leave = CROWD[fw.face]
    edit(fw, (head, member.format(1), leave))
    action = back_to(fw, start)
    edit(fw, (f"{head}2", member.format(1), leave))
    before = fw.asked("running")
    with pytest.raises(StalePlan, match="has changed since"):
        fw.plan(action)
    assert fw.asked("running") == before


@H3C
def test_replaced_by_its_own_file(fw: Firewall) -> None:
    """What cannot be typed comes back from the file the device starts with; its undo, from one set aside."""
    text, start = fw.asked("running"), now(fw)
    edit(
        fw, ("ntp-service unicast-server 192.0.2.1", "local-user eve class manage", f"password simple {SECRET}", "quit")
    )
    edited = fw.asked("running")
    assert steps(devices.named(fw.vendor), now(fw), start, changed(now(fw), start)).left
    plan = fw.plan(DeviceRestore(fw.vendor, "kept.cfg", whole=fingerprint(start), seconds=30))
    assert [change.do.stdin for change in plan.changes] == [
        "save flash:/remedy-R1.cfg\n",
        "configuration replace file flash:/startup.cfg\n",
    ]
    outcome = fw.act(DeviceRestore(fw.vendor, "kept.cfg", whole=fingerprint(start), seconds=30), "R1")
    assert (outcome.status, outcome.doubts) == ("verified", ())
    assert fw.asked("running") == text == fw.asked("saved")
    assert fw.undo(outcome.plan).status == "verified"
    assert fw.asked("running") == edited
    assert all(SECRET not in entry.body for entry in fw.pages.entries)


@H3C
def test_an_account_that_may_not_read(fw: Firewall) -> None:
    """What is no whole configuration is refused, and no part of it is in the message."""
    edit(fw, ("local-user eve class manage", f"password simple {SECRET}", "quit"))
    vendor = devices.named(fw.vendor)
    text = fw.asked("running")
    assert SECRET in text
    with pytest.raises(AnswerUnusable, match="ends early") as caught:
        whole(text, vendor)
    assert SECRET not in caught.value.message + caught.value.hint


@H3C
@pytest.mark.parametrize("way", ["resume", "undo"])
def test_replacing_killed_at_every_step(fw: Firewall, way: str) -> None:
    """Killed after any deed of a replacement, `resume` ends with the kept configuration, `undo` with what was there."""
    start = now(fw)
    edit(fw, ("ntp-service unicast-server 192.0.2.1",))
    action = DeviceRestore(fw.vendor, "kept.cfg", whole=fingerprint(start), seconds=30)
    plan = fw.plan(action, "R0")
    count = fw.killed(plan, 10_000).deeds
    for moment in range(1, count + 1):
        edit(fw, ("ntp-service unicast-server 192.0.2.1",))
        edited = now(fw)
        plan = fw.plan(action, f"R{moment}")
        fw.killed(plan, moment)
        if way == "resume" and (ended := fw.resume()):
            assert all(one.status in {"verified", "unverified"} for one in ended), (moment, ended)
            assert now(fw) == start, moment
        undone = fw.undo(plan, f"U{moment}")
        assert undone.status in {"verified", "unchanged"}, (moment, undone.doubts)
        assert now(fw) == edited, moment
        # What ends a run is saved; the next one needs a device that starts with the kept configuration.
        edit(fw, ("undo ntp-service unicast-server 192.0.2.1",))
        fw.sessions.send(typing.save("fw01", devices.named(fw.vendor)).do, at="fw01")
