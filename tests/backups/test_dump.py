"""Text dumps: what real servers' dumps hold is read, loads again with the same digests, and every damage is named."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.mariadb import Server

from remedy.backups import findings, formats
from remedy.backups.formats import Piece
from remedy.backups.formats.dump import Dump
from remedy.backups.ports import Damaged
from remedy.backups.values import Contents, File
from remedy.core.text import printable

WEB: Final = r"""
CREATE DATABASE web CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE DATABASE other; CREATE TABLE other.orders (id INT PRIMARY KEY); INSERT INTO other.orders VALUES (9);
CREATE USER app@localhost; GRANT ALL ON web.* TO app@localhost;
USE web;
CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL COMMENT 'a;\n-- Dump completed',
  note TEXT, UNIQUE KEY (name)) AUTO_INCREMENT=77 COMMENT='它的 AUTO_INCREMENT=5';
INSERT INTO customers VALUES (1,'王小明','emoji 😀𠮷'), (2,'O''Brien;','a\nb;\nc\r'),
  (3,'back\\slash','x\0y'), (4,'),(','');
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, price DECIMAL(10,2), tax DECIMAL(10,2) AS (price*0.2) STORED,
  v INT AS (id+1) VIRTUAL, at TIMESTAMP NOT NULL DEFAULT '2026-01-01 00:00:00',
  CONSTRAINT fk FOREIGN KEY (customer) REFERENCES customers (id));
INSERT INTO orders (id, customer, price) SELECT seq, 1 + seq % 3, seq / 7 FROM seq_1_to_500;
CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB, f BIT(9));
INSERT INTO blobs VALUES (1, UNHEX('000A0D1A275C3B0A2C0A28FF80'), b'101'), (2, NULL, NULL),
  (3, REPEAT(CHAR(200), 5000), 0);
CREATE TABLE empty_one (a INT);
CREATE TABLE keyless (a INT, b VARCHAR(10)); INSERT INTO keyless VALUES (1,'a'), (1,'a'), (0,'b');
CREATE TABLE unique_one (a INT NOT NULL, b INT, UNIQUE KEY (a)); INSERT INTO unique_one VALUES (3,1), (1,2), (2,3);
CREATE TABLE unique_null (a INT, b INT, UNIQUE KEY (a)); CREATE TABLE prefixed (a TEXT NOT NULL, UNIQUE KEY (a(3)));
CREATE TABLE `we``ird;
名` (`ro``w` INT PRIMARY KEY); INSERT INTO `we``ird;
名` VALUES (1);
CREATE TABLE history (a INT PRIMARY KEY, b INT) WITH SYSTEM VERSIONING;
INSERT INTO history VALUES (1,1); UPDATE history SET b = 2;
CREATE TABLE old (a INT PRIMARY KEY) ENGINE=MyISAM; INSERT INTO old VALUES (2), (1);
CREATE TABLE merged (a INT PRIMARY KEY) ENGINE=MRG_MyISAM UNION=(old);
CREATE TABLE parts (a INT PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 3; INSERT INTO parts VALUES (1), (2), (3);
CREATE SEQUENCE numbers START WITH 10; DO NEXTVAL(numbers);
CREATE SEQUENCE down INCREMENT -2 MINVALUE -99 NOCACHE CYCLE;
CREATE FUNCTION twice(a INT) RETURNS INT DETERMINISTIC RETURN a * 2;
CREATE VIEW z_early AS SELECT id, twice(id) AS t FROM orders;
CREATE VIEW a_late AS SELECT t FROM z_early WHERE t > 0 WITH CASCADED CHECK OPTION;
DELIMITER //
CREATE TRIGGER fake_footer BEFORE INSERT ON orders FOR EACH ROW BEGIN
-- Dump completed on 2020-01-01  0:00:00
SET NEW.price = NEW.price; /* ;; it's
-- Dump completed on 2020-01-01  0:00:00
*/
END//
CREATE TRIGGER fake_table AFTER INSERT ON orders FOR EACH ROW SET @x='
-- Table structure for table `evil`
CREATE TABLE `evil` (a int);
LOCK TABLES `evil` WRITE;
INSERT INTO `evil` VALUES (1);
USE mysql;
\\! touch /tmp/evil
'//
CREATE PROCEDURE fake(IN a INT) COMMENT 'it''s;'
BEGIN
-- Table structure for table `evil`
# Host: localhost    Database: evil
DECLARE s TEXT DEFAULT 'DELIMITER ;';
/*
DELIMITER ;
GRANT ALL ON *.* TO evil;
*/
SELECT a, "王";
END//
SET sql_mode = 'NO_BACKSLASH_ESCAPES'//
CREATE FUNCTION windows() RETURNS TEXT DETERMINISTIC RETURN 'C:\'//
SET sql_mode = ''//
CREATE DEFINER = app@localhost EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00'
  DO DELETE FROM keyless//
SET sql_mode = ORACLE//
CREATE PACKAGE pk AS PROCEDURE x(a INT); END//
CREATE PACKAGE BODY pk AS PROCEDURE x(a INT) AS BEGIN SELECT a; END; END//
"""
OBJECTS: Final = [
    ("sequence", "down"),
    ("sequence", "numbers"),
    ("function", "twice"),
    ("function", "windows"),
    ("procedure", "fake"),
    ("package", "pk"),
    ("package body", "pk"),
    ("view", "z_early"),
    ("view", "a_late"),
    ("trigger", "fake_footer"),
    ("trigger", "fake_table"),
    ("event", "nightly"),
]
#: Ways to dump: options, and the findings that are right then.
WAYS: Final = {
    "plain": ("", set[str]()),
    "master-data": ("--master-data=2 --gtid", set()),
    "databases": ("--databases web", set()),
    "drop-database": ("--add-drop-database --databases web", set()),
    "two": ("--databases other web", {"several-databases"}),
    "all": ("--all-databases", {"several-databases"}),
    "system": ("--all-databases --system=all --flush-privileges", {"several-databases", "privilege"}),
    "skip-comments": ("--skip-comments", {"no-comments"}),
    "compact": ("--compact", {"no-end"}),
    "single": ("--skip-extended-insert", set()),
    "complete": ("--complete-insert", set()),
    "small": ("--net-buffer-length=4096", set()),
    "replace": ("--replace --skip-add-locks", set()),
    "ignore": ("--insert-ignore --skip-disable-keys --skip-add-drop-table", set()),
    "no-autocommit": ("--no-autocommit --order-by-primary", set()),
    "no-tz": ("--skip-tz-utc --skip-set-charset", set()),
    "replication": ("--master-data=1", {"replication"}),
}
#: Those whose text of rows is another one.
OTHER_ROWS: Final = {"hex": ("--hex-blob", set[str]()), "history": ("--dump-history", set())}


def dumped(server: Server, options: str, schema: str = "web") -> bytes:
    """What mariadb-dump writes."""
    argv = ["mariadb-dump", f"--defaults-extra-file={server.option_file}", "--routines", "--events", "--triggers"]
    names = [] if "databases" in options else [schema]
    return subprocess.run([*argv, *options.split(), *names], check=True, capture_output=True).stdout


def client(server: Server, text: bytes, schema: str, *options: str, user: str = "root") -> None:
    """What the loader does with pieces."""
    argv = ["mariadb", f"--defaults-extra-file={server.option_file}", "--sandbox", "--binary-mode", f"--user={user}"]
    done = subprocess.run([*argv, *options, schema], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with the database."""
    server = Server(tmp_path_factory.mktemp("origin") / "server", "--log-bin=bin").start()
    try:
        argv = ["mariadb", f"--defaults-extra-file={server.option_file}", "--default-character-set=utf8mb4"]
        done = subprocess.run([*argv, "--comments"], input=WEB.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def dumps(server: Server) -> dict[str, bytes]:
    """A dump made in each way."""
    return {name: dumped(server, options) for name, (options, _) in (WAYS | OTHER_ROWS).items()}


@pytest.fixture(scope="module")
def plain(dumps: dict[str, bytes]) -> bytes:
    """A dump without any options."""
    return dumps["plain"]


def read(text: bytes, sizes: Iterable[int] = (), schema: str = "web") -> tuple[list[Piece], Contents]:
    """Pieces and contents of a dump that comes in chunks of these sizes."""
    reading = Dump.reading(schema)
    reading.begin("web.sql")
    pieces: list[Piece] = []
    at = 0
    for size in sizes:
        pieces += reading.feed(text[at : at + size])
        at += size
    pieces += reading.feed(text[at:])
    pieces += reading.end()
    return pieces, reading.close()


def codes(contents: Contents) -> set[str]:
    """The codes of the findings."""
    return {finding.code for finding in contents.findings}


def fatal(text: bytes) -> set[str]:
    """The codes that nobody can accept."""
    return {finding.code for finding in read(text)[1].findings if finding.fatal}


def sent(pieces: Iterable[Piece], *kinds: str) -> bytes:
    """The text of the pieces of these kinds."""
    return b"".join(piece.sql for piece in pieces if piece.kind in kinds)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_dump_has_the_same_contents(way: str, dumps: dict[str, bytes]) -> None:
    """Options change how a dump is written, not the digests of its tables and definitions; intact ones are accepted."""
    pieces, contents = read(dumps[way])
    _, plain = read(dumps["plain"])
    assert codes(contents) == WAYS[way][1], contents.findings
    assert not any(finding.fatal for finding in contents.findings)
    assert {t.name: (t.create, t.rows, t.bytes, t.keyed) for t in contents.tables} == {
        t.name: (t.create, t.rows, t.bytes, t.keyed) for t in plain.tables
    }
    if way != "system":  # grants stand where routines would
        assert [(o.kind, o.name, o.digest, o.definer) for o in contents.objects] == [
            (o.kind, o.name, o.digest, o.definer) for o in plain.objects
        ]
    counts = {t.name: t.count for t in contents.tables}
    assert counts["orders"] == 500
    assert counts["empty_one"] == 0
    assert {piece.name for piece in pieces if piece.kind == "rows"} <= counts.keys()
    assert "evil" not in counts


def test_what_is_inside_is_named(dumps: dict[str, bytes]) -> None:
    """Names, counts, keys, kinds, definers and the header's facts are those of the database."""
    _, contents = read(dumps["master-data"])
    tables = {table.name: table for table in contents.tables}
    assert {name: table.count for name, table in tables.items()} == {
        "blobs": 3, "customers": 4, "empty_one": 0, "history": 1, "keyless": 3, "merged": -1, "old": 2, "orders": 500,
        "parts": 3, "prefixed": 0, "unique_null": 0, "unique_one": 3, "we`ird;\n名": 1,
    }  # fmt: skip
    assert {name for name, table in tables.items() if not table.keyed} == {
        "empty_one", "keyless", "old", "merged", "unique_null", "prefixed"
    }  # fmt: skip
    assert (tables["merged"].rows, tables["empty_one"].rows[:8]) == ("", "e3b0c442")
    assert [(made.kind, made.name) for made in contents.objects] == OBJECTS
    assert {made.definer for made in contents.objects} == {"", "root@localhost", "app@localhost"}
    facts = contents.facts
    assert (facts.database, facts.charset, facts.time) == ("web", "utf8mb4", 0)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d +\d+:\d\d:\d\d", facts.time_text)
    assert re.fullmatch(r"MariaDB dump .*10\.11\.\d+-MariaDB", facts.tool)
    assert facts.server.startswith("10.11.")
    assert re.fullmatch(r"bin\.\d{6}:\d+", facts.binlog)
    assert re.fullmatch(r"0-1-\d+", facts.gtid)
    assert "utf8mb4_general_ci" in contents.collations
    assert 5000 < contents.longest < 100_000


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An isolated server, as backups are proven on."""
    server = Server(tmp_path_factory.mktemp("isolated") / "server", "--event-scheduler=OFF").start()
    try:
        server.sql("CREATE USER staging@localhost; CREATE USER app@localhost; GRANT ALL ON web.* TO staging@localhost")
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("way", ["plain", "all", "compact", "single", "hex", "history", "ignore", "no-tz"])
def test_what_is_sent_makes_the_same_database(way: str, dumps: dict[str, bytes], elsewhere: Server) -> None:
    """The pieces, loaded by an account with rights on one schema, then the scripts of the objects: the same digests."""
    pieces, contents = read(dumps[way])
    elsewhere.sql("DROP DATABASE IF EXISTS web; CREATE DATABASE web COLLATE utf8mb4_general_ci")
    client(elsewhere, sent(pieces, "setup", "structure", "rows"), "web", user="staging")
    scripts = [made.sql.encode("utf-8", "surrogateescape") for made in contents.objects if made.kind != "sequence"]
    client(elsewhere, b"".join(scripts), "web", "--comments")
    options = (WAYS | OTHER_ROWS)[way][0] if way in ("hex", "history", "no-tz") else ""
    again = read(dumped(elsewhere, options))[1]
    assert [(table.name, table.create, table.rows, table.bytes) for table in again.tables] == [
        (table.name, table.create, table.rows, table.bytes) for table in contents.tables
    ]
    assert [(made.kind, made.name, made.digest) for made in again.objects] == [
        (made.kind, made.name, made.digest) for made in contents.objects
    ]


def test_objects_of_a_session_leave_no_trace(plain: bytes, elsewhere: Server) -> None:
    """The script of an object puts the session's settings back as they were."""
    _, contents = read(plain)
    elsewhere.sql("DROP DATABASE IF EXISTS web; CREATE DATABASE web COLLATE utf8mb4_general_ci")
    asked = "SELECT @@sql_mode, @@time_zone, @@character_set_client, @@collation_connection"
    event = next(made.sql for made in contents.objects if made.kind == "event")
    lines = elsewhere.sql(f"{asked};\n{event}{asked};\n", "web")
    assert lines[0] == lines[1]


def test_only_the_wanted_schema_is_sent(dumps: dict[str, bytes]) -> None:
    """Of a dump of the whole server nothing of another schema is sent, not even a table of the same name."""
    pieces, contents = read(dumps["all"])
    text = sent(pieces, "setup", "structure", "rows", "object")
    assert b"`user`" not in text
    assert b"\n(9);" not in text
    assert contents.facts.database == ""
    _, other = read(dumps["all"], schema="other")
    assert [(table.name, table.count) for table in other.tables] == [("orders", 1)]
    _, nothing = read(dumps["all"], schema="nowhere")
    assert "wrong-database" in codes(nothing)


def test_nothing_but_what_is_safe_is_set(plain: bytes) -> None:
    """Every session gets five settings, written anew; what the header saves and restores is left out."""
    pieces, _ = read(plain)
    (setup,) = [piece for piece in pieces if piece.kind == "setup"]
    assert setup.sql == (
        b"SET NAMES utf8mb4;\n"
        b"SET time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO', foreign_key_checks=0, unique_checks=0;\n"
    )
    assert all(piece.sql.endswith(b";\n") for piece in pieces if piece.kind in ("rows", "structure", "setup"))
    assert all(b"CREATE TABLE IF NOT EXISTS `" in p.sql for p in pieces if p.kind == "structure" and p.name == "orders")


def places(text: bytes) -> list[int]:
    """Offsets at which to cut: ends of lines, and some others."""
    chance = random.Random(1)  # noqa: S311 -- no secret
    ends = [found.end() for found in re.finditer(rb"\n(?!\()", text)]
    return sorted(chance.sample(ends, 120) + [chance.randrange(len(text)) for _ in range(60)] + ends[:25] + ends[-25:])


@pytest.mark.parametrize("way", ["plain", "skip-comments"])
def test_a_cut_is_found_wherever_it_is(way: str, dumps: dict[str, bytes]) -> None:
    """However much is missing at the end, if only the last newline, nobody can accept what is left."""
    text = dumps[way]
    for end in places(text):
        if end < len(text) and text[end:].strip():
            assert fatal(text[:end]), (end, text[end - 60 : end])
    assert not fatal(text)
    assert ("no-footer" in fatal(text[:-1])) == (way == "plain")


def test_a_cut_is_named(plain: bytes) -> None:
    """Between tables, in a row, in a definition, after the header: the finding says which."""
    boundary = plain[: [found.end() for found in re.finditer(rb"UNLOCK TABLES;\n", plain)][2]]
    assert fatal(boundary) == {"no-footer"}
    middle = plain.index(b"(250,")
    assert fatal(plain[:middle]) == {"no-footer", "cut", "table-open"}
    assert "cut" in fatal(plain[: plain.index(b"SET NEW.price")])
    assert fatal(plain[: plain.index(b"DROP ")]) == {"header-only"}
    assert fatal(b"") == fatal(b"\n\n") == {"empty"}
    open_table = plain.replace(b"UNLOCK TABLES;\n", b"", 1)
    assert fatal(open_table) == {"table-open"}


@given(st.integers(0, 10**9), st.lists(st.integers(1, 5000), max_size=30))
def test_chunks_do_not_matter(seed: int, sizes: list[int]) -> None:
    """A dump that comes in any chunks has the same contents and is sent as the same text."""
    text = hostile_dump(seed)
    whole, contents = read(text)
    parts, again = read(text, sizes)
    assert again == contents
    for kinds in (("setup",), ("structure",), ("rows",), ("object",), ("left",)):
        assert sent(parts, *kinds) == sent(whole, *kinds)


HOSTILE: Final = [
    *(b"", b"'", b"`", b"\0", b"\\", b"/*", b"*/", b"-- ", b"\xff\xfe", b"\r\n"),
    *(b";\n", b"\nDELIMITER ;;\n", b"\nUSE `x`;\n", b"\nSELECT 1;\n", b"\n\\! id\n"),
]


def hostile_dump(seed: int) -> bytes:
    """A small dump with something turned, lost, doubled or planted."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    text = bytearray(MYSQL)
    for _ in range(chance.randrange(3)):
        at = chance.randrange(len(text))
        text[at : at + chance.randrange(9)] = chance.choice(HOSTILE)
    return bytes(text)


@given(st.integers(0, 10**9) | st.binary(max_size=300))
def test_hostile_text_is_survived(drawn: int | bytes) -> None:
    """Whatever a file holds, reading ends in contents or Damaged; nothing unsafe is shown, nothing unknown sent."""
    text = drawn if isinstance(drawn, bytes) else hostile_dump(drawn)
    try:
        pieces, contents = read(text)
    except Damaged as error:
        assert error.code in findings.CODES  # noqa: PT017 -- either end is right
        return
    for finding in contents.findings:
        assert finding.code in findings.CODES
        assert printable(finding.text, one_line=True) == finding.text
    begins = rb"SET |CREATE (TABLE|SEQUENCE) IF NOT EXISTS |DO SETVAL|INSERT |REPLACE |ALTER TABLE |CREATE \w* ?INDEX"
    for piece in pieces:
        if piece.kind in ("setup", "structure", "rows"):
            assert re.match(begins, piece.sql, re.IGNORECASE), piece


PLANTED: Final = {
    rb"\! touch /tmp/x": {"client-command"},
    rb"system id;": {"client-command"},
    rb"source /tmp/more.sql": {"client-command"},
    b"DELIMITER": {"client-command"},
    b"GRANT ALL ON *.* TO x@'%';": {"privilege"},
    b"/*!50003 CREATE USER x */;": {"privilege"},
    b"SET PASSWORD FOR root = 'x';": {"privilege"},
    b"SET GLOBAL general_log = 1;": {"privilege"},
    b"SET @@global.general_log = 1;": {"privilege"},
    b"LOAD DATA INFILE '/etc/passwd' INTO TABLE orders;": {"privilege"},
    b"SELECT 'x' INTO OUTFILE '/tmp/x';": {"privilege"},
    b"INSTALL SONAME 'x';": {"privilege"},
    b"CREATE FUNCTION f RETURNS STRING SONAME 'x.so';": {"privilege"},
    b"KILL 1;": {"privilege"},
    b"EXECUTE IMMEDIATE 'x';": {"privilege"},
    b"CHANGE MASTER TO MASTER_HOST='evil';": {"replication"},
    b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';": {"gtid-purged"},
    b"DELETE FROM customers;": {"unknown-statement"},
    b"CALL x();": {"unknown-statement"},
    b"SET character_set_filesystem = x;": {"unknown-statement"},
    b"INSERT INTO customers SELECT * FROM mysql.user;": {"unknown-statement"},
    b"INSERT INTO `customers` VALUES (1) ON DUPLICATE KEY UPDATE id=1;": {"unknown-statement"},
    b"gibberish;": {"unknown-statement"},
    b"USE mysql;": {"other-schema", "several-databases"},
    b"DROP DATABASE other;": {"other-schema"},
    b"CREATE DATABASE other;": {"other-schema"},
    b"CREATE TABLE mysql.x (a int);": {"other-schema"},
    b"INSERT INTO `mysql`.`user` VALUES (1);": {"other-schema"},
    b"DROP TABLE IF EXISTS `mysql`.`user`;": {"other-schema"},
    b"CREATE TRIGGER mysql.t BEFORE INSERT ON mysql.user FOR EACH ROW SET @a=1;": {"other-schema"},
    b"CREATE TABLE `customers` (a int) ENGINE=InnoDB;": {"duplicate-table"},
    b"INSERT INTO `nowhere` VALUES (1);": {"no-structure"},
    b"CREATE TABLE `f` (\n  `a` int\n) ENGINE=FEDERATED CONNECTION='mysql://x';": {"reaches-outside", "rows-left-out"},
    b"CREATE TABLE `d` (\n  `a` int\n) ENGINE=InnoDB DATA DIRECTORY='/etc';": {"reaches-outside", "rows-left-out"},
    b"mysqldump: Got error: 1449: The user does not exist": {"dumper-error"},
    b"mysqldump: [Warning] Using a password can be insecure.": {"dumper-warning"},
}


@pytest.mark.parametrize("line", PLANTED, ids=lambda line: line.decode()[:40])
def test_what_was_planted_is_found_and_not_sent(line: bytes, plain: bytes) -> None:
    """A statement that no dumper writes there is named, and no piece of it is sent."""
    mark = b"\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;"
    head, _, tail = plain.rpartition(mark)
    pieces, contents = read(head + b"\n" + line + mark + tail)
    expected = PLANTED[line] - ({"rows-left-out"} if b"FEDERATED" in line else set())
    assert codes(contents) == expected, contents.findings
    untouched, _ = read(plain)
    if "reaches-outside" not in expected:
        kinds = ("setup", "structure", "rows", "object")
        assert sent(pieces, *kinds) == sent(untouched, *kinds)
    heavy = {code for code in expected if findings.CODES[code][0] == findings.FATAL}
    assert {finding.code for finding in contents.findings if finding.fatal} == heavy


@pytest.mark.parametrize("table", [b"`orders`", b"`customers`", b"`blobs`", b"`keyless`"])
def test_what_was_planted_behind_rows_is_found_and_not_sent(table: bytes, plain: bytes) -> None:
    """A statement on the line of a row's end is no row: it is named, not to be accepted, and not sent."""
    at = plain.index(b");\n", plain.index(b"LOCK TABLES " + table))
    text = plain[: at + 1] + b"; GRANT ALL ON *.* TO planted; DO (1)" + plain[at + 1 :]
    pieces, contents = read(text)
    assert fatal(text) == {"behind-rows"}
    assert "TO planted" in contents.findings[0].text
    assert not any(b"TO planted" in piece.sql for piece in pieces if piece.kind != "left")


def test_text_after_the_end_is_found(plain: bytes) -> None:
    """What was appended to a finished dump is named, a second dump of the same database as well."""
    assert codes(read(plain + b"-- more\n")[1]) == {"after-end", "no-footer"}
    assert codes(read(plain + b"\n \n")[1]) == set()
    assert {"after-end", "duplicate-table"} <= codes(read(plain + plain)[1])


def test_dumps_of_other_things(server: Server, plain: bytes) -> None:
    """Another database, no rows, some tables without rows, no options of tables: each has its name."""
    assert fatal(dumped(server, "", "other")) == {"wrong-database"}
    assert fatal(dumped(server, "--no-data")) == {"no-data"}
    assert fatal(dumped(server, "--compact --no-data")) == {"no-data"}
    assert {"no-structure", "no-tables"} <= fatal(dumped(server, "--no-create-info"))
    assert codes(read(dumped(server, "--skip-opt"))[1]) == {"table-options", "rows-left-out"}
    some = plain.replace(b"-- Dumping data for table `old`", b"--").replace(b"LOCK TABLES `old` WRITE;\n", b"")
    some = re.sub(rb"/\*!40000 ALTER TABLE `old`[^\n]*\n(?:INSERT INTO `old`[^;]*;\n)?", b"", some)
    assert codes(read(some)[1]) == {"rows-left-out"}
    unfinished = re.sub(rb"(?s)--\n-- Final view structure for view `a_late`\n--\n.*?(?=\n--\n)", b"", plain)
    assert codes(read(unfinished)[1]) == {"view-unfinished"}


def test_texts_that_went_through_other_programs(plain: bytes) -> None:
    """A byte order mark and Windows line ends are told and change no digest; UTF-16 is refused."""
    _, contents = read(plain)
    for text, code in ((b"\xef\xbb\xbf" + plain, "bom"), (plain.replace(b"\n", b"\r\n"), "crlf")):
        _, found = read(text, [7, 4093, 1, 1, 5000])
        assert codes(found) == {code}
        assert (found.tables, found.objects, found.facts) == (contents.tables, contents.objects, contents.facts)
    with pytest.raises(Damaged, match="UTF-16"):
        read(plain.decode("utf-8", "replace").encode("utf-16"))


def test_what_a_character_set_loses_is_said(server: Server) -> None:
    """latin1 and utf8mb3 cannot write what utf8mb4 columns hold; latin1 columns lose nothing."""
    for schema, kept, expected in (("broad", "utf8mb4", {"charset"}), ("narrow", "latin1", set[str]())):
        server.sql(f"CREATE DATABASE {schema}; CREATE TABLE {schema}.t (a TEXT) CHARACTER SET {kept}")
        for charset in ("latin1", "utf8mb3"):
            text = dumped(server, f"--default-character-set={charset}", schema)
            assert codes(read(text, schema=schema)[1]) == expected


def test_a_database_in_chinese_character_sets(server: Server, elsewhere: Server) -> None:
    """A GBK dump, in which characters end in backslashes and backquotes, is split and named rightly, and loads."""
    # 誠 ends in 0x5C in GBK, 俙 in 0x60. Definitions are in UTF-8 even there; so 表 has two forms.
    server.sql(
        "CREATE DATABASE cn CHARACTER SET gbk; USE cn;"
        "CREATE TABLE t (a INT PRIMARY KEY COMMENT '誠', b TEXT COMMENT '俙'); CREATE TABLE 表 (a INT PRIMARY KEY);"
        "INSERT INTO t VALUES (1,'誠'), (2,'\\'誠\\'俙;\\n'); INSERT INTO 表 VALUES (3)"
    )
    text = dumped(server, "--default-character-set=gbk", "cn")
    assert "誠".encode("gbk").endswith(b"\\")
    pieces, contents = read(text, schema="cn")
    assert (codes(contents), contents.facts.charset) == ({"wide-charset"}, "gbk")
    assert [(table.name, table.count) for table in contents.tables] == [("t", 2), ("表", 1)]
    elsewhere.sql("CREATE DATABASE IF NOT EXISTS cn CHARACTER SET gbk; GRANT ALL ON cn.* TO staging@localhost")
    for kinds, charset in ((("setup", "structure"), "utf8mb4"), (("setup", "rows"), "gbk")):
        client(elsewhere, sent(pieces, *kinds), "cn", f"--default-character-set={charset}", user="staging")
    again = read(dumped(elsewhere, "--default-character-set=gbk", "cn"), schema="cn")[1]
    assert again.tables == contents.tables


_MYSQL: Final = rb"""-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: web
-- ------------------------------------------------------
-- Server version	8.0.36

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;
SET @@SESSION.SQL_LOG_BIN= 0;

--
-- GTID state at the beginning of the backup
--

SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77';

--
-- Position to start replication or point-in-time recovery from
--

-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000004', MASTER_LOG_POS=157;

--
-- Table structure for table `notes`
--

DROP TABLE IF EXISTS `notes`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `notes` (
  `id` int NOT NULL AUTO_INCREMENT,
  `body` json DEFAULT NULL,
  `twice` int GENERATED ALWAYS AS ((`id` * 2)) STORED /*!80023 INVISIBLE */,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `notes`
--

LOCK TABLES `notes` WRITE;
/*!40000 ALTER TABLE `notes` DISABLE KEYS */;
INSERT INTO `notes` (`id`, `body`) VALUES (1,'{\"a\": \"x;\\n\"}'),(2,_binary '\0\n');
/*!40000 ALTER TABLE `notes` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER `tr` BEFORE INSERT ON `notes` FOR EACH ROW BEGIN
-- Dump completed on 2020-01-01  0:00:00
SET @a = ';'; END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Temporary view structure for view `v`
--

DROP TABLE IF EXISTS `v`;
/*!50001 DROP VIEW IF EXISTS `v`*/;
SET @saved_cs_client     = @@character_set_client;
/*!50503 SET character_set_client = utf8mb4 */;
/*!50001 CREATE VIEW `v` AS SELECT
 1 AS `id`*/;
SET character_set_client = @saved_cs_client;

--
-- Final view structure for view `v`
--

/*!50001 DROP VIEW IF EXISTS `v`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_0900_ai_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select `notes`.`id` AS `id` from `notes` */
/*!50002 WITH CASCADED CHECK OPTION */;
/*!50001 SET character_set_client      = @saved_cs_client */;
SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-20  2:00:03
"""
MYSQL: Final = _MYSQL.replace(b"backup\n--\n\nSET", b"backup \n--\n\nSET").replace(b"AS SELECT\n", b"AS SELECT \n")


def test_a_dump_of_mysql_8_by_its_documented_form() -> None:
    """MySQL 8's own forms are read; the text was made by hand after its manual, not by a MySQL server."""
    pieces, contents = read(MYSQL)
    assert codes(contents) == {"gtid-purged"}
    facts = contents.facts
    assert facts.tool == "MySQL dump 10.13  Distrib 8.0.36"
    assert (facts.server, facts.binlog) == ("8.0.36", "binlog.000004:157")
    assert (facts.time_text, facts.gtid) == ("2026-11-20  2:00:03", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77")
    assert [(table.name, table.keyed, table.bytes) for table in contents.tables] == [
        ("notes", True, len(rb"(1,'{\"a\": \"x;\\n\"}'),(2,_binary '\0\n')"))
    ]
    assert [(made.kind, made.name, made.definer) for made in contents.objects] == [
        ("view", "v", "root@%"),
        ("trigger", "tr", "root@%"),
    ]
    assert contents.collations == ("utf8mb4_0900_ai_ci",)
    text = sent(pieces, "setup", "structure", "rows", "object")
    assert b"SQL_LOG_BIN" not in text
    assert b"GTID" not in text


def test_a_dump_of_mysql_5_7_and_old_mariadb_by_their_documented_forms() -> None:
    """A view announced as a table, utf8 instead of utf8mb4, SELECT SETVAL: older servers' forms are read as well."""
    text = MYSQL.replace(b"Distrib 8.0.36", b"Distrib 5.7.44")
    text = text.replace(b"50503 SET NAMES utf8mb4", b"40101 SET NAMES utf8")
    text = text.replace(
        b"/*!50001 CREATE VIEW `v` AS SELECT \n 1 AS `id`*/;",
        b"/*!50001 CREATE TABLE `v` (\n  `id` tinyint NOT NULL\n) ENGINE=MyISAM */;",
    )
    sequence = b"CREATE SEQUENCE `s` start with 1 minvalue 1 maxvalue 9 increment by 1 nocache nocycle ENGINE=InnoDB;\n"
    mark = b"--\n-- Table structure for table `notes`"
    text = text.replace(mark, sequence + b"SELECT SETVAL(`s`, 3, 0);\n" + mark, 1)
    pieces, contents = read(text)
    assert codes(contents) == {"gtid-purged", "charset"}
    assert [table.name for table in contents.tables] == ["notes"]
    assert [made.kind for made in contents.objects] == ["sequence", "view", "trigger"]
    assert b"CREATE TABLE IF NOT EXISTS `v`" not in sent(pieces, "structure")


def test_dumpers_that_escape_otherwise_are_read_exactly() -> None:
    """Where nothing says that a dumper wrote it, rows are split by their strings, raw newlines and all."""
    text = (
        b"SET NAMES utf8mb4;\n"
        b"CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `b` text\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n"
        b"INSERT INTO `t` (`a`, `b`) VALUES\n(1, 'x;\ny'),\n(2, 'it''s');\n"
        b"ALTER TABLE `t`\n  ADD PRIMARY KEY (`a`);\nCOMMIT;\n"
    )
    pieces, contents = read(text)
    assert [(piece.kind, piece.name) for piece in pieces if piece.kind != "left"] == [
        ("setup", ""),
        ("structure", "t"),
        ("rows", "t"),
        ("structure", "t"),
    ]
    assert codes(contents) == {"no-end"}
    assert [(table.name, table.count, table.keyed) for table in contents.tables] == [("t", -1, False)]


def test_rows_under_other_settings_take_them_along() -> None:
    """Rows that stand behind a SET of their own are sent with it; the session is put back afterwards."""
    text = MYSQL.replace(b"LOCK TABLES `notes` WRITE;\n", b"LOCK TABLES `notes` WRITE;\nSET time_zone='+08:00';\n")
    pieces, _ = read(text)
    (rows,) = [piece.sql for piece in pieces if piece.kind == "rows"]
    assert rows.startswith(b"SET time_zone='+08:00';\nINSERT INTO")
    assert rows.endswith(b";\nSET time_zone='+00:00';\n")


def test_the_parts_of_a_dump_are_one_stream() -> None:
    """A dump that was split is read as one text."""
    files = (File("web.sql.partaa", 1, 0), File("web.sql.partab", 1, 0))
    assert Dump.streams(files) == (files,)
    assert formats.named("dump") is Dump


@pytest.mark.parametrize("size", ["row", "table"])
def test_memory_does_not_grow_with_the_dump(size: str) -> None:
    """Reading a row of 64 MiB, or 200 MB of rows, takes a process less than 150 MB."""
    source = Path(__file__).parents[2] / "src"
    program = (
        "import re, sys; sys.path.insert(0, sys.argv[1])\n"
        "from remedy.backups.formats.dump import Dump\n"
        "r = Dump.reading('web')\n"
        "take = lambda data: [None for _ in r.feed(data)]\n"
        "take(b'-- MySQL dump 10.13  Distrib 8.0.36, for Linux\\n-- Host: x    Database: web\\n')\n"
        "take(b'CREATE TABLE `t` (\\n  `a` int\\n) ENGINE=InnoDB;\\nLOCK TABLES `t` WRITE;\\n')\n"
        "row = b'(1,' + b'x' * 90 + b'),\\n'\n"
        "if sys.argv[2] == 'row':\n"
        '    take(b"INSERT INTO `t` VALUES\\n(1,\'")\n'
        "    for _ in range(64): take(b'x' * (1 << 20))\n"
        '    take(b"\');\\n")\n'
        "else:\n"
        "    for _ in range(200): take(b'INSERT INTO `t` VALUES\\n' + (row * 10000)[:-2] + b';\\n')\n"
        "take(b'UNLOCK TABLES;\\n-- Dump completed\\n')\n"
        "list(r.end()); c = r.close()\n"
        # Not ru_maxrss, which begins with what the process was forked from.
        "peak = re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1]\n"
        "print(len(c.findings), c.tables[0].bytes, peak)\n"
    )
    argv = [sys.executable, "-c", program, str(source), size]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found, read_bytes, kilobytes = map(int, done.stdout.split())
    assert (found, read_bytes > 60_000_000) == (0, True)
    assert kilobytes < 150_000


@pytest.mark.parametrize("before", [b"", b"/*!50003 "])
def test_no_text_takes_more_than_its_time(before: bytes) -> None:
    """Long runs of what patterns look for, wherever a statement may have them, are passed over in linear time."""
    starts = (
        *(b"CREATE", b"CREATE DEFINER", b"CREATE DEFINER=`a`@`b`", b"CREATE TABLE", b"CREATE SEQUENCE `s`"),
        *(b"CREATE TABLE `t` (\n `a` int\n) ENGINE", b"CREATE OR REPLACE ALGORITHM=MERGE VIEW `v` AS SELECT"),
        *(b"CREATE UNIQUE INDEX `i` ON", b"CREATE DATABASE", b"DROP TABLE", b"DROP DATABASE IF", b"ALTER TABLE `t`"),
        *(b"LOCK TABLES", b"USE", b"SET", b"SET NAMES", b"SET @a =", b"SET @@GLOBAL.GTID_PURGED=", b"DO SETVAL(`s`"),
        *(b"SELECT INTO", b"INSERT INTO `t`", b"INSERT", b"GRANT", b"-- Host: ", b"-- Dump completed", b"DELIMITER"),
        *(b"/*M!999999\\-", b"mysqldump:"),
    )
    begun = time.process_time()
    for start in starts:
        for run in (b" ", b"\n", b"*/ ", b"/*!50001 ", b"a", b"`", b"''", b"(", b",", b"a.", b") ENGINE=\n"):
            try:
                read(before + start + b" " + run * (200_000 // len(run)) + b"x */;\n", [65536] * 4)
            except Damaged:
                continue
    assert time.process_time() - begun < 40, "a quadratic way takes hours"


def test_more_than_any_database_has_is_refused() -> None:
    """Text without end that nobody understands, or that defines without end, is given up."""
    with pytest.raises(Damaged, match="statements that no dumper writes"):
        read(b"".join(b"x%d;\n" % number for number in range(11_000)))
    with pytest.raises(Damaged, match="statements that no dumper writes"):
        read(b";" * 11_000)
    with pytest.raises(Damaged, match="more than 64 MiB of views"):
        read(b"".join(b"CREATE VIEW `v%d` AS SELECT '%s';\n" % (number, b"x" * (1 << 20)) for number in range(65)))
    _, contents = read(b"".join(b"USE `x%d`;\nSET @v%d = 1;\n" % (number, number) for number in range(30_000)))
    assert codes(contents) == {"several-databases", "wrong-database", "no-end"}
    _, contents = read(b"-- MySQL dump 10.13  Distrib 8.0.36\n-- WHERE:  id > 7\n" + MYSQL)
    assert "rows-left-out" in codes(contents)
