"""What is written down when a run of a recovery has ended: begun by its command, by a saved plan, or resumed.

Decides what is known then: the backup that was restored is proven, the backups that were taken are whole, and the fault
analysis that the plans demand (BZ-DATA-3) has its data: which backup, how much older than the damage, what was passed
over, what was read and written with its hashes, how long writes were held, where the data before is. All of it comes
from the plan, the record and the server, never from the memory of the process that began. Leaves to others: the words
of a report, and what is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from remedy.actions import build
from remedy.actions.backup import TakeBackup
from remedy.actions.rebuild import Rebuild
from remedy.actions.recovery import staging, statements
from remedy.actions.restore import Restore
from remedy.backups.ports import Shelf
from remedy.backups.values import LEVELS, Copy, Database, Judgement
from remedy.core.canon import Json
from remedy.core.errors import RemedyError
from remedy.core.ports import Journal, Reader
from remedy.core.values import Entry
from remedy.engine import replay, search, taken, verdicts
from remedy.engine.outcome import Outcome
from remedy.engine.search import Choice
from remedy.probes import database as asked

KIND: Final = "fault-analysis"
CHOSEN: Final = "backup-chosen"
#: How a run ended that has changed what is live.
_CARRIED_OUT: Final = frozenset({"verified", "unverified"})
_MILLISECONDS: Final = re.compile(r"[0-9]{1,9}")
_DAY: Final = 86_400


def chosen(
    journal: Journal, choice: Choice, alone: Judgement, *, incident: str, run: str, reached: int = 0
) -> Entry | None:
    """Record which backup a run is about to restore, and what was passed over for it; None when nothing was chosen.

    `alone` is the backup as it was judged by itself: what it looked like beside the ruined data is no part of it.
    `reached` is up to when binary logs give back what was written (seconds since 1970 UTC, 0 without any).
    Raises RecordUnavailable.
    """
    if choice.backup is None or choice.chosen is None:
        return None
    rejected: list[Json] = [
        {"copy": one.copy, "backup": one.backup, "kind": one.kind, "reason": one.reason} for one in choice.rejections
    ]
    body: dict[str, Json] = {"database": choice.database.name, "backup": choice.backup.name}
    body |= {"copy": choice.backup.copy, "sha256": alone.sha256, "time": choice.chosen.time, "reached": reached}
    body |= {"findings": [one.code for one in alone.findings], "rejected": rejected}
    return journal.append(CHOSEN, body, incident=incident, run=run)


def conclude(
    journal: Journal, reader: Reader, open_shelf: Callable[[Copy], Shelf], outcome: Outcome, *, now: int
) -> dict[str, Json] | None:
    """Write down what follows from a run that has ended; of a restore that was carried out, its fault analysis.

    `now` in seconds since 1970 UTC. Called once for each run, after its outcome is in the record. Runs that are no part
    of a recovery leave nothing. Raises RecordUnavailable, RecordBroken, PlanFileError (a plan of another version).
    """
    plan = outcome.plan
    if plan.action not in {Restore.name, TakeBackup.name}:
        return None
    action = build(plan.action, plan.params)
    if isinstance(action, TakeBackup):
        taken.remember(journal, open_shelf, action.database, plan)
    if not isinstance(action, Restore) or outcome.status not in _CARRIED_OUT:
        return None
    choice = _chosen(journal, plan.run)
    body = analysis(journal, reader, action, choice, outcome, now=now)
    journal.append(KIND, body, incident=plan.incident, run=plan.run)
    if outcome.status == "verified":
        _restored(journal, action, choice, outcome, now)
    taken.remember(journal, open_shelf, action.database, plan)
    return body


def analysis(
    journal: Journal, reader: Reader, action: Restore, choice: Mapping[str, Any], outcome: Outcome, *, now: int
) -> dict[str, Json]:
    """The body of the record's entry on a restore that was carried out; `held_ms` is -1 when nobody says.

    `choice` is what `chosen` has recorded, {} when it has not. What is lost counts from where binary logs
    end, without any from the backup.
    """
    plan, database = outcome.plan, action.database
    begun = ""
    streams: list[Json] = []
    for entry in journal.entries(run=plan.run):
        body = cast("dict[str, Any]", json.loads(entry.body))
        if entry.kind == "plan":
            begun = entry.time
        elif entry.kind == "sent" and body.get("result"):
            streams.append({"step": body["step"], "why": body["why"], "result": body["result"]})
    made = int(choice.get("time", action.contents.facts.time))
    since = max(made, int(choice.get("reached", 0)))
    lost = max(0, datetime.fromisoformat(begun).timestamp() - since) // 60 if begun and since else -1
    # After a rebuild, or a dropped schema, there was nothing to be kept.
    kept = staging.schemas(database.schema)[1] if json.loads(plan.facts or "{}").get("tables") else ""
    return {
        "database": database.name,
        "status": outcome.status,
        "begun": begun,
        "backup": action.backup.name,
        "copy": action.backup.copy,
        "sha256": action.sha256,
        "backup_time": made,
        "reached_time": since,
        "lost_minutes": int(lost),
        "held_ms": held(reader, database),
        "kept": kept,
        "kept_until": now + database.keep_days * _DAY if kept else 0,
        "set_aside": "" if kept else set_aside(journal, database),
        "rejected": [*choice.get("rejected", [])],
        "replaced": [*plan.impact],
        "streams": streams,
        "doubts": [*outcome.doubts],
    }


def held(reader: Reader, database: Database) -> int:
    """Milliseconds for which the last cut-over held writes, -1 when nobody says."""
    _, undo = staging.schemas(database.schema)
    try:
        answer = reader.ask([asked.fingerprint(database.defaults_file, statements.held(undo))], at=database.host)[0]
    except RemedyError:
        return -1
    return int(answer) if isinstance(answer, str) and _MILLISECONDS.fullmatch(answer) else -1


def set_aside(journal: Journal, database: Database) -> str:
    """The data directory with what was last live of a database, when a rebuild has set it aside since; else ""."""
    run = ""
    for entry in journal.entries(kinds=("outcome", KIND)):
        body = cast("dict[str, Any]", json.loads(entry.body))
        if entry.kind == KIND:
            run = "" if body.get("database") == database.name else run
        elif body.get("action") == Rebuild.name and body.get("target") == database.host:
            run = entry.run if body.get("status") in _CARRIED_OUT else "" if entry.run == run else run
    if not run:
        return ""
    words = (word for change in replay.read(journal, run).plan.changes for word in change.do.argv)
    return next((word for word in words if word.endswith(f".remedy-{run}")), "")


def _chosen(journal: Journal, run: str) -> Mapping[str, Any]:
    """What was recorded when the backup was chosen."""
    found: Mapping[str, Any] = {}
    for entry in journal.entries(run=run, kinds=(CHOSEN,)):
        found = cast("dict[str, Any]", json.loads(entry.body))
    return found


def _restored(journal: Journal, action: Restore, choice: Mapping[str, Any], outcome: Outcome, now: int) -> None:
    """The backup has restored: that is known of its content from now on, whatever copy it is read from."""
    database, backup = action.database, action.backup
    copy = action.source or search.copy_of(database, backup.copy)
    known = verdicts.known(journal, database, (verdicts.fingerprint(copy, backup),)).of(copy, backup)
    if known is None or known.sha256 != action.sha256:
        return
    # What another copy of the same bytes had disproved when it was chosen stays disproved.
    findings = tuple(one for one in known.findings if one.code in choice.get("findings", (one.code,)))
    proven = replace(known, level=LEVELS[-1], at=now, findings=findings)
    incident, run = outcome.plan.incident, outcome.plan.run
    verdicts.remember(journal, database, copy, backup, proven, proof=True, incident=incident, run=run)
