"""Taking back what isolations have done at devices: exactly their own steps, from what the devices show now.

Decides what is left of each step and what is sent for it; the newest goes first. Leaves to others: which steps there
are (the record, a plan), and the host itself (`release`, `undo`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from remedy import devices
from remedy.actions.perimeter import device as typing
from remedy.core.canon import canonical
from remedy.core.errors import Refused, RemedyError
from remedy.core.ports import Reader
from remedy.core.values import Change, Expect, Plan, Probe
from remedy.probes import device

#: The layers of an isolation that are no part of the target.
LAYERS: Final = frozenset({"switch", "perimeter"})


def stands(target: str, change: Change) -> bool:
    """Whether a step is done elsewhere than at the target, and may fail for itself."""
    return change.at != target and change.layer in LAYERS


@dataclass(frozen=True, slots=True)
class Away:
    """The steps that take it back, and what is said of the others. `stays` are the layers that could not be asked."""

    steps: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()

    def silent(self, target: str, error: RemedyError, again: str) -> Away:
        """With the target itself, behind these, among what could not be asked; `again` is what to do afterwards.

        Raises the error where there is nothing to be taken back first.
        """
        if not self.steps:
            raise error
        said = f"{target} does not answer ({error.message}): its own rules are still there; {again} once more"
        return replace(self, unproven=(*self.unproven, said), stays=(*self.stays, "host"))

    def onto(self, plan: Plan) -> Plan:
        """A way back with these steps before its own. What stays is in its `facts`: the target still counts by it."""
        facts = {**json.loads(plan.facts), **({"stays": [*self.stays]} if self.stays else {})}
        return replace(
            plan,
            changes=(*self.steps, *plan.changes),
            notes=(*plan.notes, *self.notes),
            unproven=(*plan.unproven, *self.unproven),
            facts=canonical(facts).decode(),
        )

    def expects(self) -> tuple[Expect, ...]:
        """Each step shows, read over a new login."""
        return tuple(
            Expect(f"done: {step.why}", step.at, step.seen, step.after, fresh=True, layer=step.layer)
            for step in self.steps
            if step.seen
        )

    def saves(self, target: str) -> tuple[Change, ...]:
        """Saving at every device that is changed."""
        changed = {step.at: step for step in self.steps if step.at != target and step.seen}
        return tuple(
            typing.save(at, devices.named(device.vendor_of(step.seen)), step.layer)
            for at, step in changed.items()
            if step.seen
        )


def inverses(steps: Sequence[Change], reader: Reader, *, force: bool) -> Away:
    """Ask each device what is left of each step. Raises Refused where somebody else has changed it, unless forced."""
    out: list[Change] = []
    notes: list[str] = []
    unproven: list[str] = []
    stays: list[str] = []
    # The switch first: behind a moved port nobody else can be asked.
    newest = [*steps][::-1]
    for change in sorted(newest, key=lambda one: one.layer != "switch"):
        if change.seen is None or change.undo is None:
            continue
        try:
            now = _now(reader, change.seen, change.at)
        except RemedyError as error:
            unproven.append(f"{change.at} could not be asked, and keeps its {change.layer} layer: {error.message}")
            stays.append(change.layer)
            continue
        if now == change.before:
            notes.append(f"already gone: {change.why}")
            continue
        if now not in {change.after, change.halfway} and not force:
            raise Refused(
                f"somebody else has changed this since: {change.why}",
                where=change.at,
                hint="look at what is there now; --force takes the step back all the same",
            )
        out.append(
            Change(
                why=f"take back: {change.why}",
                at=change.at,
                do=change.undo,
                undo=change.do,
                seen=change.seen,
                before=now,
                after=change.before,
                essential=False,
                layer=change.layer,
                halfway=change.halfway,
            )
        )
    return Away(tuple(out), tuple(notes), tuple(unproven), tuple(dict.fromkeys(stays)))


def _now(reader: Reader, seen: Probe, at: str) -> str:
    return canonical(reader.ask([seen], at=at)[0]).decode()
