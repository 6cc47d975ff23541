"""What a check of backups and a look at the promises came to, for people and for programs.

Decides when a backup counts as reaching a level, the words and the field names. Leaves to others: reading and proving
(`engine.search`), what is promised (`backups.promises`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from remedy.backups.fallback import Failure
from remedy.backups.findings import NOTES
from remedy.backups.promises import Kept
from remedy.backups.values import LEVELS, Backup, Database, Finding, Judgement, reaches
from remedy.cli.backups import clock, cost, of_judged, rows, stamp, text, wrong
from remedy.cli.progress import size
from remedy.cli.screen import Screen
from remedy.core.canon import Json
from remedy.core.errors import Partial, Unreachable
from remedy.core.text import printable
from remedy.engine.search import UNVERIFIABLE, WHOLE

_UNVERIFIED: Final = 22
#: What says that the bytes are not those that were written, or that nothing shows it.
_OF_THE_BYTES: Final = frozenset({UNVERIFIABLE, "checksum", "changed", "short"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a check is to show, of which backups."""

    name: str = ""
    only: str = ""
    level: str = WHOLE
    every: bool = False
    accept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup that was checked, with what it came to."""

    backup: Backup
    judgement: Judgement | None
    failure: Failure | None
    wanted: Wanted

    @property
    def against(self) -> tuple[Finding, ...]:
        """What keeps it from the level that was asked for; () when nothing does."""
        if self.backup.odd:
            return (Finding("odd", self.backup.odd),)
        if self.judgement is None:
            return ()
        level = self.wanted.level
        found = self.judgement.objections(frozenset(self.wanted.accept) | NOTES)
        if not reaches(level, WHOLE):
            found = tuple(finding for finding in found if finding.code in _OF_THE_BYTES)
        if not found and not reaches(self.judgement.level, level):
            return (Finding("level", f"no more than {self.judgement.level} is known of it"),)
        return found

    @property
    def code(self) -> int:
        """The exit code of this backup alone."""
        if self.failure:
            return Unreachable.exit_code if self.failure.kind == "unreachable" else Partial.exit_code
        return _UNVERIFIED if self.against or self.judgement is None else 0


def draw_checked(screen: Screen, database: Database, checked: Sequence[Checked], zone: str) -> None:
    """What a check came to: the verdict, what was there and what it cost, what speaks against it."""
    if not checked:
        screen.say(f"{database.name}: there is no backup to check", "bold red")
    for one in checked:
        backup, judgement = one.backup, one.judgement
        level = judgement.level if judgement else LEVELS[0]
        made = judgement.contents.facts.time if judgement else 0
        when = f", made {clock(made, zone)} ({zone})" if made else ""
        mark, style, short = "✓", "green", ""
        if one.code and not reaches(level, one.wanted.level):
            mark, style, short = "✗", "red", f", {one.wanted.level} was asked for"
        elif one.code:
            fatal = any(finding.fatal for finding in one.against)
            mark, style, short = ("✗", "red", ", and no use") if fatal else ("?", "yellow", ", with a doubt")
        screen.say(f"{mark} {backup.name} of {backup.copy}: {level}{short}{when}", style)
        if judgement and judgement.sha256 and not screen.quiet:
            inside = f"{len(judgement.contents.tables)} tables, {rows(judgement):,} rows"
            digest = judgement.sha256 if screen.verbose else f"{judgement.sha256[:16]}…"
            screen.say(f"    {inside}; {size(judgement.size)} stored, {cost(judgement)}; SHA-256 {digest}")
        for line, colour in wrong(backup, judgement, one.failure, full=True):
            screen.say(f"    {line}", colour)


def of_checked(one: Checked) -> dict[str, Json]:
    """The same for programs."""
    judgement = one.judgement
    return {
        **of_judged(one.backup, judgement),
        "time": stamp(judgement.contents.facts.time if judgement else 0),
        "exit_code": one.code,
        "reached": one.code == 0,
        "against": [finding.code for finding in one.against],
        "seconds": judgement.seconds if judgement else None,
        "read": judgement.read if judgement else None,
        "odd": one.backup.odd,
        "failure": f"{one.failure.kind}: {one.failure.reason}" if one.failure else "",
    }


def draw_promises(screen: Screen, database: Database, kept: Sequence[Kept]) -> None:
    """A table of the plans' promises, and what to do about each that is broken."""
    from rich import box  # noqa: PLC0415 -- only when something is drawn
    from rich.table import Table  # noqa: PLC0415

    broken = [promise for promise in kept if not promise.held]
    if not screen.quiet:
        title = f"promises about the backups of {printable(database.name, one_line=True)}"
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
        for name in ("promise", "rule", "", "why"):
            table.add_column(name)
        for promise in kept:
            mark = text("held", style="green") if promise.held else text("BROKEN", style="bold red")
            table.add_row(text(promise.id), text(" ".join(promise.rules)), mark, text(promise.text, 400))
        screen.draw(table)
    for promise in broken:
        screen.say(f"  ✗ {promise.id}: {promise.todo or promise.text}", "red")
    held = "all promises are held" if not broken else f"{len(broken)} of {len(kept)} promises are BROKEN"
    screen.say(f"{database.name}: {held}", "bold red" if broken else "bold green")


def of_promise(promise: Kept) -> dict[str, Json]:
    """The same for programs."""
    return {
        "id": promise.id,
        "rules": [*promise.rules],
        "held": promise.held,
        "text": promise.text,
        "todo": promise.todo,
    }
