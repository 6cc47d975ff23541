"""Steps that are done elsewhere than at a plan's target: at its switch port, on the firewalls around it.

Decides that such a step has its own timer, its own fresh login and its own failure: a device that does not answer
makes its layer missing, and neither stops what is done at the target nor depends on it. Two runs at one device wait
for each other, since the device has one timer for both. Leaves to others: the order of everything else (`run`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from remedy.actions.containment import beyond
from remedy.core.errors import AnswerUnusable, HeldByOther, RemedyError, Unreachable
from remedy.core.values import Change, Plan
from remedy.engine import timers
from remedy.engine.outcome import Step
from remedy.probes import host

if TYPE_CHECKING:
    from remedy.engine.run import Engine

#: Seconds to wait for another run to be done with the device, and logins that are tried to read back.
_PATIENCE: Final = 120.0
_LOGINS: Final = 3
_BETWEEN: Final = 1.0
#: Seconds in which management has to get through to a host whose port was moved, at most half of the timer's. A port
#: whose switch has spanning tree lets nothing pass for twice its forward delay of 15 s (IEEE 802.1D-2004, 17.14).
_SETTLING: Final = 40.0


def stands(plan: Plan, change: Change) -> bool:
    """Whether a step is done elsewhere than at the plan's target, and may fail for itself."""
    return beyond.stands(plan.target, change)


def stand(plan: Plan) -> bool:
    """Whether a plan keeps anything elsewhere."""
    return any(stands(plan, change) for change in plan.keep)


def kept(
    engine: Engine, plan: Plan, done: frozenset[str] = frozenset(), again: frozenset[str] = frozenset()
) -> list[Step]:
    """Do what a plan keeps elsewhere, each step whatever became of the one before; `done` and `again` as in the engine.

    Nothing is saved on a device where the step before it failed.
    """
    steps: list[Step] = []
    failed: set[str] = set()
    for n, change in enumerate(plan.keep, 1):
        name = f"k{n}"
        if not stands(plan, change) or name in done or (change.repeats and change.at in failed):
            continue
        engine.may_stop(plan)
        made = carried(engine, plan, name, change, again=name in again)
        steps += made
        if not made[-1].ok:
            failed.add(change.at)
    return steps


def carried(engine: Engine, plan: Plan, name: str, change: Change, *, again: bool = False) -> list[Step]:
    """One step: timer armed, sent, read back over a fresh login, timer ended. The last one says how it ended.

    What is not there when it is read is taken back. When the device does not answer any more its timer goes off.
    """
    steps: list[Step] = []
    try:
        with _alone(engine, plan, change.at):
            _carry(engine, plan, name, change, again=again, steps=steps)
    except (Unreachable, AnswerUnusable, HeldByOther) as error:
        guard = change.guard
        back = f"; {guard.at} goes back by itself within {guard.seconds} s" if guard and steps else ""
        said = f"{change.at}: {error.message}{back}"
        steps.append(Step(name, change.why, ok=False, said=said, late=bool(steps)))
    return steps


def _carry(engine: Engine, plan: Plan, name: str, change: Change, *, again: bool, steps: list[Step]) -> None:
    if change.guard:
        steps.append(timers.armed(engine, plan, f"{name}-arm", change.guard, again=again))
        if not steps[-1].ok:
            return
    sent = replace(change, do=change.again) if again and change.again else change
    steps.append(engine.step(plan, name, sent))
    if change.seen is None:
        return
    shown, said = afresh(engine, change.at, lambda: engine.shows(change)), steps[-1].said
    if shown == change.after and (lost := _lost(engine, change)):
        shown, said = change.halfway, lost
    if shown == change.halfway and change.undo is not None:
        engine.step(plan, f"{name}-undo", Change(f"undo: {change.why}", change.at, change.undo))
        shown = engine.shows(change)
    if change.guard and shown in {change.after, change.before}:  # else the timer is what brings it back
        ended = engine.step(plan, f"{name}-disarm", timers.disarming(change.guard))
        steps.append(ended if ended.ok else timers.gone(engine, plan, change.guard, ended, seen=True))
    if shown != change.after:
        why = said or f"{change.at} does not show it, read over a fresh login"
        steps.append(Step(name, change.why, ok=False, said=why))


def _lost(engine: Engine, change: Change) -> str:
    """Why the host that has to stay reachable is not any more; empty when it is."""
    if not change.reaching:
        return ""
    patience = min(_SETTLING, change.guard.seconds / 2) if change.guard else _SETTLING
    end = engine.clock.monotonic() + patience
    while True:
        try:
            engine.session.renew(change.reaching)
            engine.session.ask([host.addresses()], at=change.reaching)
        except Unreachable as error:
            if engine.clock.monotonic() >= end:
                return f"taken back: management does not reach {change.reaching} any more ({error.message})"
            engine.clock.sleep(_BETWEEN)
        else:
            return ""


def afresh(engine: Engine, at: str, look: Callable[[], str]) -> str:
    """What a look over a fresh login shows; a few logins are tried. Raises Unreachable."""
    for attempt in range(1, _LOGINS + 1):
        try:
            engine.session.renew(at)
            return look()
        except Unreachable:
            if attempt == _LOGINS:
                raise
            engine.clock.sleep(_BETWEEN)
    return ""


@contextlib.contextmanager
def _alone(engine: Engine, plan: Plan, at: str) -> Iterator[None]:
    """Hold a device for one step. Raises HeldByOther when somebody else does for longer than two minutes."""
    end = engine.clock.monotonic() + _PATIENCE
    while True:
        try:
            engine.journal.hold(at, run=plan.run, holder=engine.holder)
        except HeldByOther:
            if engine.clock.monotonic() >= end:
                raise
            engine.clock.sleep(_BETWEEN)
        else:
            break
    try:
        yield
    finally:
        with contextlib.suppress(RemedyError):  # what the step came to is what counts
            engine.journal.let_go(at, run=plan.run)
