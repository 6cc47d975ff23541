"""Streams as steps of a plan: told, journaled, stopped, killed at every moment, resumed and undone, on the toy host."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.memory import Killed
from tests.worlds.toy import TARGET, Desk, get

from remedy.actions import params
from remedy.actions.undo import Undo
from remedy.core.errors import ConnectionLost, Interrupted, Refused, UsageError
from remedy.core.ports import Reader
from remedy.core.values import Change, Command, Context, Expect, Plan, Site, Target, Transfer, wanted
from remedy.engine import replay
from remedy.engine.job import Event

START = {"copy": "", "in": "", "rows": "", "unit": "runs", "live": "old", "after": ""}
END = {"copy": "safe", "in": "made", "rows": "loaded", "unit": "runs", "live": "new", "after": "taken"}


def step(place: str, content: str, *, halfway: str = "", undo: bool = True) -> Change:
    """A command that puts something into a place, whatever is there."""
    do, back = (Command(("set", place, "*", word)) for word in (content, START[place]))
    seen, before, after = get(place), wanted(START[place]), wanted(content)
    return Change(f"put {place}", TARGET.name, do, back if undo else None, seen, before, after, halfway=halfway)


def stream(place: str, content: str, *, seen: bool = False) -> Change:
    """A stream into a place; without `seen` nobody can tell afterwards whether it was carried."""
    made = replace(step(place, content, undo=seen), transfer=Transfer("toy", json.dumps([place, content])))
    return made if seen else replace(made, seen=None, before="", after="")


@dataclass(frozen=True, slots=True)
class Recover:
    """An action of the shape of a restore: a backup, a schema, a load, a cut-over while a unit rests."""

    name: ClassVar[str] = "restore"
    seen: bool = False

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Always the same."""
        return Plan(
            action=self.name,
            target=target.name,
            run=context.run,
            incident=context.incident,
            anchor=context.anchor,
            params=params(self),
            changes=(
                stream("copy", "safe"),
                step("in", "made"),
                stream("rows", "loaded", seen=self.seen),
                step("unit", "rests"),
                step("live", "new", halfway=wanted("half")),
            ),
            keep=(replace(step("unit", "runs", undo=False), before=wanted("rests")), stream("after", "taken")),
            expects=(Expect("the new data is live", target.name, get("live"), wanted("new")),),
        )


def begin(ends_after: int | None = None, *, seen: bool = False) -> Desk:
    """Recover; the process may be killed on the way."""
    desk = Desk()
    desk.toy.places = dict(START)
    with contextlib.suppress(Killed):
        desk.apply(Recover(seen), engine=desk.engine(ends_after))
    return desk


EVERY = range(1, begin().lives[-1].deeds + 1)
#: The moment at which the last step before the confirmation has been recorded.
CUT_OVER = 3 + 3 * 5


def resume(desk: Desk, ends_after: int | None = None) -> None:
    """What `remedy resume` does."""
    engine = desk.engine(ends_after)
    for run in list(replay.unfinished(engine.journal)):
        replay.resume(engine, run)


def undo(desk: Desk, name: str = "U1", ends_after: int | None = None) -> None:
    """What `remedy undo` does; without a plan in the record there is nothing to undo."""
    engine = desk.engine(ends_after)
    with contextlib.suppress(UsageError):
        assert desk.apply(Undo(replay.read(engine.journal, "R1").plan), name, engine).exit_code == 0


def bodies(desk: Desk, kind: str) -> list[dict[str, Any]]:
    """What the entries of a kind say."""
    return [json.loads(entry.body) for entry in desk.pages.entries if entry.kind == kind]


def begun(desk: Desk) -> bool:
    """Whether the run was approved in the record."""
    return "approval" in desk.journal().kinds("R1")


def recorded(desk: Desk, place: str) -> bool:
    """Whether the record says that the stream to a place has arrived."""
    return any(body["why"] == f"put {place}" and body["status"] == 0 for body in bodies(desk, "sent"))


def tear(desk: Desk) -> None:
    """Where a process died inside the cut-over, the host may have done half of it."""
    steps = replay.read(desk.journal(), "R1").steps if begun(desk) else {}
    if steps.get("5") == "in doubt":
        desk.toy.places["live"] = "half"


def test_there_are_moments_enough() -> None:
    """The count of moments covers every entry, every change and stream, and the lease."""
    assert len(EVERY) == len(["hold", "plan", "approval", *["intent", "send", "sent"] * 7, "verify", "outcome"])


def test_progress_is_told() -> None:
    """What a stream says of itself reaches who watches, with bytes done and in all, and is no entry of the record."""
    desk = begin()
    told = [(e.text, e.done, e.total, e.run) for e in desk.events if e.kind == "progress"]
    places = ("copy", "rows", "after")
    assert told == [(f"carrying to {place} on web01", done, 2, "R1") for place in places for done in (1, 2)]
    assert "progress" not in {entry.kind for entry in desk.pages.entries}


def test_what_came_of_a_stream_is_recorded() -> None:
    """The entry of a carried stream holds its result, hashes included; that of a command holds none."""
    results = {body["step"]: body.get("result") for body in bodies(begin(), "sent")}
    assert results == {
        "1": {"sha256": "safe"},
        "2": None,
        "3": {"sha256": "loaded"},
        "4": None,
        "5": None,
        "k1": None,
        "k2": {"sha256": "taken"},
    }


@pytest.mark.parametrize("place", ["copy", "rows", "after"])
def test_stopped_inside_a_stream(place: str) -> None:
    """Ctrl-C breaks the stream off where it is; the run stays open, and `resume` ends it."""
    desk = Desk()
    desk.toy.places = dict(START)
    engine = desk.engine()

    def press(event: Event) -> None:
        if event.kind == "progress" and f" {place} " in event.text:
            engine.stop.set()

    engine.observe = press
    with pytest.raises(Interrupted, match="stopped before the next step"):
        desk.apply(Recover(), engine=engine)
    assert desk.toy.places[place] == ""
    assert replay.read(desk.journal(), "R1").steps[{"copy": "1", "rows": "3", "after": "k2"}[place]] == "in doubt"
    resume(desk)
    assert desk.toy.places == END
    assert desk.journal().outcomes("R1") == ["verified"]


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("moment", EVERY)
def test_killed_then_resumed(moment: int, seen: bool) -> None:  # noqa: FBT001 -- a parameter
    """From every moment `resume` ends the run; a stream recorded as carried is not carried a second time."""
    desk = begin(moment, seen=seen)
    tear(desk)
    places = [place for place in ("copy", "rows", "after") if recorded(desk, place)]
    desk.toy.carried.clear()
    resume(desk)
    assert desk.toy.places == (END if begun(desk) else START)
    assert desk.journal().outcomes("R1") == (["verified"] if begun(desk) else [])
    assert not {*places} & {*desk.toy.carried}
    resume(desk)
    assert not {*places} & {*desk.toy.carried}


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("moment", EVERY)
def test_killed_then_undone(moment: int, seen: bool) -> None:  # noqa: FBT001 -- a parameter
    """From every moment `undo` brings the host back but for the backups, and nothing is left to resume."""
    desk = begin(moment, seen=seen)
    tear(desk)
    undo(desk)
    there = {place: desk.toy.places[place] for place in ("in", "unit", "live")}
    assert there == {"in": "", "unit": "runs", "live": "old"}
    if seen:
        assert desk.toy.places["rows"] == ""
    now = dict(desk.toy.places)
    resume(desk)
    assert desk.toy.places == now


@given(st.integers(1, 26), st.integers(1, 26), st.integers(1, 26), st.booleans(), st.booleans())
def test_interrupted_again_and_again(first: int, second: int, third: int, seen: bool, undone: bool) -> None:  # noqa: FBT001 -- drawn
    """However often run, `resume` and `undo` are killed, half of a cut-over left behind, the last one ends well."""
    desk = begin(first, seen=seen)
    for number, moment in enumerate((second, third)):
        tear(desk)
        with contextlib.suppress(Killed):
            undo(desk, f"U{number}", moment) if undone else resume(desk, moment)
    if undone:
        undo(desk, "U9")
        assert (desk.toy.places["in"], desk.toy.places["live"]) == ("", "old")
    else:
        tear(desk)
        resume(desk)
        assert desk.toy.places == (END if begun(desk) else START)


def test_a_stream_is_carried_again_when_what_it_stood_on_is_gone() -> None:
    """After a host has lost what a stream went into, `resume` makes that anew and carries the stream again.

    What does not stand on it, the backup before and the one after, is carried once.
    """
    desk = begin(CUT_OVER)
    assert recorded(desk, "rows")
    desk.toy.places |= {"in": "", "rows": ""}
    desk.toy.carried.clear()
    resume(desk)
    assert desk.toy.places == END
    assert desk.toy.carried == ["rows", "after"]


@pytest.mark.parametrize("seen", [True, False])
def test_a_stream_whose_way_broke(seen: bool) -> None:  # noqa: FBT001 -- a parameter
    """A stream that leaves a state to ask for is asked about and taken back; any other leaves the run open."""
    desk = Desk()
    desk.toy.places = dict(START)
    desk.toy.fates.extend(["", "", "before"])
    if seen:
        assert desk.apply(Recover(seen=True)).status == "failed"
        assert desk.toy.places == {**START, "copy": "safe"}
        return
    with pytest.raises(ConnectionLost):
        desk.apply(Recover())
    assert desk.journal().outcomes("R1") == []
    resume(desk)
    assert desk.toy.places == END


def test_a_stream_that_arrived_before_its_way_broke() -> None:
    """When the host shows that a stream has arrived, the run goes on as if its end had been heard."""
    desk = Desk()
    desk.toy.places = dict(START)
    desk.toy.fates.extend(["", "", "after"])
    assert desk.apply(Recover(seen=True)).status == "verified"
    assert desk.toy.places == END


def test_a_step_that_may_still_be_at_work() -> None:
    """A session that broke half way through a step leaves the run open: nothing is taken back behind its back."""
    desk = Desk()
    desk.toy.places = dict(START)
    desk.toy.fates.extend(["", "", "", "", "half"])
    with pytest.raises(ConnectionLost):
        desk.apply(Recover())
    assert desk.toy.places == {**END, "unit": "rests", "live": "half", "after": ""}
    resume(desk)
    assert desk.toy.places == END


@pytest.mark.parametrize(("fate", "failing"), [("refuse", 3), ("refuse", 5), ("spoil", 5)])
def test_a_refused_step_takes_back_what_was_done(fate: str, failing: int) -> None:
    """When a step is refused everything before it is undone, and so is the half that the step itself has left."""
    desk = Desk()
    desk.toy.places = dict(START)
    desk.toy.fates.extend([""] * (failing - 1) + [fate])
    outcome = desk.apply(Recover(seen=True))
    assert (outcome.status, outcome.exit_code) == ("failed", 20)
    assert desk.toy.places == {**START, "copy": "safe"}


@pytest.mark.parametrize("moment", range(10, 14))
def test_a_step_refused_after_resuming(moment: int) -> None:
    """What a process that is gone has done is taken back too when the one that resumed it is refused a step."""
    desk = begin(moment, seen=True)
    assert (desk.toy.places["in"], desk.toy.places["live"]) == ("made", "old")
    desk.toy.fates.extend([""] * (desk.toy.places["rows"] != "loaded") + ["refuse"])
    resume(desk)
    assert desk.journal().outcomes("R1") == ["failed"]
    assert desk.toy.places == {**START, "copy": "safe"}


def test_somebody_else_at_the_place_of_a_cut_over() -> None:
    """An answer that is neither before, after nor half way stops `resume`, and `undo` without force."""
    desk = begin(CUT_OVER)
    desk.toy.places["live"] = "theirs"
    [run] = replay.unfinished(desk.journal())
    with pytest.raises(Refused, match="neither as it was"):
        replay.resume(desk.engine(), run)
    with pytest.raises(Refused, match="somebody else"):
        undo(desk)
    assert desk.toy.places["live"] == "theirs"
