"""Where the bytes of backups come from, wired together: copies, what opens encrypted ones, whoever reads and carries.

Decides that one object serves a copy for as long as a command runs (it knows what it has listed), and by which clock a
backup's own words are read. Leaves to others: folders and buckets, reading (transports), choosing (engine).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from remedy.backups import times
from remedy.backups.values import Backup, Copy, Database, Judgement
from remedy.core.ports import Reader, Tell
from remedy.core.values import Secret
from remedy.engine import joining, surroundings

if TYPE_CHECKING:
    from remedy.backups.formats import Piece
    from remedy.backups.ports import Store
    from remedy.transports.bulk import Bulk
    from remedy.transports.seals import Seals
    from remedy.transports.transfers import Carrier


@dataclass(slots=True)
class Shelves:
    """The copies of one command. May be shared by threads."""

    bulk: Bulk
    secret: Callable[[Secret], str]
    reader: Reader
    _open: dict[Copy, Store] = field(default_factory=dict)
    _seals: Seals | None = None
    _zones: dict[str, tuple[str, str]] = field(default_factory=dict)
    _carrier: Carrier | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def shelf(self, copy: Copy) -> Store:
        """The copy, opened; nothing is asked yet. Raises UsageError when it cannot be one."""
        with self._lock:
            if copy not in self._open:
                self._open[copy] = self._opened(copy)
            return self._open[copy]

    def of(self, database: Database, copy: Copy) -> Store:
        """The same, and of a joint copy (`engine.joining`), which can only be read, too."""
        behind = joining.parts(copy, database)
        if not behind:
            return self.shelf(copy)
        return cast("Store", joining.Joined(copy, {one.name: self.shelf(one) for one in behind}))

    def _opened(self, copy: Copy) -> Store:
        if copy.host:
            from remedy.transports.folders import FolderShelf  # noqa: PLC0415 -- only such a copy needs it

            return FolderShelf(copy, self.bulk)
        from remedy.transports.objects import ObjectShelf  # noqa: PLC0415 -- only such a copy needs it

        return ObjectShelf(copy, self.secret)

    @property
    def open_sealed(self) -> Seals:
        """What opens encrypted backups. As transports.transfers.pipeline.OpenSealed."""
        with self._lock:
            if self._seals is None:
                from remedy.transports.seals import Seals  # noqa: PLC0415 -- only who reads needs it

                self._seals = Seals(self.secret)
            return self._seals

    def zone(self, database: Database) -> tuple[str, str]:
        """The zone of a database's clock, and what is to be said when it is not known; asked once."""
        if database.name not in self._zones:
            self._zones[database.name] = surroundings.clock(database, self.reader)
        return self._zones[database.name]

    def reading(self, database: Database) -> Callable[[Copy, Backup, Tell], Judgement]:
        """What reads the backups of a database to their end. Implements engine.search.Read.

        Where the zone of its clock is not known, the time that a backup claims is left open: it is not remembered.
        """

        def read(copy: Copy, backup: Backup, tell: Tell) -> Judgement:
            from remedy.transports.transfers.pipeline import read_backup  # noqa: PLC0415 -- threads, zstandard

            zone, unknown = self.zone(database)
            local = replace(database, timezone=zone)
            found = read_backup(lambda _: self.of(database, copy), local, backup, self.open_sealed, _drop, tell)
            facts = found.contents.facts
            if unknown and facts.time == times.local_time(facts.time_text, zone):
                found = replace(found, contents=replace(found.contents, facts=replace(facts, time=0)))
            return found

        return read

    def carrier(self) -> Carrier:
        """What carries the streams of plans: one, for a comparison uses what was seen while it was loaded."""
        from remedy.transports.transfers import Carrier  # noqa: PLC0415

        seals = self.open_sealed
        with self._lock:
            if self._carrier is None:
                self._carrier = Carrier(self.bulk, self.of, seals)
            return self._carrier


def _drop(_piece: Piece) -> None:
    """A check is the reading alone."""
