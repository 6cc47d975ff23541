"""What a restore came to, as data for the fault analysis that the plans demand (BZ-DATA-3).

Decides what is kept of a run beside its steps: which backup, how much older than the damage, what was passed over, what
was read and written with its hashes, how long writes were held. Leaves to others: the words of a report.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, Final, cast

from remedy.actions.recovery import staging, statements
from remedy.backups.values import Database
from remedy.core.canon import Json
from remedy.core.errors import RemedyError
from remedy.core.ports import Journal, Reader
from remedy.engine.outcome import Outcome
from remedy.engine.search import Choice
from remedy.probes import database as asked

KIND: Final = "fault-analysis"
_MILLISECONDS: Final = re.compile(r"[0-9]{1,9}")


def analysis(
    journal: Journal, reader: Reader, database: Database, choice: Choice, outcome: Outcome, *, reached: int = 0
) -> dict[str, Json]:
    """The body of the record's entry on a restore that was carried out; `held_ms` is -1 when nobody says.

    `reached` is when the last transaction began that binary logs gave back (seconds since 1970 UTC, 0 without any):
    what is lost counts from there.
    """
    plan = outcome.plan
    begun = ""
    streams: list[Json] = []
    for entry in journal.entries(run=plan.run):
        body = cast("dict[str, Any]", json.loads(entry.body))
        if entry.kind == "plan":
            begun = entry.time
        elif entry.kind == "sent" and body.get("result"):
            streams.append({"step": body["step"], "why": body["why"], "result": body["result"]})
    made = choice.chosen.time if choice.chosen else 0
    since = max(made, reached)
    lost = max(0, datetime.fromisoformat(begun).timestamp() - since) // 60 if begun and since else -1
    rejected: list[Json] = [
        {"copy": one.copy, "backup": one.backup, "kind": one.kind, "reason": one.reason} for one in choice.rejections
    ]
    return {
        "database": database.name,
        "status": outcome.status,
        "begun": begun,
        "backup": choice.backup.name if choice.backup else "",
        "copy": choice.backup.copy if choice.backup else "",
        "sha256": choice.judgement.sha256 if choice.judgement else "",
        "backup_time": made,
        "reached_time": since,
        "lost_minutes": int(lost),
        "held_ms": held(reader, database),
        "rejected": rejected,
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
