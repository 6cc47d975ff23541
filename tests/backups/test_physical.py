"""Physical backups of a real server: what is read from them, and that damage which --prepare accepts is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.mariadb import Server

from remedy.backups import catalog, formats, innodb
from remedy.backups.formats import physical
from remedy.backups.mbstream import Chunks, within
from remedy.backups.ports import Damaged
from remedy.backups.values import Contents, Copy, File

SCHEMA: Final = """
CREATE DATABASE site CHARACTER SET utf8mb4; CREATE DATABASE other; USE site;
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200), body LONGBLOB, KEY (name));
INSERT INTO orders (name, body) SELECT CONCAT('王小明', seq), REPEAT(CHAR(seq % 256), 500) FROM seq_1_to_3000;
CREATE TABLE items (id INT PRIMARY KEY, order_id INT, FOREIGN KEY (order_id) REFERENCES orders (id));
CREATE TABLE zipped (id INT PRIMARY KEY, t TEXT) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8;
INSERT INTO zipped SELECT seq, REPEAT('abc', seq % 300) FROM seq_1_to_2000;
CREATE TABLE packed (id INT PRIMARY KEY, t TEXT) PAGE_COMPRESSED=1;
INSERT INTO packed SELECT seq, REPEAT('abc', seq % 300) FROM seq_1_to_2000;
CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3;
CREATE TABLE aria (a INT) ENGINE=Aria; CREATE TABLE old (a INT) ENGINE=MyISAM; CREATE SEQUENCE numbers;
CREATE TABLE `订单 表` (id INT PRIMARY KEY);
CREATE VIEW big AS SELECT * FROM orders WHERE id > 100;
CREATE TRIGGER tr BEFORE INSERT ON orders FOR EACH ROW SET NEW.name = UPPER(NEW.name);
CREATE TABLE other.far (id INT PRIMARY KEY, t TEXT);
INSERT INTO other.far SELECT seq, REPEAT('x', 300) FROM seq_1_to_900;
SET GLOBAL innodb_checksum_algorithm = crc32; CREATE TABLE before_full (id INT PRIMARY KEY, t TEXT);
INSERT INTO before_full SELECT seq, REPEAT('z', 300) FROM seq_1_to_1000;
SET GLOBAL innodb_checksum_algorithm = full_crc32, innodb_max_dirty_pages_pct = 0;
"""
TABLES: Final = ["aria", "before_full", "items", "numbers", "old", "orders", "packed", "parts", "zipped", "订单 表"]


@dataclass(frozen=True)
class Made:
    """Backups of one server: a folder as copied, the same prepared, a stream."""

    folder: Path
    prepared: Path
    stream: Path


def backup(server: Server, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run mariadb-backup."""
    argv = ("mariadb-backup", "--no-defaults", "--backup", f"--socket={server.socket}", "--user=root", *options)
    return subprocess.run(argv, check=True, capture_output=True)


def flushed(server: Server) -> bool:
    """Whether every page is in its file, so that a backup has them there and not in its redo log alone."""
    return int(server.sql("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")[0].split("\t")[1]) == 0


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    """Backups of a server with a table of every kind, on which nothing else happens."""
    place = Path(tempfile.mkdtemp(prefix="remedy-physical-"))
    server = Server(place / "server", f"--log-bin={place}/mariadb-bin", "--server-id=7", "--sql-mode=").start()
    try:
        server.sql(SCHEMA)
        while not flushed(server):
            server.sql("DO SLEEP(0.05)")
        backup(server, f"--target-dir={place}/full")
        (place / "full.xb").write_bytes(backup(server, "--stream=mbstream", f"--target-dir={place}").stdout)
        shutil.copytree(place / "full", place / "prepared")
        prepare(place / "prepared")
        yield Made(place / "full", place / "prepared", place / "full.xb")
    finally:
        server.close()
        shutil.rmtree(place)


def prepare(folder: Path) -> str:
    """What mariadb-backup says last when it prepares a backup."""
    argv = ("mariadb-backup", "--no-defaults", "--prepare", f"--target-dir={folder}")
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return done.stderr.splitlines()[-1]


def read(place: Path, schema: str = "site", chunk: int = 1 << 20) -> Contents:
    """Read a backup as it is read from a copy: the folder's files in the format's order, or the stream."""
    found = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    files = tuple(File(str(path.relative_to(place.parent)), path.stat().st_size, 0) for path in found)
    [backup] = catalog.backups(Copy("local"), files)
    kind = formats.named(backup.format)
    reading = kind.reading(schema)
    for [file] in kind.streams(files):
        reading.begin(file.name)
        with (place.parent / file.name).open("rb") as stream:
            while data := stream.read(chunk):
                assert list(reading.feed(data)) == []
        assert list(reading.end()) == []
    return reading.close()


@pytest.mark.parametrize("which", ["folder", "prepared", "stream"])
def test_what_a_backup_says(made: Made, which: str) -> None:
    """Facts, tables, views and triggers are read from its files, and nothing is wrong with a good one."""
    found = read(getattr(made, which))
    assert found.findings == ()
    assert found.facts.tool.startswith("mariadb-backup 10.")
    assert "MariaDB" in found.facts.server
    assert found.facts.time_text.startswith("20")
    assert found.facts.binlog.startswith("mariadb-bin.0000")
    assert found.facts.gtid.startswith("0-7-")
    assert [table.name for table in found.tables] == TABLES
    assert all(table.bytes for table in found.tables)
    assert {(o.kind, o.name) for o in found.objects} == {("view", "big"), ("trigger", "tr")}


def test_small_chunks_read_the_same(made: Made) -> None:
    """Where the chunks of a stream are cut changes nothing."""
    assert read(made.stream, chunk=4099) == read(made.stream)


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes((byte ^ 4,)))


def halved(path: Path) -> None:
    """Cut at a page, half way."""
    os.truncate(path, path.stat().st_size // 2 // 65536 * 65536)


DAMAGE: Final[dict[str, tuple[Callable[[Path], object], str, str]]] = {
    "flipped": (lambda d: flip(d / "site/orders.ibd", 16384 * 5 + 900), "page", "site/orders.ibd: 1 pages"),
    "flipped, compressed rows": (lambda d: flip(d / "site/zipped.ibd", 8192 * 5 + 90), "page", "site/zipped.ibd"),
    "flipped, compressed pages": (lambda d: flip(d / "site/packed.ibd", 16384 * 3 + 40), "page", "site/packed.ibd"),
    "flipped, older checksum": (lambda d: flip(d / "site/before_full.ibd", 16384 * 4 + 90), "page", "before_full"),
    "flipped, system": (lambda d: flip(d / "ibdata1", 16384 * 7 + 200), "page", "ibdata1"),
    "halved": (lambda d: halved(d / "site/orders.ibd"), "truncated", "site/orders.ibd"),
    "deleted": (lambda d: (d / "site/orders.ibd").unlink(), "missing", "site/orders has no data file"),
    "deleted partition": (
        lambda d: subprocess.run(("sh", "-c", "rm site/parts#P#*"), cwd=d, check=True),
        "missing",
        "site/parts has no",
    ),
    "deleted rows": (lambda d: (d / "site/old.MYD").unlink(), "missing", "site/old has no data file"),
    "page of another table": (
        lambda d: (d / "site/items.ibd").write_bytes((d / "site/numbers.ibd").read_bytes()[: 3 * 16384] * 2),
        "page",
        "site/items.ibd",
    ),
    "torn": (lambda d: os.truncate(d / "site/items.ibd", 50000), "truncated", "site/items.ibd"),
    "unfinished": (lambda d: (d / "xtrabackup_info").unlink(), "unfinished", "did not finish"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found(made: Made, tmp_path: Path, what: str) -> None:
    """A flipped bit, a file that is missing, cut or of another table is found, without a server."""
    spoil, code, text = DAMAGE[what]
    shutil.copytree(made.prepared, tmp_path / "b")
    spoil(tmp_path / "b")
    found = read(tmp_path / "b")
    assert [f.code for f in found.findings if text in f.text] == [code], found.findings


@pytest.mark.parametrize("what", ["flipped", "halved", "deleted"])
def test_prepare_says_ok(made: Made, tmp_path: Path, what: str) -> None:
    """What is found here is what mariadb-backup does not find: it says "completed OK!"."""
    shutil.copytree(made.folder, tmp_path / "b")
    DAMAGE[what][0](tmp_path / "b")
    assert prepare(tmp_path / "b").endswith("completed OK!")


def test_redo_log_cut(made: Made, tmp_path: Path) -> None:
    """An unprepared backup whose redo log is cut, or gone, is found; a prepared one needs none."""
    shutil.copytree(made.folder, tmp_path / "b")
    redo = tmp_path / "b" / "ib_logfile0"
    lines = (tmp_path / "b" / "xtrabackup_checkpoints").read_text(encoding="ascii").splitlines()
    said = dict(line.split(" = ") for line in lines)
    # The file may hold more than the backup needs: the log was written on while it was copied.
    os.truncate(redo, 12288 + int(said["last_lsn"]) - int(said["to_lsn"]) - 100)
    assert [f.text for f in read(tmp_path / "b").findings] == ["ib_logfile0 is cut: 100 bytes are missing at its end"]
    redo.unlink()
    assert [f.code for f in read(tmp_path / "b").findings] == ["redo"]


def test_damage_elsewhere_may_be_accepted(made: Made, tmp_path: Path) -> None:
    """A damaged page of another database is named, and is no reason to give this one up."""
    shutil.copytree(made.prepared, tmp_path / "b")
    flip(tmp_path / "b/other/far.ibd", 16384 * 4 + 900)
    [finding] = read(tmp_path / "b").findings
    assert (finding.code, finding.fatal) == ("page", False)
    assert finding.text.startswith("other/far.ibd")
    assert read(tmp_path / "b", "other").findings[0].fatal


def test_wrong_database(made: Made) -> None:
    """A backup of a server without the database says so."""
    assert [f.text for f in read(made.folder, "shop").findings] == ["there is no database 'shop' in it"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("backup_type = incremental", "incremental"),
        ("backup_type = something", "unfinished"),
        ("backup_type = full-prepared", ""),
    ],
)
def test_kinds(made: Made, tmp_path: Path, line: str, code: str) -> None:
    """An increment is no backup by itself; a kind that is not known is not guessed at."""
    shutil.copytree(made.prepared, tmp_path / "b")
    (tmp_path / "b/xtrabackup_checkpoints").write_text(f"{line}\nfrom_lsn = 0\nto_lsn = 5\nlast_lsn = 9\n")
    assert [f.code for f in read(tmp_path / "b").findings] == ([code] if code else [])


def test_files_that_lie_outside(made: Made, tmp_path: Path) -> None:
    """A table that points to a file of the live server is never started on."""
    shutil.copytree(made.prepared, tmp_path / "b")
    (tmp_path / "b/site/far.isl").write_text("/var/lib/mysql/site/orders.ibd")
    (tmp_path / "b/site/orders.ibd.qp").write_bytes(b"qpress10")
    assert [f.code for f in read(tmp_path / "b").findings] == ["compressed", "outside"]


def test_stream_with_a_flipped_bit(made: Made, tmp_path: Path) -> None:
    """Any bit of any payload that changes is found by the stream's own checksums."""
    data = bytearray(made.stream.read_bytes())
    for at in (5_000_000, len(data) // 2, len(data) - 200_000):
        data[at] ^= 1
        (tmp_path / "s.xb").write_bytes(data)
        with pytest.raises(Damaged):
            read(tmp_path / "s.xb")
        data[at] ^= 1


@pytest.mark.parametrize("part", [0.3, 0.9999])
def test_stream_cut(made: Made, tmp_path: Path, part: float) -> None:
    """A stream that ends early is found, wherever it ends."""
    data = made.stream.read_bytes()
    (tmp_path / "s.xb").write_bytes(data[: int(len(data) * part)])
    with pytest.raises(Damaged) as caught:
        read(tmp_path / "s.xb")
    assert caught.value.code == "truncated"


def test_stream_without_its_last_files(made: Made, tmp_path: Path) -> None:
    """A stream cut between two files reads well and is unfinished: what is written last is not there."""
    data = made.stream.read_bytes()
    end = data.rindex(b"XBSTCK01\0P\x0f\0\0\0xtrabackup_info")
    (tmp_path / "s.xb").write_bytes(data[:end])
    assert [f.code for f in read(tmp_path / "s.xb").findings] == ["unfinished"]


def chunk(path: bytes, payload: bytes, offset: int = 0, checksum: int | None = None) -> bytes:
    """One chunk as mariadb-backup writes it."""
    crc = zlib.crc32(payload) if checksum is None else checksum
    numbers = len(payload).to_bytes(8, "little") + offset.to_bytes(8, "little") + crc.to_bytes(4, "little")
    return b"XBSTCK01\0P" + len(path).to_bytes(4, "little") + path + numbers + payload


def ended(path: bytes) -> bytes:
    """The end of a file as mariadb-backup writes it."""
    return b"XBSTCK01\0E" + len(path).to_bytes(4, "little") + path


def fed(data: bytes) -> list[tuple[str, bytes | None]]:
    """Everything in a stream."""
    chunks = Chunks()
    found = list(chunks.feed(data))
    chunks.end()
    return found


def test_chunks() -> None:
    """Chunks of files that are written at once are told apart, an empty file is one too."""
    data = chunk(b"a", b"one") + chunk(b"s/b", b"two") + chunk(b"a", b"more", 3) + ended(b"s/b") + ended(b"a")
    found = fed(data + ended(b"./empty"))
    assert found == [("a", b"one"), ("s/b", b"two"), ("a", b"more"), ("s/b", None), ("a", None), ("empty", None)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (chunk(b"../../etc/cron.d/x", b"* * * * *"), "name"),
        (chunk(b"/etc/passwd", b""), "name"),
        (chunk(b"a//b", b""), "name"),
        (chunk(b"a/./b", b""), "name"),
        (chunk(b"a\nb", b""), "name"),
        (chunk(b"a\\b", b""), "name"),
        (chunk(b"a", b"x", checksum=1), "corrupt"),
        (chunk(b"a", b"one") + chunk(b"a", b"more", 4), "corrupt"),
        (chunk(b"a", b"one") + ended(b"a") + chunk(b"a", b"again"), "corrupt"),
        (chunk(b"a", b"one"), "truncated"),
        (b"XBSTCK01\0X\x01\0\0\0a" + bytes(20), "corrupt"),
        (b"XBSTCK02" + bytes(60), "corrupt"),
        (b"XBSTCK01\0P\xff\xff\xff\xff" + bytes(60), "corrupt"),
    ],
)
def test_streams_that_are_none(data: bytes, code: str) -> None:
    """A name that leads out of the folder, a chunk that is missing or there twice, and what is no chunk, end it."""
    with pytest.raises(Damaged) as caught:
        fed(data)
    assert caught.value.code == code


@given(st.binary(max_size=400), st.integers(1, 50))
def test_hostile_streams_end_well(data: bytes, size: int) -> None:
    """Whatever bytes come, they are read, or refused as damaged."""
    chunks = Chunks()
    try:
        for start in range(0, len(data), size):
            for path, _ in chunks.feed(data[start : start + size]):
                assert within(path) == path
        chunks.end()
    except Damaged:
        pass


def slow_crc32c(data: bytes) -> int:
    """By the book, a bit at a time (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@given(st.binary(max_size=1500))
def test_crc32c(data: bytes) -> None:
    """The checksum by sparse multiples is the one by the book, for every length."""
    assert innodb.crc32c(data) == slow_crc32c(data)


def test_crc32c_of_pages() -> None:
    """Every length that a page has, and the number that the standard gives."""
    assert innodb.crc32c(b"123456789") == 0xE3069283
    for size in (4092, 8150, 16338, 16380, 65532):
        data = os.urandom(size)
        assert innodb.crc32c(data) == slow_crc32c(data)


@given(st.integers(0, 0xFFFFFFFF))
def test_flags_of_tablespaces(flags: int) -> None:
    """Whatever a first page says of its size, a page is 512 bytes to 64 KiB, or it is no tablespace."""
    found = innodb.layout(flags)
    assert found is None or found.page in {512 << n for n in range(1, 8)}


def test_names_of_files() -> None:
    """The folder of a backup is where its notes lie, not where an increment below it has its own."""
    files = tuple(File(name, 1, 0) for name in ("d/full/site/a.ibd", "d/full/xtrabackup_info"))
    assert physical.root(files) == "d/full/"
    assert physical.root((File("xtrabackup_checkpoints", 1, 0), File("ibdata1", 1, 0))) == ""
