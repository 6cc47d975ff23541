"""Every manipulation is found; what is no manipulation is not."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.worlds.tampering import rebuild

from remedy.core.errors import RecordBroken, RecordUnavailable
from remedy.record import checkpoints, keys
from remedy.record.chain import COLUMNS, ZERO, Link
from remedy.record.journal import Record
from remedy.record.report import DAMAGE, REMARKS
from remedy.record.verify import verify
from remedy.record.witness import Held

Opener = Callable[..., Record]
Tamper = Callable[..., None]
#: Fields that somebody may want to change in an entry.
FIELDS = ("time", "kind", "incident", "run", "actor", "body", "salt", "key", "prev", "hash", "body_sha256")

#: Gives one index the pages of another: the entries stay as they are, the file is damaged.
SWAP = "UPDATE sqlite_master SET rootpage = (SELECT page FROM was WHERE name = '{}') WHERE name = '{}'"


@pytest.fixture
def filled(opener: Opener) -> None:
    """Twenty entries, signed after the twelfth (number 13 announces the key ahead of that) and at the end; closed."""
    with opener() as record:
        for n in range(19):
            if n == 12:
                record.checkpoint()
            record.append("note", {"n": n}, incident="INC-1", run="r1", key=f"k{n}")
        record.checkpoint()


def kinds(path: Path, **given_: object) -> dict[str, tuple[int, int]]:
    """The findings of a verification: kind to range of entries."""
    return {each.kind: (each.first, each.last) for each in verify(path, **given_).findings}  # type: ignore[arg-type]


@pytest.mark.usefixtures("filled")
def test_untouched_record_verifies(path: Path) -> None:
    """A record nobody touched has no finding at all, and the report counts what is there."""
    report = verify(path)
    assert report.findings == ()
    assert (report.entries, report.signed, report.checkpoints, report.ok) == (20, 20, 2, True)
    assert len(report.fingerprints) == 1
    report.require()


@pytest.mark.usefixtures("filled")
def test_verifying_leaves_no_trace(path: Path) -> None:
    """Verification changes no byte, no time and no name in the record's directory."""

    def state() -> dict[Path, tuple[int, bytes]]:
        return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in path.parent.rglob("*") if p.is_file()}

    path.chmod(0o400)
    before = state()
    assert verify(path).ok
    assert state() == before


def test_open_record_is_verified_with_what_is_in_its_wal(record: Record, path: Path) -> None:
    """Entries that are still in the write-ahead log count, and the log stays as it is."""
    record.append("note", {}, incident="I")
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size
    assert size > 0
    assert verify(path).entries == 1
    assert wal.stat().st_size == size


def test_copied_record_with_its_wal_is_verified(record: Record, path: Path, tmp_path: Path) -> None:
    """A copy made of file and write-ahead log, without the index, is read whole and left as it is."""
    record.append("note", {}, incident="I")
    copy = tmp_path / "copy" / "record.db"
    copy.parent.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    assert verify(copy).entries == 1
    assert sorted(each.name for each in copy.parent.iterdir()) == ["record.db", "record.db-wal"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["UPDATE entry SET kind = 'x' WHERE seq = 5"], {"edited": (5, 5)}),
        (["UPDATE entry SET time = '2020' WHERE seq BETWEEN 5 AND 7"], {"edited": (5, 7)}),
        (["""UPDATE entry SET body = '{"n":99}' WHERE seq = 5"""], {"body-edited": (5, 5)}),
        (["UPDATE entry SET actor = replace(actor, 'ops', 'eve') WHERE seq = 5"], {"edited": (5, 5)}),
        (["UPDATE entry SET body = CAST(x'7b22ff227d' AS TEXT) WHERE seq = 5"], {"body-edited": (5, 5)}),
        (["DELETE FROM entry WHERE seq BETWEEN 5 AND 7"], {"missing": (5, 7)}),
        (["DELETE FROM entry WHERE seq = 1"], {"missing": (1, 1)}),
        (["DELETE FROM entry WHERE seq > 15"], {"cut-off": (16, 20)}),
        (["UPDATE entry SET seq = seq + 100 WHERE seq = 20"], {"missing": (20, 119), "renumbered": (120, 120)}),
        (
            [
                "UPDATE entry SET seq = 100 WHERE seq = 5",
                "UPDATE entry SET seq = 5 WHERE seq = 6",
                "UPDATE entry SET seq = 6 WHERE seq = 100",
            ],
            {"renumbered": (5, 6)},
        ),
        (
            ["DELETE FROM entry WHERE seq = 5", "UPDATE entry SET seq = seq - 1 WHERE seq > 5"],
            {"renumbered": (5, 19)},
        ),
        (
            [
                "UPDATE entry SET seq = -seq WHERE seq > 5",
                "UPDATE entry SET seq = 1 - seq WHERE seq < 0",
                (
                    "INSERT INTO entry SELECT 6, hash || 'x', 'p', time, kind, incident, run, '', actor, "
                    "body_sha256, salt, body FROM entry WHERE seq = 5"
                ),
            ],
            {"renumbered": (7, 21), "inserted": (6, 6), "edited": (6, 6)},
        ),
        (
            ["DROP INDEX entry_key", "UPDATE entry SET key = 'k0' WHERE seq = 2"],
            {"edited": (2, 2), "duplicate-key": (2, 2), "schema": (0, 0)},
        ),
        (["UPDATE frontier SET nodes = zeroblob(64)"], {"frontier": (0, 0)}),
        (["DELETE FROM frontier"], {"frontier": (0, 0)}),
        (
            ["UPDATE checkpoint SET body = replace(body, 'number 1', 'number 3') WHERE number = 1"],
            {"bad-signature": (0, 0)},
        ),
        (["UPDATE checkpoint SET signature = 'x' WHERE number = 1"], {"bad-signature": (0, 0)}),
        (["DELETE FROM checkpoint WHERE number = 1"], {"checkpoint-missing": (0, 0)}),
        (["DELETE FROM checkpoint WHERE number = 2"], {"checkpoint-missing": (0, 0)}),
        (["UPDATE checkpoint SET number = 5 WHERE number = 2"], {"checkpoint-edited": (0, 0)}),
        (
            [
                "PRAGMA writable_schema=ON",
                "CREATE TEMP TABLE was AS SELECT name, rootpage AS page FROM sqlite_master",
                SWAP.format("entry_run", "entry_incident"),
                SWAP.format("entry_incident", "entry_run"),
            ],
            {"unreadable": (0, 0)},
        ),
        (["UPDATE identity SET id = 'ffff'"], {"foreign-checkpoint": (0, 0)}),
        (["CREATE TABLE planted (x)"], {"schema": (0, 0)}),
        (["DROP TABLE lease"], {"schema": (0, 0)}),
        (["DROP TABLE entry"], {"schema": (0, 0), "unreadable": (0, 0)}),
    ],
)
def test_manipulation_is_found_and_named(
    path: Path, tamper: Tamper, statements: list[str], expected: dict[str, tuple[int, int]]
) -> None:
    """Each way to change the tables is damage of the expected kind, at the expected entries."""
    drops_table = any("DROP TABLE entry" in statement for statement in statements)
    if any("SET seq" in statement for statement in statements):
        statements = ["PRAGMA ignore_check_constraints=ON", *statements]
    tamper(*statements, keep_triggers=not drops_table)
    found = kinds(path)
    assert {kind: found.get(kind) for kind in expected} == expected
    assert not verify(path).ok
    with pytest.raises(RecordBroken):
        verify(path).require()


@pytest.mark.usefixtures("filled")
def test_missing_triggers_are_found(path: Path, tamper: Tamper) -> None:
    """A record whose protection was taken away is reported, although no entry differs."""
    tamper(keep_triggers=False)
    assert "schema" in kinds(path)


@pytest.mark.usefixtures("filled")
def test_rebuilt_chain_contradicts_its_checkpoints(path: Path, tamper: Tamper) -> None:
    """With every hash computed anew the chain is sound, but the checkpoints show where it was changed."""
    tamper("""UPDATE entry SET body = '{"n":99}' WHERE seq = 16""")
    rebuild(path)
    assert kinds(path) == {"root-mismatch": (14, 20), "unsigned": (14, 20)}


@pytest.mark.usefixtures("filled")
def test_replaced_entry_breaks_the_link(path: Path, tamper: Tamper) -> None:
    """An entry replaced by one that is right in itself does not fit the next one."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        link = Link(*db.execute(f"SELECT {COLUMNS} FROM entry WHERE seq = 5").fetchone())
    forged = replace(link, kind="forged")
    tamper(f"UPDATE entry SET kind = 'forged', hash = '{forged.computed()}' WHERE seq = 5")
    found = kinds(path)
    assert found["broken-link"] == (6, 6)
    assert "edited" not in found


@pytest.mark.parametrize("field", ["root", "head"])
def test_checkpoint_binds_root_and_head_both(record: Record, path: Path, tmp_path: Path, field: str) -> None:
    """A checkpoint that is signed but states another root, or another head, contradicts the entries."""
    right = checkpoints.parse(checkpoints.parse_signed(record.checkpoint()).body)
    wrong = replace(right, root=bytes(32)) if field == "root" else replace(right, head=ZERO)
    key = keys.load_or_make(tmp_path / "keys", entropy=os.urandom)
    assert "root-mismatch" in kinds(path, held=[Held(checkpoints.sign(wrong, key).text)])
    assert kinds(path, held=[Held(checkpoints.sign(right, key).text)]) == {}


@pytest.mark.usefixtures("filled")
def test_checkpoint_removed_with_its_files_is_missed(path: Path, tamper: Tamper) -> None:
    """A checkpoint from the middle leaves a gap in the numbers when it is removed everywhere."""
    tamper("DELETE FROM checkpoint WHERE number = 1")
    for name in ("00000001.txt", "00000001.txt.sig"):
        (path.with_name(f"{path.name}.checkpoints") / name).unlink()
    report = verify(path)
    assert [str(finding) for finding in report.damage] == ["checkpoint 1 and all before 2 are gone, database and files"]


@pytest.mark.usefixtures("filled")
def test_tail_cut_off_with_all_its_traces_contradicts_a_checkpoint_held_elsewhere(path: Path, tamper: Tamper) -> None:
    """When tail, checkpoint and files are all removed nothing inside shows it; a checkpoint held elsewhere does."""
    held = checkpoints.read_file(path, 2).text
    tamper("DELETE FROM entry WHERE seq > 13", "DELETE FROM checkpoint WHERE number = 2")
    rebuild(path)
    for name in ("00000002.txt", "00000002.txt.sig"):
        (path.with_name(f"{path.name}.checkpoints") / name).unlink()
    assert verify(path).ok
    assert kinds(path, held=[Held(held)]) == {"checkpoint-missing": (0, 0), "cut-off": (14, 20)}


@pytest.mark.usefixtures("filled")
def test_changed_checkpoint_file_is_found(path: Path) -> None:
    """A checkpoint file that differs from the database is damage; a missing one is a remark."""
    first = path.with_name(f"{path.name}.checkpoints") / "00000001.txt"
    first.write_text(first.read_text().replace("number 1", "number 7"))
    assert kinds(path) == {"checkpoint-edited": (0, 0), "bad-signature": (0, 0)}
    first.unlink()
    report = verify(path)
    assert [finding.kind for finding in report.findings] == ["file-missing"]
    assert report.ok


def test_other_key_is_found(opener: Opener, path: Path, tmp_path: Path) -> None:
    """A second key is damage unless both are named as trusted; a wrong trusted one is damage too."""
    with opener() as record:
        record.checkpoint()
        first = record.fingerprint()
    with opener(key_dir=tmp_path / "other") as record:
        record.checkpoint()
        second = record.fingerprint()
    assert kinds(path) == {"key-changed": (0, 0)}
    assert kinds(path, trusted=[first, second]) == {}
    assert kinds(path, trusted=["SHA256:nobody"]) == {"key-changed": (0, 0)}


@pytest.mark.usefixtures("filled")
def test_key_that_no_entry_announces_is_found(path: Path, tamper: Tamper) -> None:
    """A checkpoint signed with a key the chain does not name is damage."""
    tamper("UPDATE entry SET kind = 'note' WHERE kind = 'signing-key'")
    rebuild(path)
    assert "key-unannounced" in kinds(path)


def test_entries_after_the_last_checkpoint_are_remarked(record: Record, path: Path) -> None:
    """What no checkpoint covers is said, without being damage."""
    record.append("note", {}, incident="I")
    assert kinds(path) == {"unsigned": (1, 1)}
    record.checkpoint()
    record.append("note", {}, incident="I")
    assert kinds(path) == {"unsigned": (3, 3)}
    assert verify(path).ok


def test_clock_going_back_is_remarked(opener: Opener, path: Path, clock: Callable[[], object]) -> None:
    """An entry with an earlier time is accepted, recorded as it is, and remarked."""
    record = opener()
    record.append("note", {}, incident="I")
    clock.now -= timedelta(hours=2)  # type: ignore[attr-defined]
    record.append("note", {}, incident="I")
    record.checkpoint()
    assert kinds(path) == {"clock-back": (2, 2)}
    assert verify(path).ok


def test_intents_without_outcome_are_in_doubt(record: Record, path: Path) -> None:
    """An intent is in doubt until an outcome of the same run, for the same target, follows; that is no damage."""
    record.append("intent", {"target": "web01"}, incident="I", run="r1")
    record.append("intent", {"target": "web02"}, incident="I", run="r1")
    record.append("intent", {}, incident="I", run="r2")
    record.append("outcome", {"target": "web01"}, incident="I", run="r1")
    report = verify(path)
    assert [(doubt.seq, doubt.run, doubt.target) for doubt in report.in_doubt] == [(2, "r1", "web02"), (3, "r2", "")]
    assert report.ok
    record.append("outcome", {}, incident="I", run="r1")
    record.append("outcome", {}, incident="I", run="r2")
    assert verify(path).in_doubt == ()


@given(data=st.data())
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.usefixtures("filled")
def test_any_single_change_is_found(path: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever field of whatever entry changes, with the hashes computed anew or not, the record no longer verifies."""
    copy = tmp_path / "copy.db"
    copy.unlink(missing_ok=True)
    shutil.copy(path, copy)
    seq = data.draw(st.integers(1, 20))
    field = data.draw(st.sampled_from(FIELDS))
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        (old,) = db.execute(f"SELECT {field} FROM entry WHERE seq = ?", (seq,)).fetchone()
        new = data.draw(st.text(st.characters(codec="utf-8"), max_size=12).filter(lambda text: text != old))
        if field == "body":
            new = f'{{"n":{data.draw(st.integers(100, 999))}}}'
        db.execute(f"UPDATE entry SET {field} = ? WHERE seq = ?", (new, seq))
    report = verify(copy)
    assert {finding.kind for finding in report.damage} & {"edited", "body-edited"}
    if field not in {"actor", "prev", "hash", "body_sha256"}:
        rebuild(copy)
        report = verify(copy)
        assert {finding.kind for finding in report.damage} & {"root-mismatch"}


@pytest.mark.usefixtures("filled")
def test_deep_or_senseless_bodies_do_not_stop_verification(path: Path, tamper: Tamper) -> None:
    """An entry whose body is no object, with right hashes, is a finding and not a crash."""
    tamper("""UPDATE entry SET kind = 'intent', body = '[]' WHERE seq = 5""")
    rebuild(path)
    assert {"edited", "root-mismatch"} <= set(kinds(path))


def test_missing_record_is_refused(path: Path) -> None:
    """Verifying what is not there says so."""
    with pytest.raises(RecordUnavailable, match="no record"):
        verify(path)


def test_every_kind_is_explained() -> None:
    """Damage and remarks have different kinds, each with its meaning."""
    assert not set(DAMAGE) & set(REMARKS)
    assert all({**DAMAGE, **REMARKS}.values())


def test_checkpoint_files_that_are_gone_are_one_remark(opener: Opener, path: Path) -> None:
    """A folder that was emptied is said in a line for each row of numbers, however many there are."""
    with opener() as record:
        for n in range(9):
            record.append("note", {"n": n}, incident="I")
            record.checkpoint()
    folder = checkpoints.folder(path)
    for number in (1, 2, 3, 6):
        (folder / f"{number:08d}.txt").unlink()
    said = [finding.text for finding in verify(path).findings]
    assert said == [f"checkpoints 1 to 3 have no file in {folder}", f"checkpoint 6 has no file in {folder}"]
    shutil.rmtree(folder)
    assert [finding.text for finding in verify(path).findings] == [f"checkpoints 1 to 9 have no file in {folder}"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", ["9" * 30, "00000099", "000000001"])
def test_planted_checkpoint_file_is_damage(path: Path, name: str) -> None:
    """A file of a number that no checkpoint has, however large, is damage and stops nothing."""
    folder = checkpoints.folder(path)
    for suffix in (".txt", ".txt.sig"):
        shutil.copy(folder / f"00000001{suffix}", folder / f"{name}{suffix}")
    report = verify(path)
    assert report.entries == 20
    assert report.ok == (int(name) == 1)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE checkpoint", "CREATE TABLE checkpoint (number, size, body, signature)"),
        (
            "DROP TABLE checkpoint",
            "CREATE TABLE checkpoint (number, size, body, signature)",
            "INSERT INTO checkpoint VALUES ('x', 'y', NULL, x'ff'), (NULL, NULL, 1, 2), (1e300, -1, '', '')",
        ),
        ("UPDATE checkpoint SET size = 9223372036854775807 WHERE number = 1",),
        ("UPDATE checkpoint SET size = -1",),
        ("DELETE FROM identity",),
    ],
)
def test_table_of_checkpoints_that_somebody_replaced(path: Path, tamper: Tamper, statements: tuple[str, ...]) -> None:
    """Whatever stands where the checkpoints were, verification goes on to its end and names what the files know."""
    with contextlib.suppress(sqlite3.OperationalError):  # the triggers of a table that is gone are not put back
        tamper(*statements)
    report = verify(path)
    assert report.entries == 20
    assert not report.ok
    assert not {"root-mismatch", "cut-off"} & {finding.kind for finding in report.findings}


@pytest.mark.parametrize("stated", ["2026-11-20T06:00:00", "T", "9999-99-99T00:00:00Z"])
def test_signed_time_that_is_none_stops_nothing(record: Record, path: Path, tmp_path: Path, stated: str) -> None:
    """A checkpoint whose signature is good and whose time is senseless is compared all the same."""
    right = checkpoints.parse(checkpoints.parse_signed(record.checkpoint()).body)
    odd = checkpoints.sign(replace(right, time=stated), keys.load_or_make(tmp_path / "keys", entropy=os.urandom))
    arrived = datetime(2030, 1, 1, tzinfo=UTC)
    assert kinds(path, held=[Held(odd.text, "from a bucket", arrived)]).keys() == {"checkpoint-edited"}
    late = kinds(path, held=[Held(checkpoints.read_file(path, 1).text, "from a bucket", arrived)])
    assert late.keys() == {"late"}
