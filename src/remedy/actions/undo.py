"""Take a run back, step by step, newest first: the inverse of its plan is a plan like any other.

Decides from what the target shows now: a step whose effect is gone already is left out, a step whose place somebody
else has changed since is refused unless forced. So an undo can be previewed, saved, resumed, and undone itself.

What an isolation has done at devices is taken back first: behind a moved port the host cannot be asked. What does not
answer keeps its layer, and the run is not undone until it does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from remedy.actions import begin
from remedy.actions.containment import beyond
from remedy.actions.recovery import instance
from remedy.core.canon import canonical
from remedy.core.errors import AnswerUnusable, Refused, RemedyError, Unreachable
from remedy.core.ports import Reader
from remedy.core.values import Change, Context, Expect, Plan, Site, Target, wanted

#: The actions whose runs can be taken back; a way back is not (it would cut off without a timer).
UNDOABLE: Final = frozenset(
    {"isolate", "restore", "rebuild", "prove", "block", "unblock", "prepare", "device-restore", "push"}
)


@dataclass(frozen=True, slots=True)
class Undo:
    """Take back the plan `of`. `force` overrides what somebody else has done in the same places since."""

    name: ClassVar[str] = "undo"
    of: Plan = field(default_factory=lambda: Plan("", "", "", "", "", "{}"))
    force: bool = False

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Ask what is left of each step, and say exactly what would be sent to take it back."""
        if self.of.action not in UNDOABLE:
            raise Refused(
                f"run {self.of.run} was itself a way back ({self.of.action}): undoing it would cut {target.name} off "
                "without a timer",
                hint=f"remedy isolate {target.name}",
            )
        apart = [c for c in self.of.keep if beyond.stands(self.of.target, c)]
        away = beyond.inverses(apart, reader, force=self.force)
        steps: list[Change] = []
        notes: list[str] = []
        try:
            steps, notes = self._at_home(reader)
        except (Unreachable, AnswerUnusable) as error:
            away = away.silent(target.name, error, f"`remedy undo {self.of.run}`")
        saves = [change for change in self.of.keep if change.repeats and change not in apart] if steps else []
        expects = [Expect(f"as before run {self.of.run}: {s.why}", s.at, s.seen, s.after) for s in steps if s.seen]
        plan = replace(begin(self, target, context), changes=tuple(steps), on_failure="keep", notes=tuple(notes))
        return replace(away.onto(plan), keep=(*away.saves(target.name), *saves), expects=(*away.expects(), *expects))

    def _at_home(self, reader: Reader) -> tuple[list[Change], list[str]]:
        """What is left at the target, newest first, and what is said of the rest."""
        steps: list[Change] = []
        notes: list[str] = []
        guard = self.of.guard
        if guard and reader.ask([guard.state], at=guard.at)[0] == "armed":
            steps.append(_disarming(self.of))
        for change in reversed((*self.of.changes, *self.of.keep)):
            if change.repeats or beyond.stands(self.of.target, change):
                continue
            if instance.is_removal(change):
                left, said = _left(change, reader)
                steps += left
                notes.append(said)
                continue
            if change.undo is None or change.seen is None:
                notes.append(f"{'stays' if change.transfer else 'leaves nothing behind'}: {change.why}")
                continue
            now = canonical(reader.ask([change.seen], at=change.at)[0]).decode()
            if now == change.before:
                notes.append(f"already gone: {change.why}")
                continue
            ours = now in {change.after, change.halfway} or (guard is not None and now == guard.fallen)
            if not ours and not self.force:
                raise Refused(
                    f"somebody else has changed this since run {self.of.run}: {change.why}",
                    where=change.at,
                    hint="look at what is there now: what was done later may rest on it, and is taken back first; "
                    "--force takes the step back all the same",
                )
            steps.append(_inverse(change, now))
        return steps, notes


def _inverse(change: Change, now: str) -> Change:
    return Change(
        why=f"take back: {change.why}",
        at=change.at,
        do=change.undo or change.do,
        undo=change.do,
        seen=change.seen,
        before=now,
        after=change.before,
        layer=change.layer,
        halfway=change.halfway,
    )


def _left(change: Change, reader: Reader) -> tuple[list[Change], str]:
    """Clearing away, where there is something left: as it was planned. A staging host that is off keeps nobody."""
    if change.seen is None:
        return [], f"leaves nothing behind: {change.why}"
    try:
        now = canonical(reader.ask([change.seen], at=change.at)[0]).decode()
    except RemedyError as error:
        return (
            [],
            f"{change.at} cannot be asked, and it goes by itself after some hours: {change.why} ({error.message})",
        )
    return ([], f"already gone: {change.why}") if now == change.after else ([change], f"done as well: {change.why}")


def _disarming(plan: Plan) -> Change:
    guard = plan.guard
    if guard is None:
        raise Refused("there is no timer to disarm", where=plan.target)
    return Change(
        why=f"end the dead-man timer of run {plan.run}",
        at=guard.at,
        do=guard.disarm,
        seen=guard.state,
        before=wanted("armed"),
        after=wanted("off"),
    )


ACTION = Undo
