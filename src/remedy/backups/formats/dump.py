r"""Text dumps of mysqldump and mariadb-dump, of one database or several, with whatever options.

Decides from comments and from the order of things whether a dump is whole: its header, its footer as the very last
line, the data of every table begun and ended. Comments count only where a client sees comments: a routine's body may
say "-- Dump completed" as often as it likes.

    -- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
    -- Host: localhost    Database: web
    -- Server version	10.11.19-MariaDB-0+deb12u1-log
    /*!40101 SET NAMES utf8mb4 */;
    …
    LOCK TABLES `orders` WRITE;
    INSERT INTO `orders` VALUES
    (1,'王小明'),
    (2,NULL);
    UNLOCK TABLES;
    …
    /*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

    -- Dump completed on 2026-11-20  2:00:03

Sources: client/mysqldump.cc (MariaDB), MySQL Reference Manual, "mysqldump". Tried on MariaDB 10.11; the forms that
MySQL 5.7 and 8.0 alone write are read by their documented rules. Leaves to others: what statements mean
(`interpreter`), what time the footer's clock had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from remedy.backups.charsets import WIDE
from remedy.backups.findings import Findings
from remedy.backups.formats import Format, Piece
from remedy.backups.interpreter import Interpreter
from remedy.backups.names import IDENT, unquoted
from remedy.backups.ports import Damaged
from remedy.backups.sql import Comment, Rows, Splitter, Statement, Token
from remedy.backups.statements import bare
from remedy.backups.values import Contents, Facts, File

_TOOL: Final = re.compile(rb"-- ((?:MySQL|MariaDB) dump \d[^,\n]*)")
_HOST: Final = re.compile(rb"-- Host: .*?    Database: (.*)\n")
_SERVER: Final = re.compile(rb"-- Server version\t(.*)\n")
_CURRENT: Final = re.compile(rb"-- Current Database: (" + IDENT + rb")\s*")
_DATA: Final = re.compile(rb"-- Dumping data for table (" + IDENT + rb")\s*")
_BINLOG: Final = re.compile(
    rb"(?:-- )?CHANGE (?:MASTER|REPLICATION SOURCE) TO .*?LOG_FILE='([^']+)',\s*\w*LOG_POS=(\d+)"
)
_OTHERS_BINLOG: Final = b"(the master of this slave)"
_GTID: Final = re.compile(rb"-- SET GLOBAL gtid_slave_pos='([^']*)'")
_FOOTER: Final = re.compile(rb"-- Dump completed(?: on (\d{4}-\d\d-\d\d +\d{1,2}:\d\d:\d\d))?\s*\n")
_MESSAGE: Final = re.compile(rb"\w[\w.-]*: ?")
_WARNING: Final = re.compile(rb"\w[\w.-]*: ?(?:\[?Warning|Deprecated|Note)|Warning:", re.IGNORECASE)
#: What only these dumpers write first, whatever comments were left out.
_MARKS: Final = (b"@OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT", b"@saved_cs_client     = @@character_set_client")
_OPENING: Final = b"@OLD_SQL_NOTES=@@SQL_NOTES"
_CLOSING: Final = b"SET SQL_NOTES=@OLD_SQL_NOTES"

_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
#: What has to be seen to tell how lines end.
_FIRST_LINE: Final = 4096

#: What is taken to be set where a dump sets nothing (--compact): mysqldump's own defaults.
_DEFAULTS: Final = {
    "character_set_client": b"utf8mb4",
    "time_zone": b"'+00:00'",
    "sql_mode": b"'NO_AUTO_VALUE_ON_ZERO'",
}


class DumpReading:
    """One pass over one dump."""

    def __init__(self, schema: str) -> None:
        """`schema` is the one that is wanted."""
        self._text = _Text()
        self._splitter = Splitter()
        self._interpreter = Interpreter(schema, _DEFAULTS)
        self._findings = self._interpreter.findings
        self._schemas = self._interpreter.schemas
        self._tool = self._server = self._binlog = self._gtid = ""
        self._others_binlog = False
        self._footer: bytes | None = None
        self._statements = 0
        self._opened = self._closed = False
        self._sections = False

    def begin(self, name: str) -> None:
        """A dump is one stream."""

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Take decompressed bytes; give what is complete. Raises Damaged("too-big", "not-text")."""
        for part in self._text.feed(chunk):
            yield from self._take(self._splitter.feed(part))

    def end(self) -> Iterator[Piece]:
        """The text has ended."""
        for part in self._text.end():
            yield from self._take(self._splitter.feed(part))
        yield from self._take(self._splitter.end())

    def _take(self, tokens: Iterable[Token]) -> Iterator[Piece]:
        for token in tokens:
            if self._footer is not None:
                self._findings.add("after-end", token.text)
                self._footer = None
            if isinstance(token, Rows):
                self._closed = False
                yield from self._interpreter.rows(token, one_line=self._splitter.recognised)
            elif isinstance(token, Statement):
                yield from self._statement(token)
            elif isinstance(token, Comment):
                self._comment(token.text)
            else:
                self._findings.add("client-command", token.text)

    def _statement(self, token: Statement) -> Iterator[Piece]:
        plain = bare(token.text)
        setting = plain[:4].upper() == b"SET "
        self._opened |= setting and _OPENING in plain
        self._closed = self._opened and plain == _CLOSING
        self._statements += not setting
        self._sections |= plain[:5].upper() == b"LOCK " or plain.endswith(b" KEYS")
        if setting and any(mark in plain for mark in _MARKS):
            self._splitter.recognised = True
        if binlog := _BINLOG.match(plain):
            self._found_binlog(binlog)
        yield from self._interpreter.statement(token.text, token.delimiter)
        if setting:
            session = self._interpreter.session
            self._splitter.escapes = b"NO_BACKSLASH_ESCAPES" not in (session.get("sql_mode") or b"")
            self._splitter.wide = session.text("character_set_client") in WIDE

    def _comment(self, text: bytes) -> None:  # noqa: C901 -- one case per comment that means something
        if footer := _FOOTER.fullmatch(text):
            self._footer = footer[1] or b""
        elif data := _DATA.fullmatch(text):
            self._interpreter.section(data[1])
        elif current := _CURRENT.fullmatch(text):
            self._schemas.announce(unquoted(current[1]))
        elif tool := _TOOL.match(text):
            self._tool = tool[1].decode("utf-8", "replace")
            self._splitter.recognised = True
        elif (host := _HOST.fullmatch(text)) and self._tool:
            self._schemas.begin(host[1].strip())
        elif server := _SERVER.fullmatch(text):
            self._server = server[1].decode("utf-8", "replace")
        elif _OTHERS_BINLOG in text:
            self._others_binlog = True
        elif binlog := _BINLOG.match(text):
            self._found_binlog(binlog)
        elif gtid := _GTID.match(text):
            self._gtid = gtid[1].decode("ascii", "replace")
        elif text.startswith(b"-- WHERE:"):
            self._findings.add("rows-left-out", text)
        elif _WARNING.match(text):
            self._findings.add("dumper-warning", text)
        elif _MESSAGE.match(text):
            self._findings.add("dumper-error", text)

    def _found_binlog(self, found: re.Match[bytes]) -> None:
        """The first position is the one of this server, unless it is said to be its master's."""
        if not self._binlog and not self._others_binlog:
            self._binlog = b":".join(found.groups()).decode("utf-8", "replace")
        self._others_binlog = False

    def close(self) -> Contents:
        """What was in the dump, with findings."""
        self._check_end()
        self._check_tables()
        footer = self._footer or b""
        facts = Facts(
            time_text=footer.decode("ascii"),
            tool=self._tool,
            server=self._server,
            database=self._schemas.only.decode("utf-8", "replace"),
            charset=self._interpreter.charset,
            binlog=self._binlog,
            gtid=self._gtid or self._interpreter.gtid,
        )
        return self._interpreter.contents(facts, self._splitter.longest)

    def _check_end(self) -> None:
        """Whether the end of the dump is there."""
        self._text.report(self._findings)
        if self._splitter.unfinished:
            self._findings.add("cut", f"it ends inside of: {self._splitter.unfinished}")
        if self._text.blank:
            self._findings.add("empty")
        elif not self._statements and self._footer is None and (self._tool or self._opened):
            self._findings.add("header-only")
        elif self._tool:
            if self._footer is None:
                self._findings.add("no-footer")
        elif self._opened:
            self._findings.add("no-comments" if self._closed else "no-footer")
        else:
            self._findings.add("no-end")

    def _check_tables(self) -> None:
        """Whether there are tables of the wanted database, and rows with them."""
        tables = self._interpreter.tables.states()
        if not tables:
            if self._schemas.wrong:
                self._findings.add("wrong-database", self._schemas.named)
            elif "empty" not in self._findings and "header-only" not in self._findings:
                self._findings.add("no-tables")
            return
        missing = [name for name, (section, _) in tables.items() if not section]
        if len(missing) == len(tables):
            self._findings.add("no-data")
        elif not (self._tool or self._sections):
            self._interpreter.tables.assume_sections()
        else:
            rowless = self._interpreter.tables.rowless()
            for name in missing:
                if name not in rowless:
                    self._findings.add("rows-left-out", name)


class _Text:
    """The text as mysqldump wrote it: without a byte order mark, and with its own line ends."""

    def __init__(self) -> None:
        self._first: bytes | None = b""
        self._bom = self._crlf = False
        self._held = b""
        self._blank = True

    @property
    def blank(self) -> bool:
        """Whether there has been nothing but space."""
        return self._blank and not (self._first or b"").strip()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take bytes, give text. Raises Damaged("not-text") for UTF-16."""
        if self._first is not None:
            self._first += chunk
            if len(self._first) < _FIRST_LINE:
                return
            chunk = self._begin()
        yield from self._lines(chunk)

    def end(self) -> Iterator[bytes]:
        """The rest."""
        if self._first is not None:
            yield from self._lines(self._begin())
        yield self._held

    def report(self, findings: Findings) -> None:
        """Say what was changed."""
        for code, seen in (("bom", self._bom), ("crlf", self._crlf)):
            if seen:
                findings.add(code)

    def _begin(self) -> bytes:
        first, self._first = self._first or b"", None
        if first.startswith(_UTF16):
            raise Damaged(
                "not-text",
                "the text is UTF-16, as PowerShell writes what a dumper gives it",
                hint="take another copy; have the dumper write the file itself, with --result-file",
            )
        self._bom = first.startswith(_BOM)
        first = first.removeprefix(_BOM)
        newline = first.find(b"\n")
        self._crlf = newline > 0 and first[newline - 1 : newline] == b"\r"
        return first

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        self._blank = self._blank and not chunk.strip()
        if not self._crlf:
            yield chunk
            return
        chunk = self._held + chunk
        self._held = b"\r" if chunk.endswith(b"\r") else b""
        yield (chunk[:-1] if self._held else chunk).replace(b"\r\n", b"\n")


class Dump(Format):
    """Dumps as one file of SQL."""

    kind: ClassVar[str] = "logical"
    span: ClassVar[str] = "file"
    suffixes: ClassVar[tuple[str, ...]] = (".sql", ".mysql", ".mysqldump", ".dump")

    @staticmethod
    def streams(files: tuple[File, ...]) -> tuple[tuple[File, ...], ...]:
        """One stream: the file, or the parts it was split into."""
        return (files,)

    @staticmethod
    def reading(schema: str) -> DumpReading:
        """Begin to read; only what belongs to database `schema` is given as pieces to be sent."""
        return DumpReading(schema)


FORMAT: Final = Dump
