"""The network layers of an isolation: on real devices of the lab, beside a host that may be anybody's."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.acting import Settled, Watch
from tests.worlds.firewalls import GROUPED
from tests.worlds.layers import MAC, PORT, QUARANTINE, UPLINK, Estate, Toy, estate
from tests.worlds.real import ADDRESSES, World

from remedy import devices
from remedy.actions.isolate import Isolate
from remedy.actions.perimeter import device as typing
from remedy.actions.release import Release
from remedy.core.errors import AnswerUnusable, Refused, RemedyError, TargetUnfit
from remedy.core.values import Plan, Vantage
from remedy.engine import inspect, limits, replay

OTHER = "52:54:00:00:00:99"
SAVE = typing.save("sw01", devices.named("h3c_comware")).do


@dataclass
class Hurried(Watch):
    """A clock that goes on by what others wait, at once."""

    waited: float = 0.0

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return super().monotonic() + self.waited

    def sleep(self, seconds: float) -> None:
        """It is later already."""
        self.waited += seconds


def released(at: Estate, run: str = "L1", *, force: bool = False) -> Any:  # noqa: ANN401 -- an Outcome
    """What `remedy release` does."""
    plans = replay.isolations(at.engine().journal, "web01")
    alone = bool(plans) and not any(plan.changes for plan in plans)
    return at.act(Release((), force, replay.elsewhere_of(plans), alone), run)


def port(at: Estate) -> str:
    """The host's port as it is configured."""
    text: str = at.switch.asked("running")
    return text.partition(f"interface {PORT}\n")[2].partition("#")[0]


def test_root_on_the_host_changes_nothing_beyond_it(tmp_path: Path, nft_world: World) -> None:
    """All three layers hold and are read back; root flushes the host's rules and two hold still; release is exact."""
    nft_world.session.close()
    with estate(tmp_path, nft_world, heard=()) as at:
        at.prepare()
        start = at.running()
        plan = at.plan(action := at.isolate("host", "switch", "perimeter"))
        outcome = at.carry(plan, action)
        assert (outcome.status, outcome.held) == ("verified", ("host", "perimeter", "switch")), outcome.doubts
        assert outcome.withstands_root
        assert f"port access vlan {QUARANTINE}" in port(at)
        assert all(address in at.wall.asked("running").lower() for address in ADDRESSES)
        assert all(running == saved for running, saved in at.running().values())

        nft_world.target.run("nft delete table inet remedy_isolation; nft delete table bridge remedy_isolation")
        drift = inspect.look(at.engine(), plan)
        assert drift.gone == ("1",)
        held = {verdict.expect.layer for verdict in drift.verdicts if verdict.held}
        lost = {verdict.expect.layer for verdict in drift.verdicts if not verdict.held}
        assert held >= {"switch", "perimeter"}
        assert lost == {"host"}
        assert inspect.put_back(at.engine(), drift).status == "verified"

        assert released(at).exit_code in {0, 22}
        assert at.running() == start
        assert nft_world.snapshot() == nft_world.start


def cut_off_and_dark(at: Estate) -> Plan:
    """Isolated in all layers, with the consent that management does not reach the host any more."""
    action = at.isolate("host", "switch", "perimeter", plug=at.plug(management=False), unreachable_ok=True)
    plan = at.plan(action)
    outcome = at.carry(plan, action)
    assert (outcome.exit_code, outcome.held) == (22, ("perimeter", "switch")), outcome.doubts
    assert any("its own rules are loaded, and not read back" in doubt for doubt in outcome.doubts)
    return plan


@pytest.mark.parametrize("way", ["undo", "release"])
def test_a_host_that_nobody_reaches_in_quarantine(tmp_path: Path, nft_world: World, way: str) -> None:
    """What is beyond the host is taken back first; until its own rules are, once it answers, it counts as isolated."""
    nft_world.session.close()
    with estate(tmp_path, nft_world, heard=(), dark=True) as at:
        at.prepare()
        start = at.running()
        plan = cut_off_and_dark(at)

        def back(run: str) -> Any:  # noqa: ANN401 -- an Outcome
            return at.undo(plan, run) if way == "undo" else released(at, run)

        first = back("B1")
        assert (first.exit_code, first.left) == (22, ("host",)), first.doubts
        assert any("web01 does not answer" in doubt and "once more" in doubt for doubt in first.doubts)
        assert at.running() == start
        assert "remedy_isolation" in nft_world.target.run("nft list tables")
        assert limits.isolated(at.engine().journal) == {"web01": plan.run}
        assert limits.held(at.engine().journal) == {}, "nobody puts it back, or goes on with it"

        second = back("B2")
        assert (second.status, second.left) == ("unverified" if way == "release" else "verified", ()), second.doubts
        assert second.doubts == second.plan.unproven
        assert nft_world.snapshot() == nft_world.start
        assert at.running() == start
        assert limits.isolated(at.engine().journal) == {}


def test_a_device_that_is_off_keeps_its_layer(tmp_path: Path, nft_world: World) -> None:
    """The host is given back, the switch is not, and so it counts as isolated until the switch answers again."""
    nft_world.session.close()
    with estate(tmp_path, nft_world, heard=(), boxes=("sw01",)) as at:
        start = at.running()
        action = at.isolate("host", "switch")
        assert at.act(action).status == "verified"
        good = at.switch.target
        at.switch.target = replace(good, port=9)
        at.world.session.renew("sw01")
        first = released(at, "B1")
        assert (first.exit_code, first.left) == (22, ("switch",)), first.doubts
        assert nft_world.snapshot() == nft_world.start
        assert limits.isolated(at.engine().journal) == {"web01": "R1"}
        at.switch.target = good
        assert released(at, "B2").left == ()
        assert at.running() == start
        assert limits.isolated(at.engine().journal) == {}


def test_a_host_that_is_down_and_was_not_touched(tmp_path: Path) -> None:
    """Cut off by devices alone, because it did not answer: it need not answer to be released."""
    reached = True
    with estate(tmp_path, Toy(reached=lambda: reached), boxes=("sw01",)) as at:
        start = at.running()
        action = at.isolate("switch", plug=at.plug(management=False), unreachable_ok=True)
        for run, by_hand in (("R1", False), ("R2", True)):
            reached = True
            assert at.act(action, run).held == ("switch",)
            reached = False
            at.world.session.renew("web01")
            if by_hand:
                for command in (typing.configure((f"interface {PORT}", "port access vlan 20")), SAVE):
                    assert at.world.session.send(command, at="sw01").status == 0
            outcome = released(at, f"L{run}")
            assert (outcome.left, outcome.plan.is_noop) == ((), by_hand), outcome.doubts
            assert limits.isolated(at.engine().journal) == {}
            assert at.running() == start


def test_drift_at_a_device_is_seen_and_put_back(tmp_path: Path) -> None:
    """Whoever moves the port back or takes the member off is found by the next look, and put right, saved again."""
    with estate(tmp_path, Toy()) as at:
        at.prepare()
        action = at.isolate("switch", "perimeter")
        plan = at.plan(action)
        assert at.carry(plan, action).held == ("perimeter", "switch")
        for name, box in at.boxes.items():
            step = next(change for change in plan.keep if change.at == name and change.undo)
            assert step.undo
            assert at.world.session.send(step.undo, at=name).status == 0
            drift = inspect.look(at.engine(), plan)
            assert [plan.keep[int(gone[1:]) - 1].at for gone in drift.gone] == [name]
            inspect.put_back(at.engine(), drift)
            assert inspect.look(at.engine(), plan).gone == ()
            assert box.asked("running") == box.asked("saved")


@pytest.mark.parametrize("wall", GROUPED)
def test_two_hosts_share_a_firewall(tmp_path: Path, wall: str) -> None:
    """A second host in the group neither disturbs the first nor goes with it, and blocking stands beside it."""
    with estate(tmp_path, Toy(), wall=wall, boxes=("fw01",)) as at:
        at.prepare(blocking=True)
        start = at.running()
        action = at.isolate("perimeter")
        plan = at.plan(action)
        assert at.carry(plan, action).held == ("perimeter",)
        both = at.running()
        first = at.site
        at.site = replace(first, addresses=("198.18.1.77",))
        assert at.act(action, "R2").held == ("perimeter",)
        at.site = first
        assert inspect.look(at.engine(), plan).gone == ()
        assert at.undo(replay.read(at.engine().journal, "R2").plan, "U2").status == "verified"
        assert at.running() == both
        assert at.plan(action, "R3").is_noop
        assert at.undo(plan, "U1").status == "verified"
        assert at.running() == start


def test_an_unprepared_firewall(tmp_path: Path) -> None:
    """By default it is left out with a word; asked for by name it is refused, saying what to do."""
    with estate(tmp_path, Toy(), boxes=("fw01",)) as at:
        plan = at.plan(at.isolate("perimeter"))
        assert plan.is_noop
        assert any("remedy acl prepare fw01" in note for note in plan.notes)
        with pytest.raises(TargetUnfit, match="no firewall is prepared") as caught:
            at.plan(at.isolate("perimeter", named=True))
        assert "remedy acl prepare" in caught.value.hint


def test_management_from_outside_is_not_cut(tmp_path: Path) -> None:
    """Where the inventory shows management beyond the gate, the perimeter layer is refused."""
    with estate(tmp_path, Toy(), boxes=("fw01",)) as at:
        at.prepare()
        far = Vantage("adm9", "outside", ("203.0.113.9",))
        at.site = replace(at.site, management=("203.0.113.0/24",), vantages=(far,))
        with pytest.raises(Refused, match="comes in at fw01"):
            at.plan(at.isolate("perimeter", named=True))


def refusal(at: Estate, **given: Any) -> RemedyError:  # noqa: ANN401 -- options of Isolate
    """Why the switch layer is refused when it is asked for by name; by default the same is said, and left out."""
    with pytest.raises(RemedyError) as caught:
        at.plan(at.isolate("switch", named=True, **given))
    plan = at.plan(at.isolate("switch", **given))
    assert plan.is_noop
    assert any(caught.value.message in line for line in plan.unproven), plan.unproven
    return caught.value


@pytest.mark.parametrize(
    ("heard", "known", "said"),
    [
        (((OTHER, 20, PORT),), (), "says otherwise"),
        (((MAC, 20, "GigabitEthernet1/0/2"),), (), "says otherwise"),
        (((MAC, 20, PORT), (OTHER, 20, PORT)), (), "2 hardware addresses"),
        (((OTHER, 20, PORT),), ((ADDRESSES[0], MAC, "Vlan-interface20"),), "says otherwise"),
    ],
)
def test_contradictions(tmp_path: Path, heard: Any, known: Any, said: str) -> None:  # noqa: ANN401 -- tables
    """Inventory, host and switch that do not agree, or a second host behind the port: refused unless forced."""
    with estate(tmp_path, Toy(), boxes=("sw01",), heard=heard, known=known) as at:
        error = refusal(at)
        assert said in error.message
        assert "--force-port" in error.hint
        assert at.plan(at.isolate("switch", named=True, force_port=True)).keep


def test_a_port_that_nobody_is_seen_at(tmp_path: Path) -> None:
    """Where no address is learned now, the inventory's word is enough."""
    with estate(tmp_path, Toy(), boxes=("sw01",), heard=()) as at:
        assert at.act(at.isolate("switch")).held == ("switch",)


def test_an_uplink_is_never_touched(tmp_path: Path) -> None:
    """A trunk is refused; forced, it can only be shut down, and that has to be allowed as well."""
    with estate(tmp_path, Toy(), boxes=("sw01",), heard=()) as at:
        plug = at.plug(port=UPLINK)
        assert "trunk" in refusal(at, plug=plug).message
        assert "--shut-port" in refusal(at, plug=plug, force_port=True).hint


def test_never_isolated_and_unreachable_unless_named(tmp_path: Path) -> None:
    """Without a word that management gets into the VLAN it is refused; with consent it is done, and taken back."""
    with estate(tmp_path, Toy(), boxes=("sw01",)) as at:
        start = at.running()
        plug = at.plug(management=False)
        error = refusal(at, plug=plug)
        assert "isolated and unreachable" in error.message
        assert "--unreachable-ok web01" in error.hint
        assert at.act(at.isolate("switch", plug=plug, unreachable_ok=True)).held == ("switch",)
        released(at)
        assert at.running() == start


def test_shut_down_where_there_is_no_quarantine_vlan(tmp_path: Path) -> None:
    """Only when allowed, and brought up again by release."""
    with estate(tmp_path, Toy(), boxes=("sw01",)) as at:
        start = at.running()
        plug = at.plug(vlan=0)
        assert "--shut-port" in refusal(at, plug=plug, unreachable_ok=True).hint
        assert "isolated and unreachable" in refusal(at, plug=plug, shut_port=True).message
        outcome = at.act(at.isolate("switch", plug=plug, shut_port=True, unreachable_ok=True))
        assert outcome.held == ("switch",)
        assert "shutdown" in port(at)
        released(at)
        assert at.running() == start


def test_a_port_is_found_by_tables_that_agree(tmp_path: Path) -> None:
    """Without a port in the inventory, the host's word and the switch's together name it."""
    known = ((ADDRESSES[0], MAC, "Vlan-interface20"),)
    with estate(tmp_path, Toy(), boxes=("sw01",), known=known) as at:
        plan = at.plan(at.isolate("switch", plug=at.plug(port="")))
        assert plan.keep[0].at == "sw01"
        assert f"interface {PORT}" in plan.keep[0].do.stdin


@pytest.mark.parametrize(
    ("mac", "known", "said"),
    [
        (MAC, (), "only web01 itself says"),
        (OTHER, ((ADDRESSES[0], MAC, "Vlan-interface20"),), "knows it as"),
        (OTHER, (), "not found"),
    ],
)
def test_a_host_that_lies_moves_nobody_else(tmp_path: Path, mac: str, known: Any, said: str) -> None:  # noqa: ANN401 -- a table
    """The host's own word is never enough to find a port."""
    with estate(tmp_path, Toy(mac), boxes=("sw01",), known=known) as at:
        assert said in refusal(at, plug=at.plug(port="")).message


def test_a_device_that_is_off_stops_nobody_else(tmp_path: Path) -> None:
    """Off when it is planned: its layer is missing and said. Off when it is its turn: likewise, and the others hold."""
    with estate(tmp_path, Toy()) as at:
        at.prepare()
        action = at.isolate("switch", "perimeter")
        plan = at.plan(action)
        good = at.switch.target
        at.switch.target = replace(good, port=9)
        at.world.session.renew("sw01")
        outcome = at.carry(plan, Settled(plan))
        assert (outcome.status, outcome.held) == ("unverified", ("perimeter",))
        assert any("sw01" in doubt for doubt in outcome.doubts)
        late = at.plan(action, "R2")
        assert any("no switch layer at sw01" in line for line in late.unproven)
        at.switch.target = good
        assert {*at.act(action, "R3").held} == {"perimeter", "switch"}


def test_a_step_that_cuts_management_off_is_taken_back(tmp_path: Path) -> None:
    """The inventory may be wrong about the quarantine VLAN: the host is asked before the switch's timer is ended."""
    reached = True
    with estate(tmp_path, Toy(reached=lambda: reached), boxes=("sw01",)) as at:
        action = at.isolate("host", "switch")
        start = port(at)
        plan = at.plan(replace(action, layers=("switch",)))
        plan = replace(plan, keep=tuple(replace(c, reaching="web01") if c.undo else c for c in plan.keep))
        reached = False
        engine = at.engine()
        engine.clock = Hurried()
        outcome = at.carry(plan, Settled(plan), engine)
        assert outcome.exit_code == 22
        assert any("taken back" in doubt for doubt in outcome.doubts)
        assert engine.clock.waited >= 29, "half of the timer: a port may take as long to open"
        assert port(at) == start
        assert at.switch.asked("saved") == at.switch.asked("running")


def test_a_port_that_opens_late_is_waited_for(tmp_path: Path) -> None:
    """Where spanning tree keeps a port shut for a while, the step stands once management gets through."""
    deaf = 0

    def reached() -> bool:
        nonlocal deaf
        deaf = max(0, deaf - 1)
        return not deaf

    with estate(tmp_path, Toy(reached=reached), boxes=("sw01",)) as at:
        plan = at.plan(at.isolate("switch"))
        plan = replace(plan, keep=tuple(replace(c, reaching="web01") if c.undo else c for c in plan.keep))
        deaf = 20
        engine = at.engine()
        engine.clock = Hurried()
        outcome = at.carry(plan, Settled(plan), engine)
        assert outcome.held == ("switch",), outcome.doubts
        assert deaf == 0
        assert f"port access vlan {QUARANTINE}" in port(at)


@pytest.mark.parametrize(
    ("wall", "way", "first", "stride"),
    [
        ("secpath", "resume", 1, 1),
        ("secpath", "undo", 1, 3),
        ("secpath", "release", 2, 3),
        ("ios", "resume", 1, 2),
        ("asa", "resume", 2, 3),
        ("ios", "undo", 2, 4),
        ("asa", "release", 1, 4),
    ],
)
def test_killed_at_every_step(tmp_path: Path, wall: str, way: str, first: int, stride: int) -> None:
    """Killed after any deed, `resume` ends with both layers held and saved, undo and release with the start."""
    with estate(tmp_path, Toy(), wall=wall) as at:
        at.site = replace(at.site, addresses=ADDRESSES[:1])
        at.prepare()
        start = at.running()
        action = at.isolate("switch", "perimeter")
        count = at.killed(at.plan(action, "R0"), None).deeds
        assert at.undo(at.plan_of("R0"), "U0").status == "verified"
        assert at.running() == start
        assert count > 12
        for moment in range(first, count + 1, stride):
            run = f"R{moment}"
            at.killed(at.plan(action, run), moment)
            if way == "resume" and (ended := at.resume()):
                assert ended[0].held == ("perimeter", "switch"), (moment, ended[0].doubts)
                assert all(running == saved for running, saved in at.running().values()), moment
            if any(entry.kind == "approval" for entry in at.engine().journal.entries(run=run)):
                if way == "release":
                    with contextlib.suppress(AnswerUnusable):  # this host cannot say that it has no rules of its own
                        released(at, f"L{moment}")
                else:
                    outcome = at.undo(at.plan_of(run), f"U{moment}")
                    assert outcome.exit_code in {0, 22}, (moment, outcome.doubts)
            assert {name: one[0] for name, one in at.running().items()} == {
                name: one[0] for name, one in start.items()
            }, moment


def test_an_unknown_layer() -> None:
    """A layer that does not exist is refused before anything is asked."""
    action = Isolate(layers=("host", "moon"))
    with pytest.raises(RemedyError, match="no layer 'moon'"):
        action.plan(None, None, None, None)  # type: ignore[arg-type]
