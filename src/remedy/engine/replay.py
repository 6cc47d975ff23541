"""Reading back from the record where a run stands, and going on from there.

A run is what its entries say: the plan, its intents, what was sent, how it ended. Resuming believes none of that about
the target: every step's effect is asked for anew, because a host may have been power-cycled since.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from remedy.actions.isolate import Isolate
from remedy.actions.release import Release
from remedy.actions.undo import Undo
from remedy.core.canon import canonical, decode
from remedy.core.errors import PlanFileError, Refused, RemedyError, StalePlan, UsageError
from remedy.core.ports import Journal
from remedy.core.values import Cell, Change, Entry, Plan
from remedy.engine import elsewhere, limits
from remedy.engine.outcome import Outcome
from remedy.engine.run import Engine

#: Steps that start a timer: the target's, or one at a device for a step there.
_ARMS: Final = re.compile(r"(?:k\d+-)?arm")


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the record tells it. `status` is "" while it has no outcome (open, or in doubt)."""

    plan: Plan
    begun: str
    steps: dict[str, str]
    status: str

    @property
    def open(self) -> bool:
        """Whether it never ended."""
        return not self.status


def read(journal: Journal, run: str) -> Run:
    """The run of that id. Raises UsageError when the record has none."""
    found = list(journal.entries(run=run))
    plans = [entry for entry in found if entry.kind == "plan"]
    if not plans:
        hint = "`remedy incident list` shows what there is"
        raise UsageError(f"the record has no run {run!r} that changed anything", hint=hint)
    return _assemble(plans[0], found)


def unfinished(journal: Journal) -> Iterator[Run]:
    """Every run that was begun and has no outcome, oldest first; not one that an unfinished undo is taking back."""
    ended = {entry.run for entry in journal.entries(kinds=("outcome",))}
    begun = [entry.run for entry in journal.entries(kinds=("approval",)) if entry.run not in ended]
    runs = [read(journal, run) for run in begun]
    undone = {json.loads(run.plan.params)["of"]["run"] for run in runs if run.plan.action == Undo.name}
    now = limits.held(journal)
    yield from (run for run in runs if run.plan.run not in undone and not _is_superseded(now, run.plan))


def _is_superseded(held: Mapping[str, str], plan: Plan) -> bool:
    """Whether a release, or another isolation, has settled since what an isolation without an outcome had begun."""
    return plan.action == Isolate.name and held.get(plan.target) != plan.run


def refuse_stranger(journal: Journal, plan: Plan) -> None:
    """Raise PlanFileError unless this very plan was made and recorded here: a hash in a file is no signature."""
    for entry in journal.entries(run=plan.run, kinds=("dry-run",)):
        if json.loads(entry.body)["plan"] == plan.hash:
            return
    raise PlanFileError(
        f"the record knows no plan {plan.hash[:12]} of run {plan.run}",
        hint="use the record it was made with (--record), or make the plan again here",
    )


def refuse_second_time(journal: Journal, run: str) -> None:
    """Raise StalePlan when a run of that id has begun already: a saved plan is carried out once."""
    if any(entry.kind == "approval" for entry in journal.entries(run=run)):
        raise StalePlan(
            f"run {run} has been carried out already", hint=f"`remedy incident show`, or `remedy undo {run}`"
        )


def proven_cells(plan: Plan, cut_off: Collection[str] = ()) -> tuple[Cell, ...]:
    """The cells an isolation's certificate closed: what has to answer again after the release.

    Vantages in `cut_off` are left out: they reach nothing for a reason of their own.
    """
    return tuple(
        cell
        for expect in plan.expects
        for cell, wish in zip(expect.cells, json.loads(expect.wanted) if expect.cells else (), strict=False)
        if wish == "blocked" and (cell.vantage == plan.target or cell.vantage not in cut_off)
    )


def _assemble(plan: Entry, entries: list[Entry]) -> Run:
    """Raises PlanFileError for a plan that is not the one whose hash stands beside it: a secret masked in it, say."""
    steps: dict[str, str] = {}
    status = ""
    for entry in entries:
        body = cast("dict[str, Any]", json.loads(entry.body))
        if entry.kind == "intent":
            steps[body["step"]] = "in doubt"
            if _ARMS.fullmatch(body["step"]):  # what ended the timer before has not ended this one
                steps.pop(body["step"].replace("arm", "disarm"), None)
        elif entry.kind == "sent":
            steps[body["step"]] = "done" if body["status"] == 0 else "failed"
        elif entry.kind == "outcome":
            status = body["status"]
    written = json.loads(plan.body)
    made = decode(Plan, written["plan"])
    if made.hash != written["hash"]:
        raise PlanFileError(
            f"the record's plan of run {plan.run} is not the one that was approved",
            where=f"record entry {plan.seq}",
            hint=f"it is neither gone on with nor taken back; its card: `remedy incident show {plan.incident}`",
        )
    return Run(made, plan.time, steps, status)


def resume(engine: Engine, run: Run) -> Outcome:
    """Go on with a run that has no outcome, from what the target shows now.

    Raises UsageError when it has ended, Refused when somebody else has been at the target since.
    """
    plan = run.plan
    if not run.open:
        raise UsageError(f"run {plan.run} has ended: {run.status}", hint=f"`remedy undo {plan.run}` takes it back")
    if _is_superseded(limits.held(engine.journal), plan):
        raise StalePlan(
            f"{plan.target} has been released, or isolated anew, since run {plan.run} was interrupted",
            hint=f"nothing is left to resume; `remedy isolate {plan.target}` isolates it now",
        )
    engine.journal.hold(plan.target, run=plan.run, holder=engine.holder)
    try:
        return _go_on(engine, run)
    finally:
        engine.journal.let_go(plan.target, run=plan.run)


def _go_on(engine: Engine, run: Run) -> Outcome:
    plan = run.plan
    named = [(f"{n}", c) for n, c in enumerate(plan.changes, 1)] + [(f"k{n}", c) for n, c in enumerate(plan.keep, 1)]
    apart = [(name, change) for name, change in named if elsewhere.stands(plan, change)]
    named = [one for one in named if one not in apart]
    done = {name for name, change in apart if _is_confirmed(engine, run, name, change)}
    again = False  # whether something is sent once more on which the steps after it may rest
    half = {
        name for name, _ in apart
    } - done  # what was broken off is sent in the form that does not mind what is there already
    for name, change in named:
        if change.seen is None:
            # A stream that was carried leaves no state to ask for, but its result on record: it is not carried twice,
            # unless what it stood on is made anew. What comes after the confirmation rests on nothing but itself.
            if change.transfer and run.steps.get(name) == "done" and (not again or not name.isdecimal()):
                done.add(name)
            else:
                again = True
            continue
        answer = canonical(engine.session.ask([change.seen], at=change.at)[0]).decode()
        if plan.guard and answer == plan.guard.fallen and answer not in {change.before, change.after}:
            return engine.rolled_back(plan)
        if answer == change.after:
            # What makes it last is looked at again in its turn: the steps that are sent before it may change it.
            if not again or name.isdecimal():
                done.add(name)
            continue
        again = True
        if answer == change.halfway:
            half.add(name)
        if change.before not in {"", answer} and answer != change.halfway:
            raise Refused(
                f"{change.at} is neither as it was before the step nor as the step leaves it: {change.why}",
                where=plan.target,
                hint=f"somebody else has changed it; look, then `remedy undo {plan.run} --force`",
            )
    confirmed = "disarm" in run.steps and {f"{n}" for n in range(1, len(plan.changes) + 1)} <= done
    if confirmed and plan.guard:  # an intent alone is doubt: the timer itself is asked, and the record if it cannot say
        state = engine.session.ask([plan.guard.state], at=plan.guard.at)[0]
        confirmed = state == "off" or (state == "unknown" and run.steps["disarm"] == "done")
    return engine.carry_out(plan, done=frozenset(done), confirmed=confirmed, again=frozenset(half), looking=True)


def _is_confirmed(engine: Engine, run: Run, name: str, change: Change) -> bool:
    """Whether a step that is done elsewhere shows its effect, and its timer was ended: else it is done once more.

    It is looked at by itself, whatever the others came to; a device that does not answer shows nothing.
    """
    if change.seen is None:
        return False
    if change.guard is not None and run.steps.get(f"{name}-disarm") != "done":
        return False
    try:
        return engine.shows(change) == change.after
    except RemedyError:
        return False


def isolations(journal: Journal, target: str) -> tuple[Plan, ...]:
    """The isolations of a host that no release has given back since, and no undo, oldest first."""
    found: dict[str, Plan] = {}
    for entry in journal.entries(kinds=("plan", "outcome")):
        body = cast("dict[str, Any]", json.loads(entry.body))
        if body.get("target") != target:
            continue
        if entry.kind == "plan" and body["action"] == Isolate.name:
            found[entry.run] = decode(Plan, body["plan"])
        elif entry.kind == "outcome" and body.get("status") == "undone":
            found.pop(entry.run, None)
        elif entry.kind == "outcome" and body.get("action") == Release.name and _is_whole(body):
            found.clear()
    return tuple(found.values())


def _is_whole(body: Mapping[str, Any]) -> bool:
    """Whether a release has left nothing there. Older ones did not say what they left."""
    if "left" in body:
        return body["status"] in {"verified", "unverified", "unchanged"} and not body["left"]
    return body["status"] in {"verified", "unchanged"}


def elsewhere_of(plans: Sequence[Plan]) -> tuple[Change, ...]:
    """What these isolations of a host have done elsewhere, oldest first; of two steps in one place the newer one."""
    merged: dict[tuple[str, str], Change] = {}
    for plan in plans:
        for change in plan.keep:
            if elsewhere.stands(plan, change) and change.seen and change.undo:
                merged[change.at, change.seen.parser] = change
    return tuple(merged.values())
