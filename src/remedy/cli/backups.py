"""Backups as people and programs see them: the list of all copies, what a check came to.

Decides columns, wording and field names. Everything that copies and backups say of themselves is shown as text only.
Leaves to others: finding and reading them (`engine`), colours and locking (`screen`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from remedy.backups import times
from remedy.backups.choose import Candidate, Order
from remedy.backups.fallback import Failure
from remedy.backups.findings import NOTES
from remedy.backups.values import LEVELS, Backup, Copy, Facts, Finding, Judgement
from remedy.cli.progress import size, span
from remedy.core.canon import Json
from remedy.core.errors import RemedyError
from remedy.core.text import printable
from remedy.engine.glance import Glance
from remedy.engine.search import Listing

if TYPE_CHECKING:
    from rich.text import Text

    from remedy.cli.screen import Screen

_LONGEST: Final = 60
_MOST: Final = 5
_MINUTES: Final = len("2026-11-20 18:28")
_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+(?:-MariaDB)?")
_BUILT_FOR: Final = re.compile(r",? +(?:Distrib|for) .*")


@dataclass(frozen=True, slots=True)
class Shown:
    """The copies of one database with all that is known of them; `zone` is the clock that times are shown by."""

    found: Listing
    order: Order
    known: Mapping[Backup, Judgement] = field(default_factory=dict)
    failed: Mapping[Backup, Failure] = field(default_factory=dict)
    glances: Mapping[Backup, Glance] = field(default_factory=dict)
    zone: str = "UTC"
    notes: tuple[str, ...] = ()

    def rows(self) -> Iterator[tuple[Candidate, Backup]]:
        """Every backup of every copy, as the search would go through them."""
        return ((candidate, backup) for candidate in self.order.candidates for backup in candidate.copies)

    def facts(self, backup: Backup) -> Facts:
        """What it says of itself, as far as it was looked at."""
        if judgement := self.known.get(backup):
            return judgement.contents.facts
        return self.glances[backup].facts if backup in self.glances else Facts()

    def packing(self, backup: Backup) -> tuple[str, str]:
        """Compression and encryption."""
        if judgement := self.known.get(backup):
            seal, plus, container = judgement.container.rpartition("+")
            return (container, seal) if plus or container in _COMPRESSIONS else ("", container)
        seen = self.glances.get(backup, Glance())
        return seen.container, seen.sealed


_COMPRESSIONS: Final = frozenset({"", "gz", "zst", "xz", "bz2"})


def draw(screen: Screen, shown: Shown) -> None:
    """The list for people: newest first, what is wrong below, copies out of reach last."""
    from rich import box  # noqa: PLC0415 -- only when something is drawn
    from rich.table import Table  # noqa: PLC0415

    database = shown.found.database
    title = f"backups of {printable(database.name, one_line=True)}, newest first"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for name in (f"made ({shown.zone})", "copy", "backup", "size", "kind", "made by", "known"):
        table.add_column(name, justify="right" if name == "size" else "left")
    count = 0
    for candidate, backup in shown.rows():
        count += 1
        table.add_row(
            text(made(candidate, shown.facts(backup), shown.zone)),
            text(backup.copy),
            text(backup.name, _LONGEST),
            text(size(backup.size)),
            text(" ".join(part for part in (backup.format or "?", *shown.packing(backup)) if part)),
            text(made_by(shown.facts(backup)), _LONGEST),
            _known(backup, shown),
        )
    if count:
        screen.draw(table)
    else:
        screen.say(f"{database.name}: no backup in any copy that could be listed", "bold red")
    for _, backup in shown.rows():
        for line, style in wrong(backup, shown.known.get(backup), shown.failed.get(backup)):
            screen.say(f"  {line}", style)
    draw_unlisted(screen, shown.found)
    for note in (*shown.order.contradictions, *shown.notes):
        screen.say(f"  ! {note}", "yellow", talk=True)


def draw_unlisted(screen: Screen, found: Listing) -> None:
    """Copies that could not be listed."""
    for name, error in found.unlisted.items():
        screen.say(f"  ✗ {name} is out of reach: {said(error)}", "red")


def made(candidate: Candidate, facts: Facts, zone: str) -> str:
    """When a backup was made: read from inside it, claimed by its end, or bounded by when its bytes were written."""
    if candidate.time:
        return clock(candidate.time, zone)
    if facts.time:
        return f"{clock(facts.time, zone)} (says it)"
    return f"before {clock(candidate.bound, zone)[:_MINUTES]}"


def made_by(facts: Facts) -> str:
    """Tool and server, as far as they are known, without what they say of the machine they were built for."""
    tool, server = _BUILT_FOR.sub("", facts.tool), _VERSION.match(facts.server)
    return " of ".join(part for part in (tool, server[0] if server else facts.server) if part) or "?"


def wrong(
    backup: Backup, judgement: Judgement | None, failure: Failure | None, *, full: bool = False
) -> Iterator[tuple[str, str]]:
    """What speaks against a backup, a line each with its style; nothing when nothing does.

    `full` is for lines below the backup's own: they do not name it, they are all there, and so are mere notes.
    """
    lead = "" if full else f"{backup.name} of {backup.copy}: "
    findings = judgement.findings if judgement else ()
    if backup.odd:
        yield f"✗ {lead}{backup.odd}", "red"
    if failure:
        yield f"✗ {lead}{failure.kind}: {failure.reason}", "red"
    for finding in findings if full else findings[:_MOST]:
        if finding.fatal:
            yield f"✗ {lead}{finding.text} ({finding.code})", "red"
        elif finding.code not in NOTES:
            yield f"? {lead}{finding.text} (--accept {finding.code})", "yellow"
        elif full:
            yield f"  {lead}{finding.text} ({finding.code})", "dim"
    if len(findings) > _MOST and not full:
        yield f"  {lead}and {len(findings) - _MOST} more: `remedy backup check --backup {backup.name}`", "dim"


def _known(backup: Backup, shown: Shown) -> Text:
    judgement = shown.known.get(backup)
    if backup.odd:
        return text("cannot be used", style="red")
    if backup in shown.failed:
        return text(shown.failed[backup].kind, style="red")
    if judgement is None:
        return text("not read", style="dim")
    age = f"{judgement.level}, {ago(judgement.at)}"
    against = judgement.objections(NOTES)
    if any(finding.fatal for finding in against):
        return text(f"DAMAGED: {age}", style="bold red")
    return text(age, style="yellow" if against else "bold green" if judgement.level == LEVELS[-1] else "green")


def ago(then: int) -> str:
    """How long ago something was, in words that do not run."""
    seconds = max(0, int(time.time()) - then)
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def clock(instant: int, zone: str) -> str:
    """A time by the clock of `zone`, without the zone; "unknown" for 0, and for what a host claims and is no time."""
    try:
        return times.shown(instant, zone).rpartition(" ")[0] or "unknown"
    except (ValueError, OverflowError, OSError):
        return "unknown"


def text(value: str, most: int = 200, *, style: str = "") -> Text:
    """Text for a cell of a table, whatever it is."""
    from rich.text import Text  # noqa: PLC0415 -- only when something is drawn

    return Text(printable(value, most, one_line=True), style=style)


def said(error: RemedyError) -> str:
    """An error in one line, with what to do next."""
    where = f"{error.where}: " if error.where else ""
    return f"{where}{error.message}{f' ({error.hint})' if error.hint else ''}"


def of_listing(shown: Shown) -> dict[str, Json]:
    """The same for programs."""
    database = shown.found.database
    backups: list[Json] = [_of_backup(candidate, backup, shown) for candidate, backup in shown.rows()]
    return {
        "name": database.name,
        "schema": database.schema,
        "host": database.host,
        "timezone": shown.zone,
        "copies": of_copies(shown.found),
        "backups": backups,
        "notes": [*shown.order.contradictions, *shown.notes],
    }


def of_copies(found: Listing) -> list[Json]:
    """The copies that were looked at, and why one could not be listed."""
    return [
        {
            "name": copy.name,
            "place": copy.place,
            "off_site": copy.off_site,
            "where": where(copy),
            "error": of_error(found.unlisted[copy.name]) if copy.name in found.unlisted else None,
        }
        for copy in found.database.copies
        if copy.name in found.files or copy.name in found.unlisted
    ]


def of_error(error: RemedyError) -> dict[str, Json]:
    """An error as in every document."""
    return {"kind": type(error).__name__, "message": error.message, "where": error.where, "hint": error.hint}


def where(copy: Copy) -> str:
    """Where a copy is, as people write it."""
    return f"{copy.host}:{copy.path}" if copy.host else f"s3://{copy.bucket}/{copy.prefix}"


def _of_backup(candidate: Candidate, backup: Backup, shown: Shown) -> dict[str, Json]:
    container, sealed = shown.packing(backup)
    failure, glance = shown.failed.get(backup), shown.glances.get(backup)
    return {
        **of_judged(backup, shown.known.get(backup)),
        "time": stamp(candidate.time),
        "claims": stamp(glance.facts.time if glance else 0),
        "not_after": stamp(candidate.bound or backup.changed),
        "format": backup.format,
        "compression": container,
        "encryption": sealed,
        "tool": shown.facts(backup).tool,
        "server": shown.facts(backup).server,
        "odd": backup.odd,
        "failure": f"{failure.kind}: {failure.reason}" if failure else "",
    }


def of_judged(backup: Backup, judgement: Judgement | None) -> dict[str, Json]:
    """A backup of one copy and the verdict on it."""
    return {
        "name": backup.name,
        "copy": backup.copy,
        "files": [file.name for file in backup.files],
        "size": backup.size,
        "level": judgement.level if judgement else LEVELS[0],
        "judged": stamp(judgement.at if judgement else 0),
        "sha256": judgement.sha256 if judgement else None,
        "tables": len(judgement.contents.tables) if judgement else None,
        "rows": rows(judgement) if judgement else None,
        "findings": [of_finding(finding) for finding in judgement.findings] if judgement else [],
    }


def of_finding(finding: Finding) -> Json:
    """A finding; whether `--accept` takes it."""
    return {"code": finding.code, "text": finding.text, "fatal": finding.fatal, "note": finding.code in NOTES}


def rows(judgement: Judgement) -> int:
    """Rows in all tables that tell."""
    return sum(max(0, table.count) for table in judgement.contents.tables)


def stamp(instant: int) -> str | None:
    """An instant for programs: RFC 3339 in UTC, null for unknown."""
    try:
        return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if instant else None
    except (ValueError, OverflowError, OSError):
        return None


def cost(judgement: Judgement) -> str:
    """What a verdict cost: bytes inside, time, rate."""
    rate = f", {size(judgement.read / judgement.seconds)}/s" if judgement.seconds else ""
    return f"{size(judgement.read)} inside, judged in {span(judgement.seconds)}{rate}"
