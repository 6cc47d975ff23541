"""The record on its bad days: locked, read-only, full, torn, killed, from another version."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.worlds import children

from remedy.core.errors import RecordBroken, RecordUnavailable
from remedy.record.journal import Record
from remedy.record.store import locker, untorn
from remedy.record.verify import verify

Opener = Callable[..., Record]
Tamper = Callable[..., None]
Starter = Callable[..., "subprocess.Popen[str]"]
#: Mounts a small disk at $0, size $1, with a copy of folder $2 on it read-only if there is one; then runs the rest.
MOUNT = """
mount -t tmpfs -o size="$1" tmpfs "$0"
if [ "$2" ]; then cp "$2"/* "$0"; mount -o remount,ro "$0"; fi
shift 2
exec "$@"
"""
#: The same, seen by nobody else: in a mount namespace of its own, which ends with the process.
SMALL_DISK = ("unshare", "--mount", "sh", "-ec", MOUNT)


def line(process: subprocess.Popen[str]) -> str:
    """The next line the other process prints; empty at its end."""
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture
def locked(opener: Opener, path: Path, start: Starter) -> subprocess.Popen[str]:
    """Another process holds the write lock."""
    opener().append("note", {}, incident="I")
    process = start(path, "lock")
    assert line(process) == "locked"
    return process


def test_locked_by_another_process(locked: subprocess.Popen[str], opener: Opener) -> None:
    """A lock held too long is an error in time that names the holder; reading goes on; after it writing works again."""
    record = opener(wait=0.3)
    began = time.monotonic()
    with pytest.raises(RecordUnavailable, match=rf"locked by process {locked.pid} \(.+\) for more than 0.3 s"):
        record.append("note", {}, incident="I")
    assert time.monotonic() - began < 5
    assert record.head()[0] == 1
    assert verify(record.path).ok
    assert locked.stdin
    locked.stdin.close()
    locked.wait()
    assert record.append("note", {}, incident="I").seq == 2


def test_lock_that_ends_in_time_is_waited_for(locked: subprocess.Popen[str], opener: Opener) -> None:
    """A lock that is released within the wait delays the append and does not fail it."""
    record = opener(wait=10)
    assert locked.stdin
    threading.Timer(0.3, locked.stdin.close).start()
    assert record.append("note", {}, incident="I").seq == 2


def test_holder_is_read_from_proc_locks(tmp_path: Path) -> None:
    """Only a write lock on one of the record's files counts; where nothing can be read the text stays vague."""
    path = tmp_path / "record.db"
    path.touch()
    inode = path.stat().st_ino
    table = tmp_path / "locks"
    table.write_text(
        f"1: FLOCK  ADVISORY  WRITE 11 fe:00:1 0 EOF\n"
        f"2: POSIX  ADVISORY  READ 12 fe:00:{inode} 120 120\n"
        f"3: POSIX  ADVISORY  WRITE 999999999 fe:00:{inode} 120 120\n"
    )
    assert locker(path, table) == "process 999999999"
    assert locker(path, tmp_path / "none") == "another process"


def test_same_record_opened_by_many_at_once(path: Path, start: Starter) -> None:
    """Eight processes make and fill one record at the same time: nothing is lost, twice or forked."""
    writers = [start(path, "append", 25, f"w{n}") for n in range(8)]
    seqs = [int(text) for process in writers for text in (process.stdout or ())]
    assert [process.wait() for process in writers] == [0] * 8
    assert sorted(seqs) == list(range(1, 201))
    report = verify(path)
    assert report.ok
    assert report.entries == 200


def test_kill_9_loses_nothing_acknowledged(path: Path, start: Starter) -> None:
    """Writers killed in the middle, again and again: every acknowledged entry is there and the chain verifies."""
    acknowledged: dict[str, int] = {}
    for attempt in range(6):
        pair = [start(path, "append", 0, f"a{attempt}"), start(path, "append", 0, f"b{attempt}")]
        for process, name in zip(pair, "ab", strict=True):
            for n in range(1, 4 + attempt * 3):
                acknowledged[f"{name}{attempt}:{n}"] = int(line(process))
        for process in pair:
            process.kill()
        for process, name in zip(pair, "ab", strict=True):
            n = 4 + attempt * 3
            while text := line(process):
                acknowledged[f"{name}{attempt}:{n}"] = int(text)
                n += 1
    assert verify(path).ok
    with contextlib.closing(sqlite3.connect(path)) as db:
        stored = dict(db.execute("SELECT key, seq FROM entry"))
    assert len(acknowledged) > 100
    assert acknowledged.items() <= stored.items()


@pytest.mark.lab
def test_disk_full(path: Path, start: Starter) -> None:
    """On a full disk an append is refused, what was acknowledged stays, and with room again it goes on."""
    path.parent.mkdir()
    process = start(path, "fill", prefix=(*SMALL_DISK, str(path.parent), "1m", ""))
    result = json.loads(line(process))
    assert result["refused"][0] == "RecordUnavailable"
    assert "full" in result["refused"][1]
    assert result["acknowledged"] == result["seen"] > 5
    assert result["after"] == result["seen"] + 1


@pytest.mark.lab
@pytest.mark.parametrize("state", ["closed", "killed", "index lost", "index empty"])
def test_read_only_disk(path: Path, tmp_path: Path, start: Starter, state: str) -> None:
    """On a read-only disk writing is refused, and verification works, also with a log left by a killed writer."""
    source = tmp_path / "source" / "record.db"
    writer = start(source, "append", 3 if state == "closed" else 0, "w")
    for _ in range(3):
        line(writer)
    if state != "closed":
        writer.kill()
    writer.wait()
    if state.startswith("index"):
        index = source.with_name("record.db-shm")
        index.unlink()
        if state == "index empty":
            index.touch()
    shutil.rmtree(source.parent / "keys", ignore_errors=True)
    assert source.with_name("record.db-wal").exists() == (state != "closed")
    path.parent.mkdir()
    process = start(path, "readonly", prefix=(*SMALL_DISK, str(path.parent), "8m", str(source.parent)))
    result = json.loads(line(process))
    assert result["refused"][0] == "RecordUnavailable"
    assert "read-only" in result["refused"][1].lower()
    assert result["ok"]
    assert result["entries"] >= 3


@pytest.mark.lab
def test_no_room_to_read_what_a_killed_writer_left(path: Path, tmp_path: Path, start: Starter) -> None:
    """A log without its index is read from a copy; without room for that the error says where to make some."""
    writer = start(path, "append", 0, "w")
    for _ in range(100):
        line(writer)
    children.end(writer)
    path.with_name("record.db-shm").unlink()
    small = tmp_path / "small"
    small.mkdir()
    prefix = (*SMALL_DISK, str(small), "64k", "", "env", f"TMPDIR={small}")
    said = line(start(path, "verify", prefix=prefix))
    assert said.startswith("RecordUnavailable ")
    assert "No space left" in said
    assert f"make room in {small}" in said
    assert line(start(path, "verify")) == "True"


def test_a_snapshot_that_a_writer_has_torn_is_taken_again(opener: Opener, path: Path) -> None:
    """Damage found while somebody writes is looked for once more; found in what nobody touches it is damage."""
    opener().close()
    tries: list[int] = []

    def count(db: sqlite3.Connection) -> int:
        tries.append(db.execute("SELECT count(*) FROM entry").fetchone()[0])
        if len(tries) == 1:
            with opener() as record:
                record.append("note", {}, incident="I")
        if len(tries) != 2:
            raise RecordBroken("malformed")
        return tries[-1]

    assert untorn(path, count) == 1
    assert tries == [0, 1]
    with pytest.raises(RecordBroken, match="malformed"):
        untorn(path, count)
    assert len(tries) == 3


def test_readers_and_writers_that_come_and_go(path: Path, start: Starter) -> None:
    """While others open, append and close as fast as they can, no reader takes their record for a damaged one."""
    writers = [start(path, "again", 150, f"w{n}") for n in range(2)]
    assert [line(writer) for writer in writers] == ["1", "1"]
    seen: list[int] = []
    while any(writer.poll() is None for writer in writers):
        seen.append(untorn(path, lambda db: int(db.execute("SELECT count(*) FROM entry").fetchone()[0])))
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == sorted(seen)
    report = verify(path)
    assert (report.ok, report.entries) == (True, 300)


def test_corrupt_header(opener: Opener, path: Path) -> None:
    """A file whose first page is overwritten is damaged: opening and verifying both say so."""
    opener().close()
    with path.open("r+b") as file:
        file.write(b"\xde\xad\xbe\xef" * 8)
    with pytest.raises(RecordBroken, match="damaged"):
        opener()
    assert [finding.kind for finding in verify(path).damage] == ["unreadable"]


@pytest.mark.parametrize("how", ["page", "cut", "cut to nothing"])
def test_corrupt_body_of_the_file(opener: Opener, path: Path, how: str) -> None:
    """Garbage in the middle of the file, or its end missing, is found as unreadable damage."""
    with opener() as record:
        for n in range(200):
            record.append("note", {"text": "x" * 300, "n": n}, incident="I")
        record.checkpoint()
    size = path.stat().st_size
    with path.open("r+b") as file:
        if how == "page":
            file.seek(size // 2 // 4096 * 4096)
            file.write(os.urandom(8192))
        else:
            file.truncate(size // 3 if how == "cut" else 0)
    if how == "cut to nothing":
        with pytest.raises(RecordUnavailable, match="not an incident record"):
            verify(path)
        with pytest.raises(RecordBroken, match="cut off"):
            opener()
        return
    assert "unreadable" in {finding.kind for finding in verify(path).damage}


def test_deleted_record_is_not_begun_anew_over_its_checkpoints(opener: Opener, path: Path) -> None:
    """When the file is gone but its checkpoints are there, opening refuses and says what to move."""
    opener().checkpoint()
    opener().close()
    for each in path.parent.glob("record.db*"):
        if each.is_file():
            each.unlink()
    with pytest.raises(RecordBroken, match=r"move the folder .*record\.db\.checkpoints away"):
        opener()


def test_missing_wal(opener: Opener, path: Path, tmp_path: Path) -> None:
    """Without its write-ahead log a record still has all that was signed."""
    record = opener()
    for _ in range(5):
        record.append("note", {}, incident="I")
    record.checkpoint()
    signed = record.head()[0]
    record.append("note", {}, incident="I")
    assert path.with_name("record.db-wal").stat().st_size > 0
    copy = tmp_path / "copy" / "record.db"
    shutil.copytree(path.parent, copy.parent, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    report = verify(copy)
    assert (report.ok, report.entries, report.signed) == (True, signed, signed)


def test_file_put_back_to_an_older_state(opener: Opener, path: Path, tmp_path: Path) -> None:
    """A sound file from before the newest checkpoint, as from a backup, is found out and not continued."""
    with opener() as record:
        record.append("note", {}, incident="I")
        record.checkpoint()
    shutil.copy(path, tmp_path / "backup.db")
    with opener() as record:
        record.append("note", {}, incident="I")
        record.checkpoint()
    shutil.copy(tmp_path / "backup.db", path)
    assert {"cut-off", "checkpoint-missing"} == {finding.kind for finding in verify(path).damage}
    with pytest.raises(RecordBroken, match="cut off"):
        opener()


@pytest.mark.parametrize(("version", "says"), [(99, "a newer"), (0, "an older")])
def test_other_format(opener: Opener, path: Path, tamper: Tamper, version: int, says: str) -> None:
    """A record in a format this version does not know is neither written nor judged, and stays as it is."""
    opener().close()
    tamper(f"PRAGMA user_version={version}")
    for use in (opener, lambda: verify(path)):
        with pytest.raises(RecordUnavailable, match=f"format {version}, written by {says}"):
            use()


def test_other_database_is_left_alone(opener: Opener, path: Path) -> None:
    """A SQLite file of another program is refused and not changed."""
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(RecordUnavailable, match="not an incident record"):
        opener()
    assert path.read_bytes() == before


def test_directory_in_the_way(opener: Opener, path: Path) -> None:
    """A directory or a file where there should be none is a clear refusal."""
    path.mkdir(parents=True)
    with pytest.raises(RecordUnavailable):
        opener()
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("")
    with pytest.raises(RecordUnavailable, match="cannot be opened"):
        opener()


def test_forked_child_is_refused(path: Path, start: Starter) -> None:
    """A record does not work across fork, where SQLite would lose locks: the child is told to open it again."""
    process = start(path, "fork")
    assert "forked" in line(process)
    assert line(process) == "the parent appended 1"
