"""Keys that follow one another: who signs, after which end, whatever moment it is broken off at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from remedy.core.errors import RecordBroken, RecordUnavailable
from remedy.record import checkpoints, endings, keys, sshsig
from remedy.record.journal import Record
from remedy.record.verify import verify
from remedy.record.witness import Held

Opener = Callable[..., Record]


@pytest.fixture
def key_dir(tmp_path: Path) -> Path:
    """Where the keys lie."""
    return tmp_path / "keys"


def signer(record: Record) -> str:
    """Who signs when somebody asks for it now."""
    record.append("note", {}, incident="I")
    text = record.checkpoint()
    return checkpoints.opened(checkpoints.parse_signed(text))[1].fingerprint


def statement(record: Record) -> endings.Ending:
    """The last end of a key that is on record."""
    return endings.of_entry([*record.entries(kinds=[endings.KIND])][-1].body)


@pytest.mark.parametrize("why", [endings.RETIRED, endings.STOLEN])
def test_the_next_key_signs(record: Record, path: Path, key_dir: Path, why: str) -> None:
    """After its end a key has signed nothing more, the next one signs, and its file has taken the place of the old."""
    old = signer(record)
    new = record.end_key(why, "because")
    assert new != old
    assert signer(record) == record.fingerprint() == new
    ended = statement(record)
    assert (ended.fingerprint, ended.why, ended.follower.fingerprint) == (old, why, new)
    assert sorted(each.name for each in key_dir.iterdir()) == ["checkpoint_ed25519", "checkpoint_ed25519.pub"]
    public = sshsig.parse_line((key_dir / "checkpoint_ed25519.pub").read_text())
    assert public.fingerprint == new
    report = verify(path, trusted=[new])
    assert report.ok
    assert verify(path).ok == (why == endings.RETIRED)


def test_the_end_is_checked_by_ssh_keygen(record: Record, tmp_path: Path) -> None:
    """The statement is one that `ssh-keygen -Y verify` accepts, for the key that ended."""
    public = sshsig.public_key(keys.load_or_make(tmp_path / "keys", entropy=os.urandom))
    record.end_key(endings.STOLEN, "because")
    [entry] = record.entries(kinds=[endings.KIND])
    body, _, armored = json.loads(entry.body)["statement"].partition("\n\n")
    (tmp_path / "sig").write_text(armored)
    (tmp_path / "allowed").write_text(public.allowed_signer("remedy-record", endings.NAMESPACE))
    argv = ["ssh-keygen", "-Y", "verify", "-f", f"{tmp_path}/allowed", "-I", "remedy-record", "-n", endings.NAMESPACE]
    done = subprocess.run(
        [*argv, "-s", f"{tmp_path}/sig"], input=f"{body}\n".encode(), capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 0, done


def test_broken_off_before_the_end_is_on_record(opener: Opener, path: Path, key_dir: Path) -> None:
    """A next key that lies ready changes nothing until the record says so, and is then the one that follows."""
    with opener() as record:
        old = signer(record)
        ready = sshsig.public_key(keys.prepare_next(key_dir, entropy=os.urandom)).fingerprint
        assert signer(record) == old
        assert record.end_key(endings.RETIRED, "again") == ready
    assert verify(path).ok


@pytest.mark.parametrize("half", [False, True])
def test_broken_off_after_the_end_is_on_record(opener: Opener, path: Path, key_dir: Path, half: bool) -> None:  # noqa: FBT001
    """When the end is on record and the next key did not take its place yet, the next checkpoint sees to it."""
    with opener() as record:
        old = signer(record)
        keys.prepare_next(key_dir, entropy=os.urandom)
        with record._transaction() as tail:
            new = record._signing.end(record._writer, tail, record._putter(tail), why=endings.RETIRED, reason="x")
    if half:
        (key_dir / "checkpoint_ed25519.next.pub").replace(key_dir / "checkpoint_ed25519.pub")
    with opener() as record:
        assert record.fingerprint() == old
        assert signer(record) == new
        assert signer(record) == new
    assert verify(path).findings == ()


def test_key_that_is_put_back_after_its_end(opener: Opener, path: Path, key_dir: Path, tmp_path: Path) -> None:
    """A key whose end is on record signs nothing, whoever puts its file back; entries go on being written."""
    with opener() as record:
        signer(record)
        shutil.copytree(key_dir, tmp_path / "old")
        new = record.end_key(endings.STOLEN, "because")
        shutil.copytree(key_dir, tmp_path / "new")
        shutil.copytree(tmp_path / "old", key_dir, dirs_exist_ok=True)
        with pytest.raises(RecordUnavailable, match="has ended \\(stolen\\)") as caught:
            record.checkpoint()
        assert new in caught.value.hint
        assert record.append("note", {}, incident="I").seq
        shutil.copytree(tmp_path / "new", key_dir, dirs_exist_ok=True)
        assert signer(record) == new
    assert verify(path, trusted=[new]).ok


def test_end_that_nobody_signed_ends_nothing(record: Record, path: Path) -> None:
    """An entry that claims the end of a key without its signature is damage, and the key goes on signing."""
    old = signer(record)
    record.append(endings.KIND, {"statement": "remedy-key/00\n"}, incident="", key=f"{endings.KIND}:{old}")
    assert signer(record) == old
    assert {finding.kind for finding in verify(path).damage} == {"bad-signature"}
    with pytest.raises(RecordBroken, match="taken the place"):
        record.end_key(endings.STOLEN, "because")


def test_two_ends_of_one_key(record: Record, path: Path, key_dir: Path) -> None:
    """Two different ends of one key, one on record and one elsewhere, are damage: somebody else has the key."""
    thief = keys.load_or_make(key_dir, entropy=os.urandom)
    signer(record)
    new = record.end_key(endings.RETIRED, "because")
    right = statement(record)
    other = endings.Ending(right.record, right.fingerprint, 1, endings.STOLEN, right.follower, right.time)
    found = verify(path, trusted=[new], held=[Held(endings.sign(other, thief), "from a bucket")])
    assert "key-ended" in {finding.kind for finding in found.damage}
    foreign = endings.Ending("ff", right.fingerprint, 1, endings.STOLEN, right.follower, right.time)
    found = verify(path, trusted=[new], held=[Held(endings.sign(foreign, thief))])
    assert {finding.kind for finding in found.damage} == {"foreign-checkpoint"}


def test_signing_and_ending_at_once(opener: Opener, path: Path) -> None:
    """While others sign as fast as they can, keys end: every checkpoint is of a key that was allowed to sign then."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with opener() as record:
                while not stop.is_set():
                    signer(record)
        except BaseException as error:  # noqa: BLE001 -- told below
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    opener().checkpoint()
    for thread in threads:
        thread.start()
    with opener() as record:
        for number in range(5):
            record.end_key(endings.RETIRED, f"number {number}")
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    report = verify(path)
    assert report.damage == ()
    assert len(report.fingerprints) == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("stolen", "retired"),
        lambda text: text.replace("ends 1", "ends 9"),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.partition("\n\n")[0],
        lambda _: "",
        lambda text: f"x{text}",
    ],
)
def test_statement_that_was_changed(key_dir: Path, change: Callable[[str], str]) -> None:
    """A statement of which anything was changed says nothing."""
    key = keys.load_or_make(key_dir, entropy=os.urandom)
    public = sshsig.public_key(key)
    right = endings.sign(
        endings.Ending("00", public.fingerprint, 1, endings.STOLEN, public, "2026-11-20T06:00:00.0Z"), key
    )
    assert endings.opened(right).ends == 1
    with pytest.raises(RecordBroken):
        endings.opened(change(right))


def test_only_a_key_ends_itself(key_dir: Path, tmp_path: Path) -> None:
    """The end of a key that another one signed is refused, naming who signed."""
    key, other = (keys.load_or_make(folder, entropy=os.urandom) for folder in (key_dir, tmp_path / "other"))
    public = sshsig.public_key(key)
    forged = endings.Ending("00", public.fingerprint, 1, endings.STOLEN, public, "2026-11-20T06:00:00.0Z")
    with pytest.raises(RecordBroken, match="only a key ends itself"):
        endings.opened(endings.sign(forged, other))
