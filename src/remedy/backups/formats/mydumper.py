r"""Folders of mydumper: a file per table's definition, one or more per table's rows, `metadata` written last.

Decides from names which file holds what, and whether all of them are there: nothing in mydumper 0.10 says how many
files or rows there should be, and myloader notices none of what is missing.

    metadata                        Started dump at: 2026-11-20 02:00:01 … Finished dump at: 2026-11-20 02:00:03
    web-schema-create.sql           CREATE DATABASE `web` …
    web.orders-schema.sql           CREATE TABLE `orders` …
    web.orders.00000.sql            INSERT INTO `orders` VALUES\n(1,"x"),\n(2,NULL);
    web.v-schema.sql                a table in place of view v: CREATE TABLE `v`(\n`id` int\n)ENGINE=MyISAM;
    web.v-schema-view.sql  web.orders-schema-triggers.sql  web-schema-post.sql (routines and events)

From 0.12 on `metadata` is a file of sections, which say how many rows each table has:

    # Started dump at: 2026-07-15 10:00:00
    [source]
    # SOURCE_LOG_FILE = "binlog.000002"
    # SOURCE_LOG_POS = 47893
    [`shop`.`users`]
    rows = 7
    # Finished dump at: 2026-07-15 10:00:01

Sources: mydumper_jobs.c, mydumper_write.c, myloader_process_filename.c. Tried on 0.10.0; later ones are read by those
sources. In all of them a semicolon at the end of a line ends a statement, and bodies of routines are changed not to
have any (`;` before a line's end becomes `; `).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final

from remedy.backups import containers, naming
from remedy.backups.formats import Format, Group, Piece
from remedy.backups.interpreter import Interpreter
from remedy.backups.names import IDENT, decoded, parts, unquoted
from remedy.backups.ports import Damaged
from remedy.backups.session import Session
from remedy.backups.sql import ClientCommand, Comment, Rows, Splitter, Token
from remedy.backups.statements import bare
from remedy.backups.values import Contents, Facts, File

#: What a name says, in the order in which files are read. Groups: database (and table), number and part of it.
_ROLES: Final = (
    ("metadata", re.compile(r"metadata(?:\.partial|\.header)?")),
    ("create", re.compile(r"(.+)-schema-create\.sql")),
    ("table", re.compile(r"(.+)-schema(?:-sequence)?\.sql")),
    ("counted", re.compile(r"(.+)-metadata")),
    ("rows", re.compile(r"(.+?)(?:\.(\d{5,}))?(?:\.(\d{5,}))?\.sql")),
    ("view", re.compile(r"(.+)-schema-view\.sql")),
    ("trigger", re.compile(r"(.+)-schema-triggers\.sql")),
    ("routine", re.compile(r"(.+)-schema-(?:post|routines|events)\.sql")),
    ("ignored", re.compile(r"(.+)-(?:schema-)?(?:checksum|indexes-checksum|tablespace)(?:\.sql)?|.*\.dat")),
)
_RANK: Final = {role: rank for rank, (role, _) in enumerate(_ROLES)}
#: Names that end so are never rows, whatever else they look like.
_SCHEMA: Final = re.compile(r".*-schema(?:-[a-z-]+)?\.sql")
#: Data files in a listing: SQL, or rows for LOAD DATA beside it; then checksums and row counts of older versions.
_STORED: Final = re.compile(r"(?P<table>.+\..+?)(?:\.[0-9]+)*\.(?:sql|dat|csv)")
_COUNTED: Final = re.compile(r".+\..+-(?:checksum|metadata)")
_DEFINITIONS: Final = frozenset({"create", "table", "view", "trigger", "routine"})

_FINISHED: Final = re.compile(rb"^#? ?Finished dump at: (.+?)[ \t\r]*$", re.MULTILINE)
_LOG: Final = re.compile(
    rb"^[# \t]*(?:Log:|File\s*=|(?:MASTER|SOURCE)_LOG_FILE\s*=)\s*\"?([^\"\n]*?)\"?[ \t\r]*$", re.MULTILINE
)
_POS: Final = re.compile(
    rb"^[# \t]*(?:Pos:|Position\s*=|(?:MASTER|SOURCE)_LOG_POS\s*=)\s*\"?(\d+)\"?[ \t\r]*$", re.MULTILINE
)
_GTID: Final = re.compile(
    rb"^[# \t]*(?:GTID:|Executed_Gtid_Set\s*=)[ \t]*\"?([^\"\n]*?)\"?[ \t\r]*$", re.MULTILINE | re.IGNORECASE
)
_OF_TABLE: Final = re.compile(rb"^\[(" + IDENT + rb"\." + IDENT + rb")\]\s*$([^\[]*)", re.MULTILINE)
_ROWS: Final = re.compile(rb"^rows\s*=\s*(\d+)\s*$", re.MULTILINE)
_STAND_IN: Final = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?(" + IDENT + rb")\(\n")
_DATABASE: Final = re.compile(rb"CREATE DATABASE (?:/\*!\d+ )?(?:IF NOT EXISTS\s*)?(?:\*/ ?)?(" + IDENT + rb")")

#: Definitions, and `metadata`, are read whole; no table's is longer.
_LIMIT: Final = 64 << 20
#: What mydumper sets in every file; sql_mode is what keeps AUTO_INCREMENT columns as they are.
_DEFAULTS: Final = {
    "character_set_client": b"binary",
    "time_zone": b"'+00:00'",
    "sql_mode": b"'NO_AUTO_VALUE_ON_ZERO'",
}


def role(name: str) -> tuple[str, tuple[str, ...]]:
    """What a file is, by its name without folder and compression: role, and what the name says beside it."""
    for word, form in _ROLES:
        match = form.fullmatch(name)
        if match and not (word == "rows" and _SCHEMA.fullmatch(name)):
            return word, tuple(group or "" for group in match.groups())
    return "stray", ()


def _base(name: str) -> str:
    return name.rpartition("/")[2]


class FolderReading:
    """One pass over the files of one folder."""

    def __init__(self, schema: str) -> None:
        """`schema` is the one that is wanted."""
        self._schema = schema
        self._interpreter = Interpreter(schema, _DEFAULTS)
        self._findings = self._interpreter.findings
        self._databases: dict[str, str] = {}
        self._others: set[str] = set()
        self._name = ""
        self._role = "stray"
        self._whole: list[bytes] = []
        self._bytes = 0
        self._splitter: Splitter | None = None
        self._longest = 0
        self._metadata: bytes | None = None
        self._partial = False
        self._counts: dict[str, int] = {}
        self._numbers: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        self._files: set[str] = set()
        self._empty: list[tuple[str, str]] = []

    def begin(self, name: str) -> None:
        """The next file; `name` is without compression."""
        self._name = _base(name)
        self._role, said = role(self._name)
        self._whole, self._bytes, self._splitter = [], 0, None
        self._interpreter.session = Session()  # every file sets what it needs
        if self._role == "stray":
            self._findings.add("stray-file", self._name)
        elif self._role not in ("metadata", "create", "ignored") and self._database(said[0]) != self._schema:
            self._others.add(self._database(said[0]))
            self._role = "ignored"
        if self._role == "rows":
            self._splitter = Splitter()
            self._splitter.recognised = True

    def _database(self, stem: str) -> str:
        """The database of a file whose name begins with `stem`: that of the longest name that a database goes by."""
        known = [name for name in self._databases if stem == name or stem.startswith(f"{name}.")]
        if known:
            return self._databases[max(known, key=len)]
        if stem == self._schema or stem.startswith(f"{self._schema}."):
            return self._schema
        return stem.partition(".")[0]

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Take decompressed bytes; give what is complete. Raises Damaged("too-big", "not-text")."""
        self._bytes += len(chunk)
        if self._splitter is not None:
            yield from self._take(self._splitter, self._splitter.feed(chunk))
        elif self._role not in ("ignored", "stray"):
            if self._bytes > _LIMIT:
                raise Damaged("too-big", f"longer than {_LIMIT >> 20} MiB", where=self._name)
            self._whole.append(chunk)

    def end(self) -> Iterator[Piece]:
        """The file has ended."""
        text = b"".join(self._whole)
        if self._splitter is not None:
            yield from self._take(self._splitter, self._splitter.end())
            self._longest = max(self._longest, self._splitter.longest)
            if self._splitter.unfinished:
                self._findings.add("cut", self._name)
            self._number()
        elif self._role == "metadata":
            self._partial |= self._name == "metadata.partial"
            self._metadata = (self._metadata or b"") + text
        elif self._role == "create":
            made = _DATABASE.search(text)
            stem = role(self._name)[1][0]
            self._databases[stem] = unquoted(made[1]).decode("utf-8", "backslashreplace") if made else stem
        elif self._role == "counted":
            self._count(text)
        elif self._role not in ("ignored", "stray"):
            before = self._interpreter.made
            yield from self._statements(text)
            if self._role in ("table", "view") and self._interpreter.made == before:
                self._findings.add("empty-file", self._name)

    def _take(self, splitter: Splitter, tokens: Iterable[Token]) -> Iterator[Piece]:
        for token in tokens:
            if isinstance(token, Rows):
                self._files.add(_text(parts(token.table)[1]))
                yield from self._interpreter.rows(token, one_line=splitter.recognised, double_quotes=True)
            elif isinstance(token, ClientCommand):
                self._findings.add("client-command", token.text)
            elif not isinstance(token, Comment):
                yield from self._statement(token.text)

    def _statements(self, text: bytes) -> Iterator[Piece]:
        """A file of definitions: a semicolon at the end of a line ends each, wherever it stands."""
        *whole, rest = text.split(b";\n")
        if rest.strip():
            self._findings.add("cut", self._name)
        for one in whole:
            self._longest = max(self._longest, len(one))
            yield from self._statement(one.strip())

    def _statement(self, text: bytes) -> Iterator[Piece]:
        if stand_in := _STAND_IN.match(text):
            self._interpreter.view(stand_in[1])
        elif bare(text)[:5].upper() == b"LOAD ":
            self._findings.add("load-data", text)
        else:
            yield from self._interpreter.statement(text)

    def _number(self) -> None:
        """Remember which number of a table's files this is, and whether it is empty (as --build-empty-files makes)."""
        stem, number, part = role(self._name)[1]
        if number:
            self._numbers[stem][int(number)].add(int(part or 0))
        if not self._bytes:
            self._empty.append((stem.removeprefix(f"{self._schema}."), self._name))

    def _count(self, text: bytes) -> None:
        """A table's own file with nothing but the number of its rows (0.11)."""
        stem = role(self._name)[1][0]
        number = text.strip()
        if number.isdigit():
            self._counts[stem.removeprefix(f"{self._schema}.")] = int(number)

    def close(self) -> Contents:
        """What was in the folder, with findings."""
        self._check_metadata()
        self._check_tables()
        text = self._metadata or b""
        log, position, gtid = _LOG.search(text), _POS.search(text), _GTID.search(text)
        finished = _FINISHED.search(text)
        facts = Facts(
            time_text=finished[1].decode("utf-8", "replace") if finished else "",
            tool="mydumper",
            database="" if self._others else self._schema,
            charset=self._interpreter.charset,
            binlog=b":".join((log[1], position[1])).decode("utf-8", "replace") if log and position else "",
            gtid=gtid[1].decode("utf-8", "replace") if gtid else "",
        )
        return self._interpreter.contents(facts, self._longest)

    def _check_metadata(self) -> None:
        if self._partial:
            self._findings.add("cut", "metadata.partial: mydumper did not finish")
        elif self._metadata is None:
            self._findings.add("no-metadata")
        elif not _FINISHED.search(self._metadata):
            self._findings.add("cut", "metadata does not say that the dump was finished")
        for match in _OF_TABLE.finditer(self._metadata or b""):
            schema, name = parts(match[1])
            rows = _ROWS.search(match[2])
            if rows and self._database(_text(schema)) == self._schema:
                self._counts[_text(name)] = int(rows[1])
        for other in sorted(self._others):
            self._findings.add("several-databases", other)

    def _check_tables(self) -> None:
        tables = self._interpreter.tables.states()
        if not tables:
            wrong = bool(self._others) and self._schema not in self._databases.values()
            self._findings.add("wrong-database" if wrong else "no-tables", ", ".join(sorted(self._others)))
            return
        if not self._files and any(self._counts.get(key, 1) for key in tables):
            self._findings.add("no-data")
            return
        counted = {key for key in tables if key in self._counts}
        for key in counted:
            count = tables[key][1]
            if count >= 0 and count != self._counts[key]:
                self._findings.add("rows-missing", f"{key}: {count} of {self._counts[key]}")
        rowless = self._interpreter.tables.rowless()
        for key in tables:
            if key not in self._files | counted | rowless | {empty for empty, _ in self._empty}:
                self._findings.add("maybe-empty", key)
        for key, name in self._empty:
            if key not in counted:
                self._findings.add("maybe-empty", name)
        self._check_numbers({f"{self._schema}.{key}" for key in counted})
        self._interpreter.tables.assume_sections()
        if self._interpreter.objects.without_mode:
            self._findings.add("no-sql-mode")

    def _check_numbers(self, counted: set[str]) -> None:
        """Whether files are missing between others. Numbers begin with 0 or 1; a chunk without rows has no file."""
        for stem, numbers in self._numbers.items():
            gaps = _gaps(numbers) + [gap for parts_ in numbers.values() for gap in _gaps(parts_)]
            if gaps and stem not in counted:
                self._findings.add("chunk-missing", f"{stem}: {', '.join(gaps[:5])}")


def _text(name: bytes) -> str:
    return decoded(name)[0]


def _gaps(numbers: Iterable[int]) -> list[str]:
    """What is missing between 1 and the last of the numbers."""
    last, gaps = 0, []
    for number in sorted(numbers):
        if number > last + 1:
            gaps.append(f"{last + 1:05d}" + (f"…{number - 1:05d}" if number > last + 2 else ""))
        last = number
    return gaps


class Mydumper(Format):
    """Folders of mydumper."""

    kind: ClassVar[str] = "logical"
    span: ClassVar[str] = "folder"

    @staticmethod
    def groups(listed: Mapping[str, Sequence[File]]) -> Iterator[Group]:
        """In each folder the files of the databases that its definitions name, or of all with `metadata` alone.

        At the top of a copy `metadata` alone makes no export: dumps lie there under any name. A dump with a day in its
        name is one that somebody put there.
        """
        for folder, files in listed.items():
            names = {file: naming.bare(_base(file.name)) for file in files}
            notes = [file for file, name in names.items() if role(name)[0] == "metadata"]
            defined = {said[0] for word, said in map(role, names.values()) if word in _DEFINITIONS}
            inside = [file for file, name in names.items() if _belongs(name, defined)]
            if inside and (defined or (notes and folder)):
                partial = any(names[file] == "metadata.partial" for file in notes)
                odd = "unfinished: metadata.partial is still there" if partial else ""
                yield Group(folder, (*notes, *inside), odd)

    @staticmethod
    def streams(files: tuple[File, ...]) -> tuple[tuple[File, ...], ...]:
        """Every file by itself: metadata, definitions, rows in the order of their numbers, then all that needs them."""
        read = [file for file in files if not _name(file).endswith(".dat")]
        return tuple((file,) for file in sorted(read, key=_order))

    @staticmethod
    def reading(schema: str) -> FolderReading:
        """Begin to read; only what belongs to database `schema` is given as pieces to be sent."""
        return FolderReading(schema)


def _belongs(name: str, defined: set[str]) -> bool:
    """Whether a file is of an export in which these are defined: databases, and tables with theirs before a dot."""
    if role(name)[0] in _DEFINITIONS or _COUNTED.fullmatch(name):
        return True
    stored = _STORED.fullmatch(name)
    if stored is None or stored["table"] in defined:
        return stored is not None
    databases = tuple({f"{base.partition('.')[0]}." for base in defined}) or ("",)
    return name.startswith(databases) and not naming.dated(name)


def _name(file: File) -> str:
    return containers.without_suffix(_base(file.name))[0]


def _order(file: File) -> tuple[int, str, int, int]:
    word, said = role(_name(file))
    stem, number, part = (*said, "", "", "")[:3]
    return _RANK.get(word, len(_ROLES)), stem, int(number or 0), int(part or 0)


FORMAT: Final = Mydumper
