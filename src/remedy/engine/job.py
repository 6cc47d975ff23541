"""What the engine is given and gives back while it works: a clock, jobs, approvals, events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from remedy.actions import Action
from remedy.core.ports import Session
from remedy.core.values import Context, Plan, Site, Target


class Clock(Protocol):
    """Time, passed in. `monotonic` in seconds for waiting, `sleep` in seconds; `now` in seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class Ticket:
    """An approval: bound to one plan's hash, by somebody, until a time (seconds since 1970).

    `login` says as whom remedy is logged in on the target, and which host key it accepted.
    """

    plan_hash: str
    by: str
    expires: float
    login: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth showing while a run goes on. `kind`: phase, step, progress, reply, verdict or note.

    Of a stream, `done` of `total` bytes have passed (0: unknown).
    """

    target: str
    kind: str
    text: str
    ok: bool = True
    run: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One action on one target, with everything its plan is computed from."""

    action: Action
    target: Target
    site: Site
    context: Context

    def plan(self, session: Session) -> Plan:
        """Plan from the world as it is now. Reads only."""
        return self.action.plan(self.target, self.site, self.context, session)
