"""Pushing a rule file to devices of the lab: what is ours is replaced, others' stays, every bad day ends well."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.acting import Settled
from tests.worlds.firewalls import GROUPED, NO_ROOM, OTHERS, Firewall, firewall

from remedy import devices
from remedy.actions.perimeter import device as typing
from remedy.actions.perimeter.harm import Way
from remedy.actions.prepare import Prepare
from remedy.actions.push import Push
from remedy.core.errors import Refused, Unreachable, UsageError

#: Rules as an administrator writes them; the list's name is put in front where the device has lists.
RULES: Final = """\
permit tcp from 198.18.3.0/24 to any port 22          # the way in
deny   203.0.113.7                                    # brute force
deny   203.0.113.0/29
deny   tcp from 198.51.100.0/24 to any port 22,3389 until 2039-01-01T00:00:00Z
permit udp from 192.0.2.0/24 to any port 53
deny   ip6 from 2001:db8:66::/64
permit ip4 from any to 192.0.2.0/24
"""
CHANGED: Final = """\
permit tcp from 198.18.3.0/24 to any port 22          # the way in
deny   203.0.113.0/28                                 # more of them
deny   tcp from 198.51.100.0/24 to any port 22,3389 until 2039-01-01T00:00:00Z
deny   192.0.2.200 log
deny   ip6 from 2001:db8:66::/64
permit ip4 from any to 192.0.2.0/24
"""
#: Enough for a list that denies what no rule permits, which an IPv6 list of denials alone is.
OPEN: Final = "permit ip6 from any to any\n"
WAY: Final = Way("198.18.3.1", "198.18.3.20", 22)


@pytest.fixture(params=GROUPED)
def fw(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Firewall]:
    """A device with an administrator's own rules, saved."""
    with firewall(tmp_path, request.param) as made:
        typed(made, *OTHERS[request.param])
        yield made


def typed(fw: Firewall, *lines: str) -> None:
    """Somebody else types these, and saves."""
    for command in (typing.configure(lines), typing.save("fw01", devices.named(fw.vendor)).do):
        reply = fw.sessions.send(command, at="fw01")
        assert reply.status == 0, reply


def push(fw: Firewall, text: str = RULES, **options: Any) -> Push:  # noqa: ANN401 -- those of Push
    """The action, on a list of its own where the device has lists."""
    name = "" if fw.face == "secpath" else "EDGE-IN"
    given: dict[str, Any] = {"acl": name, "now": "2026-11-20T12:00:00+00:00", "ways": (WAY,), "seconds": 30} | options
    return Push(fw.vendor, text if text is not RULES and text is not CHANGED else text + OPEN, "edge.rules", **given)


def test_the_whole_way_and_back(fw: Firewall) -> None:
    """Pushed, pushed again, changed and undone: each verified and saved, the device at its start in the end."""
    start = fw.asked("running")
    first = fw.act(push(fw), "P1")
    assert (first.status, first.doubts) == ("verified", ())
    pushed = fw.asked("running")
    assert fw.asked("saved") == pushed
    assert "203.0.113.7" not in pushed.replace("203.0.113.0", ""), "merged into the prefix"
    rest = iter(pushed.splitlines())
    assert all(line in rest for line in start.splitlines() if line not in {"#", "!"}), "others' lines, in order"
    assert fw.plan(push(fw), "P2").is_noop
    assert fw.act(push(fw), "P2").status == "unchanged"

    second = fw.act(push(fw, CHANGED), "P3")
    assert (second.status, second.doubts) == ("verified", ())
    assert "192.0.2.200" in fw.asked("running")
    assert fw.plan(push(fw, CHANGED), "P4").is_noop
    assert fw.undo(second.plan, "U3").status == "verified"
    assert fw.asked("running") == pushed
    assert fw.undo(first.plan, "U1").status == "verified"
    assert fw.asked("running") == start
    assert fw.asked("saved") == start


def test_a_plan_says_what_is_typed(fw: Firewall) -> None:
    """Planning changes nothing, shows the vendor's lines, and says what was merged and what never decides."""
    start = fw.asked("running")
    text = "permit ip4 from 203.0.113.0/24\n" + RULES + OPEN
    plan = fw.plan(push(fw, text))
    assert fw.asked("running") == start
    said = "".join(change.do.stdin for change in plan.changes)
    assert "203.0.113.0" in said
    assert "198.51.100.0" in said
    assert any("overlaps merged" in note for note in plan.notes)
    assert any("never decides: deny ip from 203.0.113.0/29" in note for note in plan.notes), plan.notes
    assert plan.guard is not None or any("no timer" in note for note in plan.notes)
    assert plan.keep[0].repeats


@pytest.mark.parametrize("way", ["resume", "undo"])
def test_killed_at_every_step(fw: Firewall, way: str) -> None:
    """Killed at any moment, `resume` ends with the whole list saved, `undo` with the list as it was."""
    assert fw.act(push(fw), "P0").status == "verified"
    start = fw.asked("running")
    for moment in fw.moments(fw.plan(push(fw, CHANGED), "R0")):
        plan = fw.plan(push(fw, CHANGED), f"R{moment}")
        fw.killed(plan, moment)
        if way == "resume":
            ended = fw.resume()
            assert all(one.status in {"verified", "unverified"} for one in ended), (moment, ended)
            if ended:
                assert fw.plan(push(fw, CHANGED), f"C{moment}").is_noop, moment
                assert fw.asked("saved") == fw.asked("running"), moment
        undone = fw.undo(plan, f"U{moment}")
        assert undone.status in {"verified", "unchanged"}, (moment, undone.doubts)
        assert fw.asked("running") == start, moment


@pytest.mark.parametrize("way", ["resume", "undo"])
def test_the_link_is_lost_in_the_middle(fw: Firewall, way: str) -> None:
    """Cut off after any line, a rule of several lines among them, `resume` ends it and `undo` takes it back."""
    assert fw.act(push(fw), "P0").status == "verified"
    start = fw.asked("running")
    broken = 0
    for lost in range(8, 29, 4):
        plan = fw.plan(push(fw, CHANGED), f"R{lost}")
        engine = fw.engine()
        fw.set(drop_after=lost)
        try:
            engine.apply(fw.job(push(fw, CHANGED), plan.run), plan, engine.approve(plan, "ops"))
        except Unreachable:
            broken += 1
        fw.set(drop_after=0)
        if way == "resume":
            assert [one.status for one in fw.resume()] in ([], ["verified"]), lost
            assert fw.asked("saved") == fw.asked("running"), lost
        undone = fw.undo(plan, f"U{lost}")
        assert undone.status in {"verified", "unchanged"}, (lost, undone.doubts)
        assert fw.asked("running") == start, lost
    assert broken, "it was lost while it was typed, at least once"


def test_a_new_list_broken_off(fw: Firewall) -> None:
    """Cut off after any line of a list that was not there, `resume` ends it, remarks and all, and `undo` clears it."""
    start = fw.asked("running")
    broken = 0
    for lost in range(9, 25, 3):
        plan = fw.plan(push(fw), f"R{lost}")
        engine = fw.engine()
        fw.set(drop_after=lost)
        try:
            engine.apply(fw.job(Settled(plan), plan.run), plan, engine.approve(plan, "ops"))
        except Unreachable:
            broken += 1
        fw.set(drop_after=0)
        assert [one.status for one in fw.resume()] in ([], ["verified"]), lost
        undone = fw.undo(plan, f"U{lost}")
        assert undone.status in {"verified", "unchanged"}, (lost, undone.doubts)
        assert fw.asked("running") == start, lost
    assert broken, "it was lost while it was typed, at least once"


@pytest.mark.parametrize("known", [False, True], ids=["new", "changed"])
def test_a_refused_line(fw: Firewall, known: bool) -> None:  # noqa: FBT001 -- pytest's
    """A line that the device refuses in the middle takes back those before it, and is named with the device's words."""
    if known:
        assert fw.act(push(fw), "P0").status == "verified"
    start = fw.asked("running")
    text = (CHANGED if known else RULES) + OPEN
    plan = fw.plan(push(fw, text), "P1")
    broken = plan.changes[0].do.stdin.splitlines()
    at = next(n for n, line in enumerate(broken) if "192.0.2." in line)
    fw.set(refuse=re.escape(broken[at]), **({"refusal": NO_ROOM[fw.face]} if fw.face in NO_ROOM else {}))
    outcome = fw.act(push(fw, text), "P1")
    assert (outcome.status, outcome.exit_code) == ("failed", 20)
    assert any(f"line {at + 1}" in doubt and broken[at].split()[-1] in doubt for doubt in outcome.doubts), (
        outcome.doubts
    )
    assert fw.asked("running") == start


def test_somebody_elses_list(tmp_path: Path) -> None:
    """A list that does not bear remedy's mark is replaced only when told so; undo brings every rule back."""
    with firewall(tmp_path, "comware") as fw:
        typed(fw, *OTHERS["comware"])
        start = fw.asked("running")
        with pytest.raises(Refused, match="somebody else's"):
            fw.plan(push(fw, "permit ip4 from any\n", acl="3000"))
        outcome = fw.act(push(fw, "permit ip4 from 192.0.2.0/24\n", acl="3000", replace=True), "P1")
        assert outcome.status == "verified", outcome.doubts
        assert any("somebody else's" in line for line in outcome.plan.impact)
        assert "192.0.2.0" in fw.asked("running")
        assert fw.undo(outcome.plan, "U1").status == "verified"
        assert fw.asked("running") == start


def test_blocking_goes_on(fw: Firewall) -> None:
    """The drop rule on blocked addresses stands first before and after a push to the very list it is in."""
    prepared = fw.act(Prepare(fw.vendor, fw.gate, 4), "P0")
    assert prepared.status == "verified", prepared.doubts
    named = (line.split()[-1] for line in fw.asked("running").splitlines() if line.startswith("acl advanced name"))
    own = fw.gate.acl or next(named, "")
    action = push(fw, "permit ip4 from 192.0.2.0/24\ndeny 203.0.113.9\n", acl=own, replace=True, ways=())
    outcome = fw.act(action, "P1")
    assert outcome.status == "verified", outcome.doubts
    assert fw.plan(Prepare(fw.vendor, fw.gate, 4), "P2").is_noop


def test_refused(fw: Firewall) -> None:
    """A list that cuts off us, who is protected, our name servers, or everybody is refused before it is planned."""
    keep = (("log01, which is protected", ("192.0.2.98",)), ("the name servers of web01", ("198.18.0.53",)))
    for text, said in (
        ("deny ip4 from any", "nothing of IPv4 through"),
        ("deny tcp from any to any port 22", "our own way"),
        ("deny 198.18.3.0/24", "our own way"),
        ("deny 192.0.2.98", "log01, which is protected"),
        ("deny udp from any to 198.18.0.53 port 53", "name servers"),
    ):
        with pytest.raises(Refused, match=said):
            fw.plan(push(fw, f"{text}\npermit any\n", keep=keep))
    allowed = (
        "permit tcp from 198.18.3.1 to any port 22\npermit ip4 from 192.0.2.98\npermit udp from any to 198.18.0.53\n"
    )
    for text in ("deny tcp from any to any port 22", "deny 192.0.2.98", "deny udp from any to 198.18.0.53 port 53"):
        assert fw.plan(push(fw, f"{allowed}{text}\npermit any\n", keep=keep)).changes, "permitted above"


def test_which_list(fw: Firewall) -> None:
    """A rule of no list is an error that names its line; so is a list on a device that has one policy."""
    text, said = ("list EDGE\n" + RULES, "has no list") if fw.face == "secpath" else (RULES, "which list")
    with pytest.raises(UsageError, match=said) as caught:
        fw.plan(push(fw, text + OPEN, acl=""))
    assert caught.value.where.startswith("line ")


def test_what_has_ended(fw: Firewall) -> None:
    """A rule whose end has come is left out of the next push, so that pushing the file again takes it away."""
    assert fw.act(push(fw), "P1").status == "verified"
    assert "198.51.100.0" in fw.asked("running")
    later = fw.act(push(fw, now="2039-01-02T00:00:00+00:00"), "P2")
    assert later.status == "verified", later.doubts
    assert any("have ended" in note for note in later.plan.notes)
    assert "198.51.100.0" not in fw.asked("running")


def test_thousands_of_rules(fw: Firewall) -> None:
    """A thousand rules are planned in seconds, pushed and read back; one that goes later is a few lines."""
    lines = [f"deny tcp from 10.{n // 250}.{n % 250}.0/25 to 192.0.2.{n % 40} port 22" for n in range(1000)]
    begun = time.monotonic()
    plan = fw.plan(push(fw, "\n".join([*lines, "permit ip4 from any"])), "P1")
    assert time.monotonic() - begun < 15
    assert len(str(plan)) < 2_000_000
    outcome = fw.act(push(fw, "\n".join([*lines, "permit ip4 from any"])), "P1")
    assert outcome.status == "verified", outcome.doubts
    del lines[500]
    change = fw.plan(push(fw, "\n".join([*lines, "permit ip4 from any"])), "P2")
    assert len(change.changes[0].do.stdin.splitlines()) < 8
