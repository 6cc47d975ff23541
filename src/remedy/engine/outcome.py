"""What became of a run: one value, from which the screen, the JSON and the exit code follow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from remedy.actions.isolate import Isolate
from remedy.actions.release import Release
from remedy.actions.undo import Undo
from remedy.core.canon import Json, canonical
from remedy.core.values import Expect, Plan, Verdict

#: Status of a run and the exit code it means (see core.errors.EXIT_CODES).
EXIT: Final[dict[str, int]] = {
    "verified": 0,
    "unchanged": 0,
    "unverified": 22,
    "rolled-back": 23,
    "reopened": 23,
    "reverted": 23,
    "failed": 20,
    "unreachable": 21,
    "would-change": 10,
}

#: What a status says that the steps do not.
MEANS: Final[dict[str, tuple[str, ...]]] = {
    "rolled-back": ("the dead-man timer fired before the run was confirmed: sshd is open to every address",),
    "reopened": ("the dead-man timer fired before the run was confirmed, and gave the isolation up",),
    "reverted": ("the timer fired before the run was confirmed: the configuration is what it was before",),
}
_MOST_CELLS: Final = 3
_WAYS_BACK: Final = frozenset({Release.name, Undo.name})


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it went: its name in the plan, why, whether it worked, and what the target said when not.

    `late` says that it may take effect yet: the session broke, and it had none when the target was asked.
    """

    name: str
    why: str
    ok: bool
    said: str = ""
    late: bool = False


class ReadBackDiffers(Exception):
    """What was sent is not what is there, though nobody has refused it; `step` says so among the others."""

    def __init__(self, why: str) -> None:
        """`why` is that of the plan's step."""
        super().__init__(why)
        self.step = Step("read-back", "what was sent is there, read over a fresh login", ok=False, said=f"no: {why}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run. `held` are the layers whose every expectation holds, `doubts` what is not proven and why."""

    plan: Plan
    status: str
    steps: tuple[Step, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    doubts: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of this run alone."""
        return EXIT[self.status]

    @property
    def withstands_root(self) -> bool | None:
        """Whether a layer holds that root on the target cannot take away; None of what is no containment."""
        if self.plan.action != Isolate.name:
            return None
        return any(layer != "host" for layer in self.held)

    @property
    def left(self) -> tuple[str, ...]:
        """The layers that a way back has left there: what it could not ask, and what does not show. None of others."""
        if self.plan.action not in _WAYS_BACK:
            return ()
        failed = {step.name for step in self.steps if not step.ok}
        unseen = {(one.expect.at, one.expect.probe) for one in self.verdicts if not one.held}
        numbered = enumerate(self.plan.changes, 1)
        layers = [c.layer for n, c in numbered if f"{n}" in failed or (c.at, c.seen) in unseen]
        return tuple(dict.fromkeys([*json.loads(self.plan.facts).get("stays", ()), *layers]))


def judge(plan: Plan, steps: tuple[Step, ...], verdicts: tuple[Verdict, ...]) -> Outcome:
    """Verified only when every step worked, every expectation holds and nothing is left unproven."""
    doubts = [f"{step.why}: {step.said or 'failed'}" for step in steps if not step.ok]
    doubts += [f"{v.expect.why}: {v.error or _wrong(v)}" for v in verdicts if not v.held]
    doubts += plan.unproven
    layers = dict.fromkeys([c.layer for c in (*plan.changes, *plan.keep)] + [e.layer for e in plan.expects])
    held = tuple(
        layer
        for layer in layers
        if (mine := [v for v in verdicts if v.expect.layer == layer]) and all(v.held for v in mine)
    )
    done = "unchanged" if plan.is_noop else "verified"
    return Outcome(plan, "unverified" if doubts else done, steps, verdicts, tuple(doubts), held)


def verdict(expect: Expect, answer: tuple[Json, ...] | Exception, index: int) -> Verdict:
    """Whether an expectation holds, given the answers of its place (or why there are none) and its own among them."""
    if isinstance(answer, Exception):
        return Verdict(expect, held=False, answer="", error=f"{expect.at} could not be asked: {answer}")
    text = canonical(answer[index]).decode()
    return Verdict(expect, held=expect.holds(answer[index]), answer=text)


def _wrong(verdict: Verdict) -> str:
    """What was answered instead: for cells the first few that are not as they should be."""
    if not verdict.expect.cells:
        return "no"
    states = json.loads(verdict.answer) if verdict.answer else []
    states += ["unknown"] * (len(verdict.expect.cells) - len(states))
    rows = zip(verdict.expect.cells, verdict.expect.cell_holds(states), states, strict=False)
    bad = [f"{c.direction} {c.protocol} {c.address} port {c.port} is {state}" for c, held, state in rows if not held]
    return ", ".join(bad[:_MOST_CELLS]) + (f" and {len(bad) - _MOST_CELLS} more" if len(bad) > _MOST_CELLS else "")


def difference(old: Plan, new: Plan) -> str:
    """In a few words, what has changed between two plans for the same action."""
    if old.facts != new.facts:
        return "its facts"
    if (old.changes, old.keep, old.guard) != (new.changes, new.keep, new.guard):
        return "what would be sent"
    return "the plan's options"
