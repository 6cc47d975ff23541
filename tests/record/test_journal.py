"""Appending, reading, signing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remedy.core.canon import Json, canonical, encode
from remedy.core.errors import RecordBroken, RecordUnavailable
from remedy.core.ports import Journal
from remedy.core.values import Entry
from remedy.record import checkpoints
from remedy.record.actor import Actor, here
from remedy.record.chain import ZERO, Link
from remedy.record.journal import Record
from remedy.record.verify import verify

Opener = Callable[..., Record]


def test_record_is_a_journal(record: Record) -> None:
    """The record fits the port, as the type checker sees it, and starts empty."""
    journal: Journal = record
    assert journal.head() == (0, ZERO)
    assert list(journal.entries()) == []


def test_entry_has_the_documented_hash(record: Record, path: Path) -> None:
    """The hash is SHA-256 of the canonical header, which binds actor, body and salt, as the reference says."""
    entry = record.append("note", {"text": "wörd", "n": 1}, incident="INC-1", run="r1", key="k1")
    with sqlite3.connect(path) as db:
        actor, salt = db.execute("SELECT actor, salt FROM entry").fetchone()
    db.close()
    bound = hashlib.sha256(canonical({"body": {"text": "wörd", "n": 1}, "salt": salt})).hexdigest()
    header: dict[str, Json] = {
        "v": 1,
        "seq": 1,
        "prev": ZERO,
        "time": "2026-11-20T06:00:01.000000Z",
        "kind": "note",
        "incident": "INC-1",
        "run": "r1",
        "key": "k1",
        "actor": encode(Actor("ops", 1000, "", "adm1", os.getpid(), "0.1.0")),
        "body_sha256": bound,
    }
    assert json.loads(actor) == header["actor"]
    assert entry.hash == hashlib.sha256(canonical(header)).hexdigest()
    assert entry == Entry(
        1, entry.hash, ZERO, "2026-11-20T06:00:01.000000Z", "note", "INC-1", "r1", "k1", '{"n":1,"text":"wörd"}'
    )
    assert len(salt) == 64


@given(st.tuples(*[st.text(max_size=20)] * 5))
def test_header_bytes_are_canonical_json(texts: tuple[str, ...]) -> None:
    """Whatever the fields hold, the header's bytes are those of canonical JSON."""
    kind, incident, run, key, user = (t.encode("utf-8", "replace").decode() for t in texts)
    actor = Actor(user, 0, "", "m", 1, "0")
    link = Link(7, "", ZERO, "t", kind, incident, run, key, actor.text, ZERO, "", "{}")
    assert link.header() == canonical(json.loads(link.header()))


def test_chain_is_continued_after_reopening(opener: Opener) -> None:
    """A second opening goes on where the first stopped."""
    with opener() as first:
        one = first.append("note", {}, incident="INC-1")
    two = opener().append("note", {}, incident="INC-1")
    assert (two.seq, two.prev) == (2, one.hash)


def test_same_key_returns_the_entry_there(record: Record) -> None:
    """An append repeated with its key, even with another body, changes nothing and returns the first entry."""
    first = record.append("intent", {"n": 1}, incident="INC-1", key="run:1")
    assert record.append("intent", {"n": 2}, incident="INC-1", key="run:1") == first
    assert record.append("intent", {}, incident="INC-1").seq == 2
    assert record.append("intent", {}, incident="INC-1").seq == 3


def test_entries_are_filtered(record: Record) -> None:
    """Each filter, and all together, select exactly what they name; pages do not lose or repeat entries."""
    for n in range(600):
        record.append("note" if n % 2 else "intent", {"n": n}, incident=f"INC-{n % 3}", run=f"r{n % 5}")
    everything = list(record.entries())
    assert [entry.seq for entry in everything] == list(range(1, 601))
    assert list(record.entries(incident="INC-1")) == [e for e in everything if e.incident == "INC-1"]
    assert list(record.entries(run="r4")) == [e for e in everything if e.run == "r4"]
    assert list(record.entries(kinds=["note", "none"])) == [e for e in everything if e.kind == "note"]
    some = list(record.entries(incident="INC-1", run="r1", kinds=iter(["note"]), after=300))
    assert some == [e for e in everything if (e.incident, e.run, e.kind) == ("INC-1", "r1", "note") and e.seq > 300]
    assert some


def test_filters_give_what_a_look_at_everything_gives(record: Record) -> None:
    """Whatever is asked for together, the entries are those of it, in order, over several pages."""
    for n in range(900):
        record.append(f"k{n % 3}", {"n": n}, incident=f"I{n % 2}", run=f"r{n % 7}")
    everything = list(record.entries())
    for kinds in ((), ("k1",), ("k2", "k0"), ("k0", "k1", "k0", "none")):
        for incident in ("", "I1"):
            for run in ("", "r3"):
                for after in (0, 450):
                    right = [
                        entry
                        for entry in everything
                        if entry.seq > after
                        and (not kinds or entry.kind in kinds)
                        and incident in {"", entry.incident}
                        and run in {"", entry.run}
                    ]
                    found = record.entries(kinds=kinds, incident=incident, run=run, after=after)
                    assert list(found) == right
                    assert right


def test_what_a_run_did_is_found_without_reading_every_entry_of_its_kind(record: Record, path: Path) -> None:
    """The entries of a run are looked up by the run, and those of several kinds each by its kind, without sorting."""
    plans: list[str] = []
    record.append("k", {}, incident="I", run="r")
    reader = record._reader
    asked: list[str] = []
    reader.set_trace_callback(asked.append)
    list(record.entries(run="r", kinds=["k", "sent"]))
    list(record.entries(kinds=["k", "sent"]))
    reader.set_trace_callback(None)
    with contextlib.closing(sqlite3.connect(path)) as db:
        for query in asked:
            if "FROM entry" in query and "WHERE seq" in query:
                plans += [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert any("entry_run" in plan for plan in plans)
    assert any("entry_kind" in plan for plan in plans)
    assert not any("TEMP B-TREE" in plan or "SCAN" in plan for plan in plans)


def test_reading_ends_while_others_append(record: Record) -> None:
    """Reading stops at what was newest when it began, even when an entry is appended for each one read."""
    record.append("note", {}, incident="INC-1")
    assert len([record.append("note", {}, incident="INC-1") for _ in record.entries()]) == 1


def test_secrets_do_not_reach_the_file(opener: Opener, path: Path) -> None:
    """What `redact` takes out is in no byte of any file, wherever in the body it stood."""
    with opener(redact=lambda text: text.replace("hunter2", "<secret>")) as record:
        body: dict[str, Json] = {"a": ["x hunter2 y", {"hunter2": "hunter2"}], "b": {"c": {"d": "hunter2"}}}
        entry = record.append("sent", body, incident="INC-1")
        assert "<secret>" in entry.body
        files = [each for each in path.parent.rglob("*") if each.is_file()]
        assert all(b"hunter2" not in each.read_bytes() for each in files)
    assert b"hunter2" not in path.read_bytes()
    assert verify(path).ok


def test_keys_redacted_to_the_same_text_stay_apart(opener: Opener) -> None:
    """Redaction loses no value when two keys become equal."""
    record = opener(redact=lambda text: "***" if text in {"s1", "s2"} else text)
    assert json.loads(record.append("sent", {"s1": 1, "s2": 2}, incident="I").body) == {"***": 1, "***~": 2}


@given(
    body=st.dictionaries(
        st.text(st.characters(), max_size=8), st.text(st.characters(codec=None), max_size=30), max_size=4
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_hostile_text_is_stored_and_verifies(record: Record, body: dict[str, str]) -> None:
    """Any text, lone surrogates included, is stored; text that is valid comes back exactly."""
    entry = record.append("note", dict(body), incident="INC-1")
    stored = json.loads(entry.body)
    (again,) = record.entries(after=entry.seq - 1)
    assert again == entry
    for key, text in body.items():
        if all(not 0xD800 <= ord(c) <= 0xDFFF for c in key + text):
            assert stored[key] == text


def test_invalid_text_is_made_visible(record: Record, path: Path) -> None:
    """A byte that is no UTF-8 and a lone surrogate become escapes; header fields lose control characters too."""
    body: dict[str, Json] = {"out": b"a\xff\x00\x1b[2J".decode("utf-8", "surrogateescape") + "\ud800"}
    entry = record.append("no\x00te", body, incident="I\x1b[0m", run="r\n", key="k\x9b\udc80")
    assert json.loads(entry.body)["out"] == "a\\xff\x00\x1b[2J\\ud800"
    assert (entry.kind, entry.incident, entry.run, entry.key) == ("no\\x00te", "I\\x1b[0m", "r\\x0a", "k\\x9b\\x80")
    assert record.append("x", {}, incident="", key="k\x9b\udc80") == entry
    assert list(record.entries(incident="I\x1b[0m")) == [entry]
    assert verify(path).ok


def test_floats_are_refused_and_leave_nothing(record: Record) -> None:
    """A body canonical JSON cannot hold is refused before anything is written."""
    with pytest.raises(TypeError, match="float"):
        record.append("note", {"x": 1.5}, incident="I")  # type: ignore[dict-item]
    assert record.head() == (0, ZERO)


def test_threads_append_without_loss(record: Record, path: Path) -> None:
    """Fifty threads append at once: every returned entry is there, each once, and the chain verifies."""
    got: list[Entry] = []

    def work(name: int) -> None:
        got.extend(record.append("note", {"n": n}, incident="INC-1", key=f"{name}:{n}") for n in range(10))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=lambda entry: entry.seq) == list(record.entries())
    assert len({entry.key for entry in got}) == 500
    assert verify(path).ok


def test_waiting_appends_share_one_commit(record: Record, path: Path) -> None:
    """Appends that wait while one commits are committed together: far fewer commits than appends."""
    data_version: list[int] = []
    threads = [threading.Thread(target=lambda: record.append("note", {}, incident="I"), daemon=True) for _ in range(40)]
    with sqlite3.connect(path) as db, record._turn:
        for thread in threads:
            thread.start()
        while len(record._queue) < 40:
            threading.Event().wait(0.001)
        data_version.append(db.execute("SELECT count(*) FROM entry").fetchone()[0])
    db.close()
    for thread in threads:
        thread.join()
    wal = path.with_name(path.name + "-wal")
    assert data_version == [0]
    assert record.head()[0] == 40
    assert wal.stat().st_size < 40 * 4 * 4120  # one commit of a few pages, not forty of at least four


def test_one_key_in_one_batch_is_one_entry(record: Record) -> None:
    """Two threads with the same key, committed together, get the same entry."""
    got: list[Entry] = []
    threads = [
        threading.Thread(target=lambda: got.append(record.append("n", {}, incident="I", key="k"))) for _ in range(8)
    ]
    with record._turn:
        for thread in threads:
            thread.start()
        while len(record._queue) < 8:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1
    assert record.head()[0] == 1


def test_times_are_utc(opener: Opener) -> None:
    """A clock in another zone is recorded as UTC; one without a zone is refused and nothing is written."""
    east = timezone(timedelta(hours=8))
    record = opener(clock=lambda: datetime(2026, 11, 20, 14, 0, 0, 5, tzinfo=east))
    assert record.append("note", {}, incident="I").time == "2026-11-20T06:00:00.000005Z"
    naive = opener(clock=lambda: datetime(2026, 11, 20, 14, 0, 0))  # noqa: DTZ001 -- the mistake under test
    with pytest.raises(ValueError, match="time zone"):
        naive.append("note", {}, incident="I")
    assert record.head()[0] == 1


def test_commits_reach_the_disk(record: Record) -> None:
    """The writing connection flushes its log at every commit, which no test without a power failure can show."""
    assert record._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert record._writer.execute("PRAGMA synchronous").fetchone() == (2,)


def test_files_are_private(record: Record, path: Path) -> None:
    """The database is 0600, and the directories made for it and for checkpoints are 0700."""
    record.append("note", {}, incident="I")
    record.checkpoint()
    modes = {each: each.stat().st_mode & 0o777 for each in [path.parent, *path.parent.rglob("*")]}
    assert {mode for each, mode in modes.items() if each.is_dir()} == {0o700}
    assert {mode for each, mode in modes.items() if each.is_file()} == {0o600}


def test_loose_file_is_tightened(opener: Opener, path: Path) -> None:
    """A record that others could read is made private when it is opened."""
    opener().close()
    path.chmod(0o644)
    opener()
    assert path.stat().st_mode & 0o777 == 0o600


def test_database_refuses_change_and_deletion(record: Record, path: Path) -> None:
    """The database itself refuses to change, delete, replace, fork or insert out of order."""
    record.append("note", {}, incident="I", key="k")
    record.checkpoint()
    insert = "INSERT INTO entry VALUES ({}, 'h', 'p', 't', 'k', 'i', 'r', '', 'a', 'b', 's', '{{}}')"
    same_key = (
        "INSERT OR REPLACE INTO entry "
        "SELECT 3, 'h', hash, time, kind, incident, run, 'k', actor, body_sha256, salt, body FROM entry WHERE seq = 2"
    )
    with sqlite3.connect(path, isolation_level=None) as db:
        for statement in (
            "UPDATE entry SET body = '{}'",
            "DELETE FROM entry",
            "UPDATE checkpoint SET body = ''",
            "DELETE FROM checkpoint",
            insert.format(9),
            insert.format(3),
            insert.format(1).replace("INSERT", "INSERT OR REPLACE"),
            same_key,
        ):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(statement)
    db.close()
    assert verify(path).ok


def test_checkpoint_states_head_and_size(record: Record, path: Path) -> None:
    """A checkpoint announces its key first, signs the head after that, and stands in two files."""
    record.append("note", {}, incident="I")
    signed = checkpoints.parse_signed(record.checkpoint())
    checkpoint, key = checkpoints.opened(signed)
    seq, head = record.head()
    (announced,) = record.entries(kinds=["signing-key"])
    assert (checkpoint.size, checkpoint.head, checkpoint.number) == (2, head, 1)
    assert (seq, json.loads(announced.body)["fingerprint"]) == (2, record.fingerprint())
    assert key.fingerprint == record.fingerprint()
    assert checkpoints.read_file(path, 1) == signed
    assert (path.with_name(f"{path.name}.checkpoints") / "00000001.txt.sig").read_text() == signed.signature


def test_same_head_is_signed_once(record: Record) -> None:
    """Signing twice without an entry between gives the same text and no second checkpoint; an entry more, a new one."""
    record.append("note", {}, incident="I")
    first = record.checkpoint()
    assert record.checkpoint() == first
    record.append("note", {}, incident="I")
    assert checkpoints.parse_signed(record.checkpoint()).number == 2


def test_checkpoint_files_lost_in_a_crash_are_written_later(record: Record, path: Path) -> None:
    """Files missing because of a crash after the commit appear with the next checkpoint."""
    record.checkpoint()
    record.append("note", {}, incident="I")
    record.checkpoint()
    for name in ("00000002.txt", "00000002.txt.sig"):
        (path.with_name(f"{path.name}.checkpoints") / name).unlink()
    assert [f.kind for f in verify(path).findings] == ["file-missing"]
    record.append("note", {}, incident="I")
    record.checkpoint()
    assert checkpoints.file_numbers(path) == [1, 2, 3]


def test_closed_record_says_so(record: Record) -> None:
    """Appending to a closed record is refused, and closing twice is allowed."""
    record.close()
    record.close()
    with pytest.raises(RecordUnavailable, match="open it again"):
        record.append("note", {}, incident="I")


def test_interrupted_append_leaves_the_record_usable(opener: Opener) -> None:
    """An interrupt inside the commit writes nothing, and the next append works."""
    calls = iter([KeyboardInterrupt()])

    def entropy(size: int) -> bytes:
        for error in calls:
            raise error
        return os.urandom(size)

    opener().close()  # makes the record with its own randomness
    record = opener(entropy=entropy)
    with pytest.raises(KeyboardInterrupt):
        record.append("note", {}, incident="I")
    assert record.head() == (0, ZERO)
    assert record.append("note", {}, incident="I").seq == 1
    assert len(list(record.entries())) == 1


def test_interrupt_of_one_thread_does_not_fail_the_others(opener: Opener) -> None:
    """When the thread that commits for all is interrupted, the others' appends are committed all the same."""
    opener().close()
    calls = iter([KeyboardInterrupt()])

    def entropy(size: int) -> bytes:
        for error in calls:
            raise error
        return os.urandom(size)

    record = opener(entropy=entropy)
    results: list[object] = []

    def work() -> None:
        try:
            results.append(record.append("note", {}, incident="I").seq)
        except KeyboardInterrupt:
            results.append("interrupted")

    threads = [threading.Thread(target=work) for _ in range(5)]
    with record._turn:
        for thread in threads:
            thread.start()
        while len(record._queue) < 5:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    assert results.count("interrupted") == 1
    numbers = sorted(each for each in results if isinstance(each, int))
    assert len(numbers) == 4
    assert [entry.seq for entry in record.entries()] in ([1, 2, 3, 4], [1, 2, 3, 4, 5])  # the fifth may be there


def test_append_refuses_to_continue_a_damaged_end(opener: Opener, tamper: Callable[..., None]) -> None:
    """When the newest entry was changed or removed, nothing is appended after it."""
    for n in range(3):
        opener().append("note", {"n": n}, incident="I")
    tamper("UPDATE entry SET kind = 'other' WHERE seq = 3")
    with pytest.raises(RecordBroken, match="not what its hash says"):
        opener()
    tamper("DELETE FROM entry WHERE seq = 3")
    with pytest.raises(RecordBroken, match="cut off"):
        opener()


def test_actor_of_this_process() -> None:
    """The actor block names the user, the one behind sudo, the machine and the process."""
    actor = here(environ={"SUDO_USER": "al\x1bice"}, version="0.1.0")
    assert (actor.uid, actor.pid, actor.version) == (os.getuid(), os.getpid(), "0.1.0")
    assert json.loads(actor.text)["sudo_user"] == "al\\x1bice"
