"""What became of every step that was planned.

Decides the five ways in which a step can end, and what follows for the collection as a whole. Leaves to others:
running steps (`transports.collecting`), and the file that holds this in a bag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from remedy.core.text import printable
from remedy.evidence.steps import Step

#: How a step ends, and what it means; the reference in docs/ is checked against it.
STATES: Final[dict[str, str]] = {
    "ok": "all of it is in the bag",
    "absent": "the host has no such thing",
    "denied": "the login may not see it, or not all of it",
    "timeout": "the host was silent for too long, or the step took too long; what came until then is there",
    "truncated": "not all of it is there; the cause says why",
}
#: Of several streams of one step the gravest counts; that one is absent says nothing when another is there.
GRAVITY: Final = ("absent", "ok", "denied", "timeout", "truncated")
#: Why something is not all there; the reference in docs/ is checked against it.
CAUSES: Final[dict[str, str]] = {
    "": "",
    "idle": "no byte came for the step's `idle` seconds",
    "total": "the step ran longer than its `seconds`",
    "cap": "more came than the step's `cap`",
    "status": "the program on the host ended with an error",
    "left-out": "the host's own program could not take some of it, and says which",
    "lost": "the connection broke",
    "shell": "the host did not run it: the login shell, or sudo, answers other than asked",
    "no-root": "without root not all of it can be seen",
    "permission": "the host refused some of it",
    "disk": "this machine's disk did not take it",
    "stopped": "it was interrupted here",
    "not-begun": "the collection had ended before its turn came",
}

#: Exit codes of a step (sysexits.h): EX_DATAERR, EX_NOINPUT, EX_NOPERM.
LEFT_OUT, ABSENT, DENIED = 65, 66, 77
_MAY_NOT: Final = re.compile(rb"(?:Permission denied|Operation not permitted)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one step: `state` and `cause` as above, `why` in words.

    `order` is its number in the bag. `received` are the bytes that came, `kept` those of the file that holds them,
    `seconds` how long it took, `findings` what was noticed in it.
    """

    order: int
    step: str
    title: str
    state: str
    cause: str = ""
    why: str = ""
    received: int = 0
    kept: int = 0
    seconds: int = 0
    files: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Nothing of it is missing that was there."""
        return self.state in {"ok", "absent"}


@dataclass(frozen=True, slots=True)
class End:
    """How running a step ended, before it is judged.

    `status` is that of the program, None when it did not end by itself; `cause` why not, `said` what is known of it.
    `errors` are the last bytes of its standard error. `root` says whether it ran as root.
    """

    status: int | None
    received: int
    errors: bytes = b""
    cause: str = ""
    said: str = ""
    root: bool = True


def judged(step: Step, end: End) -> tuple[str, str, str]:  # noqa: PLR0911 -- one return per way to end
    """State, cause and reason in words of a step that ended so."""
    refused = _MAY_NOT.search(end.errors)
    if end.status is None:
        state = "timeout" if end.cause in {"idle", "total"} else "truncated"
        return state, end.cause, end.said or CAUSES[end.cause]
    if end.status == ABSENT:
        return "absent", "", ""
    if end.status == DENIED or refused:
        return "denied", "permission", _line(end.errors, refused.start() if refused else 0)
    if end.status:
        words = _line(end.errors, 0)
        if end.status == LEFT_OUT:
            return "truncated", "left-out", words
        return "truncated", "status", f"it ended with status {end.status}{f': {words}' if words else ''}"
    if step.root != "no" and not end.root:
        return "denied", "no-root", CAUSES["no-root"]
    return "ok", "", ""


def _line(said: bytes, at: int) -> str:
    """The line of what was said that holds position `at`; the last one when it holds none."""
    start = said.rfind(b"\n", 0, at) + 1
    first = said[start:].strip().split(b"\n")[0] if at else (said.strip().split(b"\n") or [b""])[-1]
    return printable(first, 200, one_line=True)


def not_begun(step: Step, order: int, why: str) -> Line:
    """The line of a step whose turn never came."""
    return Line(order, step.name, step.title, "truncated", "not-begun", why)


def counted(lines: Iterable[Line]) -> dict[str, int]:
    """How many steps ended how; every state is there."""
    found = dict.fromkeys(STATES, 0)
    for line in lines:
        found[line.state] += 1
    return found


def lacking(lines: Sequence[Line]) -> tuple[str, ...]:
    """What a bag with these steps has not, a sentence each; () when it is whole.

    A step that was denied for want of root is no gap in what this login was asked for, and yet not all there is.
    """
    return tuple(f"{line.step}: {line.state}: {line.why}" for line in lines if not line.complete)
