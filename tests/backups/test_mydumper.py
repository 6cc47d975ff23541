"""Folders of mydumper: read like dumps of the same database, and what is missing from them is named."""

from __future__ import annotations

import gzip
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import zstandard
from tests.worlds.mariadb import Server

from remedy.backups import containers, formats
from remedy.backups.formats import Piece
from remedy.backups.formats.dump import Dump
from remedy.backups.formats.mydumper import Mydumper, role
from remedy.backups.ports import Damaged
from remedy.backups.values import Contents, File

SHOP: Final = r"""
CREATE DATABASE shop COLLATE utf8mb4_general_ci; CREATE DATABASE other; CREATE TABLE other.t (a INT);
USE shop;
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(80) COMMENT 'a;\n', body LONGBLOB);
INSERT INTO customers VALUES (1,'王小明 😀','a;\nb'), (2,'O''Brien "x";',UNHEX('000A0D1A275C223B0A')),
  (3,'back\\','"\\"');
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, twice INT AS (id * 2) STORED,
  FOREIGN KEY (customer) REFERENCES customers (id));
INSERT INTO orders (id, customer) SELECT seq, 1 + seq % 3 FROM seq_1_to_3000;
CREATE TABLE items (id INT PRIMARY KEY, t VARCHAR(40)); INSERT INTO items SELECT seq, MD5(seq) FROM seq_1_to_3000;
CREATE SEQUENCE numbers START WITH 10; DO NEXTVAL(numbers);
CREATE VIEW a_late AS SELECT 1 AS x; CREATE VIEW z_early AS SELECT id FROM orders;
CREATE OR REPLACE VIEW a_late AS SELECT id FROM z_early;
DELIMITER //
CREATE TRIGGER tr BEFORE INSERT ON items FOR EACH ROW BEGIN
  SET @a = ';
CREATE TABLE `evil` (a int);';
END//
CREATE PROCEDURE p() BEGIN SELECT 'DELIMITER'; SELECT 2; END//
CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00' DO DELETE FROM items//
"""


def dump(server: Server, folder: Path, *options: str) -> Path:
    """What mydumper writes."""
    argv = ["mydumper", f"--socket={server.socket}", "--user=root", "--database=shop", f"--outputdir={folder}"]
    subprocess.run([*argv, "--triggers", "--routines", "--events", *options], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with the database."""
    server = Server(tmp_path_factory.mktemp("origin") / "server", "--log-bin=bin").start()
    try:
        server.sql(SHOP)
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def folder(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file per table."""
    return dump(server, tmp_path_factory.mktemp("plain") / "export")


@pytest.fixture(scope="module")
def chunked(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with several files per table, compressed."""
    return dump(server, tmp_path_factory.mktemp("chunked") / "export", "--rows=500", "--compress")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy of the plain folder, to be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "export"))


def files_of(folder: Path) -> tuple[File, ...]:
    """What lies in the folder, in no particular order."""
    names = [path.name for path in folder.iterdir()]
    random.Random(5).shuffle(names)  # noqa: S311 -- no secret
    return tuple(File(f"2026-11-20/{name}", 1, 0) for name in names)


def read(folder: Path, schema: str = "shop", size: int = 997) -> tuple[list[Piece], Contents]:
    """Pieces and contents of a folder that is read in small chunks."""
    reading = Mydumper.reading(schema)
    pieces: list[Piece] = []
    for (file,) in Mydumper.streams(files_of(folder)):
        base = file.name.rpartition("/")[2]
        data = (folder / base).read_bytes()
        reading.begin(containers.without_suffix(base)[0])
        for chunk in containers.opened([data] if data else [])[2]:
            for at in range(0, len(chunk), size):
                pieces += reading.feed(chunk[at : at + size])
        pieces += reading.end()
    return pieces, reading.close()


def codes(folder: Path, schema: str = "shop") -> set[str]:
    """The codes of the findings but for what 0.10 never keeps."""
    return {finding.code for finding in read(folder, schema)[1].findings} - {"no-sql-mode"}


def client(server: Server, text: bytes, schema: str, *options: str) -> None:
    """What the loader does with pieces."""
    argv = ["mariadb", f"--defaults-extra-file={server.option_file}", "--sandbox", "--binary-mode", *options, schema]
    done = subprocess.run(argv, input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def sent(pieces: list[Piece], *kinds: str) -> bytes:
    """The text of the pieces of these kinds."""
    return b"".join(piece.sql for piece in pieces if piece.kind in kinds)


@pytest.mark.parametrize(
    "options",
    ["", "--compress", "--rows=500", "--chunk-filesize=1 --statement-size=5000", "--insert-ignore --complete-insert"],
)
def test_a_folder_has_the_contents_of_a_dump(options: str, server: Server, tmp_path: Path) -> None:
    """Tables, rows, views and sequences have the digests that mariadb-dump's text of the same database has."""
    _, found = read(dump(server, tmp_path / "export", *options.split()))
    reading = Dump.reading("shop")
    for _ in (*reading.feed(server.dump("shop")), *reading.end()):
        pass
    dumped = reading.close()
    assert [finding.code for finding in found.findings] == ["no-sql-mode"]
    assert {table.name: table.create for table in found.tables} == {table.name: table.create for table in dumped.tables}
    # Generated columns are left out by mydumper alone.
    rows = {table.name: (table.rows, table.count) for table in dumped.tables if table.name != "orders"}
    assert {table.name: (table.rows, table.count) for table in found.tables if table.name != "orders"} == rows
    same = ("view", "sequence")
    assert [(made.name, made.digest) for made in found.objects if made.kind in same] == [
        (made.name, made.digest) for made in dumped.objects if made.kind in same
    ]
    assert [(made.kind, made.name) for made in found.objects] == [(made.kind, made.name) for made in dumped.objects]
    facts = found.facts
    assert (facts.database, facts.charset, facts.tool) == ("shop", "binary", "mydumper")
    assert facts.binlog.startswith("bin.000001:")
    assert facts.gtid.startswith("0-1-")
    assert len(facts.time_text) == len("2026-11-20 02:00:01")


def test_what_is_sent_makes_the_same_database(chunked: Path, server: Server) -> None:
    """Pieces and scripts, loaded into another schema and dumped by mydumper again, have the same digests."""
    pieces, found = read(chunked)
    server.sql("CREATE DATABASE again COLLATE utf8mb4_general_ci")
    client(server, sent(pieces, "setup", "structure", "rows"), "again")
    scripts = [made.sql.encode("utf-8", "surrogateescape") for made in found.objects if made.kind != "sequence"]
    client(server, b"".join(scripts), "again", "--comments")
    folder = chunked.parent / "again"
    argv = ["mydumper", f"--socket={server.socket}", "--user=root", "--database=again", f"--outputdir={folder}"]
    subprocess.run([*argv, "--triggers", "--routines", "--events"], check=True, capture_output=True)
    _, again = read(folder, "again")
    server.sql("DROP DATABASE again")
    # Where generated columns are left out, a server may give the rows in the order of another index.
    assert [table for table in again.tables if table.name != "orders"] == [
        table for table in found.tables if table.name != "orders"
    ]
    assert [table.count for table in again.tables] == [table.count for table in found.tables]
    assert [(made.kind, made.name, made.digest) for made in again.objects] == [
        (made.kind, made.name, made.digest) for made in found.objects
    ]


def test_definitions_come_first_and_rows_in_order(chunked: Path) -> None:
    """Files are read in the order in which their contents can be made, chunks in that of their numbers."""
    names = [file.name.rpartition("/")[2].removesuffix(".gz") for (file,) in Mydumper.streams(files_of(chunked))]
    kinds = [role(name)[0] for name in names]
    assert kinds == sorted(kinds, key=["metadata", "create", "table", "rows", "view", "trigger", "routine"].index)
    assert [name for name in names if name.startswith("shop.items.")] == sorted(
        name for name in names if name.startswith("shop.items.")
    )
    assert len([name for name in names if name.startswith("shop.items.")]) > 3


def remove(name: str) -> Callable[[Path], None]:
    """Lose a file."""
    return lambda folder: (folder / name).unlink()


def rename(name: str, new: str) -> Callable[[Path], None]:
    """Call a file otherwise."""

    def change(folder: Path) -> None:
        (folder / name).rename(folder / new)

    return change


def halve(name: str) -> Callable[[Path], None]:
    """Keep the first half of a file."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


def write(name: str, content: bytes) -> Callable[[Path], None]:
    """A file with this content."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def replace(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Change a file's text."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        assert old in content
        (folder / name).write_bytes(content.replace(old, new))

    return change


_TRIGGERS: Final = "shop.x-schema-triggers.sql"
_ESCAPE: Final = b"CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @a=1 \\! id\n;\n"
_OTHER: Final = replace("shop.items.sql", b"INSERT INTO `items`", b"INSERT INTO `other`.`t`")
_LOAD: Final = write("shop.items.sql", b"LOAD DATA LOCAL INFILE 'x.dat' INTO TABLE `items`;\n")

DAMAGE: Final = {
    "rows lost": (remove("shop.items.sql"), {"maybe-empty"}),
    "rows emptied": (write("shop.items.sql", b""), {"maybe-empty"}),
    "rows halved": (halve("shop.items.sql"), {"cut", "maybe-empty"}),
    "definition lost": (remove("shop.items-schema.sql"), {"no-structure"}),
    "definition halved": (halve("shop.items-schema.sql"), {"cut", "no-structure", "empty-file"}),
    "definition emptied": (write("shop.items-schema.sql", b""), {"no-structure", "empty-file"}),
    "view lost": (remove("shop.a_late-schema-view.sql"), {"view-unfinished"}),
    "view halved": (halve("shop.a_late-schema-view.sql"), {"cut", "view-unfinished", "empty-file"}),
    "trigger halved": (halve("shop.items-schema-triggers.sql"), {"cut"}),
    "not finished": (rename("metadata", "metadata.partial"), {"cut"}),
    "metadata halved": (halve("metadata"), {"cut"}),
    "metadata lost": (remove("metadata"), {"no-metadata"}),
    "something else": (write("shop.exe", b"x"), {"stray-file"}),
    "account": (write(_TRIGGERS, b"GRANT ALL ON *.* TO x;\n"), {"privilege"}),
    "planted": (write(_TRIGGERS, b"DELETE FROM items;\n"), {"unknown-statement"}),
    "shell": (write(_TRIGGERS, _ESCAPE), {"unknown-statement"}),
    "shell in rows": (replace("shop.items.sql", b"INSERT", b"\\! id\nINSERT"), {"client-command"}),
    "other schema": (_OTHER, {"other-schema", "maybe-empty"}),
    "load data": (_LOAD, {"load-data", "maybe-empty"}),
    "other database": (write("other.t-schema.sql", b"GRANT 1;\n"), {"several-databases"}),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(damage: str, copy: Path) -> None:
    """What is lost, cut, emptied or planted in a folder has its finding, where myloader is content with most of it."""
    change, expected = DAMAGE[damage]
    change(copy)
    assert codes(copy) == expected
    assert not any(b"GRANT" in piece.sql or b"\\! id" in piece.sql for piece in read(copy)[0] if piece.kind != "left")


def test_chunks_that_are_missing_are_told(chunked: Path, tmp_path: Path) -> None:
    """A gap in the numbers of a table's files is told; it may be right, since chunks without rows have no file."""
    folder = Path(shutil.copytree(chunked, tmp_path / "export"))
    (folder / "shop.items.00002.sql.gz").unlink()
    _, contents = read(folder)
    assert [finding.text for finding in contents.findings if finding.code == "chunk-missing"] == [
        "the numbers of a table's files have a gap: no rows were there, or a file is lost: shop.items: 00002"
    ]
    half = (folder / "shop.items.00001.sql.gz").read_bytes()
    (folder / "shop.items.00001.sql.gz").write_bytes(half[:-20])
    with pytest.raises(Damaged, match="ends before its end mark"):
        read(folder)


def test_no_rows_at_all_and_another_database(server: Server, tmp_path: Path, folder: Path) -> None:
    """A folder without rows, without tables, or of another database is refused."""
    assert "no-data" in codes(dump(server, tmp_path / "bare", "--no-data"))
    assert codes(folder, "nowhere") >= {"wrong-database"}
    empty = dump(server, tmp_path / "with-empty", "--build-empty-files")
    assert codes(empty) == set()
    server.sql("CREATE TABLE shop.nothing (a INT)")
    assert codes(dump(server, tmp_path / "one-empty", "--build-empty-files")) == {"maybe-empty"}
    server.sql("DROP TABLE shop.nothing")


LATER: Final = {
    "metadata": b"""# Started dump at: 2026-07-15 10:00:00
[config]
quote-character = BACKTICK

[source]
# executed_gtid_set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7"
# SOURCE_LOG_FILE = "binlog.000002"
# SOURCE_LOG_POS = 47893

[`shop`.`users`]
real_table_name=users
rows = 3

[`shop`.`zero`]
rows = 0

[`shop`]
schema_checksum = 95DC8DDE
[config]
max-statement-size = 12279
# Finished dump at: 2026-07-15 10:00:01
""",
    "shop-schema-create.sql": b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop`;\n",
    "shop.users-schema.sql": b"/*!40101 SET NAMES utf8mb4*/;\n/*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ANSI'*/;\n"
    b"CREATE TABLE `users` (\n  `id` int NOT NULL,\n  `t` text,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB;\n",
    "shop.zero-schema.sql": b"CREATE TABLE `zero` (\n  `id` int NOT NULL\n) ENGINE=InnoDB;\n",
    "shop.users.00000.sql": b'/*!40101 SET NAMES binary*/;\nINSERT INTO `users` VALUES(1,"a")\n,(2,NULL)\n;\n',
    "shop.users.00002.00001.sql.zst": zstandard.compress(b'INSERT INTO `users` VALUES(7,"b;\\n")\n;\n'),
    "shop.v-schema.sql": b"CREATE TABLE IF NOT EXISTS `v`(\n`id` int\n) ENGINE=MEMORY ENCRYPTION='N';\n",
    "shop.v-schema-view.sql": b"DROP TABLE IF EXISTS `v`;\nDROP VIEW IF EXISTS `v`;\n"
    b"CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `v` AS select 1 AS `id`;\n",
    "shop-schema-triggers.sql": b"DROP TRIGGER IF EXISTS `tr`;\n"
    b"CREATE DEFINER=`root`@`%` TRIGGER `tr` BEFORE INSERT ON `users` FOR EACH ROW BEGIN SET @a=1; \nEND;\n",
    "shop.users-checksum": b"1",
    "shop-schema-routines.sql.gz": gzip.compress(b"CREATE PROCEDURE `p`() BEGIN SELECT 1; \nEND;\n"),
}


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """A folder as mydumper from 0.12 on writes it; made by hand after its sources, not by it."""
    folder = tmp_path / "export"
    folder.mkdir()
    for name, content in LATER.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_later_layout(later: Path) -> None:
    """Counts in metadata say that an empty table is empty and that no file is missing, whatever the numbers."""
    pieces, contents = read(later, size=7)
    assert codes(later) == set()
    assert [(table.name, table.count) for table in contents.tables] == [("users", 3), ("zero", 0)]
    assert [(made.kind, made.name) for made in contents.objects] == [
        ("procedure", "p"),
        ("view", "v"),
        ("trigger", "tr"),
    ]
    facts = contents.facts
    assert (facts.binlog, facts.time_text) == ("binlog.000002:47893", "2026-07-15 10:00:01")
    assert facts.gtid == "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7"
    # Rows stand under other settings than the first definition: they take theirs along.
    rows = [piece.sql for piece in pieces if piece.kind == "rows"]
    assert rows[0].startswith(b"SET NAMES binary;\nSET sql_mode='NO_AUTO_VALUE_ON_ZERO';\nINSERT")
    assert rows[0].endswith(b";\nSET NAMES utf8mb4;\nSET sql_mode='NO_AUTO_VALUE_ON_ZERO,ANSI';\n")


def test_counts_find_what_is_missing(later: Path) -> None:
    """A row fewer than metadata says, or a file of rows, is missing for certain."""
    (later / "shop.users.00002.00001.sql.zst").unlink()
    assert codes(later) == {"rows-missing"}
    (later / "shop.users.00000.sql").unlink()
    assert codes(later) == {"no-data"}


def test_names_that_are_masked(tmp_path: Path) -> None:
    """A database whose name cannot be a file's name is known by its CREATE DATABASE."""
    for name, content in {
        "metadata": b"# Finished dump at: 2026-07-15 10:00:01\n",
        "mydumper_0-schema-create.sql": "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `店/铺`;\n".encode(),
        "mydumper_0.mydumper_1-schema.sql": b"CREATE TABLE `a/b` (\n  `id` int NOT NULL\n) ENGINE=InnoDB;\n",
        "mydumper_0.mydumper_1.00000.sql": b"INSERT INTO `a/b` VALUES(1)\n;\n",
    }.items():
        (tmp_path / name).write_bytes(content)
    _, contents = read(tmp_path, "店/铺")
    assert [(table.name, table.count) for table in contents.tables] == [("a/b", 1)]
    assert not contents.findings


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (("metadata", "shop-schema-create.sql"), 2),
        (("metadata.partial", "shop.t-schema.sql"), 2),
        (("shop-schema-routines.sql", "shop-schema-events.sql"), 2),
        (("shop-monday.sql", "shop-tuesday.sql"), 0),
        (("metadata",), 0),
    ],
)
def test_which_folders_are_mydumpers(names: tuple[str, ...], files: int) -> None:
    """Definitions make a folder one of mydumper's; a folder of dumps is none."""
    listed = {"x": [File(f"x/{name}", 1, 0) for name in names]}
    assert [len(group.files) for group in Mydumper.groups(listed)] == [files] * bool(files)
    assert formats.named("mydumper") is Mydumper
