"""One tar file: the same bag, the same bytes; verified on the way, and nothing where it does not verify."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds import bags
from tests.worlds.bags import Made

from remedy.core.errors import Partial, Refused, UsageError
from remedy.evidence import bag
from remedy.transports.bags.packing import Packed, pack


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A bag of the test's own."""
    return bags.make(tmp_path)


def packed(made: Made, destination: Path) -> Packed:
    """Pack it with the right key."""
    return pack(made.folder, destination, bags.believing(made.signer).judge)


def test_the_same_bytes(made: Made, tmp_path: Path) -> None:
    """A copy of a bag with other times, owners and order gives the same file, whose SHA-256 is the one told."""
    first = packed(made, tmp_path / "one.tar")
    copy = tmp_path / "copy" / made.folder.name
    shutil.copytree(made.folder, copy)
    os.utime(copy / "bagit.txt", (1, 1))
    (copy / "bagit.txt").chmod(0o644)
    second = packed(Made(copy, made.signer, made.sealed), tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256((tmp_path / "one.tar").read_bytes()).hexdigest()
    assert first.size == (tmp_path / "one.tar").stat().st_size
    assert first.size % 10240 == 0


def test_stock_tar_gives_the_bag_back(made: Made, tmp_path: Path) -> None:
    """What tar unpacks is the bag, file for file, and verifies by its own commands."""
    packed(made, tmp_path / "one.tar")
    subprocess.run(("tar", "-xf", tmp_path / "one.tar", "-C", tmp_path), check=True)
    out = tmp_path / made.folder.name
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == {
        path: (made.folder / path).read_bytes() for path in made.paths()
    }
    subprocess.run(("sh", "VERIFY.txt"), cwd=out, check=True, capture_output=True)


@pytest.mark.parametrize("how", ["changed", "planted", "missing", "link"])
def test_what_does_not_verify_is_not_packed(made: Made, tmp_path: Path, how: str) -> None:
    """A bag that does not verify leaves no file behind, whole or in part."""
    path = made.folder / "data" / "zeta.out"
    if how == "changed":
        path.write_bytes(b"lost")
    elif how == "planted":
        path.with_name("planted").touch()
    else:
        path.unlink()
        if how == "link":
            path.symlink_to("/etc/passwd")
    before = sorted(tmp_path.iterdir())
    done = packed(made, tmp_path / "one.tar")
    assert done.path is None
    assert not done.findings.ok
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_replaced(made: Made, tmp_path: Path) -> None:
    """A name that is taken, by a file or by a link to nowhere, is refused."""
    (tmp_path / "one.tar").write_bytes(b"mine")
    (tmp_path / "two.tar").symlink_to(tmp_path / "nowhere")
    for name in ("one.tar", "two.tar"):
        with pytest.raises(Refused, match="there already"):
            packed(made, tmp_path / name)
    assert (tmp_path / "one.tar").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(UsageError):
        pack(tmp_path / "gone", tmp_path / "three.tar", bags.believing().judge)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place), check=True)
    try:
        yield place
    finally:
        subprocess.run(("umount", place), check=True)


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """A disk that does not take the file is told as such, not as damage of the bag, and nothing is left on it."""
    made = bags.make(tmp_path, {"data/large": os.urandom(3_000_000)})
    with pytest.raises(Partial, match="No space left"):
        packed(made, small_disk / "one.tar")
    assert not list(small_disk.iterdir())
    assert made.verify().proven


def test_memory_is_flat(tmp_path: Path) -> None:
    """Packing and verifying 64 MB takes a few megabytes of memory."""
    key = bags.signer(tmp_path / "keys")
    writing = bags.begin(tmp_path / "INC-20261120-1", key)
    with writing.file("data/large") as sink:
        for number in range(64):
            sink.write(bytes([number]) * 1_000_000)
    made = Made(writing.final, key, writing.seal(key.sign))
    tracemalloc.start()
    assert packed(made, tmp_path / "one.tar").path
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_long_paths(tmp_path: Path) -> None:
    """A path as long as a bag may have survives tar."""
    path = f"data/{'a' * (bag.LONGEST_PATH - 5)}"
    made = bags.make(tmp_path, {path: b"x"})
    packed(made, tmp_path / "one.tar")
    listed = subprocess.run(("tar", "-tf", tmp_path / "one.tar"), capture_output=True, text=True, check=True).stdout
    assert f"{made.folder.name}/{path}\n" in listed
