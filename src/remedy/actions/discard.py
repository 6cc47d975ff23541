"""Drop what a restore has kept: the data before it, or the data that was live until it was undone.

The one step of a recovery that cannot be taken back, so it is a run of its own, shown and approved like any other.
Only schemas that carry a finished restore's mark are touched.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

from remedy.actions import begin
from remedy.actions.recovery import staging
from remedy.actions.recovery.statements import KEPT
from remedy.backups.values import Database
from remedy.core.errors import Refused
from remedy.core.ports import Reader
from remedy.core.values import Change, Context, Expect, Plan, Site, Target, wanted
from remedy.probes import database as asked
from remedy.probes.database import named, quoted, within

_ENDED = frozenset({"swapped", "undone"})


@dataclass(frozen=True, slots=True)
class Discard:
    """Drop the kept schemas of `database`. `older_than_days` leaves alone what was kept more recently (0: nothing)."""

    name: ClassVar[str] = "discard"
    database: Database = field(default_factory=lambda: Database("", "", ""))
    older_than_days: int = 0

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Look at what is kept, and say exactly what would be dropped. Raises Refused, Unreachable, AnswerUnusable."""
        file = self.database.defaults_file
        beside = staging.schemas(self.database.schema)
        found = cast("dict[str, list[dict[str, Any]]]", reader.ask([asked.schemas(file, *beside)], at=target.name)[0])
        changes, impact, notes = [], [], []
        for schema in beside:
            if not any(row["schema"] == schema for row in found["schema"]):
                continue
            tables = [t for t in found["table"] if t["schema"] == schema]
            marks = [str(t["comment"]) for t in tables if t["name"] == KEPT]
            run, _, stage = marks[0].partition(" ") if marks else ("", "", "")
            if stage not in _ENDED:
                raise Refused(
                    f"{schema} is not what a finished restore keeps",
                    where=target.name,
                    hint="`remedy resume` or `remedy undo` ends an interrupted one; drop by hand what is not remedy's",
                )
            if self.older_than_days and not self._is_old(reader, target.name, schema):
                notes.append(f"{schema} was kept less than {self.older_than_days} days ago: left alone")
                continue
            rows, size = sum(int(t["rows"]) for t in tables), sum(int(t["bytes"]) for t in tables)
            of = "before" if stage == "swapped" else "until the undo of"
            impact.append(
                f"{schema} is dropped for good: {len(tables) - 1} tables, about {rows} rows, {size >> 20} MiB"
            )
            changes.append(self._drop(schema, marks[0], f"the data {of} run {run}"))
        seen = [Expect(f"gone: {c.why}", c.at, c.seen, c.after, layer="database") for c in changes if c.seen]
        return replace(
            begin(self, target, context),
            changes=tuple(changes),
            expects=tuple(seen),
            on_failure="keep",
            impact=tuple(impact),
            notes=(*notes, *(("this cannot be undone",) if changes else ())),
        )

    def _drop(self, schema: str, mark: str, what: str) -> Change:
        """Drop one schema if its mark still is what the plan saw."""
        sql = (
            f"SELECT COUNT(*) INTO @mine FROM information_schema.tables WHERE {within('table_schema', schema)} AND "
            f"table_name='{KEPT}' AND table_comment={quoted(mark)};\n"
            f"SET @drop = IF(@mine, CONCAT('DROP DATABASE ', {quoted(named(schema))}), 'DO 0');\n"
            "PREPARE gone FROM @drop;\nEXECUTE gone;\n"
        )
        return Change(
            why=f"drop {schema}: {what}",
            at=self.database.host,
            do=asked.client(self.database.defaults_file, "--batch", "--binary-mode", sql=sql, seconds=300),
            seen=asked.names(self.database.defaults_file, schema, most=1),
            after=wanted([]),
            layer="database",
        )

    def _is_old(self, reader: Reader, at: str, schema: str) -> bool:
        sql = (
            f"SELECT IFNULL(MIN(TIMESTAMPDIFF(DAY, kept_at, NOW())), 0) >= {self.older_than_days} "
            f"FROM {named(schema)}.{named(KEPT)};"
        )
        return reader.ask([asked.fingerprint(self.database.defaults_file, sql)], at=at)[0] == "1"


ACTION = Discard
