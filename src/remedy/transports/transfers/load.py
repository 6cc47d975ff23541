"""Load: tables and rows of a backup into an empty schema, by several clients at once, judged again on the way.

Decides who gets what. Settings go to every client. A table's definition (CREATE TABLE IF NOT EXISTS) goes to a client
right before its first rows of that table, so clients never wait for each other. Rows of a keyed table go to whoever
has the least before it; rows without a key keep their order, with one client per table. Each statement commits by
itself: autocommit=0 with unique_checks=0, what dumps ask for, costs half as much again as loading with neither. The
binary log stays on, or replicas would miss the data. When clients get into each other's way (deadlock, lock wait),
everything is loaded once more by one.

What is whole is told to `whole`, if somebody listens, while the rest loads (`early`).

It is a success when every client has answered for all it was sent, and what was read has the hash and the contents that
were judged. Leaves to others: the account, the schema, and what becomes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from remedy.actions.recovery import sequences
from remedy.backups.charsets import WIDE
from remedy.backups.formats import Piece
from remedy.backups.manifest import bare
from remedy.backups.ports import Shelf
from remedy.backups.transfers import Load
from remedy.backups.values import Judgement
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed, Refused
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.probes.database import named
from remedy.transports.transfers.clients import Bulk, Login, ServerRefused, ask
from remedy.transports.transfers.crew import Crew, Session
from remedy.transports.transfers.early import Early, Seen
from remedy.transports.transfers.flow import Progress
from remedy.transports.transfers.pipeline import OpenSealed, read_backup
from remedy.transports.transfers.survey import read_staged

#: For every session, before everything. A client that waits for its turn must not be hung up on.
PREAMBLE: Final = (
    b"SET SESSION wait_timeout=86400, net_read_timeout=3600, net_write_timeout=3600, lock_wait_timeout=300;\n"
    b"/*M!100101 SET SESSION max_statement_time=0 */;\n"
)
#: After whatever the dump sets.
GUARD: Final = b"SET SESSION autocommit=1, unique_checks=1, foreign_key_checks=0;\n"
#: Lock wait time-out, deadlock (MariaDB error codes).
_CONTENDED: Final = frozenset({1205, 1213})
#: A piece in another character set than the header begins with it.
#: What a structure is, behind the settings that it may stand under.
_NAMES: Final = re.compile(rb"(?:SET [^\n]*;\n)*?SET (?:NAMES |[^\n]*\bcharacter_set_client=)(\w+)[^\n]*;\n")
_KIND: Final = re.compile(rb"(?:SET [^\n]*;\n)*(CREATE TABLE|CREATE SEQUENCE|DO SETVAL)\b")


def load(
    spec: Load, at: str, *, bulk: Bulk, shelf: Shelf, open_sealed: OpenSealed, tell: Tell, result: dict[str, Json]
) -> dict[str, Seen]:
    """Carry out `spec` on the server behind host `at`; `result` is filled in as far as it comes.

    Answers the tables that were looked at already, for `compare`. Raises ChangeFailed (a client's error, or other
    contents than judged), Refused (the schema is not empty or the server cannot take the backup), Unreachable.
    """
    login = Login(at, spec.login, spec.socket)
    _fit(bulk, login, spec)
    loading = _Loading(spec, login, bulk, shelf, open_sealed, Progress(tell), result)
    try:
        return loading.run(spec.clients)
    except ServerRefused as error:
        if error.number not in _CONTENDED or spec.clients == 1:
            raise
        _emptied(bulk, login, spec.into)
        return loading.run(1)


def _fit(bulk: Bulk, login: Login, spec: Load) -> None:
    """What would otherwise be found out after hours, or when it is too late."""
    tables = "(SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE())"
    rows = ask(bulk, login, spec.into, f"SELECT {tables}, @@max_allowed_packet")
    there, packet = (int(value) for value in rows[0])
    if there:
        raise Refused(
            f"the schema {printable(spec.into, 64, one_line=True)} is not empty: it has {there} tables",
            where=login.at,
            hint="a backup is loaded beside what there is, never over it",
        )
    if spec.contents.longest > packet:
        raise Refused(
            f"the backup's longest statement is {spec.contents.longest} bytes, the server takes {packet}",
            where=login.at,
            hint=f"SET GLOBAL max_allowed_packet={min(1 << 30, 1 << (spec.contents.longest + 1024).bit_length())}",
        )


def _emptied(bulk: Bulk, login: Login, into: str) -> None:
    """Remove the tables of an attempt. The schema was empty before it."""
    tables = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()"
    there = ask(bulk, login, into, tables)
    drops = [f"DROP {'SEQUENCE' if kind == 'SEQUENCE' else 'TABLE'} IF EXISTS {named(name)}" for name, kind in there]
    ask(bulk, login, into, ";\n".join(["SET foreign_key_checks=0", *drops]))


@dataclass(frozen=True, slots=True)
class _Loading:
    """One loading, which may be tried again."""

    spec: Load
    login: Login
    bulk: Bulk
    shelf: Shelf
    open_sealed: OpenSealed
    progress: Progress
    result: dict[str, Json]

    def run(self, number: int) -> dict[str, Seen]:
        """Read the backup, by `number` clients; then see whether it was the right one."""
        early = Early(self.spec, self.login, self.bulk)
        try:
            later = self._rows(number, early)
        finally:
            early.stop()
        return {} if later else early.seen

    def _rows(self, number: int, early: Early) -> bool:
        """All of it. True when tables were changed that had their rows."""
        spec = self.spec
        with self._crew(self.login, number) as crew:
            beside = spec.into != spec.database.schema
            dispatch = _Dispatch(crew, spec.contents.facts.charset, early.whole, beside=beside)
            judged = self._read(dispatch)
            self.result.update({"sha256": judged.sha256, "read": judged.read, "tables": dispatch.tables})
            _same(judged, spec)
            dispatch.rest()
            self.progress("finish loading", spec.backup.size, spec.backup.size)
            crew.finish()
            self.result.update({"statements": dispatch.statements, "bytes": crew.sent})
        early.finish(self.progress.tick)
        if dispatch.later:
            self._after(self.login, "build keys", (*dispatch.settings, *dispatch.later))
        if spec.objects:
            # Definers other than oneself take privileges that the account of the schema has not got.
            root = Login(self.login.at, spec.database.defaults_file, spec.socket)
            made = [(o.sql.encode("utf-8", "surrogateescape"), o.name) for o in judged.contents.objects]
            self._after(root, "make views, triggers and routines", (*dispatch.settings, *made))
        return bool(dispatch.later)

    def _read(self, dispatch: _Dispatch) -> Judgement:
        """From the copy, or out of a server that was started on the backup."""
        spec = self.spec
        if spec.staged is not None:
            schema = spec.database.schema
            return read_staged(
                spec.staged, schema, spec.sha256, bulk=self.bulk, on_piece=dispatch.take, tell=self._tell
            )
        return read_backup(
            lambda _: self.shelf, spec.database, spec.backup, self.open_sealed, dispatch.take, self._tell
        )

    def _after(self, login: Login, what: str, statements: Iterable[tuple[bytes, str]]) -> None:
        """What has to wait for all rows, in order."""
        self.progress(what, 0, 0)
        with self._crew(login, 1) as crew:
            crew.everyone(PREAMBLE)
            for sql, name in statements:
                crew.everyone(read_in(sql, self.spec.contents.facts.charset), name)
            crew.finish()

    def _crew(self, login: Login, number: int) -> Crew:
        doing = f"loading {printable(self.spec.backup.name, 80, one_line=True)}"
        charset = self.spec.contents.facts.charset
        return Crew(self.bulk, login, self.spec.into, number, charset=charset, doing=doing, tick=self.progress.tick)

    def _tell(self, _: str, done: int, total: int) -> None:
        self.progress("load", done, total)


def _same(judged: Judgement, spec: Load) -> None:
    """That what went through is what was judged."""
    where = printable(f"{spec.copy.name}: {spec.backup.name}", 160, one_line=True)
    if judged.sha256 != spec.sha256:
        if damage := [finding.text for finding in judged.findings if finding.fatal]:
            raise ChangeFailed(f"cannot be read as it was judged: {damage[0]}", where=where, hint="try another copy")
        raise ChangeFailed(
            f"is not the backup that was judged: its SHA-256 is {judged.sha256[:16]}…, not {spec.sha256[:16]}…",
            where=where,
            hint="it was replaced or has changed; list and check again",
        )
    found, wanted = bare(judged.contents), bare(spec.contents)
    if (found.tables, found.objects) != (wanted.tables, wanted.objects):
        tables = {table.name for table in {*found.tables} ^ {*wanted.tables}}
        objects = {item.name for item in {*found.objects} ^ {*wanted.objects}}
        names = printable(", ".join(sorted(tables | objects)), 200, one_line=True)
        raise ChangeFailed(
            f"what was read is not what was judged: {names}",
            where=where,
            hint="judged by another version of remedy? check it again",
        )


def read_in(sql: bytes, charset: str) -> bytes:
    r"""The statements, for a client of this character set that has to find their ends.

    In some sets a character may end in a backquote or a backslash. Definitions are in another set than the rows, and a
    client that reads ``SET NAMES utf8mb4; CREATE TABLE `表` …`` as Big5 finds the end of the name behind it; it is told
    by its command \C, which it knows in binary mode too.
    """
    other = _NAMES.match(sql) if charset in WIDE else None
    return b"\\C %b\n%b\\C %b\n" % (other[1], sql, charset.encode()) if other else sql


def _alone(piece: Piece) -> None:
    """That a table needs nothing outside of the schema that it is loaded into."""
    for table, sequence in sequences.asked(piece.sql.decode("utf-8", "replace")).items():
        raise ChangeFailed(
            f"table {printable(table, 80, one_line=True)} takes a default from the sequence "
            f"{printable(sequence, 140, one_line=True)}, which is out of reach of what is loaded beside the live data",
            hint="load it by hand as root, or into an isolated server (backup check --level proven)",
        )


class _Dispatch:
    """Hands the pieces of one reading to the clients of a crew."""

    def __init__(self, crew: Crew, charset: str, whole: Callable[[str], None], *, beside: bool) -> None:
        self._charset = charset
        self._whole = whole
        self._filling = ""
        self._beside = beside
        self.statements = 0
        self.tables = 0
        #: Settings, and what changes tables that have their rows (keys that some dumpers write last).
        self.settings: list[tuple[bytes, str]] = []
        self.later: list[tuple[bytes, str]] = []
        self._crew = crew
        self._structures: dict[str, Piece] = {}
        self._homes: dict[str, Session] = {}
        self._sent: dict[int, set[str]] = {id(session): set() for session in crew.sessions}
        self._kinds: dict[str, Callable[[Piece], None]] = {
            "rows": self._rows,
            "structure": self._structure,
            "setup": self._setup,
        }
        crew.everyone(PREAMBLE + GUARD)

    def take(self, piece: Piece) -> None:
        """One piece of the backup. What is "left" goes nowhere, and an "object" is made when all is there."""
        if action := self._kinds.get(piece.kind):
            action(piece)

    def rest(self) -> None:
        """The backup has ended: tables without rows are made by the first client."""
        self._filled("")
        made = set().union(*self._sent.values())
        for name, piece in self._structures.items():
            if name not in made:
                self._put(self._crew.sessions[0], piece)

    def _setup(self, piece: Piece) -> None:
        self.settings.append((piece.sql, ""))
        self._crew.everyone(piece.sql)
        self._crew.everyone(GUARD)
        self.statements += 1

    def _structure(self, piece: Piece) -> None:
        kind = _KIND.match(piece.sql)
        if kind is None:
            self.later.append((piece.sql, piece.name))
        elif kind[1] == b"CREATE TABLE":
            if self._beside:
                _alone(piece)
            self.tables += 1
            self._structures[piece.name] = piece
        else:
            # A table's defaults may ask a sequence for its next value, whichever client makes the table.
            self._crew.everyone(read_in(piece.sql, self._charset), piece.name)
            self.statements += 1

    def _filled(self, following: str) -> None:
        """Rows of another table follow: the one before is whole, unless its rows come in several places."""
        name, self._filling = self._filling, following
        if name:
            having = [session for session in self._crew.sessions if name in self._sent[id(session)]]
            self._crew.mark(having, lambda: self._whole(name))

    def _rows(self, piece: Piece) -> None:
        if piece.name != self._filling:
            self._filled(piece.name)
        if piece.keyed:
            session = self._crew.least_loaded(len(piece.sql))
        elif (home := self._homes.get(piece.name)) is not None:
            session = home
        else:
            session = self._homes[piece.name] = self._crew.least_loaded(len(piece.sql))
        sent = self._sent[id(session)]
        if piece.name not in sent:
            sent.add(piece.name)
            if structure := self._structures.get(piece.name):
                self._put(session, structure)
        self._put(session, piece)

    def _put(self, session: Session, piece: Piece) -> None:
        self._crew.put(session, read_in(piece.sql, self._charset), piece.name)
        self.statements += 1
