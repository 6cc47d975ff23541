"""Early: tables that are whole already are dumped again and held against the backup while others still load.

Loading keeps the server busy with one core for most of the time; what is looked at meanwhile has not to be waited for
afterwards. Decides which tables may count as looked at: those whose rows are the backup's, and that nobody can have
written to since. A table says when it was last written, in whole seconds, so it is dumped in a later second; whoever
uses what was seen asks again, and takes nothing of a table that says anything else by then. What goes wrong here is
forgotten: the comparison that follows looks at every table that was not seen.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from remedy.backups.transfers import Load
from remedy.backups.values import Contents, Table
from remedy.core.errors import RemedyError
from remedy.transports.transfers.again import Again
from remedy.transports.transfers.clients import Bulk, Login, ask
from remedy.transports.transfers.dumping import Leash
from remedy.transports.transfers.flow import Stopped, in_thread, wait
from remedy.transports.transfers.written import THERE, WAYS, Ways

#: When each table was last written to, and the time, by the server's clock in seconds. "NULL" is not known.
WRITTEN: Final = """
SET time_zone='+00:00';
SELECT table_name, UNIX_TIMESTAMP(update_time), UNIX_TIMESTAMP() FROM information_schema.tables
 WHERE table_schema = DATABASE()"""
#: A table says it in the second after it was written at the latest.
_SECOND: Final = 1.0
#: How often that is waited for: a table that more rows come for is left to the comparison.
_TRIES: Final = 3
#: Tables smaller than this, all together, are not worth a dump of their own.
_WORTH: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """A table as it was `found`, by a server of this version; `way` is that of `WAYS`, `written` as `WRITTEN` says."""

    found: Table
    server: str
    way: int
    written: str


class Early:
    """Looks at tables as they become whole. `seen` has those that are the backup's, by name."""

    def __init__(self, spec: Load, login: Login, bulk: Bulk) -> None:
        """For the tables of `spec`; whatever is started goes through `bulk`."""
        self.seen: dict[str, Seen] = {}
        self._wanted = {table.name: table for table in spec.contents.tables}
        self._leash = Leash(bulk)
        self._again = Again(self._leash, login, spec.into, spec.contents)
        self._condition = threading.Condition()
        self._whole: dict[str, Table] = {}
        self._first = 0
        self._ended = False
        self._thread: threading.Thread | None = None

    def whole(self, name: str) -> None:
        """All rows of a table are there, as far as is known; returns at once."""
        table = self._wanted.get(name)
        if table is None or self._again.all_at_once:
            return
        with self._condition:
            self._whole[name] = table
            if self._thread is None and not self._ended:
                self._thread = in_thread(self._work, "compare early")
            self._condition.notify_all()

    def finish(self, tick: Callable[[], None]) -> None:
        """Wait for what is being looked at, and look at nothing more; `tick` is called meanwhile and may raise."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()
            while self._thread is not None and self._thread.is_alive():
                wait(self._condition, tick)

    def stop(self) -> None:
        """End what is being looked at."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()
        self._leash.kill()
        if self._thread is not None:
            self._thread.join(10)

    def _work(self) -> None:
        # What goes wrong here, who compares afterwards meets too, and says it.
        with contextlib.suppress(RemedyError, Stopped, OSError):
            while tables := self._next():
                self._look(tables)

    def _next(self) -> list[Table]:
        """The tables that are whole and not looked at, once they are worth it; none when this ends."""
        with self._condition:
            while not self._ended and sum(table.bytes for table in self._whole.values()) < _WORTH:
                self._condition.wait()
            tables, self._whole = [*self._whole.values()], {}
            return [] if self._ended else tables

    def _look(self, tables: list[Table]) -> None:
        there = Ways(self._ask(THERE))
        there.first = self._first
        tried: list[int] = []
        while tables and (way := there.next((table.name for table in tables), tried)) is not None:
            before = self._at_rest(tables)
            found = self._again.tables(tuple(table.name for table in tables), WAYS[way])
            equal = {table.name: now for table in tables if (now := _same(table, found)) is not None}
            for name, now in equal.items():
                if written := before.get(name):
                    self.seen[name] = Seen(now, found.facts.server, way, written)
            if equal and tried:
                self._first = way
            tables = [table for table in tables if table.name not in equal]
            tried.append(way)

    def _at_rest(self, tables: list[Table]) -> dict[str, str]:
        """When each was last written, for those for which that was in a second before this one."""
        names = {table.name for table in tables}
        for _ in range(_TRIES):
            rows = [row for row in self._ask(WRITTEN) if row[0] in names and row[1].isdigit()]
            rest = {name: written for name, written, now in rows if int(written) < int(now)}
            if len(rest) == len(rows):
                break
            with self._condition:
                if self._condition.wait_for(lambda: self._ended, _SECOND):
                    raise Stopped
        return rest

    def _ask(self, sql: str) -> list[tuple[str, ...]]:
        return ask(self._leash, self._again.login, self._again.into, sql)


def unwritten(seen: Mapping[str, Seen], rows: Iterable[tuple[str, ...]]) -> dict[str, Seen]:
    """Those of `seen` that nobody has written to since, by what `WRITTEN` is answered now."""
    now = {name: written for name, written, _ in rows}
    return {name: one for name, one in seen.items() if now.get(name) == one.written}


def _same(table: Table, found: Contents) -> Table | None:
    """The table as it was found, when its rows are those of the backup."""
    now = next((one for one in found.tables if one.name == table.name), None)
    return now if now is not None and table.rows and now.rows == table.rows else None
