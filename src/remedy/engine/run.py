"""Carrying a plan out on one target.

The order is always the same: hold the target, plan again and compare, journal the plan and its approval, arm the
dead-man timer, then for each change journal the intent, send, journal the reply; confirm over a fresh login, keep,
verify, journal the outcome. An intent without a reply means doubt, never failure: the target itself is asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from remedy.actions.undo import Undo
from remedy.core.canon import Json, canonical, encode
from remedy.core.errors import (
    AnswerUnusable,
    ApprovalNeeded,
    ConnectionLost,
    ElevationFailed,
    Interrupted,
    Partial,
    RecordUnavailable,
    Refused,
    RemedyError,
    StalePlan,
    TimedOut,
    Unreachable,
)
from remedy.core.ports import Journal, Session, Tell
from remedy.core.text import printable
from remedy.core.values import Change, Expect, Guard, Plan, Reply, Verdict
from remedy.engine import elsewhere, timers, undone
from remedy.engine.job import Clock, Event, Job, Ticket
from remedy.engine.outcome import MEANS, Outcome, ReadBackDiffers, Step, difference, judge, verdict

#: Seconds an approval holds; a plan that waited longer is approved again.
APPROVAL_SECONDS = 900
#: Seconds to wait beyond the timer's deadline for the target to come back.
_GRACE = 20.0
_BETWEEN_LOGINS = 1.0
_MOST_SAID = 400
#: The status of a step that had no effect yet when the target was asked after a broken session.
_NOT_YET = 255


@dataclass(slots=True)
class Engine:
    """Carries plans out. `observe` hears of everything as it happens; `stop` asks to end before the next step.

    `admit` raises Refused for a plan that breaks a limit, its own approval being counted already: of two operators
    who approve at the same moment neither can miss the other.
    """

    session: Session
    journal: Journal
    clock: Clock
    holder: str
    observe: Callable[[Event], None] = lambda _event: None
    stop: threading.Event = field(default_factory=threading.Event)
    admit: Callable[[Plan], None] = lambda _plan: None

    def approve(self, plan: Plan, by: str, login: str = "") -> Ticket:
        """A ticket for exactly this plan."""
        return Ticket(plan.hash, by, self.clock.now() + APPROVAL_SECONDS, login)

    def rehearse(self, job: Job) -> Plan:
        """Dry-run: the plan, recorded as such. Nothing is sent."""
        plan = job.plan(self.session)
        body: dict[str, Json] = {"action": plan.action, "target": plan.target, "plan": plan.hash}
        body |= {"changes": len(plan.changes) + len(plan.keep), "note": "nothing was changed"}
        self.journal.append("dry-run", body, incident=plan.incident, run=plan.run)
        return plan

    def apply(self, job: Job, plan: Plan, ticket: Ticket) -> Outcome:
        """Carry out an approved plan.

        Raises ApprovalNeeded (ticket for another plan, or expired), HeldByOther, StalePlan (nothing was changed),
        Unreachable (how far it came is in the record), Interrupted.
        """
        if ticket.plan_hash != plan.hash:
            raise ApprovalNeeded("the approval is for another plan", where=plan.target, hint="look at the plan again")
        if ticket.expires < self.clock.now():
            raise ApprovalNeeded("the approval has expired", where=plan.target, hint="look at the plan again")
        self.journal.hold(plan.target, run=plan.run, holder=self.holder)
        try:
            self._tell(plan, "phase", "reading again, to be sure that nothing has changed")
            now = job.plan(self.session)
            if now.effect != plan.effect:
                raise StalePlan(
                    f"{plan.target} has changed since the plan was made: {difference(plan, now)}",
                    hint="nothing was changed; plan again and look at what is different",
                )
            return self._admitted(now, ticket)
        finally:
            self._let_go(plan.target, plan.run)

    def at_once(self, job: Job, approve: Callable[[Plan], Ticket]) -> Outcome:
        """Plan and carry out in one go, for who approves whatever comes out: the plan is made under the hold.

        `approve` sees the plan and answers at once. Raises what planning and `apply` raise.
        """
        target, run = job.target.name, job.context.run
        self.journal.hold(target, run=run, holder=self.holder)
        try:
            plan = job.plan(self.session)
            return self._admitted(plan, approve(plan))
        finally:
            self._let_go(target, run)

    def _let_go(self, target: str, run: str) -> None:
        """Give the target back. A record that cannot be written must not hide how the run ended: it is told."""
        try:
            self.journal.let_go(target, run=run)
        except RecordUnavailable as error:
            kept = f"{target} stays held until this process ends: {error.message}"
            self.observe(Event(target, "note", kept, ok=False, run=run))

    def _admitted(self, plan: Plan, ticket: Ticket) -> Outcome:
        """Journal the plan and its approval, then carry it out. What is sent is what was approved."""
        if plan.is_noop:
            return self._finish(plan, (), self.verify(plan))
        if self.stop.is_set():
            raise Interrupted(f"stopped before anything was changed on {plan.target}", hint="nothing is left to resume")
        self._append(plan, "plan", {"plan": encode(plan), "hash": plan.hash, "action": plan.action})
        approval: dict[str, Json] = {"plan": ticket.plan_hash, "by": ticket.by, "login": ticket.login}
        self._append(plan, "approval", {**approval, "action": plan.action})
        try:
            self.admit(plan)  # now that everybody can count this one
        except Refused:
            body: dict[str, Json] = {"status": "refused", "exit_code": Refused.exit_code, "action": plan.action}
            self._append(plan, "outcome", body)
            raise
        return self._guarded(plan)

    def _guarded(self, plan: Plan) -> Outcome:
        """Carry out; a refusal from here on does not mean that nothing was changed."""
        try:
            return self.carry_out(plan)
        except Refused as error:
            raise Partial(
                f"stopped in the middle: {error.message}",
                where=error.where or plan.target,
                hint=f"`remedy resume {plan.run}` goes on, `remedy undo {plan.run}` takes it back",
            ) from error

    def carry_out(
        self,
        plan: Plan,
        *,
        done: frozenset[str] = frozenset(),
        confirmed: bool = False,
        again: frozenset[str] = frozenset(),
        looking: bool = False,
    ) -> Outcome:
        """Send what `done` does not name yet; then confirm, keep and verify. The target is held by the caller.

        The steps in `again` are sent in the form that replaces what somebody has left of them; with `looking` what
        makes it last is sent only where it is not there already.
        """
        steps: list[Step] = []
        due = [(f"{n}", c) for n, c in enumerate(plan.changes, 1) if f"{n}" not in done]
        due = [(name, replace(c, do=c.again) if name in again and c.again else c) for name, c in due]
        guard = plan.guard if not confirmed else None
        self.may_stop(plan)
        armed_at = self.clock.monotonic()
        if guard and due:
            steps.append(timers.armed(self, plan, "arm", guard, again=looking))
            if not steps[-1].ok:
                return self._unarmed(plan, guard, steps, done)
        for name, change in due:
            there = elsewhere.stands(plan, change)
            steps += elsewhere.carried(self, plan, name, change) if there else [self.step(plan, name, change)]
            if change.essential and not steps[-1].ok:
                return self._back_out(plan, steps, done)
        try:
            if guard and self._confirm(plan, guard, armed_at, steps):
                return self.rolled_back(plan, tuple(steps), done)
            saves = not plan.guard and plan.on_failure == "undo" and any(change.repeats for change in plan.keep)
            # No timer would take back what is saved next.
            if due and saves and (wrong := elsewhere.afresh(self, plan.target, lambda: self._differs(plan))):
                raise ReadBackDiffers(wrong)  # noqa: TRY301 -- as `_confirm` does
        except ReadBackDiffers as error:
            return self._back_out(plan, [*steps, error.step], done)
        steps += self._kept(plan, done, looking=looking)
        steps += elsewhere.kept(self, plan, done, again)
        self.may_stop(plan)
        return self._finish(plan, tuple(steps), self.verify(plan, renewed=guard.at if guard else ""))

    def _unarmed(self, plan: Plan, guard: Guard, steps: list[Step], done: frozenset[str]) -> Outcome:
        """End a run whose timer did not start, or has run out already."""
        if not steps[-1].late:
            return self._finish(plan, tuple(steps), (), status="failed")
        if timers.has_fallen(self, guard):
            return self.rolled_back(plan, tuple(steps), done)
        return self._back_out(plan, steps, done)

    def _kept(self, plan: Plan, done: frozenset[str], *, looking: bool) -> list[Step]:
        """Send what makes it last at the target itself."""
        steps = []
        for n, change in enumerate(plan.keep, 1):
            self.may_stop(plan)
            there = f"k{n}" in done or elsewhere.stands(plan, change)
            if not there and not (looking and change.seen and self.shows(change) == change.after):
                steps.append(self.step(plan, f"k{n}", change))
        return steps

    def verify(self, plan: Plan, *, renewed: str = "") -> tuple[Verdict, ...]:
        """Ask every expectation from where it must hold, all places at once. `renewed` has a fresh login already."""
        cells = any(expect.cells for expect in plan.expects)
        self._tell(plan, "phase", "asking every vantage point" if cells else "asking what has to hold now")
        for at in {expect.at for expect in plan.expects if expect.fresh} - {renewed}:
            self.session.renew(at)
        places: dict[str, list[Expect]] = {}
        for expect in plan.expects:
            places.setdefault(expect.at, []).append(expect)
        answers = self.session.ask_all([(at, [e.probe for e in asked]) for at, asked in places.items()])
        verdicts: list[Verdict] = []
        for asked, answer in zip(places.values(), answers, strict=True):
            verdicts += [verdict(expect, answer, i) for i, expect in enumerate(asked)]
        for one in verdicts:
            self._tell(plan, "verdict", one.expect.why, ok=one.held)
        body: Json = [{"why": v.expect.why, "held": v.held, "answer": v.answer, "error": v.error} for v in verdicts]
        self._append(plan, "verify", {"verdicts": body})
        return tuple(verdicts)

    def rolled_back(self, plan: Plan, steps: tuple[Step, ...] = (), done: frozenset[str] = frozenset()) -> Outcome:
        """End a run whose timer has fired: management is back; what else is there depends on the policy it had."""
        if plan.on_failure == "undo":
            return self._finish(plan, steps, (), status="reverted")
        gave_up = plan.guard is not None and any(change.before == plan.guard.fallen for change in plan.changes)
        if gave_up:
            return self._finish(plan, steps, (), status="reopened")
        steps = (*steps, *elsewhere.kept(self, plan, done))
        verdicts = self.verify(plan) if elsewhere.stand(plan) else ()
        return self._finish(plan, steps, verdicts, status="rolled-back")

    def step(self, plan: Plan, name: str, change: Change) -> Step:
        """Intent, send, reply. When the session breaks in the middle, the target is asked what became of it."""
        why, at = change.why, change.at
        self._tell(plan, "step", why)
        self._append(plan, "intent", {"step": name, "why": why})
        try:
            if change.transfer:
                reply = self.session.carry(change.transfer, at=at, tell=self._progress(plan))
            else:
                reply = self.session.send(change.do, at=at)
        except (ConnectionLost, TimedOut, AnswerUnusable, ElevationFailed) as error:
            reply = self._settle(change, at, error)
        said = printable((reply.err or reply.out).strip(), _MOST_SAID, one_line=True) if reply.status else ""
        body: dict[str, Json] = {"step": name, "why": why, "status": reply.status, "said": said}
        if change.transfer:
            body["result"] = json.loads(reply.out or b"{}")
        self._append(plan, "sent", body)
        step = Step(name, why, reply.status == 0, said, late=reply.status == _NOT_YET)
        self._tell(plan, "reply", said or why, ok=step.ok)
        return step

    def _progress(self, plan: Plan) -> Tell:
        """What a stream tells of itself, passed on; asked to stop, the stream is broken off."""

        def tell(what: str, done: int, total: int) -> None:
            self.may_stop(plan)
            self.observe(Event(plan.target, "progress", what, run=plan.run, done=done, total=total))

        return tell

    def _settle(self, change: Change, at: str, error: RemedyError) -> Reply:
        """A step in doubt: log in again and look. Raises the original error when nobody answers."""
        if change.seen is None:
            raise error
        try:
            self.session.renew(at)
            answer = self.shows(change)
        except RemedyError:
            raise error from None
        if answer == change.after:
            return Reply(0)
        if change.halfway and answer == change.halfway:
            raise error  # it may still be at work: neither done nor to be taken back behind its back
        return Reply(_NOT_YET, err=f"the session broke and the step has no effect so far: {error.message}".encode())

    def _back_out(self, plan: Plan, steps: list[Step], before: frozenset[str]) -> Outcome:
        """An essential step was refused. Containment that is already there stays; anything else is undone.

        What was done `before`, by a process that is gone, is part of it, and so is what the refused step has left.
        """
        late = steps[-1].late
        if plan.on_failure == "undo":
            made = before | {s.name for s in steps if s.ok}
            done = [c for n, c in enumerate(plan.changes, 1) if f"{n}" in made or self._left(c, f"{n}", steps[-1])]
            for n, change in enumerate(reversed(done), 1):
                if change.undo:
                    steps.append(self.step(plan, f"u{n}", Change(f"undo: {change.why}", change.at, change.undo)))
        effects = sum(1 if s.name.isdecimal() else -1 for s in steps if s.ok and s.name != "arm")
        # A step that had no effect when it was looked for may have one yet: then the timer is what saves the day.
        if plan.guard and effects <= 0 and not late and not any(s.ok and s.name == "disarm" for s in steps):
            steps.append(self.step(plan, "disarm", timers.disarming(plan.guard)))
        if plan.on_failure == "keep" and (more := elsewhere.kept(self, plan, before)):
            steps += more  # what contains the target elsewhere does not depend on what the target lets itself be told
            if any(step.ok for step in more):
                return self._finish(plan, tuple(steps), self.verify(plan))
        return self._finish(plan, tuple(steps), (), status="failed")

    def _left(self, change: Change, name: str, refused: Step) -> bool:
        """Whether this is the refused step, and has left something all the same."""
        if name != refused.name or change.undo is None or change.seen is None:
            return False
        try:
            return self.shows(change) in {change.after, change.halfway or change.after}
        except RemedyError:
            return False

    def shows(self, change: Change) -> str:
        """What is there now of a step that can be looked for, as canonical JSON."""
        return canonical(self.session.ask([change.seen], at=change.at)[0]).decode() if change.seen else ""

    def _confirm(self, plan: Plan, guard: Guard, armed_at: float, steps: list[Step]) -> bool:
        """Disarm the timer over a fresh login. True when it has fired instead.

        Raises Unreachable when nobody answers even after the timer's deadline: the run stays open.
        """
        self._tell(plan, "phase", "confirming over a fresh login")
        deadline = armed_at + guard.seconds + _GRACE
        doubtful = False
        while True:
            try:
                self.session.renew(guard.at)
                if plan.on_failure == "undo" and (wrong := self._differs(plan)):
                    if timers.went_off(self, plan, guard, steps):
                        return True
                    raise ReadBackDiffers(wrong)
                step = self.step(plan, "disarm", timers.disarming(guard))
                late = self.clock.monotonic() >= armed_at + guard.seconds  # then what was ended may have been at work
                if (late or not step.ok) and timers.has_fallen(self, guard):
                    steps.append(step)
                    return True
                if not step.ok and doubtful:  # the session broke after the timer had been ended
                    step = replace(step, ok=True, said="")
                elif not step.ok:
                    step = timers.gone(self, plan, guard, step, seen=plan.on_failure == "undo")
                steps.append(step)
            except (Unreachable, AnswerUnusable) as error:
                doubtful = doubtful or isinstance(error, (ConnectionLost, TimedOut))
                if self.clock.monotonic() >= deadline:
                    hint = f"use the card on the console; then `remedy resume {plan.run}` or `remedy undo {plan.run}`"
                    raise Unreachable(
                        f"no login for {guard.seconds + _GRACE:.0f} s after the change: {error.message}",
                        where=plan.target,
                        hint=hint,
                    ) from error
                self._tell(plan, "note", f"no fresh login yet: {error.message}", ok=False)
                self.clock.sleep(_BETWEEN_LOGINS)
            else:
                return False

    def _differs(self, plan: Plan) -> str:
        """The first step that does not show what it should, read before anything is confirmed; empty when all do."""
        seen = [change for change in plan.changes if change.seen]
        answers = self.session.ask([change.seen for change in seen if change.seen], at=plan.target)
        pairs = zip(seen, answers, strict=True)
        return next((change.why for change, answer in pairs if canonical(answer).decode() != change.after), "")

    def _finish(
        self, plan: Plan, steps: tuple[Step, ...], verdicts: tuple[Verdict, ...], *, status: str = ""
    ) -> Outcome:
        outcome = judge(plan, steps, verdicts)
        if status:
            doubts = (*outcome.doubts, *MEANS.get(status, ()))
            outcome = Outcome(plan, status, steps, verdicts, doubts, outcome.held)
        body: dict[str, Json] = {"status": outcome.status, "exit_code": outcome.exit_code, "action": plan.action}
        body |= {"target": plan.target, "plan": plan.hash, "held": [*outcome.held], "doubts": [*outcome.doubts]}
        body["left"] = [*outcome.left]
        if plan.action == Undo.name and outcome.status in {"verified", "unverified", "unchanged"}:
            undone.remember(self.journal, plan, outcome.left)
        self._append(plan, "outcome", body)
        self._tell(plan, "outcome", outcome.status, ok=outcome.exit_code == 0)
        return outcome

    def may_stop(self, plan: Plan) -> None:
        """Raise Interrupted when somebody has asked to end."""
        if self.stop.is_set():
            raise Interrupted(
                f"stopped before the next step on {plan.target}",
                hint=f"`remedy resume {plan.run}` goes on, `remedy undo {plan.run}` takes it back",
            )

    def _append(self, plan: Plan, kind: str, body: dict[str, Json]) -> None:
        self.journal.append(kind, {**body, "target": plan.target}, incident=plan.incident, run=plan.run)

    def _tell(self, plan: Plan, kind: str, text: str, *, ok: bool = True) -> None:
        self.observe(Event(plan.target, kind, text, ok, plan.run))
