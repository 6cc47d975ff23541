"""Taking back what isolations have done at devices: exactly their own steps, from what the devices show now.

Decides what is left of each step and what is sent for it; the newest goes first. Leaves to others: which steps there
are (the record), and the host itself (`release`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remedy import devices
from remedy.actions.perimeter import device as typing
from remedy.core.canon import canonical
from remedy.core.errors import Refused, RemedyError
from remedy.core.ports import Reader
from remedy.core.values import Change, Probe
from remedy.probes import device


@dataclass(frozen=True, slots=True)
class Away:
    """The steps that take it back, and what is said of the others."""

    steps: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()

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
    # The switch first: behind a moved port nobody else can be asked.
    newest = [*steps][::-1]
    for change in sorted(newest, key=lambda one: one.layer != "switch"):
        if change.seen is None or change.undo is None:
            continue
        try:
            now = _now(reader, change.seen, change.at)
        except RemedyError as error:
            unproven.append(f"{change.at} could not be asked, and keeps its {change.layer} layer: {error.message}")
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
    return Away(tuple(out), tuple(notes), tuple(unproven))


def _now(reader: Reader, seen: Probe, at: str) -> str:
    return canonical(reader.ask([seen], at=at)[0]).decode()
