"""Copies in folders, here and behind a real sshd, filled by somebody who means no good."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remedy.backups.ports import Damaged
from remedy.backups.values import Copy, File
from remedy.core.errors import ConnectionLost, Refused, RemedyError, UsageError
from remedy.core.values import Target
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf

from . import test_sudo
from .conftest import LIMITS, Server, Sshd, reveal

MIB = 1024 * 1024
HERE = Target("controller", "")
sudo = test_sudo.sudo


@pytest.fixture(params=["controller", "nas01"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FolderShelf]:
    """An empty copy, on this machine and on a host."""
    folder = tmp_path / "a copy's $folder"
    folder.mkdir()
    target = request.getfixturevalue("sshd")().target if request.param == "nas01" else HERE
    with Bulk(lambda _: target, reveal, local=HERE, limits=LIMITS) as bulk:
        yield FolderShelf(Copy("near", host=request.param, path=str(folder)), bulk)


def place(shelf: FolderShelf) -> Path:
    """Where its folder is: the host is this machine."""
    return Path(shelf.copy.path)


def one(shelf: FolderShelf, name: str = "a.sql") -> File:
    """A file as listed."""
    return next(file for file in shelf.list() if file.name == name)


def read(shelf: FolderShelf, file: File, start: int = 0, length: int = -1) -> bytes:
    """Bytes of a file."""
    with shelf.read(file, start=start, length=length) as chunks:
        return b"".join(chunks)


def names(shelf: FolderShelf) -> list[str]:
    """What is in the folder."""
    return sorted(path.name for path in place(shelf).iterdir())


# --- listing ---------------------------------------------------------------------------------------------------------


def test_everything_below_is_listed_by_name(shelf: FolderShelf) -> None:
    """Files and folders at any depth, with size and ctime, sorted; an empty copy is empty."""
    assert shelf.list() == ()
    folder = place(shelf)
    (folder / "b").mkdir()
    (folder / "b" / "王 😀 it's $x.sql").write_bytes(b"12345")
    (folder / "a.sql.gz").write_bytes(b"")
    os.utime(folder / "a.sql.gz", (1, 1))
    found = shelf.list()
    assert [(file.name, file.size, file.kind) for file in found if file.kind != "directory"] == [
        ("a.sql.gz", 0, "file"),
        ("b/王 😀 it's $x.sql", 5, "file"),
    ]
    assert [file.name for file in found] == ["a.sql.gz", "b", "b/王 😀 it's $x.sql"]
    assert found[0].changed == int((folder / "a.sql.gz").stat().st_ctime)


def test_only_files_are_files(shelf: FolderShelf) -> None:
    """Links, fifos and sockets are listed as what they are and never opened; folders behind links are not entered."""
    folder = place(shelf)
    (folder / "link.sql").symlink_to("/etc/passwd")
    (folder / "dangling.sql").symlink_to("nowhere")
    (folder / "door").symlink_to("/etc")
    os.mkfifo(folder / "fifo.sql")
    (folder / "dump.sql").mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "socket"))
        found = shelf.list()
    assert {file.name: file.kind for file in found} == {
        "link.sql": "link",
        "dangling.sql": "link",
        "door": "link",
        "fifo.sql": "other",
        "dump.sql": "directory",
        "socket": "other",
    }
    for file in found:
        with pytest.raises(Refused):
            read(shelf, file)


def test_hostile_names_are_shown_and_not_read(shelf: FolderShelf) -> None:
    """Names with control characters, that are no UTF-8 or that would deceive the eye are printable and never read."""
    hostile = [b"a\nb.sql", b"\x1b[2J.sql", b"\xff\xfe.sql", "x\u202egnp.sql".encode(), b"tab\t"]
    for name in hostile:
        Path(os.fsdecode(os.fsencode(place(shelf)) + b"/" + name)).write_bytes(b"x")
    for name in (b"-n", b"--help", b"a b", b"$(id)", b"*", b"'"):
        Path(os.fsdecode(os.fsencode(place(shelf)) + b"/" + name)).write_bytes(name)
    found = {file.name: file for file in shelf.list()}
    assert {name for name in found if found[name].kind == "other"} == {
        "a\\nb.sql",
        "\\x1b[2J.sql",
        "\\xff\\xfe.sql",
        "x\\u202egnp.sql",
        "tab\\t",
    }
    for file in found.values():
        if file.kind == "file":
            assert read(shelf, file) == file.name.encode()
        else:
            with pytest.raises(Refused, match="plain names"):
                read(shelf, file)


def test_thousands_of_files(shelf: FolderShelf) -> None:
    """A crowded folder is listed whole, in one go."""
    for number in range(3_000):
        (place(shelf) / f"{number:04}-{'x' * 60}").touch()
    assert [file.name[:4] for file in shelf.list()] == [f"{number:04}" for number in range(3_000)]


def test_more_than_anybody_keeps(shelf: FolderShelf) -> None:
    """A folder without end is refused instead of filling memory."""
    for number in range(101):
        (place(shelf) / str(number)).touch()
    with pytest.raises(Refused, match="more than 100 entries"):
        FolderShelf(shelf.copy, shelf._bulk, limit=100).list()
    assert len(FolderShelf(shelf.copy, shelf._bulk, limit=101).list()) == 101


def test_folders_that_are_not_there(shelf: FolderShelf) -> None:
    """No such folder, and a file in its place, are refusals that say so."""
    bulk = shelf._bulk
    for path, why in ((f"{shelf.copy.path}/no", "No such file or directory"), ("/etc/passwd", "Not a directory")):
        with pytest.raises(Refused, match=f"cannot be entered: {why}"):
            FolderShelf(replace(shelf.copy, path=path), bulk).list()
    for path in ("relative", "", "-x"):
        with pytest.raises(UsageError, match="absolute"):
            FolderShelf(replace(shelf.copy, path=path), bulk)


def test_the_folder_itself_may_be_a_link(shelf: FolderShelf, tmp_path: Path) -> None:
    """What the inventory names is followed: it is the administrator's."""
    (place(shelf) / "a.sql").write_bytes(b"x")
    (tmp_path / "link").symlink_to(place(shelf))
    linked = FolderShelf(replace(shelf.copy, path=str(tmp_path / "link")), shelf._bulk)
    assert read(linked, one(linked)) == b"x"


# --- reading ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(start=st.integers(-30, 30), length=st.integers(-1, 30))
def test_ranges_are_those_of_python(tmp_path_factory: pytest.TempPathFactory, start: int, length: int) -> None:
    """Any part of a file, counted from either end."""
    data = bytes(range(20))
    place = tmp_path_factory.mktemp("copy")
    (place / "a.sql").write_bytes(data)
    shelf = FolderShelf(Copy("near", host="controller", path=str(place)), Bulk(lambda _: HERE, reveal, local=HERE))
    assert read(shelf, one(shelf), start, length) == (data[start:] if length < 0 else data[start:][:length])


def test_a_large_file_in_parts(shelf: FolderShelf) -> None:
    """A large file comes whole, from the middle, and from its end, exact to the byte."""
    data = os.urandom(5 * MIB + 11)
    (place(shelf) / "b").mkdir()
    (place(shelf) / "b" / "a.sql").write_bytes(data)
    file = one(shelf, "b/a.sql")
    assert read(shelf, file) == data
    assert read(shelf, file, 3 * MIB + 1) == data[3 * MIB + 1 :]
    assert read(shelf, file, -7) == data[-7:]
    assert read(shelf, file, MIB - 1, 2) == data[MIB - 1 : MIB + 1]


def test_leaving_early_stops_the_stream(shelf: FolderShelf) -> None:
    """Whoever has seen enough leaves; nothing is read to the end, and the next read works."""
    with (place(shelf) / "a.sql").open("wb") as sparse:
        sparse.truncate(10**12)
    file = one(shelf)
    for _ in range(2):
        with shelf.read(file) as chunks:
            assert next(chunks).strip(b"\0") == b""


def replaced(path: Path) -> None:
    """Another file of the same size."""
    path.with_name("new").write_bytes(b"y" * 100)
    path.with_name("new").rename(path)


def linked(path: Path) -> None:
    """A link to the very file."""
    path.rename(path.with_name("old"))
    path.symlink_to("old")


def fifo(path: Path) -> None:
    """A fifo, which would keep a reader waiting for ever."""
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    """A folder."""
    path.unlink()
    path.mkdir()


def disguised(path: Path) -> None:
    """Rewritten, and the times that can be set are set back."""
    path.write_bytes(b"y" * 100)
    os.utime(path, ns=(0, 0))


CHANGES: dict[str, Callable[[Path], object]] = {
    "rewritten with the same size": lambda path: path.write_bytes(b"y" * 100),
    "replaced": replaced,
    "grown": lambda path: path.write_bytes(b"y" * 101),
    "cut": lambda path: os.truncate(path, 50),
    "gone": Path.unlink,
    "linked": linked,
    "fifo": fifo,
    "folder": folder,
    "disguised": disguised,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_longer_what_was_listed(shelf: FolderShelf, change: str) -> None:
    """Any change after the listing, in the same second too, is noticed, and nothing else is read in its place."""
    path = place(shelf) / "a.sql"
    path.write_bytes(b"x" * 100)
    file = one(shelf)
    CHANGES[change](path)
    with shelf.read(file) as chunks, pytest.raises(Damaged) as caught:
        list(chunks)
    assert caught.value.code == "changed"


def test_a_folder_replaced_by_a_link(shelf: FolderShelf) -> None:
    """A folder on the way that has become a link leads nowhere, to the same files neither."""
    folder = place(shelf)
    (folder / "b" / "c").mkdir(parents=True)
    (folder / "b" / "c" / "a.sql").write_bytes(b"x")
    file = one(shelf, "b/c/a.sql")
    (folder / "b").rename(folder / "elsewhere")
    (folder / "b").symlink_to("elsewhere")
    with shelf.read(file) as chunks, pytest.raises(Damaged, match="no longer the file"):
        list(chunks)


def test_a_name_cannot_lead_out(shelf: FolderShelf, tmp_path: Path) -> None:
    """A file that was never listed, outside the copy, is not read however it is called."""
    (tmp_path / "outside").write_bytes(b"x")
    stat = (tmp_path / "outside").stat()
    (place(shelf) / "b").mkdir()
    for name in ("../outside", "b/../../outside", f"/{tmp_path}/outside"):
        with shelf.read(File(name, 1, int(stat.st_ctime))) as chunks, pytest.raises(Damaged, match="no longer"):
            list(chunks)


def test_a_file_that_changes_while_it_is_read(shelf: FolderShelf) -> None:
    """Bytes that were there when reading began, but not when it ended, are not passed off as the backup."""
    path = place(shelf) / "a.sql"
    path.write_bytes(bytes(20 * MIB))
    file = one(shelf)
    with shelf.read(file) as chunks:
        next(chunks)
        with path.open("r+b") as other:
            other.seek(15 * MIB)
            other.write(b"y")
        with pytest.raises(Damaged, match="no longer the file"):
            list(chunks)


def test_a_listing_of_another_run_counts(shelf: FolderShelf) -> None:
    """Who gets a file from a plan, without having listed it, reads it by size and second."""
    (place(shelf) / "a.sql").write_bytes(b"x" * 100)
    file = one(shelf)
    other = FolderShelf(shelf.copy, shelf._bulk)
    assert read(other, file) == b"x" * 100
    with other.read(replace(file, changed=file.changed - 1)) as chunks, pytest.raises(Damaged):
        list(chunks)


# --- writing ---------------------------------------------------------------------------------------------------------


def test_what_is_written_is_there(shelf: FolderShelf) -> None:
    """The file returned is the one listed; nobody else may read it, and nothing else is left in the folder."""
    data = os.urandom(3 * MIB + 5)
    file = shelf.write("web-2025.sql.zst", (data[at : at + 100_000] for at in range(0, len(data), 100_000)))
    assert shelf.list() == (file,)
    assert (place(shelf) / file.name).read_bytes() == data
    assert (place(shelf) / file.name).stat().st_mode & 0o777 == 0o600
    assert read(shelf, file) == data
    assert shelf.write("empty", []).size == 0
    shelf.remove(file)
    assert names(shelf) == ["empty"]


def test_nothing_is_written_over(shelf: FolderShelf) -> None:
    """A file, a folder or a link of that name stays, and the newcomer leaves no trace."""
    folder = place(shelf)
    (folder / "file").write_bytes(b"old")
    (folder / "folder").mkdir()
    (folder / "dangling").symlink_to("/tmp/remedy-nowhere")  # noqa: S108 -- must not come into being
    for name in ("file", "folder", "dangling"):
        with pytest.raises(Refused, match="something of that name"):
            shelf.write(name, [b"new"])
    assert names(shelf) == ["dangling", "file", "folder"]
    assert (folder / "file").read_bytes() == b"old"
    assert list((folder / "folder").iterdir()) == []


def test_of_two_writers_one_wins(shelf: FolderShelf) -> None:
    """The same name at the same time: one file, whole, and one refusal."""
    meet = threading.Barrier(2)
    outcomes: list[object] = []

    def chunks(letter: bytes) -> Iterator[bytes]:
        yield letter * MIB
        meet.wait(20)
        yield letter

    def work(letter: bytes) -> None:
        try:
            outcomes.append(shelf.write("a.sql", chunks(letter)).size)
        except RemedyError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == sorted([MIB + 1, Refused], key=str)
    assert names(shelf) == ["a.sql"]
    assert len(set((place(shelf) / "a.sql").read_bytes())) == 1


def test_a_source_that_fails_leaves_nothing(shelf: FolderShelf) -> None:
    """When the chunks end in an exception, there is no file, not even a part of one."""

    def chunks() -> Iterator[bytes]:
        yield b"x" * MIB
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.write("a.sql", chunks())
    assert names(shelf) == []


def test_one_file_is_written_while_another_is(shelf: FolderShelf) -> None:
    """What belongs beside a file may be written before the file has ended."""

    def chunks() -> Iterator[bytes]:
        yield b"data"
        shelf.write("a.sql.sha256", [b"sum"])

    shelf.write("a.sql", chunks())
    assert names(shelf) == ["a.sql", "a.sql.sha256"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "-n", ".hidden", "a\nb", "a b", "x" * 256])
def test_names_nobody_should_give(shelf: FolderShelf, name: str) -> None:
    """A name that leads elsewhere, hides or needs quoting is refused before anything is sent."""
    with pytest.raises(UsageError, match="no name for a backup"):
        shelf.write(name, [b"x"])
    assert names(shelf) == []


def test_only_what_was_written_is_removed(shelf: FolderShelf) -> None:
    """A file that somebody has replaced meanwhile stays."""
    file = shelf.write("a.sql", [b"x" * 100])
    replaced(place(shelf) / "a.sql")
    with pytest.raises(Damaged, match="no longer the file"):
        shelf.remove(file)
    assert names(shelf) == ["a.sql"]


@pytest.fixture
def small(sshd: Sshd, tmp_path: Path) -> Iterator[FolderShelf]:
    """A copy of two megabytes, in a server's own mount namespace."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = 'mount -t tmpfs -o size=2m small "$1"; shift; exec "$@"'
    server = sshd(wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", str(folder)))
    with Bulk(lambda _: server.target, reveal, limits=LIMITS) as bulk:
        yield FolderShelf(Copy("near", host="nas01", path=str(folder)), bulk)


@pytest.mark.lab
def test_no_space(small: FolderShelf) -> None:
    """A full disk is a refusal that says so, the copy is as before, and what fits still does."""
    with pytest.raises(Refused, match=r"No space left on device .*make room there"):
        small.write("large.sql", (bytes(MIB) for _ in range(1000)))
    assert small.list() == ()
    assert small.write("fits.sql", [bytes(MIB)]).size == MIB


@pytest.mark.lab
def test_no_permission(sudo: Callable[..., Server], tmp_path: Path) -> None:
    """Who may not, is told what he may not; with sudo he may."""
    target = sudo("op ALL=(ALL) NOPASSWD: ALL").target
    folder = tmp_path / "copy"
    folder.mkdir(mode=0o755)
    (folder / "a.sql").write_bytes(b"x")
    (folder / "a.sql").chmod(0o600)
    copy = Copy("near", host="nas01", path=str(folder))
    plain = FolderShelf(copy, Bulk(lambda _: replace(target, become=False), reveal, limits=LIMITS))
    with plain.read(one(plain)) as chunks, pytest.raises(Refused, match=r"Permission denied .*give the login user"):
        list(chunks)
    with pytest.raises(Refused, match="Permission denied"):
        plain.write("b.sql", (bytes(MIB) for _ in range(100)))
    root = FolderShelf(copy, Bulk(lambda _: target, reveal, limits=LIMITS))
    assert read(root, one(root)) == b"x"
    folder.chmod(0o700)
    with pytest.raises(Refused, match="cannot be entered: Permission denied"):
        plain.list()


def test_a_way_that_breaks(sshd: Sshd, tmp_path: Path) -> None:
    """When the session dies in the middle of a write, nothing gets the name, and the rest is cleared away."""
    server = sshd()
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "old.sql").write_bytes(bytes(50 * MIB))

    def cut() -> None:
        listed = subprocess.run(("pgrep", "-P", str(server.process.pid)), capture_output=True, text=True, check=True)
        for pid in listed.stdout.split():
            os.kill(int(pid), 9)

    def chunks() -> Iterator[bytes]:
        yield bytes(MIB)
        cut()
        while True:
            yield bytes(MIB)

    with Bulk(lambda _: server.target, reveal, limits=LIMITS) as bulk:
        shelf = FolderShelf(Copy("near", host="nas01", path=str(folder)), bulk)
        with pytest.raises(ConnectionLost):
            shelf.write("a.sql", chunks())
        assert [file.name for file in shelf.list()] == ["old.sql"]
        with shelf.read(one(shelf, "old.sql")) as stream:
            next(stream)
            cut()
            with pytest.raises(ConnectionLost):
                list(stream)
