"""The one way every action goes: plan all targets, show, approve, apply in parallel, show what became of each.

Also decides what is recorded besides runs: dry-runs (by the engine) and refusals (here), each marked as such.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from remedy import __version__
from remedy.actions.undo import UNDOABLE
from remedy.cli import conclusion, document
from remedy.cli.interrupting import asked_to_stop
from remedy.cli.options import Common
from remedy.cli.progress import Pace
from remedy.cli.screen import Screen
from remedy.cli.world import World
from remedy.core.canon import Json, encode
from remedy.core.errors import (
    ApprovalNeeded,
    Interrupted,
    RecordUnavailable,
    Refused,
    RemedyError,
    Unreachable,
    UsageError,
)
from remedy.core.values import Plan
from remedy.engine import fleet
from remedy.engine.job import Event, Job, Ticket
from remedy.engine.outcome import Outcome
from remedy.engine.run import Engine


@dataclass(slots=True)
class Acting:
    """One acting command: its world, its screen, and what each target came to."""

    name: str
    world: World
    screen: Screen
    pace: Pace = field(default_factory=Pace)
    #: What each target came to, in order, once it was carried out.
    outcomes: list[Outcome | RemedyError] = field(default_factory=list)
    #: What the command's document says beside its targets.
    extra: dict[str, Json] = field(default_factory=dict)
    #: Off while another attempt may follow: then the document is written by the last one.
    emits: bool = True
    documents: list[dict[str, Json]] = field(default_factory=list)
    #: Limits of this command's own, asked before anybody is dialled; raises Refused.
    checks: Callable[[], None] = lambda: None
    #: When one target fails, what was done on the others is taken back.
    all_or_none: bool = False

    @property
    def options(self) -> Common:
        """The command's shared options."""
        return self.world.options

    def observe(self, event: Event) -> None:
        """Show or stream what happens."""
        if not self.options.jsonl:
            self.screen.event(event)
        elif self.pace.due(event):
            document.emit(document.of_event(event), self.world.redact)

    def carry(self, jobs: Sequence[Job], incident: str, saved: Sequence[Plan] = ()) -> int:
        """Plan (or take the saved plans of the jobs), show, approve and apply; returns the exit code."""
        self.world.observe = self.observe
        engine = self.world.engine()
        self.screen.many = len(jobs) > 1
        self.screen.say(
            f"  … reading {', '.join(job.target.name for job in jobs)}"
            f"{' and every vantage point' if any(job.site.vantages for job in jobs) else ''}",
            "dim",
            talk=True,
        )
        try:
            self._check_limits(jobs)
        except RemedyError as error:
            return self._refused_all(jobs, incident, error)
        plan = engine.rehearse if self.options.dry_run else lambda job: job.plan(engine.session)
        # All at once, while the first answers are awaited; nobody is dialled before the limits have said yes.
        self.world.sessions.warm(
            sorted({v.name for job in jobs for v in job.site.vantages} | {j.target.name for j in jobs})
        )
        if self.options.yes and not (saved or self.options.dry_run or self.all_or_none):
            return self._at_once(engine, jobs, incident)
        planned: Sequence[Plan | RemedyError] = saved or fleet.each(jobs, plan)
        ready = [(job, plan) for job, plan in zip(jobs, planned, strict=True) if isinstance(plan, Plan)]
        failed = [(job, bad) for job, bad in zip(jobs, planned, strict=True) if isinstance(bad, RemedyError)]
        for job, wrong in failed:
            self._refuse(job, incident, wrong)
        if not (self.options.json or self.options.jsonl):
            for _, shown in ready:
                self.screen.plan(shown)
        if self.options.dry_run:
            return self._previewed(ready, failed, incident)
        return self._go(engine, ready, failed, incident)

    def _check_limits(self, jobs: Sequence[Job]) -> None:
        self.checks()
        if names := [job.target.name for job in jobs if job.action.name == "isolate"]:
            self.world.check_limits(names)

    def _previewed(self, ready: list[tuple[Job, Plan]], failed: list[tuple[Job, RemedyError]], incident: str) -> int:
        if self.options.out and ready:
            save(Path(self.options.out), [plan for _, plan in ready])
            self.screen.say(
                f"plan written to {self.options.out}; carry it out with: remedy apply {self.options.out}", talk=True
            )
        documents = [document.of_plan(plan) for _, plan in ready]
        documents += [document.of_error(job.target.name, error) for job, error in failed]
        code = fleet.exit_code([_code(d) for d in documents])
        self.screen.say("dry-run: nothing was changed", talk=True)
        return self.end(incident, code, documents)

    def _go(
        self,
        engine: Engine,
        ready: list[tuple[Job, Plan]],
        failed: list[tuple[Job, RemedyError]],
        incident: str,
    ) -> int:
        if self.all_or_none and failed:
            ready, failed = [], [*failed, *self._not_begun(ready, failed, incident)]
        changing = [plan for _, plan in ready if not plan.is_noop]
        if changing:
            try:
                self.confirm(changing)
            except RemedyError as error:
                failed += [(job, error) for job, _ in ready]
                for job, _ in ready:
                    self._refuse(job, incident, error)
                ready = []
            else:
                self.world.record.checkpoint()
        with stopping(engine, self.screen, [plan.run for plan in changing] if ready else ()):
            outcomes = fleet.each(ready, lambda pair: engine.apply(*pair, self._ticket(engine, pair[1])))
        return self._told([job for job, _ in ready], outcomes, failed, incident)

    def _not_begun(
        self, ready: Sequence[tuple[Job, Plan]], failed: Sequence[tuple[Job, RemedyError]], incident: str
    ) -> list[tuple[Job, RemedyError]]:
        """With --all-or-none, those whose plan was fine are not begun when another one's was not."""
        names = ", ".join(job.target.name for job, _ in failed)
        error = Refused(
            f"not begun: {names} cannot be done (--all-or-none)", hint="without --all-or-none the others go on"
        )
        for job, _ in ready:
            self._refuse(job, incident, error)
        return [(job, error) for job, _ in ready]

    def _at_once(self, engine: Engine, jobs: Sequence[Job], incident: str) -> int:
        """--yes: no host waits for the others' plans; each plan is shown, approved and carried out as it is made."""

        def approve(plan: Plan) -> Ticket:
            if not (self.options.json or self.options.jsonl):
                self.screen.plan(plan)
            return self._ticket(engine, plan)

        self.world.record.checkpoint()
        with stopping(engine, self.screen, [job.context.run for job in jobs]):
            outcomes = fleet.each(jobs, lambda job: engine.at_once(job, approve))
        return self._told(jobs, outcomes, [], incident)

    def _ticket(self, engine: Engine, plan: Plan) -> Ticket:
        return engine.approve(plan, self.world.actor, self.world.login(plan.target))

    def _told(
        self,
        jobs: Sequence[Job],
        outcomes: Sequence[Outcome | RemedyError],
        failed: Sequence[tuple[Job, RemedyError]],
        incident: str,
    ) -> int:
        """Show and record what each target came to; returns the exit code."""
        if self.all_or_none:
            outcomes = self._all_or_none(jobs, outcomes, failed)
        self.outcomes += outcomes
        documents: list[dict[str, Json]] = []
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Outcome):
                documents.append(document.of_outcome(outcome, self.world.record.head()[1]))
                for_people = not (self.options.json or self.options.jsonl)
                if for_people:
                    self.screen.outcome(outcome)
                if analysis := conclusion.conclude(self.world, self.screen, outcome):
                    documents[-1]["analysis"] = analysis
                if for_people and outcome.plan.action in UNDOABLE and outcome.status not in {"reopened", "failed"}:
                    self.screen.card(outcome.plan)
            else:
                self._name_the_way_on(job, outcome)
                self._refuse(job, incident, outcome)
                documents.append(document.of_error(job.target.name, outcome))
        documents += [document.of_error(job.target.name, error) for job, error in failed]
        if jobs:
            self._afterwards(self.world.record.checkpoint)
        return self.end(incident, fleet.exit_code([_code(d) for d in documents]), documents)

    def _name_the_way_on(self, job: Job, error: RemedyError) -> None:
        """A run that broke off in the middle is gone on with, or taken back: its error says how."""
        from remedy.engine import replay  # noqa: PLC0415 -- lazily

        run = job.context.run
        if isinstance(error, Unreachable) and run not in error.hint:
            with contextlib.suppress(UsageError):  # nothing was begun
                if replay.read(self.world.record, run).open:
                    way = f"`remedy resume {run}` goes on, `remedy undo {run}` takes it back"
                    error.hint = "; ".join(filter(None, (error.hint, way)))

    def _all_or_none(
        self,
        jobs: Sequence[Job],
        outcomes: Sequence[Outcome | RemedyError],
        failed: Sequence[tuple[Job, RemedyError]],
    ) -> list[Outcome | RemedyError]:
        """When one target has failed, take back what was done on the others: their outcome is then that of the undo."""
        done = [one for one in outcomes if isinstance(one, Outcome) and one.status in {"verified", "unverified"}]
        if not failed and len(done) + sum(_is_unchanged(one) for one in outcomes) == len(outcomes):
            return list(outcomes)
        why = "one target failed: taking back what was done on the others (--all-or-none)"
        self.screen.say(why, "yellow", talk=True)
        engine = self.world.engine()
        return fleet.each(list(zip(jobs, outcomes, strict=True)), lambda pair: self._taken_back(engine, *pair))

    def _taken_back(self, engine: Engine, job: Job, outcome: Outcome | RemedyError) -> Outcome | RemedyError:
        """What became of one target when all had to be taken back. What broke off in the middle stays an error."""
        from remedy.actions.undo import Undo  # noqa: PLC0415 -- lazily
        from remedy.engine import replay  # noqa: PLC0415

        if isinstance(outcome, Outcome) and outcome.status not in {"verified", "unverified"}:
            return outcome
        run = job.context.run
        try:
            plan = outcome.plan if isinstance(outcome, Outcome) else replay.read(self.world.record, run).plan
        except UsageError:
            return outcome  # nothing was begun there
        undo = Job(Undo(plan), job.target, job.site, self.world.context(job.context.incident))
        try:
            undone = engine.at_once(undo, lambda plan: self._ticket(engine, plan))
        except RemedyError as error:
            error.hint = f"`remedy undo {run}` takes it back as soon as it answers; `remedy resume` would go on with it"
            raise
        if isinstance(outcome, RemedyError):
            outcome.hint = f"what had been done there was taken back: {undone.status}"
            return outcome
        return undone

    def confirm(self, plans: Sequence[Plan]) -> None:
        """Ask for a yes, unless it was given with --yes. Raises ApprovalNeeded."""
        if self.options.yes:
            return
        names = ", ".join(plan.target for plan in plans)
        if not sys.stdin.isatty() or self.options.json or self.options.jsonl:
            raise ApprovalNeeded(
                f"the plan for {names} needs an approval, and there is no terminal to ask at",
                hint="--yes approves it, --dry-run only shows it",
            )
        if not self.screen.ask(f"Carry this out on {names}?"):
            raise ApprovalNeeded(f"the plan for {names} was not approved", hint="nothing was changed")

    def _refuse(self, job: Job, incident: str, error: RemedyError) -> None:
        """Show and record a target for which nothing was done."""
        if not self.options.json:
            self.screen.error(job.target.name, error)
        body: dict[str, Json] = {"action": job.action.name, "target": job.target.name, "kind": type(error).__name__}
        body |= {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        self._afterwards(lambda: self.world.record.append("refusal", body, incident=incident, run=job.context.run))

    def _afterwards(self, write: Callable[[], object]) -> None:
        """Write to the record what comes after the fact; when it cannot be, that is told beside the result."""
        try:
            write()
        except RecordUnavailable as lost:
            self.screen.error("record", lost)

    def _refused_all(self, jobs: Sequence[Job], incident: str, error: RemedyError) -> int:
        for job in jobs:
            self._refuse(job, incident, replace_where(error, job.target.name))
        return self.end(incident, error.exit_code, [document.of_error(job.target.name, error) for job in jobs])

    def end(self, incident: str, code: int, documents: Sequence[dict[str, Json]] = ()) -> int:
        """Write the command's document, when one was asked for; returns the exit code."""
        self.documents += documents
        if self.emits and (self.options.json or self.options.jsonl):
            made = document.whole(self.name, incident, code, self.documents)
            document.emit({**made, **self.extra}, self.world.redact)
        return code


def replace_where(error: RemedyError, where: str) -> RemedyError:
    """The same error, said of a place when it names none."""
    return error if error.where else type(error)(error.message, where=where, hint=error.hint)


def _is_unchanged(outcome: Outcome | RemedyError) -> bool:
    return isinstance(outcome, Outcome) and outcome.status == "unchanged"


def _code(made: dict[str, Json]) -> int:
    code = made["exit_code"]
    return code if isinstance(code, int) else 1


def stopping(engine: Engine, screen: Screen, runs: Sequence[str] = ()) -> AbstractContextManager[None]:
    """Ctrl-C asks the engine to stop after the step under way; a second one ends the process at once.

    Raises Interrupted then, naming the way on for `runs`.
    """
    said = "interrupted: finishing the step under way (Ctrl-C again ends at once)"
    ways = "; ".join(f"`remedy resume {run}` goes on, `remedy undo {run}` takes it back" for run in runs)
    ended = Interrupted("ended at once, in the middle of a step", hint=ways)
    return asked_to_stop(engine.stop, lambda: screen.say(said, "yellow", talk=True), ended)


def save(path: Path, plans: Sequence[Plan]) -> None:
    """Write plans for `remedy apply`: the very bytes, each with its hash. The file is whole or not there.

    Raises UsageError when it cannot be written.
    """
    body = {"remedy": __version__, "plans": [{"hash": plan.hash, "plan": encode(plan)} for plan in plans]}
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"the plan cannot be written: {error}", hint="--out takes a file in a folder of yours"
        ) from error


def screen_of(options: Common, world: World) -> Screen:
    """The screen for these options."""
    return Screen(
        color=options.color,
        quiet=options.quiet,
        verbose=options.verbose,
        redact=world.redact,
        result_to_stderr=options.json or options.jsonl,
    )
