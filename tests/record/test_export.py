"""Exports are checked by stock tools alone, and every manipulation of one is found by them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from remedy.core.canon import Json
from remedy.core.errors import RecordBroken, RecordUnavailable, UsageError
from remedy.record.export import export
from remedy.record.journal import Record

Opener = Callable[..., Record]
Tamper = Callable[..., None]
#: Everything that VERIFY.txt says it needs, and nothing else is in the PATH of the check.
TOOLS = ("sh", "sha256sum", "ssh-keygen", "find", "sort", "sed", "grep", "cut", "xargs")


@pytest.fixture
def check(tmp_path: Path) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Runs VERIFY.txt with nothing but the tools it names."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found, f"{name} is needed for this test"
        (tools / name).symlink_to(found)

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tools / "sh", "VERIFY.txt"],
            cwd=folder,
            env={"PATH": str(tools)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


Check = Callable[[Path], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(record: Record, path: Path, tmp_path: Path) -> Path:
    """An export of twelve entries of two incidents, with text that tries to look like a field."""
    for n in range(11):
        body: dict[str, Json] = {"n": n, "text": f'"prev":"{"0" * 64}" "body_sha256":"{"0" * 64}"\n\x1b[2J'}
        record.append("note", body, incident=f"INC-{n % 2}", run='"prev":"00"', key=f'{n}"prev":"{"0" * 64}"')
    record.checkpoint()
    return export(path, tmp_path / "out")


def sums_again(folder: Path) -> None:
    """Write SHA256SUMS anew, as somebody would who wants a manipulation to go unseen."""
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  ./{each.relative_to(folder)}\n" for each in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_stock_tools_verify_an_export(folder: Path, check: Check, record: Record) -> None:
    """The commands in VERIFY.txt succeed with stock tools alone and print the signing key's fingerprint."""
    done = check(folder)
    assert done.stdout.splitlines()[-1] == "VERIFIED", done
    assert done.returncode == 0
    assert record.fingerprint() in done.stdout
    assert record.fingerprint() in (folder / "VERIFY.txt").read_text()


def test_each_file_is_what_is_hashed(folder: Path, record: Record) -> None:
    """SHA-256 of an entry's file is its hash, that of its body's file is in it, and the body is the entry's."""
    for entry in record.entries():
        data = (folder / "entries" / f"{entry.seq:08d}.json").read_bytes()
        content = (folder / "bodies" / f"{entry.seq:08d}.json").read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry.hash
        assert json.loads(data)["body_sha256"] == hashlib.sha256(content).hexdigest()
        assert json.loads(content)["body"] == json.loads(entry.body)


def edit(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Replace bytes that must be there."""

    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert old in data
        (folder / name).write_bytes(data.replace(old, new))

    return change


def swap(one: str, other: str) -> Callable[[Path], None]:
    """Exchange two files."""

    def change(folder: Path) -> None:
        first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(second)
        (folder / other).write_bytes(first)

    return change


def plant(name: str, source: str) -> Callable[[Path], None]:
    """Add a file."""

    def change(folder: Path) -> None:
        shutil.copy(folder / source, folder / name)

    return change


def remove(*names: str) -> Callable[[Path], None]:
    """Remove files."""

    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


@pytest.mark.parametrize("covered", [False, True], ids=["plainly", "with new sums"])
@pytest.mark.parametrize(
    "change",
    [
        edit("entries/00000004.json", b'"kind":"note"', b'"kind":"sent"'),
        edit("entries/00000012.json", b'"kind":"signing-key"', b'"kind":"signing-kez"'),
        edit("bodies/00000004.json", b'"n":3', b'"n":4'),
        edit("checkpoint.txt", b"\n12\n", b"\n13\n"),
        edit("checkpoint.txt", b"number 1", b"number 2"),
        edit("checkpoint.txt.sig", b"\nU1NI", b"\nU1NJ"),
        edit("allowed_signers", b"AAAAC3", b"AAAAC4"),
        remove("entries/00000012.json", "bodies/00000012.json"),
        remove("entries/00000001.json", "bodies/00000001.json"),
        remove("entries/00000005.json", "bodies/00000005.json"),
        remove("bodies/00000005.json"),
        remove("checkpoint.txt.sig"),
        swap("entries/00000004.json", "entries/00000005.json"),
        swap("bodies/00000004.json", "bodies/00000005.json"),
        plant("planted.txt", "checkpoint.txt"),
        plant(".hidden", "checkpoint.txt"),
        plant("entries/00000013.json", "entries/00000012.json"),
        plant("entries/00000000.json", "entries/00000001.json"),
        plant("bodies/00000013.json", "bodies/00000012.json"),
        plant("entries/note.txt", "checkpoint.txt"),
        plant("entries/1 2.json", "entries/00000001.json"),
        lambda folder: (folder / "bodies" / "link").symlink_to("/etc/hostname"),
    ],
)
def test_stock_tools_find_every_manipulation(
    folder: Path, check: Check, change: Callable[[Path], None], *, covered: bool
) -> None:
    """Whatever is edited, removed, exchanged or planted, with SHA256SUMS left or rewritten, is not verified."""
    change(folder)
    if covered:
        sums_again(folder)
    done = check(folder)
    assert done.returncode != 0
    assert "VERIFIED\n" not in done.stdout.replace("NOT VERIFIED", "")


def test_replaced_key_shows_another_fingerprint(folder: Path, check: Check, record: Record, tmp_path: Path) -> None:
    """Signing a changed export with another key passes the commands, but shows a fingerprint that is not ours."""
    key = tmp_path / "forged"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (folder / "checkpoint.txt.sig").unlink()
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "remedy-checkpoint-v1"]
    subprocess.run([*sign, str(folder / "checkpoint.txt")], check=True, capture_output=True)
    public = key.with_suffix(".pub").read_text()
    (folder / "allowed_signers").write_text(f"remedy-record {public}")
    sums_again(folder)
    done = check(folder)
    assert "VERIFIED" in done.stdout
    assert record.fingerprint() not in done.stdout


def test_export_of_one_incident_withholds_the_others(record: Record, path: Path, folder: Path, check: Check) -> None:
    """The export of one incident has its bodies only, verifies with stock tools, and misses none unnoticed."""
    one = export(path, folder.parent / "one", incident="INC-1")
    assert [each.name for each in sorted((one / "bodies").iterdir())] == [
        f"{entry.seq:08d}.json" for entry in record.entries(incident="INC-1")
    ]
    assert len(list((one / "entries").iterdir())) == 12
    done = check(one)
    assert done.stdout.splitlines()[-1] == "VERIFIED", done
    (one / "bodies" / "00000002.json").unlink()
    sums_again(one)
    assert "bodies are missing" in check(one).stdout


def test_export_covers_what_is_signed(record: Record, path: Path, folder: Path, check: Check) -> None:
    """Entries newer than the newest checkpoint are left out, and the rest verifies."""
    record.append("note", {}, incident="INC-1")
    later = export(path, folder.parent / "later")
    assert len(list((later / "entries").iterdir())) == 12
    assert check(later).returncode == 0


def test_export_too_long_for_one_command_line_verifies(folder: Path, check: Check, tmp_path: Path) -> None:
    """The commands give the same answers when xargs has to split the list of files, here after each one."""
    xargs = tmp_path / "tools" / "xargs"
    real = xargs.readlink()
    xargs.unlink()
    xargs.write_text(f'#!/bin/sh\nexec {real} -n 1 "$@"\n')
    xargs.chmod(0o755)
    done = check(folder)
    assert done.stdout.splitlines()[-1] == "VERIFIED", done
    edit("bodies/00000004.json", b'"n":3', b'"n":4')(folder)
    sums_again(folder)
    assert check(folder).returncode != 0


def test_export_refuses_what_it_cannot_hand_over(record: Record, path: Path, tmp_path: Path, tamper: Tamper) -> None:
    """No record, nothing signed, no such incident, a folder in use, damage: each is refused with its reason."""
    out = tmp_path / "out"
    with pytest.raises(RecordUnavailable, match="no record"):
        export(tmp_path / "none.db", out)
    record.append("note", {}, incident="INC-1")
    with pytest.raises(UsageError, match="nothing is signed"):
        export(path, out)
    record.checkpoint()
    for name in ("INC-9", "'; rm -rf /; '"):
        with pytest.raises(UsageError, match=re.escape(name[:3])):
            export(path, tmp_path / "other", incident=name)
    out.mkdir()
    (out / "mine").write_text("")
    with pytest.raises(UsageError, match="not empty"):
        export(path, out)
    record.close()
    tamper("UPDATE entry SET kind = 'x' WHERE seq = 1")
    with pytest.raises(RecordBroken, match="entry 1 does not verify"):
        export(path, tmp_path / "third")


def test_export_refuses_a_changed_body(record: Record, path: Path, tmp_path: Path, tamper: Tamper) -> None:
    """A body that is not what its header binds is not handed over."""
    record.append("note", {"n": 1}, incident="INC-1")
    record.checkpoint()
    record.close()
    tamper("""UPDATE entry SET body = '{"n":2}' WHERE seq = 1""")
    with pytest.raises(RecordBroken, match="entry 1 does not verify"):
        export(path, tmp_path / "out")
