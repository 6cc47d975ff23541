"""Actions on the real network: engines that may be killed, and what each registered action needs before it can act."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.worlds.memory import Journal, Killed, Life, Mortal, Pages
from tests.worlds.real import SITE, TARGET, World

from remedy.actions import Action
from remedy.actions.isolate import Isolate
from remedy.actions.release import Release
from remedy.actions.undo import Undo
from remedy.core.values import Plan, Site
from remedy.engine import replay
from remedy.engine.job import Job
from remedy.engine.outcome import Outcome
from remedy.engine.run import Engine


class Watch:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait, but not as long as a person would notice."""
        time.sleep(min(seconds, 0.2))


@dataclass
class Operator:
    """Somebody at work on a world: processes come and go, the record stays."""

    world: World
    site: Site = SITE
    pages: Pages = field(default_factory=Pages)
    lives: list[Life] = field(default_factory=list)

    def engine(self, ends_after: int | None = None) -> Engine:
        """A new process with new logins; the ones before it are gone."""
        for life in self.lives:
            life.dead = True
        self.lives.append(life := Life(ends_after))
        self.world.session.close()
        session = Mortal(self.world.session, life)
        return Engine(session, Journal(self.pages, life, time.time), Watch(), "ops@adm1")

    def job(self, action: Action, run: str) -> Job:
        """The action on the target."""
        return Job(action, TARGET, self.site, self.world.context(run))

    def plan(self, action: Action, run: str = "R1") -> Plan:
        """What it would do now."""
        return self.job(action, run).plan(self.world.session)

    def carry(self, plan: Plan, action: Action, engine: Engine | None = None) -> Outcome:
        """Apply a plan; compared once more with the world, as always."""
        engine = engine or self.engine()
        return engine.apply(self.job(action, plan.run), plan, engine.approve(plan, "ops"))

    def act(self, action: Action, run: str = "R1") -> Outcome:
        """Plan and apply."""
        return self.carry(self.plan(action, run), action)

    def resume(self, ends_after: int | None = None) -> list[Outcome]:
        """What `remedy resume` does."""
        engine = self.engine(ends_after)
        return [replay.resume(engine, run) for run in list(replay.unfinished(engine.journal))]

    def undo(self, plan: Plan, run: str = "U1") -> Outcome:
        """What `remedy undo` does."""
        return self.act(Undo(plan), run)

    def killed(self, plan: Plan, moment: int | None) -> Life:
        """Carry a plan out and be killed after so many deeds; the life that this was."""
        engine = self.engine(moment)
        with contextlib.suppress(Killed):
            engine.apply(self.job(Settled(plan), plan.run), plan, engine.approve(plan, "ops"))
        return self.lives[-1]


@dataclass(frozen=True, slots=True)
class Settled:
    """An action whose plan is made already: spares a sweep over many moments the planning at each."""

    made: Plan

    @property
    def name(self) -> str:
        """The plan's."""
        return self.made.action

    def plan(self, *_: object) -> Plan:
        """The plan made before."""
        return self.made


@dataclass(frozen=True, slots=True)
class Scene:
    """What an action needs before it can act, and the action itself."""

    prepare: Callable[[Operator], Plan | None]
    action: Callable[[Plan | None], Action]


def _isolated(operator: Operator) -> Plan:
    plan = operator.plan(Isolate(), "R0")
    outcome = operator.carry(plan, Isolate())
    assert outcome.doubts == plan.unproven
    return plan


def _cells(plan: Plan | None) -> Release:
    return Release(replay.proven_cells(plan) if plan else ())


def _undoing(plan: Plan | None) -> Undo:
    assert plan
    return Undo(plan)


#: One for every registered action.
SCENES: Final[dict[str, Scene]] = {
    "isolate": Scene(lambda _: None, lambda _: Isolate()),
    "release": Scene(_isolated, _cells),
    "undo": Scene(_isolated, _undoing),
}


@contextlib.contextmanager
def isolated(operator: Operator, action: Isolate | None = None) -> Iterator[Plan]:
    """Isolated at first, and given back at the end."""
    action = action or Isolate()
    plan = operator.plan(action)
    outcome = operator.carry(plan, action)
    assert outcome.status == "verified", outcome.doubts
    yield plan
    assert operator.act(Release(), "R9").exit_code in {0, 22}
    assert operator.world.snapshot() == operator.world.start
