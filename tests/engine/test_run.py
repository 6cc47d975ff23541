"""Carrying a plan out: approval, staleness, leases, refused steps, steps in doubt, confirmation, verification."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from tests.worlds.memory import Journal
from tests.worlds.toy import FALLEN, SECONDS, Contain, Desk, get

from remedy.actions.undo import Undo
from remedy.core.canon import Json
from remedy.core.errors import (
    AnswerUnusable,
    ApprovalNeeded,
    ConnectFailed,
    ConnectionLost,
    HeldByOther,
    Interrupted,
    Partial,
    RecordUnavailable,
    Refused,
    StalePlan,
    Unreachable,
    UsageError,
)
from remedy.core.ports import Reader
from remedy.core.values import Command, Context, Entry, Expect, Plan, Site, Target, wanted
from remedy.engine import limits, replay
from remedy.engine.job import Event, Job
from remedy.engine.run import APPROVAL_SECONDS, Engine

ISOLATED = {"rules": "isolated", "boot": "hook", "flows": "cut", "timer": "off"}
UNTOUCHED = {"rules": "", "boot": "", "flows": "live", "timer": "off"}


@pytest.fixture
def desk() -> Desk:
    """A fresh world and an empty record."""
    return Desk()


def words(desk: Desk) -> list[str]:
    """What was sent, first word and place."""
    return [" ".join(argv[:2]) for argv in desk.toy.sent]


def test_a_good_day(desk: Desk) -> None:
    """A plan is carried out in order, confirmed over a fresh login, kept, verified and recorded."""
    outcome = desk.apply(Contain())
    assert (outcome.status, outcome.exit_code, outcome.held) == ("verified", 0, ("host",))
    assert words(desk) == ["arm", "set rules", "set flows", "disarm", "set boot"]
    assert desk.toy.snapshot() == ISOLATED
    kinds = desk.journal().kinds("R1")
    assert kinds == ["plan", "approval", *["intent", "sent"] * 5, "verify", "outcome"]
    assert not desk.pages.leases


def test_every_change_is_written_ahead(desk: Desk) -> None:
    """When a command reaches the host, its plan with the undo and its intent are in the record already."""
    engine = desk.engine()
    seen: list[list[str]] = []
    real = desk.toy.send

    class Watching:
        ask, ask_all, renew = desk.toy.ask, desk.toy.ask_all, desk.toy.renew

        def send(self, command: Command, *, at: str) -> object:
            seen.append(desk.journal().kinds("R1"))
            return real(command, at=at)

    engine.session = Watching()  # type: ignore[assignment]
    desk.apply(Contain(), engine=engine)
    assert all(kinds[:2] == ["plan", "approval"] and kinds[-1] == "intent" for kinds in seen)
    assert len(seen) == 5


def test_a_second_time_nothing_is_sent(desk: Desk) -> None:
    """Where everything is as wanted already, the outcome is "unchanged" and the host hears of no change."""
    desk.apply(Contain())
    desk.toy.sent.clear()
    outcome = desk.apply(Contain(), "R2")
    assert (outcome.status, outcome.exit_code) == ("unchanged", 0)
    assert not desk.toy.sent
    assert desk.journal().kinds("R2") == ["verify", "outcome"]


def test_dry_run_is_recorded_and_sends_nothing(desk: Desk) -> None:
    """A rehearsal leaves one entry that says that nothing was changed."""
    desk.engine().rehearse(desk.job(Contain()))
    assert desk.journal().kinds("R1") == ["dry-run"]
    assert not desk.toy.sent


def test_ticket_for_another_plan(desk: Desk) -> None:
    """An approval is good for the plan it names and for no other, however alike."""
    engine, job = desk.engine(), desk.job(Contain())
    plan = job.plan(engine.session)
    ticket = engine.approve(replace(plan, notes=("something else",)), "ops")
    with pytest.raises(ApprovalNeeded, match="another plan"):
        engine.apply(job, plan, ticket)
    assert not desk.toy.sent
    assert not desk.pages.entries


def test_expired_ticket(desk: Desk) -> None:
    """An approval that is a second too old is none."""
    engine, job = desk.engine(), desk.job(Contain())
    plan = job.plan(engine.session)
    ticket = engine.approve(plan, "ops")
    desk.toy.clock.sleep(APPROVAL_SECONDS)
    assert engine.apply(job, plan, ticket).status == "verified"
    late = Desk()
    engine, job = late.engine(), late.job(Contain())
    plan = job.plan(engine.session)
    ticket = engine.approve(plan, "ops")
    late.toy.clock.sleep(APPROVAL_SECONDS + 1)
    with pytest.raises(ApprovalNeeded, match="expired"):
        engine.apply(job, plan, ticket)
    assert late.toy.snapshot() == UNTOUCHED


def test_stale_plan(desk: Desk) -> None:
    """A host that changed between plan and apply is left alone, and the target is given back."""
    engine, job = desk.engine(), desk.job(Contain())
    plan = job.plan(engine.session)
    desk.toy.places["flows"] = "other"
    desk.toy.places["boot"] = "hook"
    with pytest.raises(StalePlan, match="what would be sent"):
        engine.apply(job, plan, engine.approve(plan, "ops"))
    assert not desk.toy.sent
    assert not desk.pages.leases


def test_flapping_port_does_not_make_a_plan_stale(desk: Desk) -> None:
    """What is sent is what was approved; the proof is the one that could be had just before sending, and is recorded.

    Else whoever opens and closes a port on the host could keep it from being isolated.
    """
    engine, old = desk.engine(), desk.job(Contain())
    plan = old.plan(engine.session)
    desk.toy.places["witness"] = "steady"
    new = Job(Proving(), old.target, old.site, old.context)
    assert engine.apply(new, plan, engine.approve(plan, "ops")).status == "unverified"
    recorded = replay.read(desk.journal(), "R1").plan
    assert recorded == new.plan(Desk().toy)
    assert (recorded.changes, recorded.keep, recorded.guard) == (plan.changes, plan.keep, plan.guard)
    assert recorded.hash != plan.hash
    approvals = [json.loads(e.body) for e in desk.pages.entries if e.kind == "approval"]
    assert [body["plan"] for body in approvals] == [plan.hash], "the record says which plan was approved"


@dataclass(frozen=True, slots=True)
class Proving:
    """Contains as `Contain` does; proves one thing more and says that another cannot be."""

    name: ClassVar[str] = "isolate"

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:
        """As `Contain`."""
        made = Contain().plan(target, site, context, reader)
        more = Expect("the witness agrees", target.name, get("witness"), wanted("steady"))
        return replace(made, expects=(*made.expects, more), unproven=("UDP: nothing answered",))


class Full(Journal):
    """A record whose disk is full as soon as the rules are loaded."""

    def append(self, kind: str, body: Mapping[str, Json], *, incident: str, run: str = "", key: str = "") -> Entry:
        """As the port."""
        if kind == "intent" and body["step"] == "2":
            raise RecordUnavailable("the disk is full", hint="make room")
        return super().append(kind, body, incident=incident, run=run, key=key)


def test_refused_in_the_middle_is_partial(desk: Desk) -> None:
    """A refusal after the plan was recorded does not pass for "nothing was changed": 20, with the way on."""
    engine = desk.engine()
    engine.journal = Full(desk.pages, desk.lives[-1])
    with pytest.raises(Partial, match="in the middle: the disk is full") as caught:
        desk.apply(Contain(), engine=engine)
    assert (caught.value.exit_code, caught.value.where) == (20, "web01")
    assert "remedy resume R1" in caught.value.hint
    assert "remedy undo R1" in caught.value.hint
    [run] = replay.unfinished(desk.journal())
    assert replay.resume(desk.engine(), run).status == "verified"
    assert desk.toy.snapshot() == ISOLATED


def test_not_admitted(desk: Desk) -> None:
    """A limit that others have used up meanwhile ends the run before anything is sent, and it counts for nothing."""
    engine = desk.engine()
    counted: list[dict[str, str]] = []

    def full(plan: Plan) -> None:
        counted.append(limits.isolated(desk.journal()))
        raise Refused(f"one more than {plan.target} would be too many", hint="wait")

    engine.admit = full
    with pytest.raises(Refused, match="too many"):
        desk.apply(Contain(), engine=engine)
    assert counted == [{"web01": "R1"}], "its own approval could be counted by everybody"
    assert desk.journal().kinds("R1") == ["plan", "approval", "outcome"]
    assert not desk.toy.sent
    assert not desk.pages.leases
    assert limits.isolated(desk.journal()) == {}
    assert not list(replay.unfinished(desk.journal()))


def test_held_by_another_run(desk: Desk) -> None:
    """The second operator on a host is told who holds it, and changes nothing."""
    engine, job = desk.engine(), desk.job(Contain())
    plan = job.plan(engine.session)
    desk.journal().hold("web01", run="R9", holder="eve@adm2")
    with pytest.raises(HeldByOther, match="eve@adm2"):
        engine.apply(job, plan, engine.approve(plan, "ops"))
    assert desk.toy.snapshot() == UNTOUCHED
    assert desk.pages.leases["web01"][0] == "R9"


def test_refused_essential_step_disarms_the_timer(desk: Desk) -> None:
    """When the rules are refused nothing of ours stays on the host, the timer included."""
    desk.toy.fates = deque(["", "refuse"])
    outcome = desk.apply(Contain())
    assert (outcome.status, outcome.exit_code) == ("failed", 20)
    assert words(desk) == ["arm", "set rules", "disarm"]
    assert desk.toy.snapshot() == UNTOUCHED
    assert desk.journal().outcomes("R1") == ["failed"]


def test_refused_timer_changes_nothing(desk: Desk) -> None:
    """Without a dead-man timer no rule is loaded."""
    desk.toy.fates = deque(["refuse"])
    assert desk.apply(Contain()).status == "failed"
    assert desk.toy.snapshot() == UNTOUCHED


def test_failure_undoes_what_is_not_containment(desk: Desk) -> None:
    """With on_failure "undo" the steps done so far are taken back, newest first, and the timer is ended."""
    plan = desk.job(Contain(on_failure="undo")).plan(desk.toy)
    flows = replace(plan.keep[0], essential=True)
    plan = replace(plan, changes=(plan.changes[0], flows), keep=())
    desk.toy.fates = deque(["", "", "refuse"])
    outcome = desk.engine().carry_out(plan)
    assert outcome.status == "failed"
    assert words(desk) == ["arm", "set rules", "set boot", "set rules", "disarm"]
    assert desk.toy.snapshot() == UNTOUCHED


def test_failure_keeps_containment_and_its_timer(desk: Desk) -> None:
    """Containment fails closed: what cuts the host off stays, and so does the timer that restores management."""
    plan = desk.job(Contain()).plan(desk.toy)
    plan = replace(plan, changes=(plan.changes[0], replace(plan.keep[0], essential=True)), keep=())
    desk.toy.fates = deque(["", "", "refuse"])
    assert desk.engine().carry_out(plan).status == "failed"
    assert desk.toy.snapshot() == {"rules": "isolated", "boot": "", "flows": "live", "timer": "armed"}


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("fate", ["before", "after"])
def test_step_in_doubt_is_settled_by_asking(desk: Desk, step: int, fate: str) -> None:
    """When the session breaks around a step the host is asked, and the end agrees with what it shows."""
    desk.toy.fates = deque([""] * step + [fate])
    outcome = desk.apply(Contain())
    essential_lost = fate == "before" and step < 2
    if essential_lost:
        assert outcome.status == "failed"
        assert outcome.steps[-1].late, "it may take effect yet"
        assert desk.toy.snapshot() == {**UNTOUCHED, "timer": "armed" if step else "off"}
    elif fate == "after" or step == 3:
        assert outcome.status == "verified"
        assert desk.toy.snapshot() == ISOLATED
    else:
        assert outcome.status == "unverified"
        assert "the session broke and the step has no effect" in " ".join(outcome.doubts)
    assert desk.journal().kinds("R1")[-1] == "outcome"


@pytest.mark.parametrize("on_failure", ["keep", "undo"])
def test_late_step_finds_the_timer_armed(desk: Desk, on_failure: str) -> None:
    """A step that takes effect after it was looked for in vain is met by the timer, and undo takes both back."""
    plan = desk.job(Contain(on_failure=on_failure)).plan(desk.toy)
    hook = replace(plan.keep[0], essential=True)
    plan = replace(plan, changes=(hook, plan.changes[0]), keep=())
    desk.toy.fates = deque(["", "", "before"])
    outcome = desk.engine().carry_out(plan)
    assert (outcome.status, outcome.exit_code) == ("failed", 20)
    assert ("disarm",) not in desk.toy.sent
    desk.toy.places["rules"] = "isolated"
    desk.toy.clock.sleep(SECONDS)
    assert desk.toy.snapshot()["rules"] == FALLEN, "management is back"
    assert desk.apply(Undo(plan), "U1").exit_code == 0
    assert {**desk.toy.snapshot(), "flows": ""} == {**UNTOUCHED, "flows": ""}


def test_doubt_that_cannot_be_settled_leaves_the_run_open(desk: Desk) -> None:
    """When nobody can be asked, the run has an intent without a reply and no outcome; resume ends it."""
    engine = desk.engine()

    def cut(event: Event) -> None:
        if event.kind == "step" and event.text == "set rules to isolated":
            desk.toy.away_until = desk.toy.clock.passed + 10

    engine.observe = cut
    with pytest.raises((ConnectionLost, ConnectFailed)):
        desk.apply(Contain(), engine=engine)
    assert desk.journal().kinds("R1")[-1] == "intent"
    desk.toy.clock.sleep(10)
    [run] = replay.unfinished(desk.journal())
    assert run.steps["1"] == "in doubt"
    assert replay.resume(desk.engine(), run).status == "verified"
    assert desk.toy.snapshot() == ISOLATED


def away(desk: Desk, engine: Engine, seconds: float) -> None:
    """From the confirmation on, nobody gets in for so long."""

    def go(event: Event) -> None:
        if event.text == "confirming over a fresh login":
            desk.toy.away_until = desk.toy.clock.passed + seconds

    engine.observe = go


def test_login_that_comes_back_in_time(desk: Desk) -> None:
    """A management path that flaps for a while is waited for, and the run is verified."""
    engine = desk.engine()
    away(desk, engine, SECONDS - 5)
    assert desk.apply(Contain(), engine=engine).status == "verified"


def test_timer_fires_before_anybody_gets_in(desk: Desk) -> None:
    """Unconfirmed in time: management is restored by the host itself, it stays cut off, and the code is 23."""
    engine = desk.engine()
    away(desk, engine, SECONDS + 2)
    outcome = desk.apply(Contain(), engine=engine)
    assert (outcome.status, outcome.exit_code) == ("rolled-back", 23)
    assert desk.toy.places["rules"] == FALLEN
    assert desk.toy.places["boot"] == "", "what was never confirmed is not made permanent"


@pytest.mark.parametrize("fate", ["before", "after"])
def test_timer_fires_while_the_disarming_is_in_doubt(desk: Desk, fate: str) -> None:
    """A session that breaks around the disarming and comes back after the deadline is told apart by the rules."""
    engine = desk.engine()

    def go(event: Event) -> None:
        if event.text == "disarm the dead-man timer" and not desk.toy.away_until:
            desk.toy.fates.append(fate)
        if event.kind == "note":
            desk.toy.away_until = SECONDS + 3

    engine.observe = go
    assert desk.apply(Contain(), engine=engine).status == ("rolled-back" if fate == "before" else "verified")


def test_never_confirmed(desk: Desk) -> None:
    """When nobody answers even after the deadline the run stays open and says how to go on."""
    engine = desk.engine()
    away(desk, engine, 10_000)
    with pytest.raises(Unreachable, match="remedy resume") as caught:
        desk.apply(Contain(), engine=engine)
    assert caught.value.exit_code == 21
    assert "outcome" not in desk.journal().kinds("R1")
    assert SECONDS <= desk.toy.clock.passed <= SECONDS + 25
    desk.toy.away_until = 0
    [run] = replay.unfinished(desk.journal())
    assert replay.resume(desk.engine(), run).status == "rolled-back"
    assert not list(replay.unfinished(desk.journal()))


def test_timer_ended_by_somebody_is_a_doubt(desk: Desk) -> None:
    """A timer that is gone without having fired leaves the rules in place and the outcome unverified."""
    engine = desk.engine()

    def kill_timer(event: Event) -> None:
        if event.text == "disarm the dead-man timer":
            desk.toy.armed_at = None

    engine.observe = kill_timer
    outcome = desk.apply(Contain(), engine=engine)
    assert outcome.status == "unverified"
    assert any("gone before it was disarmed" in doubt for doubt in outcome.doubts)
    assert desk.toy.places["rules"] == "isolated"


def test_stop_before_anything_was_sent(desk: Desk) -> None:
    """Ctrl-C before the first step sends nothing and leaves no run behind: there is nothing to resume."""
    engine = desk.engine()
    engine.stop.set()
    with pytest.raises(Interrupted, match="before anything was changed") as caught:
        desk.apply(Contain(), engine=engine)
    assert caught.value.exit_code == 130
    assert desk.toy.snapshot() == UNTOUCHED
    assert not list(replay.unfinished(desk.journal()))
    assert not desk.pages.leases


@pytest.mark.parametrize("moment", range(5))
def test_stop_in_the_middle(moment: int) -> None:
    """Ctrl-C never leaves a guarded host unconfirmed, and resume and undo go on from wherever it stopped."""
    for finish in ("resume", "undo"):
        here = Desk()
        engine = here.engine()
        count = iter(range(100))

        def stop(event: Event, engine: Engine = engine, count: object = count) -> None:
            if event.kind == "step" and next(count) == moment:  # type: ignore[call-overload]
                engine.stop.set()

        engine.observe = stop
        with pytest.raises(Interrupted):
            here.apply(Contain(), engine=engine)
        assert here.toy.snapshot()["timer"] == "off"
        if finish == "resume":
            [run] = replay.unfinished(here.journal())
            assert replay.resume(here.engine(), run).status == "verified"
            assert here.toy.snapshot() == ISOLATED
        else:
            undo(here)
            assert here.toy.snapshot() == {**UNTOUCHED, "flows": "cut"}


def undo(desk: Desk, run: str = "R1") -> None:
    """Take the run back."""
    outcome = desk.apply(Undo(replay.read(desk.journal(), run).plan), f"U-{run}")
    assert outcome.exit_code == 0, outcome.doubts


def test_failed_keep_step_is_never_undone(desk: Desk) -> None:
    """When the boot hook cannot be written the containment stays, as applied and unverified."""
    desk.toy.fates = deque(["", "", "", "", "refuse"])
    outcome = desk.apply(Contain())
    assert (outcome.status, outcome.exit_code) == ("unverified", 22)
    assert desk.toy.snapshot() == {**ISOLATED, "boot": ""}


def test_failed_inessential_step_goes_on(desk: Desk) -> None:
    """A step that is not essential may fail; the outcome says so and the rest is done."""
    desk.toy.fates = deque(["", "", "refuse"])
    outcome = desk.apply(Contain())
    assert outcome.status == "unverified"
    assert desk.toy.snapshot() == {**ISOLATED, "flows": "live"}


def test_hostile_reply_is_recorded_as_text(desk: Desk) -> None:
    """What a host says when it refuses reaches events and record without its control characters."""
    desk.toy.fates = deque(["", "", "refuse"])
    outcome = desk.apply(Contain())
    assert outcome.steps[2].said == "no \\x1b[2J way"
    assert not [event for event in desk.events if "\x1b" in event.text]
    assert not [entry for entry in desk.pages.entries if "\x1b" in entry.body or "\\u001b" in entry.body]


@pytest.mark.parametrize("error", [ConnectFailed("down"), AnswerUnusable("nonsense")])
def test_vantage_that_cannot_be_asked(desk: Desk, error: Exception) -> None:
    """A vantage without an answer proves nothing: unverified, with its name, and the containment stays."""
    desk.toy.broken["mon01"] = error  # type: ignore[assignment]
    outcome = desk.apply(Contain(witness="mon01"))
    assert outcome.status == "unverified"
    assert any("mon01 could not be asked" in doubt for doubt in outcome.doubts)
    assert outcome.held == ()
    assert desk.toy.snapshot() == ISOLATED


def test_fresh_expectation_renews_the_login(desk: Desk) -> None:
    """Asking again after the confirmation is done over a new login, never over the one that was open."""
    engine = desk.engine()
    plan = desk.job(Contain()).plan(desk.toy)
    engine.carry_out(plan)
    before = desk.toy.renewed
    engine.verify(plan)
    assert desk.toy.renewed == before + 1


def test_resume_of_an_ended_run_is_refused(desk: Desk) -> None:
    """A run that has ended is not carried out again."""
    desk.apply(Contain())
    with pytest.raises(UsageError, match="has ended"):
        replay.resume(desk.engine(), replay.read(desk.journal(), "R1"))
    with pytest.raises(StalePlan, match="already"):
        replay.refuse_second_time(desk.journal(), "R1")
    with pytest.raises(UsageError, match="no run"):
        replay.read(desk.journal(), "R404")


def test_plan_survives_the_record(desk: Desk) -> None:
    """The plan read back from the record is the plan that was approved, to the last byte."""
    plan: Plan = desk.job(Contain()).plan(desk.toy)
    desk.apply(Contain())
    assert replay.read(desk.journal(), "R1").plan == plan
