"""Dead-man timers as a run uses them: started and seen to run, ended, found gone.

Decides what may be sent under a timer: nothing, once it may have run out. Leaves to others: when in a run that is
(`run`, `elsewhere`), and what the timer does by itself (the host, the device).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from remedy.core.canon import Json, canonical
from remedy.core.values import Change, Command, Guard, Plan
from remedy.engine.job import Event
from remedy.engine.outcome import Step

if TYPE_CHECKING:
    from remedy.engine.run import Engine

__all__ = ["armed", "disarming", "gone", "has_fallen", "went_off"]

#: Seconds in which a device that goes back may still show what it was told.
_GOING_BACK: Final = 2.0


def armed(engine: Engine, plan: Plan, name: str, guard: Guard, *, again: bool = False) -> Step:
    """Start a timer and see that it runs; with `again` one that runs already, of a process that is gone, begins anew.

    One that has run out by our clock, or by the word of who runs it, protects nothing that would be sent now: then the
    step has not worked, and is `late`.
    """
    begun = engine.clock.monotonic()
    command = guard.arm
    if again and guard.again is not None and _state(engine, guard) == "armed":
        command = guard.again
    step = engine.step(plan, name, _arming(guard, command))
    if not step.ok or (engine.clock.monotonic() - begun < guard.seconds and _state(engine, guard) != "off"):
        return step
    engine.step(plan, f"{name}-off", disarming(guard))  # it may still run for the rest of its last minute
    said = f"it ran out before anything was sent under it, so nothing was: try again with more than {guard.seconds} s"
    return replace(step, ok=False, said=said, late=True)


def _arming(guard: Guard, command: Command) -> Change:
    why = f"arm the dead-man timer, {guard.seconds} s"
    return Change(why, guard.at, command, None, guard.state, "", '"armed"')


def disarming(guard: Guard) -> Change:
    """The step that ends a timer."""
    return Change("disarm the dead-man timer", guard.at, guard.disarm)


def gone(engine: Engine, plan: Plan, guard: Guard, step: Step, *, seen: bool) -> Step:
    """What a step means that could not end a timer, though it has not taken anything back.

    `seen`: everything was read back over a fresh login before. When the timer is then known not to run, nothing takes
    the change away any more: it went off before anything was sent, or somebody has ended it.
    """
    if _state(engine, guard) != "off":
        said = f"{step.said}; whether it runs is not known: look again in {guard.seconds} s, it may take it all back"
        return replace(step, said=said)
    said = "the timer was gone before it was disarmed"
    if seen:
        engine.clock.sleep(_GOING_BACK)
        if has_fallen(engine, guard):
            return replace(step, said="the timer went off while it was to be disarmed")
        engine.observe(Event(plan.target, "note", said, ok=False, run=plan.run))
        return replace(step, ok=True, said="")
    return replace(step, said=said)


def went_off(engine: Engine, plan: Plan, guard: Guard, steps: list[Step]) -> bool:
    """Whether it is the timer that has put back what was there; `steps` gets the try to end it.

    Only one that does not run any more is to blame: else what was sent may still be there, where nobody looks.
    """
    if not has_fallen(engine, guard):
        return False
    steps.append(engine.step(plan, "disarm", disarming(guard)))
    return not steps[-1].ok


def has_fallen(engine: Engine, guard: Guard) -> bool:
    """The timer is gone: either it fired, or something on the target ended it (then there is nothing to undo)."""
    return canonical(engine.session.ask([guard.seen], at=guard.at)[0]).decode() == guard.fallen


def _state(engine: Engine, guard: Guard) -> Json:
    return engine.session.ask([guard.state], at=guard.at)[0]
