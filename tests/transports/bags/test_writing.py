"""A bag gets onto the disk whole, or stays there saying that it is not."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds import bags
from tests.worlds.bags import Made

from remedy.core.errors import AnswerUnusable, Partial, Refused, RemedyError, UsageError
from remedy.evidence import bag
from remedy.transports.bags.reading import Reading
from remedy.transports.bags.writing import Token, Writing, add_file

INCIDENT = "INC-20261120-1"


@pytest.fixture
def writing(tmp_path: Path) -> Writing:
    """A bag that is begun."""
    return bags.begin(tmp_path / INCIDENT, bags.signer(tmp_path / "keys"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=100", "tmpfs", place), check=True)
    try:
        yield place
    finally:
        subprocess.run(("umount", place), check=True)


def test_layout_and_modes(tmp_path: Path) -> None:
    """A sealed bag has exactly the documented files, readable by the owner alone, under its own name."""
    made = bags.make(tmp_path)
    tags = {"bagit.txt", "bag-info.txt", "VERIFY.txt", "allowed_signers", "manifest-sha256.txt", "manifest-sm3.txt"}
    tags |= {"tagmanifest-sha256.txt", "tagmanifest-sha256.txt.sig"}
    assert set(made.paths()) == tags | set(bags.FILES)
    assert made.folder.name == "bag-E0000001"
    for one in (made.folder, *made.folder.rglob("*")):
        assert stat.S_IMODE(one.stat().st_mode) == (0o700 if one.is_dir() else 0o600), one
    for path, data in bags.FILES.items():
        assert (made.folder / path).read_bytes() == data


def test_manifests(tmp_path: Path) -> None:
    """Every digest is that of the file, in lines sorted by bytes, a name before the folder that begins with it."""
    made = bags.make(tmp_path)
    for digest in bag.DIGESTS:
        lines = (made.folder / bag.manifest(digest)).read_text().splitlines()
        assert lines == [f"{hashlib.new(digest, bags.FILES[path]).hexdigest()}  {path}" for path in sorted(bags.FILES)]
    info = dict(Reading.open(made.folder).info)
    assert info["Payload-Oxum"] == f"{sum(map(len, bags.FILES.values()))}.{len(bags.FILES)}"
    assert info["Remedy-Record-Head"].startswith("9f86d081")
    assert made.sealed.sha256 == hashlib.sha256((made.folder / bag.TAG_MANIFEST).read_bytes()).hexdigest()


def test_streams_of_any_parts(writing: Writing, tmp_path: Path) -> None:
    """What is written in parts of any size, above and below what another thread is worth, is hashed as one."""
    data = os.urandom(700_000)
    with writing.file("data/stream") as sink:
        for size in (1, 70_000, 0, 129, 300_000, 329_870):
            part, data_left = data[sink.size : sink.size + size], len(data) - sink.size
            sink.write(memoryview(part))
            assert sink.size == len(data) - data_left + len(part)
    done = writing.written("data/stream")
    assert done.size == len(data)
    assert done.digest("sha256") == hashlib.sha256(data).hexdigest()
    assert done.digest("sm3") == hashlib.new("sm3", data).hexdigest()
    assert (writing.folder / "data/stream").read_bytes() == data
    assert writing.seal(bags.signer(tmp_path / "keys").sign).count == 1


def test_several_threads(writing: Writing, tmp_path: Path) -> None:
    """Several threads fill one bag at once, and it verifies."""

    def fill(host: int) -> None:
        for number in range(20):
            with writing.file(f"data/host{host}/{number:04d}.out") as sink:
                sink.write(b"%d %d\n" % (host, number) * 20_000)

    threads = [threading.Thread(target=fill, args=(host,)) for host in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    key = bags.signer(tmp_path / "keys")
    sealed = writing.seal(key.sign)
    assert sealed.count == 80
    assert Made(writing.final, key, sealed).verify().proven


def test_without_sm3(tmp_path: Path) -> None:
    """A bag may be made without SM3: it says so, has no such manifest, and verifies."""
    made = bags.make(tmp_path, digests=("sha256",))
    assert "manifest-sm3.txt" not in made.paths()
    assert "sm3" not in (made.folder / "bag-info.txt").read_text()
    assert made.verify().proven


def test_a_digest_that_nobody_has_is_left_out(tmp_path: Path) -> None:
    """An algorithm that this Python lacks is left out, and the bag says which it has."""
    made = bags.make(tmp_path, digests=("sha256", "sm9"))
    assert made.verify().proven
    assert "sm9" not in (made.folder / "bag-info.txt").read_text()


@pytest.mark.parametrize(
    "path", ["x", "data", "data/", "/data/x", "data/../x", "data/./x", "data//x", "data/.x", "data/-x", "data/a b",
             "data/ä", "data/a\nb", "data/a\\b", "data/x/", "tagmanifest-sha256.txt", "data/" + "a" * 200, ""],
)  # fmt: skip
def test_paths_that_a_bag_cannot_have(writing: Writing, path: str) -> None:
    """A path that leads out of `data`, or that some tool would escape, is refused and nothing is made."""
    before = sorted(writing.folder.rglob("*"))
    with pytest.raises(UsageError), writing.file(path):
        pytest.fail("it was opened")
    assert sorted(writing.folder.rglob("*")) == before


def test_nothing_is_overwritten(writing: Writing, tmp_path: Path) -> None:
    """A file, a bag that is sealed, one that is being written, and a witness's signature are never replaced."""
    writing.put("data/x", b"first")
    with pytest.raises(Refused, match="already"):
        writing.put("data/x", b"second")
    with pytest.raises(Partial):
        writing.put("data/x/y", b"below a file")
    key = bags.signer(tmp_path / "keys")
    with pytest.raises(Refused, match="exists"):
        bags.begin(tmp_path / INCIDENT, key)
    writing.seal(key.sign)
    with pytest.raises(Refused, match="there already"):
        bags.begin(tmp_path / INCIDENT, key)
    add_file(writing.final, "witness-li.sig", b"one")
    with pytest.raises(Refused, match="there already"):
        add_file(writing.final, "witness-li.sig", b"two")
    assert (writing.final / "data/x").read_bytes() == b"first"
    assert (writing.final / "witness-li.sig").read_bytes() == b"one"


def test_links_that_somebody_put_in_the_way(writing: Writing, tmp_path: Path) -> None:
    """A link with the name of a file to be written is not followed."""
    outside = tmp_path / "outside"
    (writing.folder / "data").mkdir()
    (writing.folder / "data" / "x").symlink_to(outside)
    with pytest.raises(Partial):
        writing.put("data/x", b"x")
    assert not outside.exists()


def test_a_stream_that_breaks_off(writing: Writing, tmp_path: Path) -> None:
    """What came before an error stays, is signed for, and the bag says where it was cut short."""

    def collect() -> None:
        with writing.file("data/cut") as sink:
            sink.write(b"half a line")
            raise AnswerUnusable("the host went away")

    with pytest.raises(AnswerUnusable):
        collect()
    key = bags.signer(tmp_path / "keys")
    sealed = writing.seal(key.sign)
    assert sealed.lacking == ("data/cut was cut short: the host went away",)
    found = Made(writing.final, key, sealed).verify()
    assert found.proven
    assert {one.kind for one in found.findings} == {"partial"}
    assert (writing.final / "data/cut").read_bytes() == b"half a line"


def test_an_interruption_between_disk_and_hash(writing: Writing, tmp_path: Path) -> None:
    """When an interruption comes after the disk has taken bytes and before they were hashed, the bag still verifies."""

    def collect() -> None:
        with writing.file("data/cut") as sink:
            sink.write(b"counted")
            os.write(sink._descriptor, b" and not")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect()
    key = bags.signer(tmp_path / "keys")
    sealed = writing.seal(key.sign)
    assert sealed.size == len(b"counted and not")
    assert sealed.lacking == ("data/cut was cut short: broken off",)
    assert Made(writing.final, key, sealed).verify().proven


def test_an_unsealed_bag_says_so(writing: Writing, tmp_path: Path) -> None:
    """Until it is sealed, name, text and verification say that it is not; so they do after a crash."""
    writing.put("data/x", b"x")
    assert writing.folder.name == "bag-E0000001.partial"
    assert "NOT SEALED" in (writing.folder / "PARTIAL.txt").read_text()
    assert not Reading.open(writing.folder).sealed
    key = bags.signer(tmp_path / "keys")
    found = Made(writing.folder, key, bag.Sealed("", "", "", 0, 0)).verify()
    assert ("unsealed", "") in {(one.kind, one.path) for one in found.findings}
    assert not found.ok


def test_sealing_waits_for_open_files_and_happens_once(writing: Writing, tmp_path: Path) -> None:
    """A bag with a file still being written is not sealed; a sealed one takes nothing more."""
    key = bags.signer(tmp_path / "keys")
    with writing.file("data/x") as sink:
        sink.write(b"x")
        with pytest.raises(Refused, match="still being written"):
            writing.seal(key.sign)
    writing.seal(key.sign)
    with pytest.raises(Refused, match="sealed"):
        writing.put("data/y", b"y")
    with pytest.raises(Refused, match="sealed already"):
        writing.seal(key.sign)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    """When the disk is full, what came is kept and sealed as partial out of the reserve, and says why."""
    key = bags.signer(tmp_path / "keys")
    writing = bags.begin(small_disk / INCIDENT, key)
    writing.put("data/before", b"b" * 1000)
    with pytest.raises(Partial, match="No space left") as caught:
        writing.put("data/large", b"x" * 4_000_000)
    sealed = writing.abandon(caught.value.message, key.sign)
    found = Made(writing.final, key, sealed).verify()
    assert found.ok
    assert found.proven
    assert sealed.size == sum(path.stat().st_size for path in (writing.final / "data").iterdir())
    assert sealed.size > 1_000_000
    assert any("No space left" in text for text in sealed.lacking)


def test_a_disk_too_full_even_for_the_seal(small_disk: Path, tmp_path: Path) -> None:
    """When not even the manifests fit, the bag stays unsealed, says so, and what came is still there."""
    key = bags.signer(tmp_path / "keys")
    writing = bags.begin(small_disk / INCIDENT, key)
    writing.put("data/before", b"b" * 1000)
    for number in range(os.statvfs(small_disk).f_ffree - 1):
        (small_disk / f"other{number}").touch()
    with pytest.raises(Partial, match="cannot be sealed"):
        writing.abandon("the disk is full", key.sign)
    assert not writing.final.exists()
    assert "NOT SEALED" in (writing.folder / "PARTIAL.txt").read_text()
    assert (writing.folder / "data/before").read_bytes() == b"b" * 1000


def test_a_disk_without_room_for_a_bag(small_disk: Path, tmp_path: Path) -> None:
    """A bag is not begun where there is no room to end it."""
    with pytest.raises(OSError, match="No space"):
        (small_disk / "other").write_bytes(b"x" * 4_000_000)
    with pytest.raises(Refused, match="No space left"):
        bags.begin(small_disk / INCIDENT, bags.signer(tmp_path / "keys"))


def test_an_authority_that_gives_nothing_does_not_keep_a_bag_open(tmp_path: Path) -> None:
    """Without the token it was to have, a bag is sealed, says so, and verifying it leaves a doubt."""

    def stamp(_data: bytes) -> Token:
        raise AnswerUnusable("no time today")

    made = bags.make(tmp_path, stamp=stamp, authority="http://tsa.example.com/", authority_ca="")
    assert "no time today" in made.sealed.unstamped
    found = made.verify()
    assert {one.kind for one in found.findings} == {"unstamped"}
    assert found.ok
    assert not found.proven


def test_a_signer_that_fails_leaves_it_unsealed(writing: Writing) -> None:
    """Without a signature there is no bag of that name."""

    def sign(_data: bytes) -> str:
        raise RemedyError("the key is gone")

    writing.put("data/x", b"x")
    with pytest.raises(RemedyError, match="the key is gone"):
        writing.seal(sign)
    assert not writing.final.exists()
    assert (writing.folder / "PARTIAL.txt").exists()


@pytest.mark.parametrize(
    "text", ["line\nRemedy-Completeness: whole", "\x1b[2Jx", "\u202egnp.exe", "x" * 10_000, "网页"]
)
def test_hostile_texts_in_what_a_bag_says_of_itself(tmp_path: Path, text: str) -> None:
    """No text makes another line, and none reaches a terminal raw."""
    made = bags.make(tmp_path, title=text, operator=text, targets=(text,), profile=text, incident=text)
    info = (made.folder / "bag-info.txt").read_text()
    assert info.count("Remedy-Completeness: ") == 1 + text.count("Remedy-Completeness: ") * 5
    assert not {"\x1b", "\u202e"} & set(info + (made.folder / "VERIFY.txt").read_text())
    assert all(len(line) < 4200 for line in info.splitlines())
    assert made.verify().proven
