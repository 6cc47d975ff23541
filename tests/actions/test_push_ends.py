"""Pushed rules that end, on devices of the lab: what has ended goes, others' lines stay, undo brings it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.firewalls import FACES, OTHERS, Firewall, firewall

from remedy import devices
from remedy.actions.perimeter import device as typing
from remedy.actions.perimeter.harm import Way
from remedy.actions.push import Push

NOON: Final = "2026-11-20T12:00:00+00:00"
#: The first rule, which bears remedy's mark, ends; so does one that makes a later one redundant where it is merged.
RULES: Final = """\
deny 198.51.100.0/24 for 1h                           # first
permit tcp from 198.18.3.0/24 to any port 22          # the way in
deny 203.0.113.0/25 until 2026-11-20T14:00:00Z
deny 203.0.113.128/25
permit ip4 from any to 192.0.2.0/24
"""
#: What somebody types among remedy's own rules meanwhile.
THEIRS: Final = {
    "secpath": (
        "security-policy ip",
        "rule 90 name guests",
        "action drop",
        "source-ip-host 192.0.2.66",
        "quit",
        "quit",
    ),
    "comware": ("acl advanced name EDGE-IN", "rule 7 deny ip source 192.0.2.66 0", "quit"),
    "comware5": ("acl number 3900", "rule 7 deny ip source 192.0.2.66 0", "quit"),
    "ios": ("ip access-list extended EDGE-IN", "45 deny ip host 192.0.2.66 any", "exit"),
    "asa": ("access-list EDGE-IN extended deny ip host 192.0.2.66 any",),
}


@pytest.fixture(params=sorted(FACES))
def fw(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Firewall]:
    """A device whose clock is years behind, with an administrator's own rules."""
    with firewall(tmp_path, request.param, faults={"clock_offset": -400 * 86400.0}) as made:
        typed(made, *OTHERS[request.param])
        yield made


def typed(fw: Firewall, *lines: str) -> None:
    """Somebody else types these, and saves."""
    for command in (typing.configure(lines), typing.save("fw01", devices.named(fw.vendor)).do):
        reply = fw.sessions.send(command, at="fw01")
        assert reply.status == 0, reply


def push(fw: Firewall) -> Push:
    """The action, on a list of its own where the device has lists."""
    name = {"secpath": "", "comware5": "3900"}.get(fw.face, "EDGE-IN")
    ways = (Way("198.18.3.1", "198.18.3.20", 22),)
    return Push(fw.vendor, RULES, "edge.rules", NOON, name, ways=ways, seconds=30)


def test_what_has_ended_goes(fw: Firewall) -> None:
    """Hour by hour what has ended goes, verified and saved; others' lines stay, and undo brings back what was there."""
    first = push(fw)
    assert fw.act(first, "P1").status == "verified"
    typed(fw, *THEIRS[fw.face])
    before = fw.asked("running")
    early = replace(first, ended="2026-11-20T12:59:59+00:00")
    assert fw.act(early, "P2").status == "unchanged"

    one = replace(first, ended="2026-11-20T13:00:00+00:00")
    gone = fw.act(one, "P3")
    assert (gone.status, gone.doubts) == ("verified", ())
    then = fw.asked("running")
    assert "198.51.100.0" not in then
    assert all(said in then for said in ("203.0.113.", "192.0.2.66", "198.18.3.0"))
    assert fw.asked("saved") == then
    assert fw.act(one, "P4").status == "unchanged"

    two = replace(first, since="2026-11-20T13:00:00+00:00", ended="2026-11-20T14:00:00+00:00")
    rest = fw.act(two, "P5")
    assert (rest.status, rest.doubts) == ("verified", ())
    last = fw.asked("running")
    assert "203.0.113.128" in last
    assert "203.0.113.0 " not in last.replace("\n", " \n")
    assert "192.0.2.66" in last
    assert fw.plan(
        replace(first, text=RULES.partition("\n")[2].replace("203.0.113.0/25", "203.0.113.99")), "P6"
    ).changes

    assert fw.undo(rest.plan, "U5").status == "verified"
    assert fw.asked("running") == then
    assert fw.undo(gone.plan, "U3").status == "verified"
    assert fw.asked("running") == before


def test_killed_at_every_step(fw: Firewall) -> None:
    """Killed at any moment while it goes, `resume` ends with it gone and saved, and undo brings it back."""
    first = push(fw)
    assert fw.act(first, "P1").status == "verified"
    typed(fw, *THEIRS[fw.face])
    start = fw.asked("running")
    ending = replace(first, ended="2026-11-20T14:00:00+00:00")
    for moment in fw.moments(fw.plan(ending, "R0")):
        plan = fw.plan(ending, f"R{moment}")
        fw.killed(plan, moment)
        ended = fw.resume()
        assert all(one.status in {"verified", "unverified"} for one in ended), (moment, ended)
        if ended:
            assert fw.plan(ending, f"C{moment}").is_noop, moment
            assert fw.asked("saved") == fw.asked("running"), moment
        undone = fw.undo(plan, f"U{moment}")
        assert undone.status in {"verified", "unchanged"}, (moment, undone.doubts)
        assert fw.asked("running") == start, moment
