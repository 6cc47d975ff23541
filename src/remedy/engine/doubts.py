"""What is odd about whole backups beside the live database, and beside the last good backup before each.

Decides which backup is the last good one before another, and that nothing of this is remembered: it depends on what is
live and on what else is known. Leaves to others: the comparison itself (`backups.plausible`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from remedy.backups import formats, naming, plausible
from remedy.backups.plausible import Live
from remedy.backups.values import LEVELS, Backup, Contents, Finding, Judgement, reaches
from remedy.engine.verdicts import Known

_WHOLE: Final = "whole"
#: A server estimates the rows of a table; one that it says has half as many is counted as having lost some.
_NEARLY: Final = 2
#: What says that a backup has lost something beside another one.
_LOSSES: Final = frozenset({"missing-tables", "shrunken", "objects-missing", "no-data"})

#: What the files of a server do not tell before one is started on them.
_INSIDE: Final = frozenset({"objects-missing", "no-rows", "shrunken", "definers", "definer-missing"})


class Doubts:
    """Adds what is odd about whole backups beside the live database and the last good one before each."""

    def __init__(self, schema: str, record: Known, live: Live | None) -> None:
        """Compare with `live`, None when the server says nothing, and with what the record knows to be good."""
        self._schema, self._record, self._live = schema, record, live
        self._made: dict[tuple[str, str], tuple[Finding, ...]] = {}

    def added(self, known: Mapping[Backup, Judgement]) -> dict[Backup, Judgement]:
        """The verdicts with those findings."""
        good = self._good(known)
        return {
            backup: replace(one, findings=(*one.findings, *_aside(backup), *self._known(backup, one, good)))
            if reaches(one.level, _WHOLE)
            else one
            for backup, one in known.items()
        }

    def room(self, judgement: Judgement, known: Mapping[Backup, Judgement]) -> int:
        """The bytes that loading it takes on disk, by what the live server takes for the text of the last good one.

        Only tables that still have their rows tell that: what a ruined one takes would make it too little.
        """
        last = _before(judgement, self._good(known))
        if self._live is None or last is None or any(table.count < 0 for table in judgement.contents.tables):
            return plausible.estimate(judgement.contents, self._live)
        rows = {table.name: table.count for table in last.contents.tables}
        intact = [one for one in self._live.tables if 0 <= rows.get(one.name, -1) <= one.rows * _NEARLY]
        names = {one.name for one in intact}
        before = tuple(table for table in last.contents.tables if table.name in names)
        live = replace(self._live, tables=tuple(intact))
        return plausible.estimate(judgement.contents, live, replace(last.contents, tables=before))

    def _good(self, known: Mapping[Backup, Judgement]) -> list[Judgement]:
        """The last good backups, oldest first, by all that is known."""
        put_aside = {one.sha256 for backup, one in known.items() if naming.before_restore(backup.name)}
        every = {one.sha256: one for one in (*self._record.contents, *known.values()) if _is_good(one)}
        every = {sha256: one for sha256, one in every.items() if sha256 not in put_aside}
        return self._baseline(sorted(every.values(), key=lambda one: one.contents.facts.time))

    def _baseline(self, good: Iterable[Judgement]) -> list[Judgement]:
        """Those that others may be compared with, oldest first.

        One that has lost something itself is none, or a dumper that fails every night would be called odd once only.
        To prove one is to say that it is as it should be.
        """
        found: list[Judgement] = []
        for one in good:
            lost = found and {finding.code for finding in self._said(one, found[-1])} & _LOSSES
            if not lost or reaches(one.level, LEVELS[-1]):
                found.append(one)
        return found

    def _known(self, backup: Backup, judgement: Judgement, good: list[Judgement]) -> Iterator[Finding]:
        """What is said of it; of files that no server was started on yet, nothing about rows and definitions."""
        physical = backup.format in formats.registered() and formats.named(backup.format).kind == "physical"
        unseen = physical and not reaches(judgement.level, LEVELS[-1])
        for finding in self._said(judgement, _before(judgement, good)):
            if not (unseen and finding.code in _INSIDE):
                yield finding

    def _said(self, judgement: Judgement, last: Judgement | None) -> tuple[Finding, ...]:
        key = judgement.sha256, last.sha256 if last else ""
        if key not in self._made:
            before: Contents | None = last.contents if last else None
            self._made[key] = plausible.findings(judgement.contents, self._schema, live=self._live, last=before)
        return self._made[key]


def _aside(backup: Backup) -> tuple[Finding, ...]:
    """What a restore has put aside was damaged, or nobody would have restored."""
    run = naming.before_restore(backup.name)
    if not run:
        return ()
    text = f"it is what was live before restore {run}: the data that was to be replaced"
    return (Finding("before-restore", text, fatal=not plausible.CODES["before-restore"]),)


def _is_good(judgement: Judgement) -> bool:
    dated = bool(judgement.sha256) and judgement.contents.facts.time > 0
    return dated and reaches(judgement.level, _WHOLE) and not any(f.fatal for f in judgement.findings)


def _before(judgement: Judgement, good: Iterable[Judgement]) -> Judgement | None:
    """The newest one that was made before it, by the time inside."""
    then = judgement.contents.facts.time
    return max(
        (one for one in good if 0 < one.contents.facts.time < then),
        key=lambda one: one.contents.facts.time,
        default=None,
    )
