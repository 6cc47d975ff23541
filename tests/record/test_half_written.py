"""A disk that holds half of what was written to it, or noise: the record goes on whole, or says that it is broken."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remedy.core.errors import RecordBroken, RecordUnavailable, RemedyError
from remedy.record import incidents
from remedy.record.actor import Actor
from remedy.record.export import export
from remedy.record.journal import Record
from remedy.record.verify import verify

ENTRIES = 60


def opened(path: Path, keys: Path) -> Record:
    """A record as the command line opens it."""
    actor = Actor("ops", 1000, "", "adm1", os.getpid(), "0.1.0")
    return Record.open(path, clock=lambda: datetime.now(UTC), actor=actor, key_dir=keys, wait=1)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed process left: entries that are signed, entries after them in the log; the key beside it."""
    folder = tmp_path_factory.mktemp("left")
    with opened(folder / "open" / "record.db", folder / "keys") as record:
        for half in range(2):
            for n in range(ENTRIES):
                record.append("note", {"text": "x" * 300}, incident="I", run=f"R{n % 5}", key=f"{half}:{n}")
            if half == 0:
                incidents.open(record, "defaced")
                record.checkpoint()
        shutil.copytree(folder / "open", folder / "record", ignore=shutil.ignore_patterns("*-shm"))
    return folder


def used(path: Path, keys: Path) -> None:
    """Everything that a run does with a record."""
    with opened(path, keys) as record:
        assert len(list(record.entries(run="R1"))) > 1
        incidents.list(record)
        record.append("note", {}, incident="I", key="0:1")
        record.append("note", {}, incident="I")
        record.hold("web01", run="R9", holder="ops")
        record.leases()
        record.let_go("web01", run="R9")
        record.checkpoint()


def noise(seed: int, size: int) -> bytes:
    """The same bytes for the same seed."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def torn(file: Path, how: str, at: float, seed: int) -> None:
    """Cut the file there, or put noise there: one byte, a page, or everything to its end."""
    data = bytearray(file.read_bytes())
    place = int(at * len(data))
    size = {"cut": 0, "byte": 1, "page": 4096, "rest": len(data)}[how]
    if how == "cut":
        del data[place:]
    data[place : place + size] = noise(seed, len(data[place : place + size]))
    file.write_bytes(data)


def failure(use: Callable[[], object]) -> RemedyError | None:
    """Why it failed."""
    try:
        use()
    except RemedyError as error:
        return error
    return None


PLACES = st.floats(0, 1, exclude_max=True)
SEEDS = st.integers(0, 2**32)


@settings(max_examples=40)
@given(how=st.sampled_from(["cut", "byte", "page", "rest", "gone"]), at=PLACES, seed=SEEDS)
def test_a_log_written_in_part(left: Path, how: str, at: float, seed: int) -> None:
    """Whatever of the log did not reach the disk, the record verifies, has all that was signed, and goes on."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copytree(left / "record", Path(folder) / "record")) / "record.db"
        log = path.with_name("record.db-wal")
        if how == "gone":
            log.unlink()
        else:
            torn(log, how, at, seed)
        before = verify(path)
        assert before.ok
        assert before.entries >= before.signed >= ENTRIES
        used(path, left / "keys")
        after = verify(path)
        assert (after.ok, after.entries > before.entries) == (True, True)


@settings(max_examples=60)
@given(how=st.sampled_from(["cut", "byte", "page", "rest"]), at=PLACES, seed=SEEDS)
def test_a_file_of_noise(left: Path, how: str, at: float, seed: int) -> None:
    """Whatever is wrong in the file is one of the record's own errors with its place, never an internal one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copytree(left / "record", Path(folder) / "record")) / "record.db"
        torn(path, how, at, seed)
        uses: tuple[Callable[[], object], ...] = (
            lambda: verify(path),
            lambda: export(path, Path(folder) / "out"),
            lambda: used(path, left / "keys"),
        )
        errors = [error for error in map(failure, uses) if error]
        assert [error for error in errors if not isinstance(error, (RecordBroken, RecordUnavailable))] == []
        assert [error for error in errors if str(path.parent) not in error.where or not error.hint] == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET body = CAST(x'ff80' AS TEXT) WHERE seq = 3",
        "UPDATE checkpoint SET body = 'no checkpoint'",
        "UPDATE frontier SET nodes = x'00'",
        "DELETE FROM frontier",
        "DELETE FROM identity",
    ],
)
def test_rows_of_nonsense(
    opener: Callable[..., Record], path: Path, tmp_path: Path, tamper: Callable[..., None], statement: str
) -> None:
    """Text that is no text, and rows that are gone, are damage to whoever comes upon them."""
    with opener() as record:
        for n in range(9):
            record.append("note", {"n": n}, incident="I", run="R1")
        record.checkpoint()
    tamper(statement)
    assert not verify(path).ok
    with pytest.raises(RecordBroken):
        use_all(opener, path, tmp_path)


def use_all(opener: Callable[..., Record], path: Path, tmp_path: Path) -> None:
    """Read, write, sign and export."""
    with opener() as record:
        list(record.entries(run="R1"))
        record.append("note", {}, incident="I")
        record.checkpoint()
    export(path, tmp_path / "out")
