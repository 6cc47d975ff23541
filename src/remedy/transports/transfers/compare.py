"""Compare: what was loaded, dumped again and held against the backup, table by table; then CHECK TABLE.

Decides when a restore is proven. The digests of a table's definition and of all its rows in a new dump have to be those
of the backup. Rows are text, and the same row has several (binary columns in hexadecimal or not …): a small table shows
which (`written`), and the others are tried before a table is called different. With the backup at hand a last look
compares the rows themselves, in any order and form. A definition that a server of another version writes in another way
is a note. CHECKSUM TABLE is not asked: it differs on untouched tables with generated columns.

Several dumps run at once over tables of their own, the largest first, so that all end together. Tables that were seen
to be the backup's while others still loaded (`early`), and that nobody has written to since, are not dumped again.
Leaves to others: what is done about a difference.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from remedy.backups.formats import Piece
from remedy.backups.ports import Shelf
from remedy.backups.transfers import Compare
from remedy.backups.values import Contents, Object, Table
from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable, ChangeFailed
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.probes.database import named
from remedy.transports.transfers.again import Again
from remedy.transports.transfers.clients import Bulk, Login, ask
from remedy.transports.transfers.dumping import Leash
from remedy.transports.transfers.early import WRITTEN, Seen, unwritten
from remedy.transports.transfers.flow import Progress, together
from remedy.transports.transfers.pipeline import OpenSealed, read_backup
from remedy.transports.transfers.row_sums import RowSums
from remedy.transports.transfers.written import COLUMNS, THERE, WAYS, Ways, columns_of, with_history

#: Bytes of rows that are not worth the login of a connection of their own.
_SHORT: Final = 1 << 20
#: Names of tables in one command, in bytes; the limit of the kernel for one argument list is far above.
_NAMES: Final = 24 << 10
_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
#: The digest of no rows at all, which a backup without a section for them has not written.
_EMPTY: Final = hashlib.sha256().hexdigest()
#: What CHECK TABLE answers for engines that have nothing to check (MEMORY, CSV without check, BLACKHOLE).
_NO_CHECK: Final = "support check"


def compare(
    spec: Compare,
    at: str,
    *,
    bulk: Bulk,
    tell: Tell,
    result: dict[str, Json],
    shelf: Shelf | None = None,
    open_sealed: OpenSealed | None = None,
    seen: Mapping[str, Seen] | None = None,
) -> None:
    """Carry out `spec` on the server behind host `at`; `result` is filled in as far as it comes.

    `shelf` is the copy of `spec.copy`, `seen` what was looked at while it was loaded. Raises ChangeFailed when anything
    differs that was not accepted, or a dump fails; Unreachable.
    """
    made = _Comparison(spec, Login(at, spec.login, spec.socket), Leash(bulk), Progress(tell), seen or {})
    if spec.backup is not None and shelf is not None and open_sealed is not None:
        again, opened, place = spec.backup, open_sealed, shelf

        def reread(on_piece: Callable[[Piece], None]) -> Contents:
            return read_backup(lambda _: place, spec.database, again, opened, on_piece, made.progress).contents

        made.reread = reread
    made.run(result)


@dataclass(frozen=True, slots=True)
class _Job:
    """Tables to be dumped together, and in which of `written.WAYS` they were already."""

    tables: tuple[Table, ...]
    tried: tuple[int, ...] = ()


@dataclass
class _Comparison:
    spec: Compare
    login: Login
    leash: Leash
    progress: Progress
    seen: Mapping[str, Seen]
    #: Reads the backup once more, for tables in `doubt`: then and now, the server's version now, and the way of `now`.
    reread: Callable[[Callable[[Piece], None]], Contents] | None = None
    doubt: list[tuple[Table, Table, str, int]] = field(default_factory=list)
    #: Of tables that were another text so far, the look that came nearest in the number of rows, and its way.
    looks: dict[str, tuple[Table, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    jobs: list[_Job] = field(default_factory=list)
    ways: Ways = field(default_factory=lambda: Ways(()))
    read: int = 0
    equal: int = 0
    rows: int = 0
    checked: int = 0
    different: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.again = Again(self.leash, self.login, self.spec.into, self.spec.contents, self._count)

    def run(self, result: dict[str, Json]) -> None:
        try:
            self.ways = Ways(ask(self.leash, self.login, self.spec.into, THERE))
            there = self.ways.tables
            wanted = {table.name: table for table in self.spec.contents.tables}
            for name in sorted(there - set(wanted)):
                self._differs(name, "it is not in the backup")
            for name in sorted(set(wanted) - there):
                self._differs(name, "it was not loaded")
            both = [wanted[name] for name in sorted(there & set(wanted))]
            self.progress("compare", 0, 0)
            left = self._unseen(both)
            self.jobs = (
                [_Job(tuple(left))] if self.again.all_at_once and left else _jobs(self._probe(left), self.spec.clients)
            )
            together(self.spec.clients, self._dump_all, self._tell_dump, self.leash.kill)
            if self.doubt and self.reread:
                self._look_again(self.reread)
            if self.spec.objects:
                self.progress("compare views, triggers and routines", 0, 0)
                self._objects()
            self.jobs = _jobs(both, self.spec.clients)
            self.progress("check tables", 0, 0)
            together(self.spec.clients, self._check_all, self._tell_check, self.leash.kill)
        finally:
            self.leash.kill()
            self._report(result)
        if self.refused:
            more = f", and {len(self.refused) - 3} more" if len(self.refused) > 3 else ""  # noqa: PLR2004
            raise ChangeFailed(
                f"what was loaded is not what the backup holds: {'; '.join(self.refused[:3])}{more}",
                where=self.login.at,
                hint="the live data was not touched; take another backup, or --accept a table by its name",
            )

    def _report(self, result: dict[str, Json]) -> None:
        result.update(
            {
                "tables": len(self.spec.contents.tables),
                "rows": self.rows,
                "equal": self.equal,
                "different": [{"table": name, "what": what} for name, what in sorted(self.different)],
                "notes": [{"table": name, "what": what} for name, what in sorted(self.notes)],
                "checked": self.checked,
                "bytes": self.read,
            }
        )

    def _unseen(self, tables: list[Table]) -> list[Table]:
        """The tables that have to be looked at now; the others are settled by what was seen of them."""
        if not self.seen:
            return tables
        seen, left = unwritten(self.seen, ask(self.leash, self.login, self.spec.into, WRITTEN)), list[Table]()
        for table in tables:
            one = seen.get(table.name)
            if one is None or one.found.rows != table.rows:
                left.append(table)
                continue
            self.ways.first = one.way
            self._count(table.bytes)
            self._settle(table, one.found, one.server)
        return left

    def _probe(self, tables: list[Table]) -> list[Table]:
        """Find out with the smallest tables that can tell in which way all were written; the tables left."""
        by_name = {table.name: table for table in tables if table.bytes}
        for telling in self.ways.telling(by_name):
            if telling:
                smallest = min((by_name[name] for name in telling), key=lambda table: (table.bytes, table.name))
                by_name.pop(smallest.name)
                tables = [table for table in tables if table is not smallest]
                self.jobs = [_Job((smallest,))]
                together(1, self._dump_all, self._tell_dump, self.leash.kill)
        return tables

    def _differs(self, name: str, what: str) -> None:
        with self.lock:
            self.different.append((name, what))
            if name not in self.spec.accepted:
                self.refused.append(f"{printable(name, 80, one_line=True)}: {what}")

    def _count(self, size: int) -> None:
        self.read += size  # two threads may lose a count: it is shown, nothing depends on it

    def _tell_dump(self) -> None:
        self.progress.at("compare", self.read, sum(table.bytes for table in self.spec.contents.tables))

    def _tell_check(self) -> None:
        self.progress.at("check tables", self.checked, len(self.spec.contents.tables))

    def _dump_all(self) -> None:
        """Take jobs until there are none; one that another thread adds later is done by that thread."""
        while True:
            with self.lock:
                if not self.jobs:
                    return
                job = self.jobs.pop(0)
                way = self.ways.next((table.name for table in job.tables), job.tried) or 0
            short = sum(table.bytes for table in job.tables) <= _SHORT
            found = self.again.tables(tuple(table.name for table in job.tables), WAYS[way], short=short)
            again = tuple(table for table in job.tables if not self._same(table, found, job, way))
            if again:
                with self.lock:
                    self.jobs.insert(0, _Job(again, (*job.tried, way)))

    def _same(self, table: Table, found: Contents, job: _Job, way: int) -> bool:
        """Whether a table needs no second look: it is the same, or was looked at in every way."""
        now = next((one for one in found.tables if one.name == table.name), None)
        if now is None:
            self._differs(table.name, "it could not be dumped again")
            return True
        if (now.rows or _EMPTY) != (table.rows or _EMPTY):
            with self.lock:
                nearest = self.looks.get(table.name, (now, way))
                if abs(now.count - table.count) < abs(nearest[0].count - table.count):
                    nearest = now, way
                self.looks[table.name] = nearest
            if self.ways.next((table.name,), (*job.tried, way)) is not None:
                return False
            now, way = nearest
            if -1 < table.count != now.count > -1:
                self._differs(table.name, f"rows differ: {now.count} instead of {table.count}")
            elif self.reread is None:
                self._differs(table.name, "rows differ")
            else:
                with self.lock:
                    self.doubt.append((table, now, found.facts.server, way))
            return True
        if job.tried:
            self.ways.first = way
        self._settle(table, now, found.facts.server)
        return True

    def _settle(self, table: Table, now: Table, server: str) -> None:
        """The rows are the same: what of the definition?"""
        with self.lock:
            self.rows += max(0, now.count)
        if now.create == table.create:
            with self.lock:
                self.equal += 1
        elif _version(server) == _version(self.spec.contents.facts.server):
            self._differs(table.name, "definition differs")
        else:
            with self.lock:
                self.equal += 1
                what = f"definition differs, as server {_version(server)} writes it; rows are the same"
                self.notes.append((table.name, what))

    def _look_again(self, reread: Callable[[Callable[[Piece], None]], Contents]) -> None:
        """Whether rows whose text differs are the same rows, in another order or written in another way."""
        looked = {table.name: with_history(way) for table, _, _, way in self.doubt}
        columns = columns_of(ask(self.leash, self.login, self.spec.into, COLUMNS), looked)
        then, now = RowSums(columns), RowSums(columns)
        contents = reread(then.take)
        self.progress("compare rows one by one", 0, 0)

        def dump() -> None:
            for way in sorted({way for _, _, _, way in self.doubt}):
                for some in _jobs([table for table, _, _, its in self.doubt if its == way], 1):
                    self.again.tables(tuple(table.name for table in some.tables), WAYS[way], now.take)

        together(1, dump, self._tell_dump, self.leash.kill)
        known = {table.name: table for table in contents.tables}
        for table, found, server, _ in self.doubt:
            before = then.of(table.name)
            if before is None or known.get(table.name) != table or before != now.of(table.name):
                self._differs(table.name, "rows differ")
                continue
            self.notes.append((table.name, "the same rows, in another order or written in another way"))
            self._settle(table, found, server)

    def _objects(self) -> None:
        """Views, triggers, routines, events and sequences, by kind and name."""
        login = Login(self.login.at, self.spec.database.defaults_file, self.spec.socket)
        wanted, now = _by_name(self.spec.contents.objects), _by_name(self.again.definitions(login).objects)
        for key in sorted(wanted.keys() | now.keys()):
            name = " ".join(key)
            if key not in now:
                self._differs(name, "it was not loaded")
            elif key not in wanted:
                self._differs(name, "it is not in the backup")
            elif now[key].digest != wanted[key].digest:
                self._differs(name, "definition differs")

    def _check_all(self) -> None:
        while True:
            with self.lock:
                if not self.jobs:
                    return
                tables = self.jobs.pop(0).tables
            sql = ";\n".join(f"CHECK TABLE {named(table.name)}" for table in tables)
            answers = ask(self.leash, self.login, self.spec.into, sql)
            for table, complaint in zip(tables, checked(answers, len(tables)), strict=True):
                if complaint:
                    self._differs(table.name, f"CHECK TABLE says: {complaint}")
            with self.lock:
                self.checked += len(tables)


def checked(rows: list[tuple[str, ...]], number: int) -> list[str]:
    r"""What CHECK TABLE has against each of `number` tables asked in order, "" for nothing.

    Sample of rows (Table, Op, Msg_type, Msg_text)::

        web.cache   check  note    The storage engine for the table doesn't support check
        web.old     check  warning 1 client is using or hasn't closed the table properly
        web.old     check  error   Corrupt
        web.orders  check  status  OK

    Raises AnswerUnusable when it is not one answer for each.
    """
    answers: list[tuple[str, str]] = []
    last = ""
    for row in rows:
        if len(row) != 4:  # noqa: PLR2004 -- the four columns
            raise AnswerUnusable("CHECK TABLE answers in a way that cannot be read")
        name, _, kind, text = row
        fine = (kind, text) == ("status", "OK") or (kind == "note" and text.endswith(_NO_CHECK))
        said = "" if fine else printable(f"{kind}: {text}", 200, one_line=True)
        if name != last or not answers:
            answers.append((name, said))
        elif said and not answers[-1][1]:
            answers[-1] = (name, said)
        last = name
    if len(answers) != number:
        raise AnswerUnusable(f"CHECK TABLE answers for {len(answers)} tables of {number}")
    return [said for _, said in answers]


def _by_name(objects: tuple[Object, ...]) -> dict[tuple[str, str], Object]:
    return {(item.kind, item.name): item for item in objects}


def _version(text: str) -> str:
    match = _VERSION.match(text)
    return match[0] if match else ""


def _jobs(tables: list[Table], number: int) -> list[_Job]:
    """The tables in portions for `number` dumps at a time, the largest first."""
    share = max(1, sum(table.bytes for table in tables) // (4 * number))
    jobs, held, size, names = list[_Job](), list[Table](), 0, 0
    for table in sorted(tables, key=lambda table: -table.bytes):
        if held and (size + table.bytes > share or names > _NAMES):
            jobs.append(_Job(tuple(held)))
            held, size, names = [], 0, 0
        held.append(table)
        size, names = size + table.bytes, names + len(table.name.encode()) + 3
    return [*jobs, _Job(tuple(held))] if held else jobs
