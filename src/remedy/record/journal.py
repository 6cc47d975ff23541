"""The record as the engine writes it: append, read, hold, sign.

Decides when an entry counts as written (its transaction is committed and flushed) and who commits: of all the threads
that append at the same time, one commits for all, so a hundred appends cost one flush. Processes take turns by
`BEGIN IMMEDIATE`.
Leaves to others: the format (chain), the tables (schema), who signs (signing), what an entry means (engine, incidents),
checking (verify).
"""

from __future__ import annotations

import contextlib
import heapq
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from remedy.core.canon import Json, canonical
from remedy.core.errors import RecordUnavailable, RemedyError
from remedy.core.values import Entry
from remedy.record import checkpoints, endings, keys, leases, sshsig
from remedy.record.actor import Actor
from remedy.record.appending import Draft, Tail
from remedy.record.chain import COLUMNS, ZERO, Link, linked, stamp
from remedy.record.checkpoints import Signed
from remedy.record.leases import Lease
from remedy.record.scrub import Redact, one_line, scrub
from remedy.record.signing import Put, Signing, identity
from remedy.record.store import connect, errors_named, open_writing

#: Seconds to wait for another process's transaction before giving up.
LOCK_SECONDS: Final = 10.0
#: The kind of the entries that leases leave.
LEASE_KIND: Final = "lease"
_PAGE: Final = 256


class _Waiting:
    """One append on its way: its draft, then its entry or its error."""

    __slots__ = ("draft", "entry", "error")

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.entry: Entry | None = None
        self.error: RemedyError | None = None


class Record:
    """An open incident record; implements `core.ports.Journal`. Threads may share it, forked children may not."""

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        *,
        clock: Callable[[], datetime],
        actor: Actor,
        key_dir: Path,
        redact: Redact,
        wait: float,
        entropy: Callable[[int], bytes],
    ) -> None:
        """Use `open`."""
        self.path = path
        self.clock = clock
        self.entropy = entropy
        self._writer, self._reader, self._wait = writer, reader, wait
        self._actor, self._actor_text = actor, actor.text
        self._process = leases.this_process(actor.machine, actor.pid)
        self._redact = redact
        self._signing = Signing(path, key_dir, clock, entropy)
        self._pid = os.getpid()
        self._mutex = threading.Lock()  # guards _queue
        self._turn = threading.Lock()  # held by the thread that writes
        self._reading = threading.Lock()  # held by the thread that reads
        self._queue: list[_Waiting] = []
        self._trusted: tuple[int, str] = (0, ZERO)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], datetime],
        actor: Actor,
        key_dir: Path,
        redact: Redact = str,
        wait: float = LOCK_SECONDS,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Open the record at `path`, making it (0600, missing directories 0700) when there is none.

        `clock` gives times with a zone; `redact` takes secrets out of every string of a body before it is hashed;
        `wait` bounds the wait for other processes, in seconds. The signing key in `key_dir` is made when first used.
        Raises RecordUnavailable when it cannot be written, RecordBroken when its end is damaged or was cut off.
        """
        with contextlib.ExitStack() as undo:
            writer = undo.enter_context(contextlib.closing(open_writing(path, wait=wait, entropy=entropy)))
            with errors_named(path, wait):
                reader = undo.enter_context(contextlib.closing(connect(path, wait)))
                reader.execute("PRAGMA query_only=ON")
            record = cls(
                path,
                writer,
                reader,
                clock=clock,
                actor=actor,
                key_dir=key_dir,
                redact=redact,
                wait=wait,
                entropy=entropy,
            )
            record._refuse_cut()
            undo.pop_all()  # all is well: both stay open
        return record

    def close(self) -> None:
        """Close. Appending afterwards raises RecordUnavailable; closing twice does nothing."""
        with self._turn, self._reading:
            self._reader.close()  # the writer last: closing the last connection folds the WAL into the file
            self._writer.close()

    def __enter__(self) -> Self:
        """The record itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def append(self, kind: str, body: Mapping[str, Json], *, incident: str, run: str = "", key: str = "") -> Entry:
        """Append one entry; see `Journal.append`. Returning means: on disk.

        Raises RecordUnavailable (locked, read-only, disk full: nothing was recorded), RecordBroken (damaged end),
        TypeError on a body with floats or other things canonical JSON has not.
        """
        self._refuse_fork()
        waiting = _Waiting(self._draft(kind, body, incident=incident, run=run, key=key))
        with self._mutex:
            self._queue.append(waiting)
        try:
            with self._turn:
                if waiting.entry is None and waiting.error is None:
                    self._commit_queue()
        except BaseException:
            with self._mutex, contextlib.suppress(ValueError):  # interrupted before anybody took it
                self._queue.remove(waiting)
            raise
        if waiting.error is not None:  # raised anew: several threads may share one
            error = waiting.error
            raise type(error)(error.message, where=error.where, hint=error.hint) from error
        if waiting.entry is None:
            raise RecordUnavailable("the append was interrupted", where=str(self.path), hint="repeat it")
        return waiting.entry

    def entries(
        self, *, incident: str = "", run: str = "", kinds: Iterable[str] = (), after: int = 0
    ) -> Iterator[Entry]:
        """Entries in order, filtered by whatever is given, up to what was newest when the first was asked for."""
        wanted = [("incident", one_line(incident)), ("run", one_line(run))]
        clauses = "".join(f" AND {name} = ? AND {name} != ''" for name, value in wanted if value)
        values = [value for _, value in wanted if value]
        names = sorted({*kinds})
        last, _ = self.head()
        if run and names:  # a run has few entries, a kind many: `+` keeps SQLite from looking at all of a kind
            streams = [
                self._links(f"{clauses} AND +kind IN ({','.join('?' * len(names))})", [*values, *names], after, last)
            ]
        elif names:  # each kind in order by its index, instead of sorting what is left for every page
            streams = [self._links(f"{clauses} AND kind = ?", [*values, name], after, last) for name in names]
        else:
            streams = [self._links(clauses, values, after, last)]
        for link in heapq.merge(*streams, key=lambda link: link.seq):
            yield link.entry()

    def _links(self, clauses: str, values: Sequence[str], after: int, last: int) -> Iterator[Link]:
        """Stored entries after one and up to another, in order, a page at a time."""
        query = f"SELECT {COLUMNS} FROM entry WHERE seq > ? AND seq <= ?{clauses} ORDER BY seq LIMIT {_PAGE}"  # noqa: S608 -- only constants
        while rows := self._rows(query, (after, last, *values)):
            for row in rows:
                yield linked(row, where=str(self.path))
            after = rows[-1][0]

    def head(self) -> tuple[int, str]:
        """Sequence number and hash of the newest entry; (0, sixty-four zeros) when empty."""
        rows = self._rows("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1", ())
        return (rows[0][0], rows[0][1]) if rows else (0, ZERO)

    def hold(self, target: str, *, run: str, holder: str) -> None:
        """Take the target for a run; see `Journal.hold`. Taking again what this process holds for it does nothing.

        A lease whose process is certainly gone from this machine is taken over, and the entry says from whom.
        Raises HeldByOther.
        """
        with self._transaction() as tail:
            self._take(tail, *(one_line(text) for text in (target, run, holder)))

    def let_go(self, target: str, *, run: str) -> None:
        """Give the target back; nothing happens when nobody holds it. Raises HeldByOther when another run does."""
        with self._transaction() as tail:
            lease = leases.find(self._writer, one_line(target))
            if lease is None:
                return
            if lease.run != one_line(run):
                raise leases.refusal(lease)
            leases.remove(self._writer, lease.target)
            body = {"event": "given-back", "target": lease.target, "holder": lease.holder, "since": lease.since}
            tail.put(self._draft(LEASE_KIND, body, incident="", run=run, key=""))

    def leases(self) -> tuple[Lease, ...]:
        """Who holds what at present."""
        self._refuse_fork()
        with self._reading, errors_named(self.path, self._wait):
            return leases.all_leases(self._reader)

    def checkpoint(self) -> str:
        """Sign the present head and return the signed checkpoint's text.

        The key is announced by an entry the first time it signs. Signing the same head twice returns the same text.
        The files next to the record are written too, those that a crash left unwritten included. Raises
        RecordUnavailable, also when only the files could not be written.
        """
        with self._transaction() as tail:
            signed = self._signing.checkpoint(self._writer, tail, self._putter(tail))
        self._write_missing(signed)
        return signed.text

    def end_key(self, why: str, reason: str) -> str:
        """End the key that signs, as `endings.RETIRED` or `endings.STOLEN`; returns the fingerprint of the next one.

        A retired key signs what there is once more and vouches for the next; then the next signs. A crash at any
        moment leaves either the old key signing or the end on record, and the next checkpoint goes on from there.
        Raises RecordUnavailable.
        """
        if why == endings.RETIRED:
            self.checkpoint()
        keys.prepare_next(self._signing.key_dir, entropy=self.entropy)  # on disk before the record names it
        with self._transaction() as tail:
            following = self._signing.end(self._writer, tail, self._putter(tail), why=why, reason=reason)
        keys.take_next(self._signing.key_dir, following)
        self.checkpoint()
        return following

    def checkpoints(self, *, after: int = 0) -> Iterator[Signed]:
        """The signed checkpoints with a number above `after`, in order."""
        self._refuse_fork()
        while True:
            with self._reading, errors_named(self.path, self._wait):
                page = checkpoints.stored(self._reader, after=after, most=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].number

    def newest_checkpoint(self) -> int:
        """The number of the newest checkpoint, 0 when nothing is signed."""
        rows = self._rows("SELECT max(number) FROM checkpoint", ())
        return int(rows[0][0] or 0)

    def identity(self) -> str:
        """The record's random id, which every checkpoint of it names."""
        with self._reading, errors_named(self.path, self._wait):
            return identity(self._reader, self.path)

    def fingerprint(self) -> str:
        """`SHA256:…` of the signing key, which is made if there is none. Raises RecordUnavailable."""
        return sshsig.public_key(keys.load_or_make(self._signing.key_dir, entropy=self.entropy)).fingerprint

    def _draft(self, kind: str, body: Mapping[str, Json], *, incident: str, run: str, key: str) -> Draft:
        text = canonical(scrub(dict(body), self._redact)).decode()
        return Draft(one_line(kind), one_line(incident), one_line(run), one_line(key), text)

    def _commit_queue(self) -> None:
        """Commit everything that waits, in one transaction. The caller holds the turn."""
        with self._mutex:
            batch, self._queue = self._queue, []
        entries: list[Entry] = []
        try:
            with self._begun() as tail:
                entries.extend(tail.put(waiting.draft) for waiting in batch)
        except RemedyError as error:
            for waiting in batch:
                waiting.error = error
            return
        except BaseException:  # interrupted
            if len(entries) < len(batch) or max(entry.seq for entry in entries) > self._trusted[0]:  # not committed
                with self._mutex:
                    self._queue = batch + self._queue
                raise
            for waiting, entry in zip(batch, entries, strict=True):
                waiting.entry = entry
            raise
        for waiting, entry in zip(batch, entries, strict=True):
            waiting.entry = entry

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Tail]:
        self._refuse_fork()
        with self._turn, self._begun() as tail:
            yield tail

    @contextlib.contextmanager
    def _begun(self) -> Iterator[Tail]:
        """One write transaction; leaving it without an error means: on disk. The caller holds the turn."""
        with errors_named(self.path, self._wait):
            committing = False
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                tail = self._tail(self._writer)
                yield tail
                tail.finish()
                committing = True
                self._writer.execute("COMMIT")
            except BaseException as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                elif committing and not isinstance(error, sqlite3.Error):  # interrupted when it was on disk already
                    self._trusted = (tail.seq, tail.hash)
                raise
            self._trusted = (tail.seq, tail.hash)

    def _tail(self, db: sqlite3.Connection) -> Tail:
        return Tail(
            db,
            where=str(self.path),
            actor=self._actor_text,
            clock=self.clock,
            entropy=self.entropy,
            trusted=self._trusted,
        )

    def _take(self, tail: Tail, target: str, run: str, holder: str) -> None:
        before = leases.find(self._writer, target)
        mine = before is not None and before.run == run and before.process == self._process
        if mine:
            return
        if before is not None and not leases.is_gone(before.process, self._process):
            raise leases.refusal(before)
        since = stamp(self.clock())
        body: dict[str, Json] = {"event": "taken", "target": target, "holder": holder, "since": since}
        if before is not None:
            body |= {"event": "taken-over", "from": before.holder, "from_run": before.run, "from_since": before.since}
        leases.store(self._writer, Lease(target, run, holder, since, self._process))
        tail.put(self._draft(LEASE_KIND, body, incident="", run=run, key=""))

    def _putter(self, tail: Tail) -> Put:
        return lambda kind, body, key: tail.put(self._draft(kind, body, incident="", run="", key=key))

    def _write_missing(self, signed: Signed) -> None:
        def stored(after: int) -> list[Signed]:
            with self._reading, errors_named(self.path, self._wait):
                return checkpoints.stored(self._reader, after=after)

        self._signing.write_missing(signed, stored)
        with self._turn, errors_named(self.path, self._wait):  # what is signed no longer depends on the -wal file
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _refuse_cut(self) -> None:
        """Refuse to continue a record that lost what its checkpoint files still show."""
        with self._reading, errors_named(self.path, self._wait):
            self._reader.execute("BEGIN")  # both questions to one snapshot; no lock is waited for
            try:
                self._signing.refuse_cut(self._reader, self._tail(self._reader).seq)
            finally:
                self._reader.execute("ROLLBACK")

    def _rows(self, query: str, values: tuple[int | str, ...]) -> list[tuple[Any, ...]]:
        self._refuse_fork()
        with self._reading, errors_named(self.path, self._wait):
            return self._reader.execute(query, values).fetchall()

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            raise RecordUnavailable(
                "this process was forked from the one that opened the record",
                where=str(self.path),
                hint="open it again in the child",
            )
