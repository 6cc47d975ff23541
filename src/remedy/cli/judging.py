"""`remedy backup list`, `check` and `status`, carried out: for each database look, read what is asked for, show.

Decides what is read for each of them, and the exit code. Leaves to others: columns and field names (`backups`), the
search's order (`engine.search`), restoring for proof (`proving`), where bytes come from (`world`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from remedy.backups.choose import order
from remedy.backups.promises import promises
from remedy.backups.values import Backup, Database, Judgement
from remedy.cli import backups, document
from remedy.cli.checks import Checked, Wanted, draw_checked, draw_promises, of_checked, of_promise
from remedy.cli.progress import Pace
from remedy.cli.proving import Proving
from remedy.cli.screen import Screen
from remedy.cli.world import World
from remedy.core.canon import Json
from remedy.core.errors import ApprovalNeeded, Interrupted, RecordBroken, RecordUnavailable, RemedyError, UsageError
from remedy.core.ports import Tell
from remedy.engine import fleet, search, surroundings
from remedy.engine.doubts import Doubts
from remedy.engine.glance import Glance, glance
from remedy.engine.job import Event
from remedy.engine.search import PROVEN, WHOLE, Judging, Listing

_UNVERIFIED: Final = 22
#: From so many on each verdict is told as it comes: the list at the end is far away.
_MANY: Final = 4
_NAMED: Final = 3
#: How many unread backups are looked at, and how many of one copy at once: sshd takes ten sessions on a connection.
_GLANCES: Final = 100
_AT_ONCE: Final = 4


@dataclass(slots=True)
class Look:
    """One command over several databases: its world and its screen."""

    world: World
    screen: Screen
    pace: Pace = field(default_factory=Pace)

    @property
    def _for_people(self) -> bool:
        return not (self.world.options.json or self.world.options.jsonl)

    def listing(self, names: Sequence[str], only: str, *, read_all: bool) -> int:
        """`remedy backup list`."""

        def one(database: Database) -> tuple[dict[str, Json], list[int]]:
            zone, unknown = self.world.copies.zone(database)
            found = self._found(database, only)
            judging = self._judging(found)
            unread = [one for one in found.backups if one not in found.known and not one.odd]
            if read_all:
                self._each(judging, sorted(unread, key=lambda one: -one.changed))
                unread = [one for one in unread if one not in judging.known and one not in judging.failed]
            shown = backups.Shown(
                found,
                order(found.backups, judging.known, database, zone=zone),
                judging.known,
                judging.failed,
                self._glances(database, unread, zone),
                zone,
                (unknown,) if unknown else (),
            )
            if self._for_people:
                backups.draw(self.screen, shown)
            return backups.of_listing(shown), [0] * len(found.files) + _codes(found)

        return self._over("backup list", names, one)

    def check(self, names: Sequence[str], wanted: Wanted) -> int:
        """`remedy backup check`."""

        def one(database: Database) -> tuple[dict[str, Json], list[int]]:
            around = surroundings.look(database, self.world.reader)
            found = self._found(database, wanted.only)
            judging = self._judging(found)
            chosen = self._chosen(judging, wanted)
            if wanted.level == PROVEN:
                judging.prove = Proving(self.world, self.screen, database)
                self._each(judging, [one for one in chosen if one not in judging.failed and not one.odd], PROVEN)
            known = Doubts(database.schema, found.record, around.live).added(judging.known)
            checked = [Checked(one, known.get(one), judging.failed.get(one), wanted) for one in chosen]
            if self._for_people:
                draw_checked(self.screen, database, checked, around.zone)
                backups.draw_unlisted(self.screen, found)
                for line in around.missing:
                    self.screen.say(f"  ! {line}", "yellow", talk=True)
            codes = [each.code for each in checked] + _codes(found)
            if chosen:
                self.world.record.checkpoint()
            body: dict[str, Json] = {"name": database.name, "wanted": wanted.level}
            body |= {"backups": [of_checked(each) for each in checked], "copies": backups.of_copies(found)}
            return {**body, "notes": [*around.missing]}, codes or [_UNVERIFIED]

        return self._over("backup check", names, one)

    def status(self, names: Sequence[str]) -> int:
        """`remedy backup status`."""

        def one(database: Database) -> tuple[dict[str, Json], list[int]]:
            zone, unknown = self.world.copies.zone(database)
            found = self._found(database, "")
            unlisted = {name: str(error) for name, error in found.unlisted.items()}
            kept = promises(database, found.backups, found.known, int(time.time()), unlisted=unlisted, zone=zone)
            if self._for_people:
                draw_promises(self.screen, database, kept)
            if unknown:
                self.screen.say(f"  ! {unknown}", "yellow", talk=True)
            held = all(promise.held for promise in kept)
            said: list[Json] = [of_promise(promise) for promise in kept]
            return {"name": database.name, "held": held, "promises": said}, [0 if held else _UNVERIFIED]

        return self._over("backup status", names, one)

    def _over(
        self, command: str, names: Sequence[str], one: Callable[[Database], tuple[dict[str, Json], list[int]]]
    ) -> int:
        """Do it for every database, one after another; one that fails leaves the others as they are."""
        documents: list[Json] = []
        codes: list[int] = []
        incident = self.world.under()
        for database in self.world.databases(names):
            try:
                body, code = one(database)
            except (Interrupted, RecordUnavailable, RecordBroken, ApprovalNeeded):
                raise
            except RemedyError as error:
                self.screen.error(database.name, error)
                body, code = {"name": database.name, "error": backups.of_error(error)}, [error.exit_code]
            finally:
                self.screen.rest(database.name)
            codes.append(fleet.exit_code(code))
            documents.append({**body, "exit_code": codes[-1]})
        total = fleet.exit_code(codes)
        if not self._for_people:
            body = {"command": command, "incident": incident, "exit_code": total, "databases": documents}
            document.emit(body, self.world.redact)
        return total

    def _found(self, database: Database, only: str) -> Listing:
        self.screen.say(f"  … listing the copies of {database.name}", "dim", talk=True)
        return search.listing(database, self.world.copies.shelf, self.world.record, only=only)

    def _judging(self, found: Listing) -> Judging:
        around, database = self.world, found.database
        tell = self._tell(database)
        return Judging(found, around.record, around.reading(database), tell, incident=around.under())

    def _tell(self, database: Database) -> Tell:
        def tell(what: str, done: int, total: int) -> None:
            self._observe(Event(database.name, "progress", what, done=done, total=total))

        return tell

    def _observe(self, event: Event) -> None:
        if not self.world.options.jsonl:
            self.screen.event(event)
        elif self.pace.due(event):
            document.emit(document.of_event(event), self.world.redact)

    def _each(self, judging: Judging, chosen: Sequence[Backup], level: str = WHOLE) -> None:
        """Read or prove them one after another; each verdict is in the record before the next is begun."""
        many = len(chosen) >= _MANY or self.world.options.jsonl
        name = judging.found.database.name
        for backup in chosen:
            judgement = judging.judge(backup, level)
            self.screen.rest(name)
            if many:
                text = f"{backup.name} of {backup.copy}: {_in_a_word(judgement)}"
                fine = judgement is not None and not any(finding.fatal for finding in judgement.findings)
                self._observe(Event(name, "reply", text, ok=fine))

    def _chosen(self, judging: Judging, wanted: Wanted) -> list[Backup]:
        """The backups that are to be checked, each of them read by then. Raises UsageError when none is called so."""
        found = judging.found
        if not (wanted.every or wanted.name):
            newest = [search.newest_of_copy(judging, name) for name in found.files]
            return [backup for backup in newest if backup is not None]
        chosen = [one for one in found.backups if wanted.every or wanted.name in _names(one)]
        if wanted.name:
            chosen = [one for one in chosen if wanted.name in _names(one)]
        if not chosen and wanted.name and not found.unlisted:
            near = ", ".join(sorted({one.name for one in found.backups})[-_NAMED:])
            raise UsageError(f"no backup of {found.database.name} is called {wanted.name!r}", hint=f"has: {near}, …")
        self._each(judging, [one for one in chosen if not one.odd])
        return chosen

    def _glances(self, database: Database, unread: Sequence[Backup], zone: str) -> dict[Backup, Glance]:
        """A cheap look at the newest of those that nobody has read. One that cannot be had says nothing."""
        seen: dict[Backup, Glance] = {}

        def look(row: Sequence[Backup]) -> None:
            for backup in row:
                shelf = self.world.copies.shelf(search.copy_of(database, backup.copy))
                with contextlib.suppress(RemedyError):
                    seen[backup] = glance(shelf, backup, database, zone=zone)

        newest = sorted(unread, key=lambda one: -one.changed)[:_GLANCES]
        if newest:
            self.screen.say(f"  … a look at {len(newest)} backups that were never read", "dim", talk=True)
        by_copy = [[one for one in newest if one.copy == copy.name] for copy in database.copies]
        fleet.each([row[at::_AT_ONCE] for row in by_copy for at in range(_AT_ONCE) if row[at:]], look)
        return seen


def _names(backup: Backup) -> set[str]:
    """What a backup may be called: as in the list, or by one of its files."""
    return {backup.name, *(file.name for file in backup.files), *(f.name.rpartition("/")[2] for f in backup.files)}


def _in_a_word(judgement: Judgement | None) -> str:
    if judgement is None:
        return "could not be read"
    wrong = next((finding.text for finding in judgement.findings if finding.fatal), "")
    return f"{judgement.level}, {wrong or backups.cost(judgement)}"


def _codes(found: Listing) -> list[int]:
    return [error.exit_code for error in found.unlisted.values()]
