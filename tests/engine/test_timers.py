"""Nothing is sent under a timer that may be over, and one that is gone is told apart from one that cannot be ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.worlds.memory import Clock, Killed
from tests.worlds.toy import FALLEN, SECONDS, Contain, Desk

from remedy.core.values import Command, Guard, Plan, Probe
from remedy.engine import replay, timers
from remedy.engine.job import Event
from remedy.engine.outcome import Step

ARMED = ("reply", f"arm the dead-man timer, {SECONDS} s")
DISARMING = ("step", "disarm the dead-man timer")


@pytest.fixture
def desk() -> Desk:
    """A host, and nobody has done anything."""
    return Desk()


def at(desk: Desk, when: tuple[str, str], then: Callable[[], None]) -> None:
    """Have something happen when the next process first tells of this."""
    engine, due = desk.engine(), [then]

    def observe(event: Event) -> None:
        desk.events.append(event)
        if due and (event.kind, event.text) == when:
            due.pop()()

    engine.observe = observe
    desk.apply(Contain(on_failure="undo"), engine=engine)


def outcome_of(desk: Desk) -> tuple[str, str]:
    """The status of the run, and all that was told."""
    return desk.journal().outcomes("R1")[-1], " ".join(event.text for event in desk.events)


def end(desk: Desk) -> Callable[[], None]:
    """Somebody ends the timer."""
    return lambda: setattr(desk.toy, "armed_at", None)


def test_it_may_be_over_by_our_clock(desk: Desk) -> None:
    """When starting it has taken as long as it runs, nothing is sent, and it is ended for whatever is left of it."""
    at(desk, ARMED, lambda: desk.toy.clock.sleep(SECONDS))
    assert outcome_of(desk)[0] == "failed"
    assert desk.toy.sent == [("arm",), ("disarm",)]
    assert desk.toy.places["rules"] == ""


def test_it_does_not_run_by_its_own_word(desk: Desk) -> None:
    """A timer that was started and does not run protects nothing: nothing is sent."""
    at(desk, ARMED, end(desk))
    assert outcome_of(desk)[0] == "failed"
    assert desk.toy.sent == [("arm",), ("disarm",)]


def test_gone_while_what_was_sent_is_there(desk: Desk) -> None:
    """What was read back over a fresh login is not taken away by a timer that is known not to run: it is told."""
    at(desk, DISARMING, end(desk))
    status, told = outcome_of(desk)
    assert status == "verified"
    assert "the timer was gone before it was disarmed" in told


@pytest.mark.parametrize(("runs", "status"), [(True, "failed"), (False, "reverted")])
def test_one_that_still_runs_has_put_nothing_back(desk: Desk, runs: bool, status: str) -> None:  # noqa: FBT001 -- pytest's
    """What looks as if it had gone off, and runs, did not: the change may be where nobody looks, and is taken back."""

    def look_fallen() -> None:
        desk.toy.places["rules"] = FALLEN
        desk.toy.armed_at = desk.toy.armed_at if runs else None

    at(desk, ("phase", "confirming over a fresh login"), look_fallen)
    assert outcome_of(desk)[0] == status
    assert (("set", "rules", "*", "") in desk.toy.sent) == runs
    assert desk.toy.snapshot()["timer"] == "off"


class Meanwhile(Clock):
    """A clock in whose sleep something happens."""

    def __init__(self, then: Callable[[], None]) -> None:
        """At its start."""
        super().__init__()
        self.then = then

    def sleep(self, seconds: float) -> None:
        """Let time pass, and it happen."""
        super().sleep(seconds)
        self.then()


def test_going_back_while_it_is_to_be_ended() -> None:
    """What still shows just after its timer went off is looked at once more before it is taken to stand."""
    desk = Desk()
    desk.toy.clock = Meanwhile(lambda: desk.toy.places.update(rules=FALLEN))
    at(desk, DISARMING, end(desk))
    assert outcome_of(desk)[0] == "unverified"
    assert any("went off while" in entry.body for entry in desk.pages.entries if entry.kind == "outcome")


def test_not_ended_and_not_known_to_be_gone(desk: Desk) -> None:
    """Where nobody can say whether it runs, the doubt stays, with the device's words and when to look again."""
    probe = Probe(Command(("timer",)), "deadman.state")
    guard = Guard("why", "web01", SECONDS, Command(("arm",)), Command(("disarm",)), probe, probe, "")
    desk.toy.armed_at = 0.0
    plan = Plan("block", "web01", "R1", "INC-1", "", "{}")
    step = timers.gone(desk.engine(), plan, guard, Step("disarm", "end it", ok=False, said="no such line"), seen=True)
    assert not step.ok
    assert step.said.startswith("no such line; ")
    assert f"look again in {SECONDS} s" in step.said


def test_what_ended_one_timer_has_not_ended_the_next(desk: Desk) -> None:
    """A run that was confirmed, and went on anew after its steps were gone, is not taken for confirmed."""
    desk.apply(Contain())
    recorded = desk.lives[-1].changes[3] + 1  # arm, both steps, disarm; and its reply is in the record
    desk = Desk()
    with pytest.raises(Killed):
        desk.apply(Contain(), engine=desk.engine(recorded))
    assert replay.read(desk.journal(), "R1").steps["disarm"] == "done"
    desk.toy.places["rules"] = ""
    with pytest.raises(Killed):
        replay.resume(desk.engine(4), replay.read(desk.journal(), "R1"))
    again = replay.read(desk.journal(), "R1")
    assert "disarm" not in again.steps
    assert replay.resume(desk.engine(), again).status == "verified"
    assert desk.toy.armed_at is None


def test_a_timer_of_a_process_that_is_gone_begins_anew(desk: Desk) -> None:
    """Where starting a second one is refused, one that runs already is set anew instead."""
    probe = Probe(Command(("timer",)), "deadman.state")
    guard = Guard("why", "web01", SECONDS, Command(("arm",)), Command(("disarm",)), probe, probe, "")
    guard = replace(guard, again=Command(("set", "flows", "*", "anew")))
    plan = Plan("block", "web01", "R1", "INC-1", "", "{}")
    assert timers.armed(desk.engine(), plan, "arm", guard, again=True).ok
    assert desk.toy.sent == [("arm",)], "none ran"
    assert timers.armed(desk.engine(), plan, "arm", guard, again=True).ok
    assert desk.toy.places["flows"] == "anew"
    assert timers.armed(desk.engine(), plan, "arm", guard).ok
    assert desk.toy.sent[-1] == ("arm",), "a first run starts its own, and is refused where that cannot be"
