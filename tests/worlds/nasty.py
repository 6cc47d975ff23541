"""Backups that have fooled people, made from a real server: what each is, and what has to be thought of it.

`build` fills a folder. Each case lies in a folder of its own, so that a copy of a database can be pointed at it, and
nothing else lies there but what belongs to the case. Dumps are mariadb-dump's, folders mydumper's and mariadb-backup's;
then they are broken the way disks, scripts and intruders break them. Where bits are turned, the place is searched for
at which the damage is silent: the container decodes, the statements are complete, and the content is another one.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import zstandard
from tests.worlds import nasty_folders, nasty_secrets
from tests.worlds.mariadb import Server
from tests.worlds.nasty_case import ACCEPTED, Case, Expected, doubtful, rejected

from remedy.lab import database

__all__ = ["SCHEMA", "Case", "build"]

SCHEMA: Final = "site"

#: What a client runs with --comments on top of the lab's database.
_SETUP: Final = r"""
CREATE DATABASE other CHARACTER SET utf8mb4; CREATE TABLE other.notice (number INT PRIMARY KEY, title TEXT);
INSERT INTO other.notice VALUES (1, '别的库');
USE site;
DELIMITER ;;
CREATE TRIGGER fake_footer BEFORE DELETE ON setting FOR EACH ROW
BEGIN
  /* what follows looks like the end of a dump
-- Dump completed on 2020-01-01  0:00:00
*/
  SET @deleted = OLD.name;
END;;
CREATE PROCEDURE fake_section()
BEGIN
-- Table structure for table `evil`
--
/*
DROP TABLE IF EXISTS `evil`;
CREATE TABLE `evil` (`id` int);
UNLOCK TABLES;
*/
  SELECT '-- Dumping data for table `evil`
INSERT INTO `evil` VALUES
(1);
UNLOCK TABLES;
';
END;;
DELIMITER ;
CREATE USER limited@localhost; GRANT SELECT ON notice TO limited@localhost; GRANT SELECT ON orders TO limited@localhost;
INSERT INTO audit (who, what) VALUES ('root@localhost', '建库');
INSERT INTO receipt (till, number, amount) VALUES (0, 0, 0);
"""
_STATEMENTS: Final = "privilege|unknown-statement|load-data"
_COMMANDS: Final = "client-command|unknown-statement"
#: Lines that stand at the end of a dump, before its settings are put back.
_LINES: Final = {
    "shell": (r"\! touch /tmp/was-here", rejected("structure", "client-command"), "the client's shell escape"),
    "system": ("system touch /tmp/was-here;", rejected("structure", _COMMANDS), "the same in its long form"),
    "source": ("source /tmp/more.sql", rejected("structure", _COMMANDS), "more statements from a file"),
    "tee": (r"\T /tmp/was-here", rejected("structure", "client-command"), "the client writes a file"),
    "grant": ("GRANT ALL ON *.* TO x@'%' IDENTIFIED BY 'x';", doubtful("structure", _STATEMENTS), "an account"),
    "load-data": (
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE `setting`;",
        doubtful("structure", _STATEMENTS),
        "reads a file of the server",
    ),
    "outfile": ("SELECT 1 INTO OUTFILE '/tmp/x';", doubtful("structure", _STATEMENTS), "writes a file of the server"),
    "global": ("SET GLOBAL general_log = 1;", doubtful("structure", _STATEMENTS), "changes the server"),
    "drop-other": ("DROP DATABASE other;", rejected("structure", "other-schema"), "drops another database"),
    "write-other": (
        "INSERT INTO `other`.`notice` VALUES (9,'x');",
        rejected("structure", "other-schema"),
        "writes into another database",
    ),
}


def build(folder: Path, *, folders: bool = True) -> dict[str, Case]:
    """Make every case below `folder`; by name. Without `folders` those of mydumper and mariadb-backup are left out.

    The server it starts is gone afterwards.
    """
    server = Server(folder / "server", "--log-bin=mariadb-bin", "--max-allowed-packet=256M").start()
    try:
        made = _Making(server, folder)
        made.all()
        if folders:
            nasty_folders.mydumper(server, folder, SCHEMA, made.keep)
            nasty_folders.physical(server, folder, SCHEMA, made.keep)
        return made.cases
    finally:
        server.close()


class _Making:
    """The cases in the making."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.cases: dict[str, Case] = {}
        self.login = f"--defaults-extra-file={server.option_file}"
        server.run(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4")
        client = ["mariadb", self.login, "--default-character-set=utf8mb4", "--comments", SCHEMA]
        for text in (b"".join(database.script(150_000, schema=SCHEMA)), _SETUP.encode()):
            subprocess.run(client, input=text, check=True, capture_output=True)
        self.good = self.dump()

    def all(self) -> None:
        """Every case that is a dump."""
        self._sound()
        self._cut()
        self._flipped()
        self._of_too_little()
        self._of_something_else()
        self._planted()
        self._odd_texts()
        self._odd_files()
        self._binlog_gap()

    def dump(self, *options: str, what: tuple[str, ...] = (SCHEMA,), **environment: str) -> bytes:
        """What mariadb-dump writes, whatever its exit status."""
        argv = ["mariadb-dump", self.login, "--routines", "--events", "--triggers", "--default-character-set=utf8mb4"]
        if "--lock-tables" not in options:
            argv += ["--single-transaction", "--master-data=2"]
        argv += [*options, *what]
        return subprocess.run(argv, check=False, capture_output=True, env={**os.environ, **environment}).stdout

    def keep(self, path: Path, expected: Expected, why: str) -> None:
        """A case that lies there already."""
        self.cases[path.parent.name] = Case(path, *expected, why)

    def add(
        self,
        where: str,
        content: bytes,
        expected: Expected,
        why: str,
        *,
        summed: bytes | None = None,
        alone: bool = False,
        good: Path | None = None,
        passphrase: str = "",
    ) -> None:
        """A case of one file, `where` is NAME/FILE; beside it lies the checksum of `summed` (of its own content).

        Nothing lies beside it when it is `alone`.
        """
        path = self.folder / where
        path.parent.mkdir()
        path.write_bytes(content)
        if not alone:
            digest = hashlib.sha256(summed or content).hexdigest()
            path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n", encoding="ascii")
        self.cases[path.parent.name] = Case(path, *expected, why, passphrase, good)

    def _sound(self) -> None:
        """What must not be rejected."""

        def fine(where: str, content: bytes, why: str) -> None:
            self.add(where, content, ACCEPTED, why)

        good = self.good
        fine("plain/site.sql", good, "a plain dump; its foreign keys go in a circle")
        fine("gz/site.sql.gz", gzip.compress(good, 3), "the same, gzip")
        for program, suffix in (("zstd", "zst"), ("xz", "xz"), ("bzip2", "bz2")):
            fine(f"{suffix}/site.sql.{suffix}", _piped([program, "-c"], good), f"the same, {program}")
        fine("unchecked-zst/site.sql.zst", _piped(["zstd", "-c", "--no-check"], good), "zst without its own checksum")
        half = len(good) // 2
        both = gzip.compress(good[:half]) + gzip.compress(good[half:])
        fine("two-members/site.sql.gz", both, "two gzip members, as `cat a.gz b.gz` makes")
        fine("fake-footer/site.sql", good, "a trigger holds the line of the end, a procedure that of a table")
        own = ("--databases", SCHEMA)
        fine("databases/site.sql", self.dump(what=own), "with CREATE DATABASE and USE of its own")
        fine("drop-database/site.sql", self.dump("--add-drop-database", what=own), "drops its own database first")
        fine("all-databases/all.sql", self.dump(what=("--all-databases",)), "the whole server; ours is in it")
        fine("shanghai/site.sql", self.dump(TZ="Asia/Shanghai"), "its end is dated by a clock in Shanghai")
        fine("utc/site.sql", self.dump(TZ="UTC"), "made at the same time, by a clock at Greenwich")
        old = re.sub(rb"(?<=\n-- Dump completed on )[0-9-]+(?=[^\n]*\n\Z)", b"2026-01-01", good)
        fine("touched/site.sql", old, "old, and touched now: its end still says when it was made")
        busy = "EVENT site.busy ON SCHEDULE EVERY 1 SECOND DO INSERT INTO site.audit (who, what) VALUES (1, 1)"
        self.server.run(f"CREATE DEFINER=site_owner@localhost {busy}")
        fine("event/site.sql", self.dump(), "an event that fires every second once it is restored")
        self.server.run("DROP EVENT site.busy")

    def _cut(self) -> None:
        """What ends too early."""
        boundary = self.good[: [found.end() for found in re.finditer(rb"\nUNLOCK TABLES;\n", self.good)][2]]
        self.add("boundary/site.sql", boundary, _UNENDED, "cut between two tables: the client takes it, rc 0")
        self.add("boundary-gz/site.sql.gz", gzip.compress(boundary), _UNENDED, "the same, in a sound gzip file")
        middle = self.good[: self.good.index(b"INSERT INTO `orders`") + 2000]
        self.add("mid-row/site.sql", middle, _UNENDED, "cut within a row")
        fake = self.good[: self.good.index(b"\n", self.good.index(b"-- Dump completed on 2020-01-01")) + 1]
        self.add("fake-footer-cut/site.sql", fake, _UNENDED, "cut after a line that looks like the end")
        for name in ("gz", "zst", "xz", "bz2"):
            content = self._content(name)
            part = content[: len(content) * 60 // 100]
            self.add(f"cut-{name}/site.sql.{name}", part, _BROKEN, f"{name} cut at 60 %", alone=True)

    def _flipped(self) -> None:
        """What has a bit turned. The copy at `good` is as it was written."""
        silent = rejected("container", "checksum")
        good, flipped = self.cases["plain"].path, _letter_changed(self.good)
        self.add("flip-sql/site.sql", flipped, silent, "a letter is another one", summed=self.good, good=good)
        unknown = doubtful("container", "unverifiable")
        self.add("flip-sql-alone/site.sql", flipped, unknown, "the same, and nothing tells", alone=True, good=good)
        for name in ("gz", "zst", "xz", "bz2"):
            content = self._content(name)
            flipped = _flip(content, len(content) // 2, 3)
            good = self.cases[name].path
            self.add(f"flip-{name}/site.sql.{name}", flipped, _BROKEN, f"{name} finds it", alone=True, good=good)
        content, good = self._content("unchecked-zst"), self.cases["unchecked-zst"].path
        flipped = _silently_flipped(content, self.good)
        why = "zst without a checksum of its own decodes it without a word"
        self.add("flip-unchecked-zst/site.sql.zst", flipped, silent, why, summed=content, good=good)
        for name, content, passphrase, expected, why in nasty_secrets.cases(self.good):
            first = self.cases.get("openssl")
            self.add(
                f"{name}/site.sql.enc",
                content,
                expected,
                why,
                summed=first.path.read_bytes() if first else None,
                good=first.path if first else None,
                passphrase=passphrase,
            )

    def _of_too_little(self) -> None:
        """Dumps that ended well for their script, and do not hold what they should."""
        nothing = rejected("structure", "empty")
        self.add("empty/site.sql", b"", nothing, "nothing at all")
        self.add("empty-gz/site.sql.gz", gzip.compress(b""), nothing, "`false | gzip`: gzip -t is content")
        self.server.run("CREATE DEFINER=gone@localhost VIEW site.broken AS SELECT 1")
        header = self.dump("--lock-tables")
        self.server.run("DROP VIEW site.broken; CREATE TABLE site.lost LIKE site.visit")
        self.server.run("INSERT INTO site.lost SELECT * FROM site.visit; ALTER TABLE site.lost DISCARD TABLESPACE")
        forced = self.dump("--force")
        self.server.run("DROP TABLE site.lost")
        why = "a view of a missing account: error 1449, nothing but the header, and gzip is content"
        self.add("header-only/site.sql.gz", gzip.compress(header), rejected("structure", "header-only"), why)
        open_ = rejected("structure", "table-open")
        self.add("forced/site.sql", forced, open_, "--force: a table cannot be read, the end is there all the same")
        few = self.dump("--user=limited", "--skip-events", "--skip-routines", "--skip-triggers", "--skip-master-data")
        lacks = doubtful("plausibility", "missing-tables")
        self.add("limited/site.sql", few, lacks, "by an account that sees two of the tables; rc 0")
        self.add("ignored/site.sql", self.dump("--ignore-table=site.orders"), lacks, "--ignore-table")
        self.add("no-data/site.sql", self.dump("--no-data"), rejected("structure", "no-data"), "no rows at all")
        bare = doubtful("structure", "no-comments")
        self.add("no-comments/site.sql", self.dump("--skip-comments"), bare, "nothing says that it is all")

    def _of_something_else(self) -> None:
        """Dumps of another database, in another character set, from another server."""
        other = self.dump(what=("other",))
        wrong = rejected("structure", "wrong-database")
        self.add("other-database/site.sql", other, wrong, "another database with a table of the same name")
        for charset in ("latin1", "utf8mb3"):
            lossy = self.dump(f"--default-character-set={charset}")
            self.add(f"{charset}/site.sql", lossy, doubtful("structure", "charset"), "王 or 😀 have become ?")
        newer = self.good.replace(b"10.11.19-MariaDB", b"12.3.2-MariaDB")
        self.add("newer/site.sql", newer, doubtful("plausibility", "newer-server"), "from a newer series of the server")
        mysql = re.sub(rb"-- MariaDB dump[^\n]*", b"-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)", self.good)
        mysql = re.sub(rb"(?<=-- Server version\t)[^\n]*", b"8.0.36", mysql).partition(b"\n")[2]
        mysql = mysql.replace(b"COLLATE=utf8mb4_general_ci", b"COLLATE=utf8mb4_0900_ai_ci")
        purged = b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23';\n\n"
        mysql = mysql.replace(b"--\n-- Table structure", purged + b"--\n-- Table structure", 1)
        why = "from MySQL 8, with a collation that MariaDB 10.11 does not have"
        self.add("mysql/site.sql", mysql, rejected("plausibility", "collation"), why)

    def _planted(self) -> None:
        """What an intruder would like to see restored. The checksums are right."""
        head, mark, tail = self.good.rpartition(b"\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;")
        for name, (line, expected, why) in _LINES.items():
            self.add(f"{name}/site.sql", head + b"\n" + line.encode() + mark + tail, expected, why)
        trigger = b"CREATE DEFINER=`boss`@`%` TRIGGER `late` AFTER INSERT ON `audit` FOR EACH ROW SET @seen = NEW.id"
        planted = head + b"\nDELIMITER ;;\n/*!50003 " + trigger + b" */;;\nDELIMITER ;" + mark + tail
        code = "definers|definer-missing"
        why = "a new trigger of an account that may do anything, or that the server does not have"
        self.add("powerful-definer/site.sql", planted, doubtful("plausibility", code), why)

    def _odd_texts(self) -> None:
        """Texts that went through other programs, or twice into one file."""
        good = self.good
        self.add("bom/site.sql", b"\xef\xbb\xbf" + good, ACCEPTED, "begins with a byte order mark")
        self.add("crlf/site.sql", good.replace(b"\n", b"\r\n"), ACCEPTED, "its lines end as on Windows")
        wide = b"\xff\xfe" + good.decode("latin-1").encode("utf-16-le")
        self.add("utf-16/site.sql", wide, rejected("structure", "not-text"), "`>` of PowerShell writes UTF-16")
        said = b"mariadb-dump: Got error: 2013: Lost connection to server during query when dumping table `visit`\n"
        loud = good[: good.index(b"INSERT INTO `visit`")] + said
        self.add("stderr/site.sql", loud, rejected("structure", "dumper-error|cut|no-footer"), "2>&1 and an error")
        twice = rejected("structure", "after-end|duplicate-table")
        self.add("appended/site.sql", good + good, twice, "`>>` instead of `>`")
        junk = gzip.compress(good) + b"rsync: connection reset\n"
        self.add("trailing/site.sql.gz", junk, rejected("container", "trailing"), "something follows the gzip data")
        large = rejected("plausibility", "max-packet")
        self.add("large-row/site.sql.zst", _large_row(good), large, "a row of 64 MiB: the server takes 16")

    def _odd_files(self) -> None:
        """What is no file, no whole file, or not alone."""
        for name in ("fifo", "link", "folder"):
            path = self.folder / name / "site.sql"
            path.parent.mkdir()
            if name == "fifo":
                os.mkfifo(path)
            elif name == "link":
                path.symlink_to(self.cases["plain"].path)
            else:
                path.mkdir()
            self.keep(path, rejected("listing"), f"a {name} called like a dump")
        content = self._content("zst")
        self.add("unfinished/site.sql.zst.part", content[:-100], rejected("listing"), "still being written", alone=True)
        size = -(-len(content) // 3)
        for name, lost in (("parts", ""), ("part-missing", "ab")):
            folder = self.folder / name
            folder.mkdir()
            for number, mark in enumerate(("aa", "ab", "ac")):
                if mark != lost:
                    part = content[size * number : size * (number + 1)]
                    (folder / f"site.sql.zst.part{mark}").write_bytes(part)
        self.keep(self.folder / "parts/site.sql.zst.partaa", ACCEPTED, "split in three parts")
        self.keep(
            self.folder / "part-missing/site.sql.zst.partaa",
            rejected("listing"),
            "the second of three parts is missing",
        )

    def _binlog_gap(self) -> None:
        """A sound dump, and binary logs after it of which one is missing: fine, but not for a later point in time."""
        dumped = self.dump("--flush-logs")
        self.add("binlog-gap/site.sql", dumped, ACCEPTED, "sound; of the binary logs beside it one is missing")
        for number in range(3):
            self.server.run(f"INSERT INTO site.audit (who, what) VALUES ('gap', {number}); FLUSH BINARY LOGS")
        found = re.search(rb"MASTER_LOG_FILE='mariadb-bin\.(\d+)'", dumped)
        assert found
        for number in (int(found[1]), int(found[1]) + 2):
            name = f"mariadb-bin.{number:06d}"
            shutil.copy2(self.server.folder / "data" / name, self.folder / "binlog-gap" / name)

    def _content(self, name: str) -> bytes:
        return self.cases[name].path.read_bytes()


_UNENDED: Final = rejected("structure", "no-footer|cut|table-open")
_BROKEN: Final = rejected("container", "truncated|corrupt|trailing|memory")


def _piped(argv: list[str], content: bytes) -> bytes:
    return subprocess.run(argv, input=content, check=True, capture_output=True).stdout


def _flip(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def _letter_changed(text: bytes) -> bytes:
    """A digit of a price is another one."""
    found = re.search(rb"\n\(1,1,'SP-\d{4}',\d+,(\d)", text)
    assert found
    return _flip(text, found.start(1), 0)


def _silently_flipped(packed: bytes, text: bytes) -> bytes:
    """`packed` with one bit turned so that it still unpacks, and only letters or digits within one row are others."""
    for place in range(len(packed) // 3, len(packed) - 64):
        for bit in range(8):
            broken = _flip(packed, place, bit)
            unpacking = zstandard.ZstdDecompressor().decompressobj()
            try:
                found = unpacking.decompress(broken)
            except zstandard.ZstdError:
                continue
            if unpacking.eof and found != text and _is_silent(found, text):
                return broken
    raise AssertionError("no place was found where a turned bit is silent")


def _is_silent(found: bytes, text: bytes) -> bool:
    if len(found) != len(text):
        return False
    changed = [at for at, (new, old) in enumerate(zip(found, text, strict=True)) if new != old]
    plain = all(text[at : at + 1].isalnum() and found[at : at + 1].isalnum() for at in changed)
    row = text[text.rfind(b"\n", 0, changed[0]) + 1 : changed[-1]]
    return plain and row.startswith(b"(") and b"\n" not in row


def _large_row(text: bytes) -> bytes:
    """The dump, with a row of 64 MiB more in `setting`, as a zstd stream."""
    compressing = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    begin = text.index(b"INSERT INTO `setting` VALUES")
    row = [b"INSERT INTO `setting` VALUES\n('large','", *[b"x" * (1 << 20)] * 64, b"');\n"]
    pieces = [compressing.compress(piece) for piece in (text[:begin], *row, text[begin:])]
    return b"".join([*pieces, compressing.flush()])
