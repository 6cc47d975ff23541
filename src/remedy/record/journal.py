"""The record as the engine writes it: append, read, hold, sign.

Decides when an entry counts as written (its transaction is committed and flushed) and who commits: of all the threads
that append at the same time, one commits for all, so a hundred appends cost one flush. Processes take turns by
`BEGIN IMMEDIATE`.
Leaves to others: the format (chain), the tables (schema), what an entry means (engine, incidents), checking (verify).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from remedy.core.canon import Json, canonical
from remedy.core.errors import RecordBroken, RecordUnavailable, RemedyError
from remedy.core.values import Entry
from remedy.record import checkpoints, keys, leases, sshsig
from remedy.record.actor import Actor
from remedy.record.appending import Draft, Tail
from remedy.record.chain import COLUMNS, DAMAGED, ZERO, linked, stamp
from remedy.record.leases import Lease
from remedy.record.scrub import Redact, one_line, scrub
from remedy.record.store import connect, errors_named, open_writing

#: Seconds to wait for another process's transaction before giving up.
LOCK_SECONDS: Final = 10.0
#: The kind of the entry that announces a signing key.
KEY_KIND: Final = "signing-key"
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
        self._key_dir, self._redact = key_dir, redact
        self._pid = os.getpid()
        self._mutex = threading.Lock()  # guards _queue
        self._turn = threading.Lock()  # held by the thread that writes
        self._reading = threading.Lock()  # held by the thread that reads
        self._queue: list[_Waiting] = []
        self._trusted: tuple[int, str] = (0, ZERO)
        self._announced = ""

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
        wanted = [("incident", incident), ("run", run)]
        clauses = "".join(f" AND {name} = ? AND {name} != ''" for name, value in wanted if value)
        values = [one_line(value) for _, value in wanted if value]
        if names := tuple(kinds):
            clauses += f" AND kind IN ({','.join('?' * len(names))})"
        query = f"SELECT {COLUMNS} FROM entry WHERE seq > ? AND seq <= ?{clauses} ORDER BY seq LIMIT {_PAGE}"  # noqa: S608 -- only constants
        last, _ = self.head()
        while rows := self._rows(query, (after, last, *values, *names)):
            for row in rows:
                yield linked(row, where=str(self.path)).entry()
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
        key = keys.load_or_make(self._key_dir, entropy=self.entropy)
        self._announce(sshsig.public_key(key))
        with self._transaction() as tail:
            last = checkpoints.newest(self._writer)
            signed = last if last and checkpoints.parse(last.body, where=str(self.path)).head == tail.hash else None
            if signed is None:
                record_id = self._identity()
                signed = checkpoints.sign(
                    checkpoints.Checkpoint(
                        checkpoints.origin(record_id),
                        tail.seq,
                        tail.frontier.root(),
                        last.number + 1 if last else 1,
                        tail.hash,
                        stamp(self.clock()),
                    ),
                    key,
                )
                row = (signed.number, tail.seq, signed.body, signed.signature)
                self._writer.execute("INSERT INTO checkpoint (number, size, body, signature) VALUES (?,?,?,?)", row)
        self._write_missing(signed)
        return signed.text

    def _identity(self) -> str:
        rows = self._writer.execute("SELECT id FROM identity").fetchall()
        if len(rows) != 1:
            raise RecordBroken("the record has lost its name", where=str(self.path), hint=DAMAGED)
        return str(rows[0][0])

    def fingerprint(self) -> str:
        """`SHA256:…` of the signing key, which is made if there is none. Raises RecordUnavailable."""
        return sshsig.public_key(keys.load_or_make(self._key_dir, entropy=self.entropy)).fingerprint

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

    def _announce(self, public: sshsig.PublicKey) -> None:
        if self._announced != public.fingerprint:
            body: dict[str, Json] = {"fingerprint": public.fingerprint, "public": public.line}
            self.append(KEY_KIND, body, incident="", key=f"{KEY_KIND}:{public.fingerprint}")
            self._announced = public.fingerprint

    def _write_missing(self, signed: checkpoints.Signed) -> None:
        """Write this checkpoint's files, and those of earlier ones that a crash left unwritten."""
        try:
            there = checkpoints.file_numbers(self.path)
        except OSError as error:
            raise RecordUnavailable(
                f"the checkpoint files cannot be read: {error.strerror}", where=str(checkpoints.folder(self.path))
            ) from error
        with self._reading, errors_named(self.path, self._wait):
            missing = checkpoints.stored(self._reader, after=there[-1] if there else 0)
        for each in missing or [signed]:
            checkpoints.write_files(self.path, each)
        with self._turn, errors_named(self.path, self._wait):  # what is signed no longer depends on the -wal file
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _refuse_cut(self) -> None:
        """Refuse to continue a record that lost what its checkpoint files still show."""
        try:
            there = checkpoints.file_numbers(self.path)
        except OSError as error:
            raise RecordUnavailable(f"cannot be read: {error.strerror}", where=str(self.path.parent)) from error
        with self._reading, errors_named(self.path, self._wait):
            self._reader.execute("BEGIN")  # both questions to one snapshot; no lock is waited for
            try:
                last = checkpoints.newest(self._reader)
                seq = self._tail(self._reader).seq
            finally:
                self._reader.execute("ROLLBACK")
        size, known = (checkpoints.parse(last.body, where=str(self.path)).size, last.number) if last else (0, 0)
        if (there and there[-1] > known) or size > seq:
            kept = checkpoints.folder(self.path)
            raise RecordBroken(
                f"entries were cut off: checkpoint {max(there[-1] if there else 0, known)} is there, "
                f"but the record has {known} checkpoints and {seq} entries",
                where=str(self.path),
                hint=f"`remedy incident verify` shows the extent; to start anew, move the folder {kept} away",
            )

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
