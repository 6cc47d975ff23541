"""What a program sees: one JSON document, or a stream of JSON lines. Stable names, `schema_version` first."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from remedy.actions.undo import UNDOABLE
from remedy.cli.screen import cells, named
from remedy.core.canon import Json
from remedy.core.errors import RemedyError
from remedy.core.values import Plan
from remedy.engine.inspect import Drift
from remedy.engine.outcome import Outcome

if TYPE_CHECKING:
    from remedy.engine.job import Event

SCHEMA: Final = 1


def emit(document: dict[str, Json], redact: Callable[[str], str]) -> None:
    """Write one document, or one line of a stream, to standard output."""
    text = redact(json.dumps({"schema_version": SCHEMA, **document}, ensure_ascii=True))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def of_event(event: Event) -> dict[str, Json]:
    """One line of the stream."""
    line: dict[str, Json] = {"event": event.kind, "target": event.target, "run": event.run}
    line |= {"ok": event.ok, "text": event.text}
    return {**line, "done": event.done, "total": event.total} if event.kind == "progress" else line


def of_plan(plan: Plan) -> dict[str, Json]:
    """A plan that was only shown."""
    return {
        "target": plan.target,
        "run": plan.run,
        "action": plan.action,
        "status": "unchanged" if plan.is_noop else "would-change",
        "exit_code": 0 if plan.is_noop else 10,
        "changed": False,
        "plan": plan.hash,
        "impact": [*plan.impact],
        "guard": plan.guard.why if plan.guard else None,
        "steps": [
            {
                "id": name,
                "layer": change.layer,
                "why": change.why,
                "status": "planned",
                "argv": [*change.do.argv],
                "stdin": change.do.stdin,
            }
            for name, change in named(plan)
        ],
        "unproven": [*plan.unproven],
        "notes": [*plan.notes],
        "card": [*plan.card],
    }


def of_outcome(outcome: Outcome, evidence: str) -> dict[str, Json]:
    """A run that was carried out. `evidence` is the hash of the record's head behind it."""
    plan = outcome.plan
    layers = {name: change.layer for name, change in named(plan)}
    verified = outcome.status in {"verified", "unchanged"}
    return {
        "target": plan.target,
        "run": plan.run,
        "undo_id": plan.run if plan.changes and plan.action in UNDOABLE else None,
        "action": plan.action,
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "changed": bool(outcome.steps),
        "verified": verified,
        "layers_held": [*outcome.held],
        "layers_left": [*outcome.left],
        "withstands_root": outcome.withstands_root,
        "rollback_deadline": None if verified else (plan.guard.seconds if plan.guard else None),
        "evidence_hash": evidence,
        "steps": [
            {
                "id": step.name,
                "target": plan.target,
                "layer": layers.get(step.name, "host"),
                "why": step.why,
                "status": "done" if step.ok else "failed",
                "changed": step.ok,
                "said": step.said,
                "undo_id": plan.run,
            }
            for step in outcome.steps
        ],
        "expectations": [
            {"why": v.expect.why, "asked_at": v.expect.at, "layer": v.expect.layer, "held": v.held, "error": v.error}
            for v in outcome.verdicts
        ],
        "certificate": [
            {
                "vantage": cell.vantage,
                "role": cell.role,
                "direction": cell.direction,
                "family": cell.family,
                "protocol": cell.protocol,
                "address": cell.address,
                "port": cell.port,
                "before": cell.control,
                "after": state,
                "held": held,
            }
            for verdict in outcome.verdicts
            for cell, held, state in cells(verdict)
        ],
        "doubts": [*outcome.doubts],
        "card": [*plan.card],
    }


def of_drift(drift: Drift) -> dict[str, Json]:
    """One look of the watch at one isolation."""
    return {
        "target": drift.plan.target,
        "run": drift.plan.run,
        "status": "holds" if drift.holds else "undone",
        "exit_code": 0 if drift.holds else 22,
        "gone": [*drift.gone],
        "lost": [v.expect.why for v in drift.verdicts if not v.held],
        "errors": [*drift.errors],
    }


def of_error(target: str, error: RemedyError) -> dict[str, Json]:
    """A target for which the command failed."""
    return {
        "target": target,
        "status": "error",
        "exit_code": error.exit_code,
        "changed": None,
        "verified": False,
        "error": {"kind": type(error).__name__, "message": error.message, "where": error.where, "hint": error.hint},
    }


def whole(command: str, incident: str, code: int, targets: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """The document of one command over several targets."""
    return {"command": command, "incident": incident, "exit_code": code, "targets": [*targets]}
