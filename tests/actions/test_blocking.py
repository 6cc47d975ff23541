"""Blocking on a device of the lab: prepared once, members come and go, and every bad day ends well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds.firewalls import ELEVATING, FACES, GROUPED, OTHERS, Firewall, firewall

from remedy import devices
from remedy.actions.block import Block
from remedy.actions.perimeter import device as typing
from remedy.actions.prepare import Prepare
from remedy.actions.unblock import Unblock
from remedy.core.errors import Refused, RemedyError, TargetUnfit, UsageError
from remedy.engine.outcome import Outcome

ATTACKERS = ("203.0.113.7", "198.51.100.0/24", "2001:db8:66::/64")


@pytest.fixture(params=sorted(FACES))
def fw(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Firewall]:
    """A device with an administrator's own rules, saved."""
    with firewall(tmp_path, request.param) as made:
        for command in (typing.configure(OTHERS[request.param]), typing.save("fw01", _vendor(made)).do):
            reply = made.sessions.send(command, at="fw01")
            assert reply.status == 0, reply
        yield made


def _vendor(fw: Firewall) -> devices.Vendor:
    return devices.named(fw.vendor)


def prepared(fw: Firewall) -> list[Outcome]:
    """Both families' rules at the top of the gate."""
    return [fw.act(Prepare(fw.vendor, fw.gate, family), f"P{family}") for family in (4, 6)]


def block(fw: Firewall, *addresses: str) -> Block:
    """The action."""
    return Block(fw.vendor, (fw.gate,), addresses or ATTACKERS, seconds=30)


def test_the_whole_way_and_back(fw: Firewall) -> None:
    """Prepared, blocked, partly unblocked and undone: each verified, saved, and the device at its start in the end."""
    start, saved = fw.asked("running"), fw.asked("saved")
    with pytest.raises(TargetUnfit, match="is not prepared") as caught:
        fw.plan(block(fw))
    assert caught.value.hint == "remedy acl prepare fw01"
    preparations = prepared(fw)
    assert [one.status for one in preparations] == ["verified", "verified"], [one.doubts for one in preparations]
    ready, lines = fw.asked("running"), [line for line in start.splitlines() if line not in {"#", "!"}]
    rest = iter(ready.splitlines())
    assert all(line in rest for line in lines), "other people's lines, in their order"

    outcome = fw.act(block(fw), "B1")
    assert (outcome.status, outcome.doubts) == ("verified", ())
    running = fw.asked("running")
    assert all(word in running.lower() for word in ("203.0.113.7", "198.51.100.0", "2001:db8:66::"))
    assert fw.asked("saved") == running
    again = fw.plan(block(fw), "B2")
    assert again.is_noop
    assert fw.act(block(fw), "B2").status == "unchanged"

    part = fw.act(Unblock(fw.vendor, (fw.gate,), ("198.51.100.128/25", "203.0.113.7")), "B3")
    assert part.status == "verified", part.doubts
    assert "203.0.113.7" not in fw.asked("running")
    assert "198.51.100.0" in fw.asked("running")
    assert fw.undo(part.plan, "U3").status == "verified"
    assert fw.undo(outcome.plan, "U1").status == "verified"
    assert fw.asked("running") == ready
    for one in reversed(preparations):
        assert fw.undo(one.plan, f"U{one.plan.run}").status == "verified"
    assert fw.asked("running") == start
    assert fw.asked("saved") == saved


def test_nothing_is_typed_in_a_plan(fw: Firewall) -> None:
    """Planning leaves the device as it was, and says the very lines."""
    prepared(fw)
    before = fw.asked("running")
    plan = fw.plan(block(fw))
    assert fw.asked("running") == before
    assert any("203.0.113.7" in line for line in plan.changes[0].do.stdin.splitlines())
    assert plan.changes[0].undo
    if _vendor(fw).timer is None:
        assert any("no timer on the device" in note for note in plan.notes), plan.notes
    else:
        assert plan.guard is not None, "it goes back by itself"
    assert plan.keep[0].repeats
    ends = [note for note in plan.notes if "sessions open already may go on" in note]
    said = {"secpath": "reset session table ipv4 source-ip 203.0.113.7", "asa": "clear conn address 203.0.113.7"}
    assert [note.rpartition(": ")[2] for note in ends] == [line for face, line in said.items() if face == fw.face]


@pytest.mark.parametrize("way", ["resume", "undo"])
def test_killed_at_every_step(fw: Firewall, way: str) -> None:
    """Killed at any moment, `resume` ends with everything blocked and saved, `undo` with the start."""
    prepared(fw)
    start = fw.asked("running")
    for moment in fw.moments(fw.plan(block(fw), "R0")):
        plan = fw.plan(block(fw), f"R{moment}")
        fw.killed(plan, moment)
        if way == "resume":
            ended = fw.resume()
            assert all(one.status in {"verified", "unverified"} for one in ended), (moment, ended)
            left = fw.plan(block(fw), f"C{moment}")
            if ended:
                assert left.is_noop, moment
                assert fw.asked("saved") == fw.asked("running"), moment
        undone = fw.undo(plan, f"U{moment}")
        assert undone.status in {"verified", "unchanged"}, (moment, undone.doubts)
        assert fw.asked("running") == start, moment


def test_a_full_group(fw: Firewall) -> None:
    """A line that the device refuses takes back the ones before it, and names line and the device's words."""
    prepared(fw)
    fw.set(**({"group_limit": 5} if fw.face in GROUPED else {"refuse": r"203\.0\.113\.11 "}))
    before = fw.asked("running")
    outcome = fw.act(block(fw, *(f"203.0.113.{number}" for number in range(1, 20, 2))), "B9")
    assert (outcome.status, outcome.exit_code) == ("failed", 20)
    said = "host " if fw.face in GROUPED else "source "
    assert any("line " in doubt and said in doubt and "203.0.113." in doubt for doubt in outcome.doubts), outcome.doubts
    assert fw.asked("running") == before


def test_a_read_only_account(fw: Firewall) -> None:
    """An account that may not configure fails with the device's words, and nothing is changed."""
    prepared(fw)
    before = fw.asked("running")
    plan = fw.plan(block(fw), "B9")
    engine = fw.engine()
    fw.log_in_as("guest", "Guest-1")
    try:
        outcome = engine.apply(fw.job(block(fw), "B9"), plan, engine.approve(plan, "ops"))
    except RemedyError as error:
        said = error.message
    else:
        assert outcome.exit_code == 20
        said = "; ".join(outcome.doubts)
    assert ("Invalid input" if fw.face in ELEVATING else "denied") in said, said
    assert fw.asked("running") == before


def test_saving_fails(fw: Firewall) -> None:
    """What is not saved is said: blocked, and unverified."""
    prepared(fw)
    fw.set(save_fails=True)
    outcome = fw.act(block(fw), "B1")
    assert outcome.exit_code == 22
    assert any("save the configuration" in doubt for doubt in outcome.doubts)
    assert "203.0.113.7" in fw.asked("running")


def test_no_gate(fw: Firewall) -> None:
    """Without a gate in the inventory nothing would be blocked, so nothing is begun."""
    prepared(fw)
    with pytest.raises(UsageError, match="lets the outside in"):
        Block(fw.vendor, (), ATTACKERS).plan(fw.target, fw.site, fw.job(block(fw), "R1").context, fw.sessions)


def test_a_number_that_is_anothers_by_now(tmp_path: Path) -> None:
    """Where rules are the members, taking one back goes by its number: never when another member has that by now."""
    with firewall(tmp_path, "comware5") as fw:
        prepared(fw)
        first = fw.act(block(fw, "203.0.113.7", "203.0.113.9"), "B1")
        assert fw.act(Unblock(fw.vendor, (fw.gate,), ("203.0.113.7",)), "B2").status == "verified"
        second = fw.act(block(fw, "198.51.100.7"), "B3")
        before = fw.asked("running")
        assert " rule 0 deny ip source 198.51.100.7 0 counting" in before.splitlines()
        with pytest.raises(Refused, match="somebody else has changed this since run B1"):
            fw.undo(first.plan, "U1")
        assert fw.asked("running") == before
        assert fw.undo(second.plan, "U3").status == "verified"
        assert fw.undo(first.plan, "U1").status == "verified"
        assert "deny ip source" not in fw.asked("running")


def test_what_rests_on_a_preparation(tmp_path: Path) -> None:
    """A group with members, and a list with the rules of isolated hosts, stay: undo begins with what came last."""
    with firewall(tmp_path, "comware") as fw:
        start = fw.asked("running")
        pairs = [("block", fw.gate), *(("isolate", gate) for gate in typing.isolating((fw.gate,)))]
        made = [
            fw.act(Prepare(fw.vendor, gate, 4, 60, purpose), f"P{n}").plan for n, (purpose, gate) in enumerate(pairs)
        ]
        blocked = fw.act(block(fw, "203.0.113.7"), "B1").plan
        before = fw.asked("running")
        with pytest.raises(Refused, match="changed this since run P0") as caught:
            fw.undo(made[0], "U0")
        assert "taken back first" in caught.value.hint
        assert fw.undo(blocked, "U1").status == "verified"
        with pytest.raises(Refused, match="changed this since run P0"):
            fw.undo(made[0], "U0")
        assert "remedy-isolated" in fw.asked("running")
        own = "acl advanced name remedy-block-GigabitEthernet1-0-1-in"
        drop = "deny ip source object-group remedy-block counting"
        for lines in ((own, "undo rule 0", "quit"), (own, f"rule 0 {drop}", "quit")):
            assert fw.sessions.send(typing.configure(lines), at="fw01").status == 0
            with pytest.raises(Refused, match="changed this since run P0"):
                fw.undo(made[0], "U0")
        assert fw.act(block(fw, "203.0.113.7"), "B2").status == "verified"
        assert fw.asked("running") == before
        assert fw.act(Unblock(fw.vendor, (fw.gate,), ("203.0.113.7",)), "B3").status == "verified"
        for plan in reversed(made):
            assert fw.undo(plan, f"U{plan.run}").status == "verified"
        assert fw.asked("running") == start
