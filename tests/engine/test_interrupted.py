"""Killed at any moment: what `resume` and `undo` make of it, on a toy host at every event and at random ones, twice."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.memory import Killed
from tests.worlds.toy import FALLEN, SECONDS, Contain, Desk

from remedy.actions import Action
from remedy.actions.undo import Undo
from remedy.core.errors import Refused, RemedyError, UsageError
from remedy.engine import replay
from remedy.engine.run import Engine

CONTAINED = {"rules": "isolated", "boot": "hook", "flows": "cut", "timer": "off"}
START = {"rules": "", "boot": "", "flows": "live", "timer": "off"}


def begin(desk: Desk, ends_after: int | None) -> None:
    """Isolate; the process may be killed on the way."""
    with contextlib.suppress(Killed):
        desk.apply(Contain(), engine=desk.engine(ends_after))


def deeds() -> int:
    """How many moments there are to be killed at."""
    desk = Desk()
    begin(desk, None)
    return desk.lives[-1].deeds


EVERY = range(1, deeds() + 1)


def resume_all(desk: Desk, ends_after: int | None = None) -> None:
    """What `remedy resume` does."""
    engine = desk.engine(ends_after)
    for run in list(replay.unfinished(engine.journal)):
        replay.resume(engine, run)


def undo(desk: Desk, run: str = "R1", name: str = "U1", ends_after: int | None = None) -> None:
    """What `remedy undo` does; a run that never got its plan into the record has nothing to undo."""
    engine = desk.engine(ends_after)
    try:
        plan = replay.read(engine.journal, run).plan
    except UsageError:
        return
    outcome = desk.apply(Undo(plan), name, engine)
    assert outcome.exit_code == 0, outcome.doubts


def begun(desk: Desk) -> bool:
    """Whether the run got so far that it was approved in the record."""
    return "approval" in desk.journal().kinds("R1")


def test_there_are_moments_enough() -> None:
    """The count of moments covers every entry, every change and the lease."""
    assert len(EVERY) == len(["hold", "plan", "approval", *["intent", "send", "sent"] * 5, "verify", "outcome"])


@pytest.mark.parametrize("moment", EVERY)
def test_killed_then_resumed(moment: int) -> None:
    """From every moment `resume` ends the run as if nothing had happened, and a second `resume` has nothing to do."""
    desk = Desk()
    begin(desk, moment)
    resume_all(desk)
    assert desk.toy.snapshot() == (CONTAINED if begun(desk) else START)
    assert desk.journal().outcomes("R1") == (["verified"] if begun(desk) else [])
    sent = len(desk.toy.sent)
    resume_all(desk)
    assert len(desk.toy.sent) == sent


@pytest.mark.parametrize("moment", EVERY)
def test_killed_then_undone(moment: int) -> None:
    """From every moment `undo` brings the host back, the timer included, though another run held the target."""
    desk = Desk()
    begin(desk, moment)
    flows = desk.toy.places["flows"]
    undo(desk)
    assert desk.toy.snapshot() == {**START, "flows": flows}
    assert not [lease for lease in desk.pages.leases.values() if not lease[2].dead]
    resume_all(desk)
    assert desk.toy.snapshot() == {**START, "flows": flows}, "what was undone is not resumed"


@pytest.mark.parametrize("moment", EVERY)
def test_killed_then_power_cycled(moment: int) -> None:
    """A host that lost rules and timer to a power cut is cut off again by `resume`, under a new timer."""
    desk = Desk()
    begin(desk, moment)
    desk.toy.armed_at = None
    desk.toy.places["flows"] = "live"
    desk.toy.places["rules"] = "isolated" if desk.toy.places["boot"] else ""
    ended = bool(desk.journal().outcomes("R1"))
    resume_all(desk)
    if begun(desk) and not ended:
        assert desk.toy.snapshot() == CONTAINED
        assert desk.journal().outcomes("R1") == ["verified"]


@pytest.mark.parametrize("moment", EVERY)
def test_killed_and_the_timer_fires(moment: int) -> None:
    """When nobody resumes in time the host restores management by itself; `resume` says so, and undo takes it back."""
    desk = Desk()
    begin(desk, moment)
    desk.toy.clock.sleep(SECONDS + 1)
    fired = desk.toy.snapshot()["rules"] == FALLEN
    resume_all(desk)
    if fired:
        assert desk.journal().outcomes("R1") == ["rolled-back"]
        assert desk.toy.snapshot()["rules"] == FALLEN
        assert desk.toy.snapshot()["boot"] == ""
    undo(desk)
    assert desk.toy.snapshot()["rules"] == ""
    assert desk.toy.snapshot()["boot"] == ""
    assert desk.toy.snapshot()["timer"] == "off"


@pytest.mark.parametrize("moment", EVERY)
def test_killed_and_somebody_else_was_there(moment: int) -> None:
    """What a stranger did in the meantime is neither overwritten by `resume` nor by `undo` without force."""
    desk = Desk()
    begin(desk, moment)
    desk.toy.armed_at = None
    desk.toy.places["rules"] = "theirs"
    for run in list(replay.unfinished(desk.journal())):
        with pytest.raises(Refused, match="neither as it was"):
            replay.resume(desk.engine(), run)
    if begun(desk):
        with pytest.raises(Refused, match="somebody else"):
            undo(desk)
        assert desk.toy.places["rules"] == "theirs"
        plan = replay.read(desk.journal(), "R1").plan
        assert desk.apply(Undo(plan, force=True), "U2").status == "verified"
        assert desk.toy.places["rules"] == ""


MOMENTS = st.integers(1, 20)


@given(MOMENTS, MOMENTS, MOMENTS)
def test_interrupted_again_and_again_then_resumed(first: int, second: int, third: int) -> None:
    """However often `resume` itself is killed, the last one ends the run well."""
    desk = Desk()
    begin(desk, first)
    for moment in (second, third):
        with contextlib.suppress(Killed):
            resume_all(desk, moment)
    resume_all(desk)
    assert desk.toy.snapshot() == (CONTAINED if begun(desk) else START)
    assert desk.journal().outcomes("R1") == (["verified"] if begun(desk) else [])


@given(MOMENTS, MOMENTS, MOMENTS, st.booleans())
def test_interrupted_again_and_again_then_undone(first: int, second: int, third: int, resumed: bool) -> None:  # noqa: FBT001 -- drawn
    """However often `resume` and `undo` are killed, a last `undo` brings the host back."""
    desk = Desk()
    begin(desk, first)
    with contextlib.suppress(Killed):
        resume_all(desk, second) if resumed else undo(desk, "R1", "U1", second)
    with contextlib.suppress(Killed):
        undo(desk, "R1", "U2", third)
    undo(desk, "R1", "U3")
    resume_all(desk)
    assert {k: v for k, v in desk.toy.snapshot().items() if k != "flows"} == {"rules": "", "boot": "", "timer": "off"}


@given(MOMENTS, MOMENTS)
def test_undo_that_was_killed_is_resumed(first: int, second: int) -> None:
    """An undo is a run like any other: killed in the middle, `resume` ends it."""
    desk = Desk()
    begin(desk, None)
    with contextlib.suppress(Killed):
        undo(desk, "R1", "U1", first)
    with contextlib.suppress(Killed):
        resume_all(desk, second)
    resume_all(desk)
    if "approval" in desk.journal().kinds("U1"):
        assert desk.toy.snapshot() == {**START, "flows": "cut"}
        assert desk.journal().outcomes("U1") == ["verified"]


@given(st.lists(st.sampled_from(["", "before", "after", "refuse"]), max_size=8), st.floats(0, 60))
def test_whatever_fails_undo_brings_the_host_back(fates: list[str], away: float) -> None:
    """Refused steps, broken sessions and hosts that vanish for a while end in an outcome or an open run; both undo."""
    desk = Desk()
    desk.toy.fates.extend(fates)
    engine: Engine = desk.engine()

    def vanish(event: object) -> None:
        if getattr(event, "text", "") == "confirming over a fresh login":
            desk.toy.away_until = desk.toy.clock.passed + away

    engine.observe = vanish
    action: Action = Contain()
    with contextlib.suppress(RemedyError):
        desk.apply(action, engine=engine)
    desk.toy.away_until = 0.0
    desk.toy.fates.clear()
    resume_all(desk)
    undo(desk)
    assert {k: v for k, v in desk.toy.snapshot().items() if k != "flows"} == {"rules": "", "boot": "", "timer": "off"}
