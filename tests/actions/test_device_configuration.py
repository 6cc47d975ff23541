"""A kept configuration put back on devices of the lab: round trips, bad days, kills, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.firewalls import FACES, OTHERS, Firewall, firewall

from remedy import devices
from remedy.actions.block import Block
from remedy.actions.device_restore import DeviceRestore, Part
from remedy.actions.perimeter import device as typing
from remedy.actions.prepare import Prepare
from remedy.core.errors import AnswerUnusable, StalePlan
from remedy.core.values import Secret
from remedy.devices import Gate
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
}


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
    assert len(typed) == 6, typed
    assert plan.guard is not None
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
    """Killed after any deed, `resume` ends with the kept configuration, `undo` with what was there."""
    start = now(fw)
    edit(fw, OTHER_EDIT[fw.face])
    edited = now(fw)
    plan = fw.plan(back_to(fw, start), "R0")
    count = fw.killed(plan, 10_000).deeds
    assert fw.undo(plan, "U0").status == "verified"
    assert count > 8, "the engine, the device and the record are all counted"
    for moment in range(1, count + 1):
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


def test_a_refused_line(fw: Firewall) -> None:
    """A line that the device refuses takes back the ones before it and names the line."""
    edit(fw, ("object-group ip address crowd", *(f"network host address 192.0.2.{n}" for n in range(1, 12)), "quit"))
    full = now(fw)
    edit(
        fw, ("object-group ip address crowd", *(f"undo network host address 192.0.2.{n}" for n in range(2, 12)), "quit")
    )
    before = now(fw)
    fw.set(group_limit=6)
    outcome = fw.act(back_to(fw, full), "D1")
    assert (outcome.status, outcome.exit_code) == ("failed", 20)
    assert any("network host address 192.0.2." in doubt for doubt in outcome.doubts), outcome.doubts
    assert now(fw) == before


def test_it_has_changed_since(fw: Firewall) -> None:
    """A part that was equal when it was compared and is not any more stops the restore before anything is typed."""
    start = now(fw)
    edit(fw, ("acl advanced 3998", "rule 5 deny ip", "quit"))
    action = back_to(fw, start)
    edit(fw, ("acl advanced 3997", "rule 5 deny ip", "quit"))
    before = fw.asked("running")
    with pytest.raises(StalePlan, match="has changed since"):
        fw.plan(action)
    assert fw.asked("running") == before


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


def test_an_account_that_may_not_read(fw: Firewall) -> None:
    """What is no whole configuration is refused, and no part of it is in the message."""
    edit(fw, ("local-user eve class manage", f"password simple {SECRET}", "quit"))
    vendor = devices.named(fw.vendor)
    text = fw.asked("running")
    assert SECRET in text
    with pytest.raises(AnswerUnusable, match="ends early") as caught:
        whole(text, vendor)
    assert SECRET not in caught.value.message + caught.value.hint


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


def test_on_ios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cisco IOS goes back line by line as well, under its own timer, and the undo gives the edit back."""
    monkeypatch.setitem(FACES, "ios", ("cisco_ios", Gate(interface="GigabitEthernet0/1", acl="OUTSIDE")))
    ports = ["GigabitEthernet0/1", "GigabitEthernet0/2"]
    with firewall(tmp_path, "ios", ports=ports) as fw:
        fw.known_as["fw01"] = replace(fw.target, become=True, become_password=Secret("test", "Super-1"))
        edit(fw, ("archive", "path flash:archive", "exit"))
        edit(fw, ("ip access-list extended OUTSIDE", "10 permit tcp any any eq 80", "20 permit ip any any", "exit"))
        edit(fw, ("object-group network partners", "host 192.0.2.9", "exit"))
        start = now(fw)
        edit(fw, ("ip access-list extended OUTSIDE", "no 10", "15 deny udp any any", "exit"))
        edit(fw, ("object-group network partners", "host 192.0.2.10", "no host 192.0.2.9", "exit"))
        edit(fw, ("interface GigabitEthernet0/2", "ip access-group OUTSIDE in", "description x", "shutdown", "exit"))
        edit(fw, ("ip access-list extended NEW", "10 deny ip any any", "exit"))
        edited = now(fw)
        outcome = fw.act(back_to(fw, start), "D1")
        assert (outcome.status, outcome.doubts) == ("verified", ())
        assert outcome.plan.guard is not None
        assert now(fw) == start
        assert fw.undo(outcome.plan).status == "verified"
        assert now(fw) == edited
