"""Asking an open run's expectations again: has anything that was proven come undone?"""

from __future__ import annotations

from dataclasses import dataclass

from remedy.core.canon import Json, canonical
from remedy.core.errors import RemedyError
from remedy.core.values import Plan, Verdict
from remedy.engine.outcome import Outcome
from remedy.engine.run import Engine


@dataclass(frozen=True, slots=True)
class Drift:
    """What one look found. `gone` are the steps whose effect is no longer there, by their name in the plan."""

    plan: Plan
    verdicts: tuple[Verdict, ...]
    gone: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything is as the run left it."""
        return not self.gone and not self.errors and all(v.held for v in self.verdicts)


def look(engine: Engine, plan: Plan) -> Drift:
    """Re-read every step's effect and re-ask every expectation. Changes nothing."""
    gone: list[str] = []
    errors: list[str] = []
    named = [(f"{n}", c) for n, c in enumerate(plan.changes, 1)] + [(f"k{n}", c) for n, c in enumerate(plan.keep, 1)]
    for name, change in named:
        if change.seen is None or change.undo is None:
            continue
        try:
            if canonical(engine.session.ask([change.seen], at=change.at)[0]).decode() != change.after:
                gone.append(name)
        except RemedyError as error:
            errors.append(str(error))
    return Drift(plan, engine.verify(plan), tuple(gone), tuple(errors))


def alarm(engine: Engine, drift: Drift) -> None:
    """Record that something proven has come undone."""
    lost = [v.expect.why for v in drift.verdicts if not v.held]
    body: dict[str, Json] = {"target": drift.plan.target, "gone": [*drift.gone], "lost": [*lost]}
    engine.journal.append(
        "alarm", {**body, "errors": [*drift.errors]}, incident=drift.plan.incident, run=drift.plan.run
    )


def put_back(engine: Engine, drift: Drift) -> Outcome:
    """Send again the steps that have come undone, under a timer of their own, and verify the whole plan.

    Raises HeldByOther when somebody is at the target, Unreachable when it does not answer.
    """
    plan = drift.plan
    engine.journal.hold(plan.target, run=plan.run, holder=engine.holder)
    try:
        names = [f"{n}" for n in range(1, len(plan.changes) + 1)] + [f"k{n}" for n in range(1, len(plan.keep) + 1)]
        confirmed = all(name.startswith("k") for name in drift.gone)
        # While the way was open somebody may have come in: what leaves nothing behind is done again as well.
        fleeting = {f"{n}" for n, c in enumerate(plan.changes, 1) if c.undo is None and not confirmed}
        places = {plan.keep[int(name[1:]) - 1].at for name in drift.gone if name.startswith("k")}
        fleeting |= {f"k{n}" for n, c in enumerate(plan.keep, 1) if c.repeats and c.at in places}
        lasting = frozenset(name for name in names if name not in {*drift.gone, *fleeting})
        return engine.carry_out(plan, done=lasting, confirmed=confirmed, again=frozenset(names))
    finally:
        engine.journal.let_go(plan.target, run=plan.run)
