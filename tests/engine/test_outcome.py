"""What may be called verified, how several targets become one exit code, and a second look at an open run."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.toy import Contain, Desk, change, get

from remedy.core.errors import EXIT_CODES, ConnectFailed, HeldByOther, RemedyError
from remedy.core.values import Expect, Plan, Verdict, wanted
from remedy.engine import fleet, inspect, replay
from remedy.engine.outcome import EXIT, Step, judge

PLAN = Plan("isolate", "web01", "R1", "INC-1", "0", "{}", changes=(change("rules", "", "isolated"),))
NETWORK = Expect("the port is shut", "sw01", get("port"), wanted("shut"), layer="network")
HOST = Expect("the rules are in place", "web01", get("rules"), wanted("isolated"))


@given(
    st.lists(st.booleans(), max_size=4),
    st.lists(st.tuples(st.booleans(), st.sampled_from([HOST, NETWORK])), max_size=4),
    st.lists(st.just("no vantage outside"), max_size=2),
)
def test_never_verified_with_anything_unproven(
    steps: list[bool], verdicts: list[tuple[bool, Expect]], unproven: list[str]
) -> None:
    """Verified needs every step done, every expectation held and nothing unproven; each lack is named as a doubt."""
    plan = replace(PLAN, unproven=tuple(unproven))
    made = tuple(Step(str(n), "step", ok) for n, ok in enumerate(steps))
    said = tuple(Verdict(expect, held, "") for held, expect in verdicts)
    outcome = judge(plan, made, said)
    lacks = steps.count(False) + [held for held, _ in verdicts].count(False) + len(unproven)
    assert (outcome.status == "verified") == (lacks == 0)
    assert outcome.exit_code == (22 if lacks else 0)
    assert len(outcome.doubts) == lacks


def test_layer_without_a_proof_does_not_hold() -> None:
    """A layer counts only when something was asked of it and every answer was right."""
    assert judge(PLAN, (), ()).held == ()
    assert judge(PLAN, (), (Verdict(HOST, held=True, answer=""),)).held == ("host",)
    both = (Verdict(HOST, held=True, answer=""), Verdict(HOST, held=False, answer=""))
    assert judge(PLAN, (), both).held == ()


def test_host_layer_never_withstands_root() -> None:
    """Only a layer beyond the host is graded as one that root there cannot take away."""
    assert not judge(PLAN, (), (Verdict(HOST, held=True, answer=""),)).withstands_root
    two = replace(PLAN, changes=(*PLAN.changes, replace(PLAN.changes[0], layer="network")))
    verdicts = (Verdict(HOST, held=True, answer=""), Verdict(NETWORK, held=True, answer=""))
    assert judge(two, (), verdicts).withstands_root
    assert not judge(two, (), (verdicts[0], replace(verdicts[1], held=False))).withstands_root


@pytest.mark.parametrize("action", ["release", "undo", "restore", "rebuild", "backup", "discard"])
def test_only_an_isolation_can_withstand_root(action: str) -> None:
    """Of what contains nobody it is not said, whatever layers hold."""
    expect = replace(HOST, layer="database")
    outcome = judge(replace(PLAN, action=action), (), (Verdict(expect, held=True, answer=""),))
    assert outcome.withstands_root is None


def test_statuses_have_documented_exit_codes() -> None:
    """Every status of a run ends the process with a code of the one table."""
    assert set(EXIT.values()) <= set(EXIT_CODES)


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([22, 0], 22),
        ([10, 0], 10),
        ([21, 21], 21),
        ([0, 21], 20),
        ([0, 25, 21], 20),
        ([0, 130], 130),
        ([22, 23], 20),
    ],
)
def test_one_code_for_many(codes: list[int], code: int) -> None:
    """Targets that agree give their code, doubt wins over success, and a mixture is partial."""
    assert fleet.exit_code(codes) == code


@given(st.lists(st.sampled_from(sorted(EXIT_CODES)), min_size=1, max_size=6))
def test_no_failure_becomes_success(codes: list[int]) -> None:
    """One code for many is 0 only when every target ended with 0, and it is always a documented one."""
    code = fleet.exit_code(codes)
    assert (code == 0) == (set(codes) == {0})
    assert code in EXIT_CODES


def test_each_keeps_order_and_goes_on_after_a_failure() -> None:
    """One host that fails leaves the others as they are, and results come in the order of the hosts."""

    def work(number: int) -> int:
        if number == 3:
            raise ConnectFailed("down", where="web03")
        return number * 2

    results = fleet.each(range(6), work)
    assert [r for r in results if not isinstance(r, RemedyError)] == [0, 2, 4, 8, 10]
    assert isinstance(results[3], ConnectFailed)


def test_each_works_in_parallel() -> None:
    """Four hosts that wait for each other all finish."""
    barrier = threading.Barrier(4, timeout=10)
    assert len(fleet.each(range(4), lambda _: barrier.wait())) == 4


@pytest.mark.parametrize("hosts", [[0], [1, 0, 2]])
def test_a_defect_met_on_one_host_is_that_hosts_alone(hosts: list[int]) -> None:
    """A surprise while working on one host is named, is exit 1 for that host, and the others get their results."""
    results = fleet.each(hosts, lambda n: 10 // n)
    assert [r for r in results if not isinstance(r, RemedyError)] == [10 // n for n in hosts if n]
    [error] = [r for r in results if isinstance(r, RemedyError)]
    assert (error.exit_code, "ZeroDivisionError" in error.message) == (1, True)


def test_one_look_finds_what_is_gone() -> None:
    """A removed rule is named by its step, and everything holds while nothing was removed."""
    desk = Desk()
    desk.apply(Contain())
    plan, engine = _plan(desk), desk.engine()
    assert inspect.look(engine, plan).holds
    desk.toy.places["rules"] = ""
    drift = inspect.look(engine, plan)
    assert (drift.gone, drift.holds) == (("1",), False)
    assert [v.expect.why for v in drift.verdicts if not v.held] == ["the rules are in place"]
    inspect.alarm(engine, drift)
    assert desk.journal().kinds("R1")[-1] == "alarm"


def _plan(desk: Desk) -> Plan:
    return replay.read(desk.journal(), "R1").plan


@pytest.mark.parametrize("lost", [places for n in (1, 2) for places in itertools.combinations(("rules", "boot"), n)])
def test_put_back_sends_what_is_gone(lost: tuple[str, ...]) -> None:
    """What was removed is put back under a timer, live sessions are ended again, and nothing else is sent."""
    desk = Desk()
    desk.apply(Contain())
    plan, engine = _plan(desk), desk.engine()
    for place in lost:
        desk.toy.places[place] = ""
    came_in = {"flows"} if "rules" in lost else set()
    desk.toy.places["flows"] = "live" if came_in else "cut"
    desk.toy.sent.clear()
    outcome = inspect.put_back(engine, inspect.look(engine, plan))
    assert outcome.status == "verified"
    assert {argv[1] for argv in desk.toy.sent if argv[0] == "set"} == {*lost, *came_in}
    assert (("arm",) in desk.toy.sent) == ("rules" in lost)
    assert desk.toy.snapshot() == {"rules": "isolated", "boot": "hook", "flows": "cut", "timer": "off"}
    assert not desk.pages.leases


def test_put_back_waits_its_turn() -> None:
    """While somebody else works on the host nothing is put back."""
    desk = Desk()
    desk.apply(Contain())
    plan, engine = _plan(desk), desk.engine()
    desk.toy.places["rules"] = ""
    drift = inspect.look(engine, plan)
    desk.journal().hold("web01", run="R9", holder="eve@adm2")
    with pytest.raises(HeldByOther):
        inspect.put_back(engine, drift)
    assert desk.toy.places["rules"] == ""


def test_look_at_a_silent_host() -> None:
    """A host that does not answer is no host that holds: the errors are kept."""
    desk = Desk()
    desk.apply(Contain())
    plan, engine = _plan(desk), desk.engine()
    desk.toy.away_until = 1e9
    drift = inspect.look(engine, plan)
    assert not drift.holds
    assert len(drift.errors) == 2
