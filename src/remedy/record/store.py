"""The SQLite file: opened for writing, opened for reading without a trace, its errors named.

Decides durability (WAL, `synchronous=FULL`: a commit is on the disk), file modes, how long to wait for a lock, and
which of remedy's errors a SQLite error is. Leaves to others: every statement about entries.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from remedy.core.errors import RecordBroken, RecordUnavailable, RemedyError
from remedy.record.schema import APPLICATION_ID, SCHEMA_VERSION, STATEMENTS

T = TypeVar("T")

#: How often a snapshot is taken that others may have torn.
ATTEMPTS: Final = 3
_ID_BYTES: Final = 16
_RETRY_SECONDS: Final = 0.05
_GONE: Final = (errno.ENOENT, os.strerror(errno.ENOENT))
_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _CONSTRAINT, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 19, 26
_RESTORE: Final = "keep the file as it is for examination, and go on with a fresh record or a copy that verifies"
_UNWRITABLE: Final[dict[int, tuple[str, str]]] = {
    _READONLY: ("the record is read-only", "make file and directory writable, or name another record"),
    _FULL: ("the disk is full; nothing was recorded", "make room on the record's file system"),
    _CANTOPEN: ("the record cannot be opened", "check that the directory exists and is yours"),
    _IOERR: ("the disk reports an error; nothing was recorded", "look at the kernel log and at free space"),
}


@contextlib.contextmanager
def errors_named(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Turn SQLite's errors into RecordUnavailable or RecordBroken about `path`. `wait` is the lock time-out in s."""
    try:
        yield
    except sqlite3.Error as error:
        raise named(error, path, wait) from error


def named(error: sqlite3.Error, path: Path, wait: float = 0.0) -> RemedyError:
    """The error of ours that a SQLite error is (https://sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if not code and "decode" in str(error):  # the module's own, without a code: stored text that is no UTF-8
        code = _CORRUPT
    if code in {_BUSY, _LOCKED}:
        return RecordUnavailable(
            f"locked by {locker(path)} for more than {wait:g} s",
            where=str(path),
            hint="wait for it or end it, then repeat; nothing was recorded",
        )
    if code in _UNWRITABLE:
        message, hint = _UNWRITABLE[code]
        return RecordUnavailable(f"{message} ({error})", where=str(path), hint=hint)
    if code in {_CORRUPT, _NOTADB}:
        return RecordBroken(f"the file is damaged ({error})", where=str(path), hint=_RESTORE)
    if code == _CONSTRAINT:
        return RecordBroken(f"the chain does not continue ({error})", where=str(path), hint=_RESTORE)
    return RecordUnavailable(f"the record does not answer ({error})", where=str(path), hint="open it again")


def locker(path: Path, locks: Path = Path("/proc/locks")) -> str:
    """Who holds a write lock on the record, for people: `process 812 (remedy)`. Linux only; vague elsewhere.

    Read from /proc/locks (proc_locks(5)), because asking through a file descriptor would drop this process's own
    locks when it is closed:

        1: POSIX  ADVISORY  WRITE 812 fe:00:131079 120 120
    """
    try:
        inodes = {str(p.stat().st_ino) for p in (path, _beside(path, "-wal"), _beside(path, "-shm")) if p.exists()}
        lines = locks.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return "another process"
    for fields in (line.split() for line in lines):
        if len(fields) == 8 and fields[3] == "WRITE" and fields[5].rpartition(":")[2] in inodes:  # noqa: PLR2004
            pid = fields[4]
            try:
                name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                return f"process {pid}"
            return f"process {pid} ({name})"
    return "another process"


def open_writing(path: Path, *, wait: float, entropy: Callable[[int], bytes]) -> sqlite3.Connection:
    """Open the record, making it (file 0600, missing directories 0700) when there is none.

    The connection may be used from several threads, one at a time. `wait` is the lock time-out in seconds.
    Raises RecordUnavailable (locked, read-only, disk full, another format), RecordBroken (damaged).
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(path, wait), errors_named(path, wait):
            _make_private(path)
            db = connect(path, wait)
            try:
                _prepare(db, path, entropy)
            except BaseException:
                db.close()
                raise
            return db
    except OSError as error:
        raise RecordUnavailable(
            f"the record cannot be opened: {error.strerror}", where=str(path), hint="check path, owner and free space"
        ) from error


def connect(path: Path, wait: float) -> sqlite3.Connection:
    """A connection with the record's settings to a file that exists. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA trusted_schema=OFF")
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A snapshot of the record that leaves no trace: no byte of the directory changes, read-only media work.

    Without a trace there is no lock: somebody who begins to write meanwhile may tear the snapshot; see `untorn`.
    Raises RecordUnavailable when there is no record, its format is another's or there is no room for a copy of it,
    RecordBroken when it is damaged.
    """
    if not path.is_file():
        raise RecordUnavailable("there is no record here", where=str(path), hint="check the path")
    with contextlib.ExitStack() as stack, errors_named(path):
        try:
            db = stack.enter_context(contextlib.closing(_snapshot(path, stack)))
        except OSError as error:
            folder = tempfile.gettempdir()
            raise RecordUnavailable(
                f"a writer has left its log behind, and the record cannot be copied to be read: {error.strerror}",
                where=str(path),
                hint=f"make room in {folder} for the record once more, or set TMPDIR to where there is room",
            ) from error
        check_format(db, path)
        yield db


def check_format(db: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no record, or one of another format, with RecordUnavailable."""
    application, version = _pragma(db, "application_id"), _pragma(db, "user_version")
    if application != APPLICATION_ID:
        raise RecordUnavailable("this file is not an incident record", where=str(path), hint="check the path")
    if version != SCHEMA_VERSION:
        age = "a newer" if version > SCHEMA_VERSION else "an older"
        raise RecordUnavailable(
            f"the record has format {version}, written by {age} remedy; this one knows format {SCHEMA_VERSION}",
            where=str(path),
            hint="use the remedy that wrote it, or name another record",
        )


def untorn(path: Path, use: Callable[[sqlite3.Connection], T]) -> T:
    """What `use` makes of a snapshot; made again when it found damage and somebody has written meanwhile.

    Raises what `reading` and `use` raise.
    """
    for _ in range(ATTEMPTS - 1):
        before = stamp(path)
        try:
            with reading(path) as db:
                return use(db)
        except (RecordBroken, RecordUnavailable):
            if stamp(path) == before:
                raise
    with reading(path) as db:
        return use(db)


def stamp(path: Path) -> tuple[int, int]:
    """Changes when the main file was written to: modification time in ns, size in bytes; zeros when there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _snapshot(path: Path, stack: contextlib.ExitStack) -> sqlite3.Connection:
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(FileNotFoundError):  # whoever had it open has closed it: log and index are gone
            return _taken(path, stack)
    return _taken(path, stack)


def _taken(path: Path, stack: contextlib.ExitStack) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    wal, index = _beside(path, "-wal"), _beside(path, "-shm")
    if index.exists():  # somebody has it open, or died with it open
        try:
            return _begun(f"{uri}?mode=ro")
        except sqlite3.OperationalError as error:
            if index.exists():
                raise
            raise FileNotFoundError(*_GONE, str(index)) from error
    if wal.exists() and wal.stat().st_size:
        return _begun(_copied(path, wal, stack))
    return _begun(f"{uri}?immutable=1")  # nobody has it open, and everything is in the main file


def _begun(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=5.0, isolation_level=None)
    try:
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes the snapshot
    except BaseException:
        db.close()
        raise
    return db


def _copied(path: Path, wal: Path, stack: contextlib.ExitStack) -> str:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remedy-record-")))
    copy = folder / "record.db"
    shutil.copyfile(path, copy)
    shutil.copyfile(wal, _beside(copy, "-wal"))
    return f"{copy.as_uri()}?mode=rw"


@contextlib.contextmanager
def _alone(path: Path, wait: float) -> Iterator[None]:
    """Only one process at a time opens a record: switching to WAL does not wait for locks by itself.

    The lock is on the directory. One on the file would be in the way of SQLite's.
    """
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise RecordUnavailable(
                        f"another process has been opening it for more than {wait:g} s",
                        where=str(path),
                        hint="wait for it or end it, then repeat",
                    ) from error
                time.sleep(_RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:  # the descriptor is closed before SQLite opens one: closing later would drop its locks
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    if not os.access(path, os.W_OK):
        raise RecordUnavailable("the record is read-only", where=str(path), hint=_UNWRITABLE[_READONLY][1])
    if stat.S_IMODE(mode) & 0o077:
        path.chmod(0o600)


def _prepare(db: sqlite3.Connection, path: Path, entropy: Callable[[int], bytes]) -> None:
    objects = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if objects or _pragma(db, "user_version") or _pragma(db, "application_id"):
        check_format(db, path)
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise RecordUnavailable(
            f"the file system cannot do write-ahead logging (SQLite answers {mode!r})",
            where=str(path),
            hint="put the record on a local disk",
        )
    if objects:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in STATEMENTS:
            db.execute(statement)
        db.execute("INSERT INTO identity VALUES (?)", (entropy(_ID_BYTES).hex(),))
        db.execute("INSERT INTO frontier VALUES (0, x'')")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the main file alone says that it is a record


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
