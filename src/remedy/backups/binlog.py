"""Point in time: which binary logs follow on a backup, and where in them to stop.

Decides which files are needed and whether one is missing, from their names and from what each says the one before had
reached; whether the logs are those of the backup's server; and the last transaction before a moment, or before a
statement. The logs are applied to an isolated server on which the backup was restored under its own name: statements
that name the schema, triggers and routines then do what they did, and nothing can reach the live data. (Onto another
name only row events can be applied: `rewrite` of `command`.) Leaves to others: fetching, applying, comparing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from remedy.backups import containers, events
from remedy.backups.events import Event, Log
from remedy.backups.ports import Damaged
from remedy.backups.values import Facts, File, Finding
from remedy.core.text import printable

_NAME: Final = re.compile(r"(?P<base>.+)\.(?P<number>[0-9]{6,10})")
_POSITION: Final = re.compile(r"(?P<name>[^:]+):(?P<position>[0-9]{1,20})")
_GTID: Final = re.compile(r"([0-9]{1,10})-([0-9]{1,10})-([0-9]{1,20})")
_END: Final = re.compile(r"\s*(?:COMMIT|ROLLBACK|XA\s+(?:COMMIT|ROLLBACK|PREPARE))\b(?!\s+TO\b)", re.IGNORECASE)
_BEGIN: Final = re.compile(r"\s*(?:BEGIN|START\s+TRANSACTION|XA\s+START)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"(\w+)|(.)", re.DOTALL)
_MOST_HITS: Final = 20


@dataclass(frozen=True, slots=True)
class Until:
    """Where to stop; all empty is the end of the logs.

    Before the first transaction that began at `at` or later (seconds since 1970 UTC), or that has a statement which
    `statement` (a regular expression, case ignored) finds, or that begins at `place` ("file:position").
    """

    at: int = 0
    statement: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A transaction that has what was looked for: where it begins, when, and the statement (its beginning)."""

    file: str
    position: int
    time: int
    text: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """The logs to apply: `files` in order, from `start` in the first to `stop` in the last (0: to its end).

    `last` is when the last transaction in it began, `transactions` how many there are. `hits` are all that were found
    of a statement, the first of which is where it stops: several want a choice (`Until.place`).
    """

    files: tuple[File, ...] = ()
    start: int = 0
    stop: int = 0
    last: int = 0
    transactions: int = 0
    hits: tuple[Hit, ...] = ()
    findings: tuple[Finding, ...] = ()


def literal(statement: str) -> str:
    """The regular expression that finds a statement as somebody remembers it: any white space, case and backquotes.

    The server writes some statements anew: ``DROP TABLE orders`` is in its log with the name in backquotes.
    """
    words = statement.rstrip("; \t\r\n").split()
    return r"\s+".join(_WORD.sub(_tolerant, word) for word in words)


def _tolerant(match: re.Match[str]) -> str:
    name, other = match.groups()
    return f"`?{name}`?" if name else "`?" if other == "`" else re.escape(other)


def bare(file: File) -> str:
    """A log's name on its server: without folder and compression."""
    return containers.without_suffix(file.name.rsplit("/", 1)[-1])[0]


def chain(files: Sequence[File], facts: Facts) -> tuple[tuple[File, ...], tuple[Finding, ...]]:
    """The logs from the backup's position on, in order, as far as none is missing.

    `files` are those of one server in one place, in any order.
    """
    place = _POSITION.fullmatch(facts.binlog)
    first = _NAME.fullmatch(place["name"]) if place else None
    if first is None:
        text = "the backup does not say where the binary log stood: take backups with --master-data=2"
        return (), (Finding("no-position", text),)
    numbered: dict[int, File] = {}
    for file in sorted(files, key=lambda one: (one.name, one.changed)):
        match = _NAME.fullmatch(bare(file))
        if match and match["base"] == first["base"] and file.kind == "file":
            numbered[int(match["number"])] = file
    number = int(first["number"])
    shown = printable(first[0], 80, one_line=True)
    if number not in numbered:
        later = any(other > number for other in numbered)
        text = f"{shown}, which the backup goes on from, is {'no longer' if later else 'not'} there"
        return (), (Finding("gap", text),)
    found: list[File] = []
    while number in numbered:
        found.append(numbered.pop(number))
        number += 1
    missing = [other for other in numbered if other > number]
    if missing:
        base = printable(first["base"], 60, one_line=True)
        text = f"{base}.{number:06} is missing: what {base}.{min(missing):06} and later hold cannot be applied"
        return tuple(found), (Finding("gap", text, fatal=False),)
    return tuple(found), ()


@dataclass(slots=True)
class _Group:
    """A transaction under way: where it began, and whether it has ended."""

    file: str
    at: int
    time: int
    begun: bool = False
    ended: bool = False
    hit: bool = False


class Search:
    """Reads the logs of `chain` in order: `begin`, `feed` …, `end` for each, then `close`.

    `schema` is the database that is restored, `facts` what its backup says of itself.
    """

    def __init__(self, files: Sequence[File], facts: Facts, until: Until, schema: str) -> None:
        """Raises re.error when `until.statement` is no regular expression."""
        place = _POSITION.fullmatch(facts.binlog)
        self._files = tuple(files)
        self._start = int(place["position"]) if place else 0
        self._gtid = {(int(d), int(s)): int(n) for d, s, n in _GTID.findall(facts.gtid)}
        self._until = until
        self._wanted = re.compile(until.statement, re.IGNORECASE) if until.statement else None
        self._qualified = re.compile(rf"(?<![\w$`]){_either(schema)}\s*\.", re.IGNORECASE)
        self._schema = schema
        self._index = -1
        self._log = Log()
        self._group: _Group | None = None
        self._tables: dict[int, str] = {}
        self._state: dict[tuple[int, int], int] = {}
        self._begun = False
        self._stop: tuple[int, int] | None = None
        self._findings: dict[str, Finding] = {}
        self._hits: list[Hit] = []
        self._transactions = self._last = self._elsewhere = self._late = 0

    def begin(self, file: File) -> None:
        """The next log starts."""
        self._index += 1
        if self._index >= len(self._files) or self._files[self._index] != file:
            raise AssertionError("the logs are read in order")
        self._log = Log()
        self._group = None

    def feed(self, chunk: bytes) -> None:
        """Take decompressed bytes. Raises Damaged when nothing after them can be understood."""
        try:
            for event in self._log.feed(chunk):
                self._take(event)
        except Damaged as error:
            error.where = error.where or bare(self._files[self._index])
            raise

    def end(self) -> None:
        """The log has ended."""
        last = self._index == len(self._files) - 1
        name = printable(bare(self._files[self._index]), 80, one_line=True)
        if not self._begun and self._log.at == self._start:
            self._begin_here(self._start)
        if not self._begun:
            self._find("start", f"{name} has no position {self._start}, which the backup goes on from")
            self._begun = True
        if self._group is not None:
            self._settle(complete=self._group.ended)
        if self._log.cut:
            # The newest is being written to, or was when the server died: what is complete in it counts.
            self._find("cut", f"{name} ends inside an event: what came after is lost", fatal=not last)
            if self._stop is None:
                self._stop = (self._index, self._log.at)

    def close(self) -> Stretch:
        """What is to be applied."""
        if self._elsewhere:
            text = (
                f"{self._elsewhere} statements changed tables of {self._schema} while another database was in use, "
                "and are in the log as statements: they are not applied"
            )
            self._find("elsewhere", text, fatal=False)
        if self._late:
            text = (
                f"{self._late} transactions after that have an earlier time: the server's clock was set, or a session's"
            )
            self._find("clock", text, fatal=False)
        if self._stop is None and (self._wanted or self._until.place):
            self._find("not-found", "what was looked for is not in the logs", fatal=True)
        index, stop = self._stop or (self._index, 0)
        return Stretch(
            self._files[: index + 1],
            self._start,
            stop,
            self._last,
            self._transactions,
            tuple(self._hits),
            tuple(self._findings.values()),
        )

    def _find(self, code: str, text: str, *, fatal: bool = True) -> None:
        self._findings.setdefault(code, Finding(code, text, fatal=fatal))

    def _take(self, event: Event) -> None:
        if event.kind == events.GTID_LIST:
            self._continued(events.gtid_list(event))
        if not self._begun:
            if event.at < self._start:
                if event.kind == events.GTID:
                    key, number, _ = events.gtid(event)
                    self._state[key] = number
                return
            self._begin_here(event.at)
        if event.kind in {events.GTID, *events.GTID_OF_MYSQL}:
            self._next_group(event)
        elif event.kind in _MATTERS:
            if self._group is None or (self._group.ended and event.kind != events.XID):
                self._open(event)
            self._inside(event, self._group or _Group("", 0, 0))
        elif event.kind == events.INCIDENT:
            self._find("incident", "the server notes in the log that changes are missing in it")
        elif event.kind in events.LOAD:
            self._find("load-data", "LOAD DATA is in the log as a statement, which cannot be applied again")

    def _begin_here(self, at: int) -> None:
        self._begun = True
        name = printable(bare(self._files[0]), 80, one_line=True)
        if at != self._start:
            self._find("start", f"no event begins at position {self._start} of {name}: it is another server's log")
        for key, number in self._gtid.items():
            if self._state.get(key, number) != number:
                stands = f"{key[0]}-{key[1]}-{self._state[key]}"
                text = (
                    f"{name} stands at {stands} where the backup does at {key[0]}-{key[1]}-{number}: it is another log"
                )
                self._find("start", text)

    def _continued(self, listed: dict[tuple[int, int], int]) -> None:
        """Each file says what had been logged before it: more than was read means that something is missing."""
        if self._index == 0:
            self._state = dict(listed)
        elif listed != self._state:
            name = printable(bare(self._files[self._index]), 80, one_line=True)
            self._find("gap", f"{name} does not go on where the log before it ends: something was lost or replaced")
            self._state = dict(listed)

    def _next_group(self, event: Event) -> None:
        if self._group is not None:
            self._settle(complete=True)
        self._open(event)
        if event.kind == events.GTID and self._group is not None:
            key, number, standalone = events.gtid(event)
            self._state[key] = number
            self._group.begun = not standalone

    def _open(self, event: Event) -> None:
        if self._group is not None:
            self._settle(complete=True)
        self._group = _Group(bare(self._files[self._index]), event.at, event.time)
        self._tables.clear()
        until, here = self._until, f"{self._group.file}:{event.at}"
        if (until.at and event.time >= until.at) or until.place == here:
            self._stop_here(self._group)
        elif self._stop is not None and until.at and event.time < until.at:
            self._late += 1

    def _stop_here(self, group: _Group) -> None:
        if self._stop is None:
            self._stop = (self._index, group.at)

    def _settle(self, *, complete: bool) -> None:
        """A transaction has ended, or the log has before it: then it was never committed, as far as is known here."""
        group, self._group = self._group, None
        if group is None or self._stop is not None:
            return
        if complete:
            self._transactions += 1
            self._last = max(self._last, group.time)
        else:
            self._stop_here(group)
            self._find("cut", f"{printable(group.file, 80)} ends inside a transaction, which is left out", fatal=False)

    def _inside(self, event: Event, group: _Group) -> None:
        """An event of a transaction: does it end it, and is it what is looked for?"""
        if event.kind in {events.XID, events.XA_PREPARE}:
            group.ended = True
        elif event.kind in {events.QUERY, events.QUERY_COMPRESSED}:
            database, text = self._log.query(event)
            if _BEGIN.match(text):
                group.begun = True
                return
            group.ended = not group.begun or bool(_END.match(text))
            ours = database == self._schema
            if ours or self._qualified.search(text):
                self._look(text, event, group)
                self._elsewhere += self._stop is None and not ours
        elif event.kind in {events.ANNOTATE, events.ROWS_QUERY}:
            self._look(events.text(event), event, group)
        elif event.kind == events.TABLE_MAP:
            database, name = self._log.table(event)
            self._tables[int.from_bytes(event.body[:6], "little")] = f"`{database}`.`{name}`"
        elif event.kind == events.PAYLOAD and self._wanted:
            self._find("payload", "transactions are compressed as a whole: statements in them cannot be looked for")
        elif verb := events.ROWS.get(event.kind):
            table = self._tables.get(int.from_bytes(event.body[:6], "little"), "?")
            self._look(f"{verb} {table}", event, group)

    def _look(self, text: str, event: Event, group: _Group) -> None:
        if self._wanted is None or group.hit or not self._wanted.search(text):
            return
        group.hit = True
        self._stop_here(group)
        if len(self._hits) < _MOST_HITS:
            self._hits.append(Hit(group.file, group.at, event.time, printable(text, 200, one_line=True)))


_MATTERS: Final = frozenset(
    {
        events.QUERY,
        events.QUERY_COMPRESSED,
        events.XID,
        events.XA_PREPARE,
        events.ANNOTATE,
        events.ROWS_QUERY,
        events.TABLE_MAP,
        events.PAYLOAD,
        *events.ROWS,
    }
)


def _either(schema: str) -> str:
    quoted = re.escape("`" + schema.replace("`", "``") + "`")
    return f"(?:{quoted}|{re.escape(schema)})"


def command(program: str, stretch: Stretch, schema: str, paths: Sequence[str], rewrite: str = "") -> tuple[str, ...]:
    """The argument vector that prints a stretch as SQL, from files at `paths` (those of the stretch, decompressed).

    With `rewrite` for a database of that name: right only where every change is in the log as rows. Positions are
    used, never times, which mariadb-binlog reads in the time zone of its machine. `schema` holds neither "->" nor a
    line break. Source: mariadb-binlog(1).
    """
    words = [program, "--no-defaults", f"--start-position={max(4, stretch.start)}"]
    if stretch.stop:
        words.append(f"--stop-position={stretch.stop}")
    if rewrite:
        words.append(f"--rewrite-db={schema}->{rewrite}")
    # The filter goes by the name in the log, whatever it is rewritten to (tried with 10.11).
    words.append(f"--database={schema}")
    return (*words, "--", *paths)


def logs(stretch: Stretch) -> Iterator[tuple[File, str]]:
    """The files of a stretch, and what each is called once it is fetched and decompressed."""
    for file in stretch.files:
        yield file, bare(file)
