"""Physical backups by mariadb-backup: a folder of a server's files, or a stream of them (--stream=mbstream).

Decides what such a backup says of itself, and what its files show without a server: that it was finished, that no data
file is missing, cut or altered, that the redo log is all there. `mariadb-backup --prepare` says "completed OK!" to a
file with a flipped byte, without a file, or cut at a page. Statements there are none: what a backup holds is known once
a server has been started on it (`actions.recovery`), and the same dump is then compared and loaded as any other.

Cannot be told here, and is left to that server: Aria's and MyISAM's rows, definitions, routines, events, accounts.
Names of streams are paths relative to the copy. Sources: MariaDB, extra/mariabackup; Library, Full Backup and Restore
with mariadb-backup; tried with 10.11 (files are called xtrabackup_* there, mariadb_backup_* from 11.1 on).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from remedy.backups import innodb
from remedy.backups.formats import Format, Group, Piece, Reading, called
from remedy.backups.mbstream import MAGIC, Chunks
from remedy.backups.naming import bare, split_path
from remedy.backups.ports import Damaged
from remedy.backups.values import Contents, Facts, File, Finding, Object, Table
from remedy.core.text import printable

_INFO: Final = ("xtrabackup_info", "mariadb_backup_info")
_CHECKPOINTS: Final = ("xtrabackup_checkpoints", "mariadb_backup_checkpoints")
_BINLOG: Final = ("xtrabackup_binlog_info", "mariadb_backup_binlog_info")
_OPTIONS: Final = "backup-my.cnf"
#: What the tool writes about a backup. The first two kinds make a folder one; all may lie beside a stream, too.
_NOTE: Final = re.compile(r"(?:xtrabackup|mariadb_backup)_\w+|backup-my\.cnf|donor_galera_info")
_CONTROL: Final = (*_INFO, *_CHECKPOINTS, *_BINLOG, _OPTIONS)
_LARGEST_TEXT: Final = 256 << 10
_REDO: Final = "ib_logfile0"
_DATA: Final = (".ibd", ".new")
_PACKED: Final = (".qp", ".xbcrypt")
_SYSTEM: Final = re.compile(r"(ibdata|undo)\d+")
#: Bytes before the records of a redo log (MariaDB 10.8 on: storage/innobase/include/log0log.h).
_REDO_HEAD: Final = 12288
_FRM_HEAD: Final = 64
_ENGINE_AT: Final = 3
_PART_ENGINE_AT: Final = 61
_INNODB: Final = 12
_PARTITION: Final = 20
#: Files of a table by its engine (legacy_db_type of sql/handler.h, byte 3 of a .frm).
_FILES: Final = {9: (".MYI", ".MYD"), 42: (".MAI", ".MAD")}
_MOST_SHOWN: Final = 5
_MOST_TABLES: Final = 200_000
_LETTER: Final = re.compile(r"@([0-9a-f]{4})")
_WHERE: Final = re.compile(r"filename '([^']*)', position '(\d+)'(?:, GTID of the last change '([^']*)')?")
_NUMBER: Final = re.compile(r"\d{1,19}")


class Physical(Format):
    """The kind of backup; see the module."""

    kind: ClassVar[str] = "physical"
    span: ClassVar[str] = "tree"

    @staticmethod
    def groups(listed: Mapping[str, Sequence[File]]) -> Iterator[Group]:
        """Every folder that mariadb-backup wrote its notes into, with all that lies below it.

        The deepest such folder counts: an incremental backup may lie below its full one. Files that are called like
        a backup in one file are backups of their own, which somebody put there.
        """
        found: dict[str, list[File]] = {
            folder: [] for folder, files in listed.items() if any(_makes_a_backup(file) for file in files)
        }
        for folder, files in listed.items() if found else ():
            above = folder
            while above not in found and above:
                above = split_path(above)[0]
            if above in found:
                found[above] += [file for file in files if not called(split_path(file.name)[1])]
        for folder, inside in found.items():
            notes = all(_NOTE.fullmatch(bare(split_path(file.name)[1])) for file in inside)
            odd = "nothing but the tool's notes is left of it" if notes else ""
            yield Group(folder, tuple(inside), odd, notes)

    @staticmethod
    def streams(files: tuple[File, ...]) -> tuple[tuple[File, ...], ...]:
        """Every file for itself, those first that lie at the top and say what the others should be."""
        first = [file for file in files if file.name.rsplit("/", 1)[-1] in _CONTROL]
        return tuple((file,) for file in (*first, *(file for file in files if file not in first)))

    @staticmethod
    def reading(schema: str) -> Reading:
        """Begin to read; what it says of tables is about `schema`."""
        return FilesReading(schema)


def _makes_a_backup(file: File) -> bool:
    return file.kind == "file" and bare(split_path(file.name)[1]) in (*_INFO, *_CHECKPOINTS)


def root(files: tuple[File, ...]) -> str:
    """The folder that mariadb-backup wrote to, with "/" at its end: where what it knows of itself lies."""
    tops = [file.name for file in files if file.name.rsplit("/", 1)[-1] in (*_INFO, *_CHECKPOINTS)]
    top = min(tops, key=len, default="")
    return top[: len(top) - len(top.rsplit("/", 1)[-1])]


@dataclass(slots=True)
class _File:
    """One file inside: how long it is, its beginning where that is needed, and its pages where it has any."""

    size: int = 0
    text: bytearray | None = None
    cap: int = 0
    pages: innodb.Reader | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self.size += len(data)
        if self.text is not None:
            self.text += data[: self.cap - len(self.text)]
        if self.pages is not None:
            self.pages.feed(data)


class FilesReading:
    """One pass over a folder (`begin` with the path of each of its files) or over a stream of one."""

    def __init__(self, schema: str) -> None:
        """Look for the files of database `schema`."""
        self._schema = schema
        self._files: dict[str, _File] = {}
        self._root: str | None = None
        self._path = ""
        self._head = b""
        self._chunks: Chunks | None = None
        self._system: innodb.Layout | None = None
        self._spaces: dict[str, innodb.Tablespace] = {}

    @property
    def proves(self) -> bool:
        """Whether every byte of it was covered by a checksum: those of a stream are, a folder's pages alone are."""
        return self._chunks is not None

    def begin(self, name: str) -> None:
        """A file of the folder, or the stream."""
        if self._root is None:
            self._root = name[: len(name) - len(name.rsplit("/", 1)[-1])]
        self._path = name.removeprefix(self._root)
        self._head = b""
        self._chunks = None

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Take bytes. Raises Damaged when a stream is no longer one."""
        if self._chunks is None and not self._files.get(self._path):
            self._head += chunk
            if len(self._head) < len(MAGIC) and MAGIC.startswith(self._head):
                return iter(())
            chunk, self._head = self._head, b""
            if chunk.startswith(MAGIC):
                self._chunks = Chunks()
            else:
                self._open(self._path, checksums=True)
        if self._chunks is not None:
            for path, data in self._chunks.feed(chunk):
                # The stream's own checksums cover the bytes; mariadb-backup checked the pages when it read them.
                file = self._files.get(path) or self._open(path, checksums=False)
                if data is None:
                    self._close(path, file)
                else:
                    file.feed(data)
        else:
            self._files[self._path].feed(chunk)
        return iter(())

    def end(self) -> Iterator[Piece]:
        """The file has ended, or the stream. Raises Damaged."""
        if self._chunks is not None:
            self._chunks.end()
        elif self._path:
            file = self._files.get(self._path) or self._open(self._path, checksums=True)
            file.feed(self._head)
            self._close(self._path, file)
        return iter(())

    def close(self) -> Contents:
        """What the files say together."""
        info, checkpoints = self._control(_INFO), self._control(_CHECKPOINTS)
        prepared = checkpoints.get("backup_type", "") in {"log-applied", "full-prepared"}
        tables, objects = self._tables()
        findings = [
            *self._finished(info, checkpoints),
            *self._redo(checkpoints, prepared=prepared),
            *self._missing(prepared=prepared),
            *self._damaged(prepared=prepared),
            *self._dangerous(),
        ]
        if not tables and not objects:
            name = printable(self._schema, 80, one_line=True)
            findings.append(Finding("wrong-database", f"there is no database {name!r} in it"))
        return Contents(self._facts(info), tables, objects, 0, tuple(findings))

    def _open(self, path: str, *, checksums: bool) -> _File:
        base = path.rsplit("/", 1)[-1]
        file = _File()
        if path in _CONTROL:
            file = _File(text=bytearray(), cap=_LARGEST_TEXT)
        elif base.endswith(".frm"):
            file = _File(text=bytearray(), cap=_FRM_HEAD)
        elif path == _REDO:
            file = _File(text=bytearray(), cap=4)
        elif base.endswith(_DATA) or _SYSTEM.fullmatch(path):
            first = not path.startswith("ibdata") or self._system is None
            file = _File(pages=innodb.Reader(first=first, known=self._system, checksums=checksums))
        if len(self._files) >= _MOST_TABLES * 3:
            raise Damaged("corrupt", f"more than {len(self._files)} files in one backup")
        self._files[path] = file
        return file

    def _close(self, path: str, file: _File) -> None:
        """A data file has ended: its pages are told and forgotten."""
        if file.pages is None:
            return
        found = file.pages.end()
        if path.startswith("ibdata") and self._system is None:
            self._system = file.pages.layout
        file.pages = None
        if found.wrong or found.truncated or found.torn or found.strange:
            self._spaces[path] = found

    def _damaged(self, *, prepared: bool) -> Iterator[Finding]:
        """Data files that are not what was written."""
        for path, found in self._spaces.items():
            # Of a table elsewhere, the server that is started on it has the last word.
            ours = "/" not in path or path.startswith(f"{_encoded(self._schema)}/")
            shown = printable(path, 120, one_line=True)
            if found.strange or found.wrong:
                pages = ", ".join(map(str, found.damaged)) + (" …" if found.wrong > len(found.damaged) else "")
                text = f"{found.wrong} pages are not what was written: page {pages}"
                yield Finding("page", f"{shown}: {text if found.wrong else 'is no tablespace'}", fatal=ours)
            if found.truncated or found.torn:
                text = f"{found.promised - found.bytes} bytes are missing at its end"
                # One that grew at the moment its copy began looks like this too, until it is prepared.
                fatal = ours and (prepared or found.torn)
                yield Finding("truncated", f"{shown}: {text if found.truncated else 'ends inside a page'}", fatal=fatal)

    def _control(self, names: tuple[str, ...]) -> dict[str, str]:
        r"""The lines ``key = value`` of the first of these files that is there.

        Sample::

            backup_type = full-backuped
            from_lsn = 0
            to_lsn = 14519986
            last_lsn = 18928473
        """
        for name in names:
            if (file := self._files.get(name)) and file.text is not None:
                lines = file.text.decode("utf-8", "backslashreplace").splitlines()
                pairs = (line.partition(" = ") for line in lines)
                return {key.strip(): value.strip() for key, equals, value in pairs if equals}
        return {}

    def _facts(self, info: dict[str, str]) -> Facts:
        """Read xtrabackup_info.

        Sample::

            tool_name = mariadb-backup
            tool_version = 10.11.19-MariaDB
            server_version = 10.11.19-MariaDB-0+deb12u1-log
            end_time = 2026-11-20 09:48:29
            binlog_pos = filename 'mariadb-bin.000001', position '750', GTID of the last change '0-1-2'
        """
        where = _WHERE.search(info.get("binlog_pos", ""))
        return Facts(
            time_text=info.get("end_time", "")[:40],
            tool=f"{info.get('tool_name', '')} {info.get('tool_version', '')}".strip()[:120],
            server=info.get("server_version", "")[:120],
            binlog=f"{where[1]}:{where[2]}" if where else "",
            gtid=(where[3] or "")[:400] if where else "",
        )

    def _finished(self, info: dict[str, str], checkpoints: dict[str, str]) -> Iterator[Finding]:
        kind = checkpoints.get("backup_type", "")
        if not info or not kind:
            # Both are written when everything else has been copied.
            yield Finding("unfinished", "mariadb-backup did not finish: what it writes at its end is missing")
            return
        if kind == "incremental" or info.get("incremental", "N") == "Y":
            yield Finding("incremental", "holds only what changed since another backup, and cannot be restored alone")
        elif kind not in {"full-backuped", "log-applied", "full-prepared"}:
            shown = printable(kind, 40, one_line=True)
            yield Finding("unfinished", f"is of a kind that is not known: {shown}")
        if info.get("partial", "N") == "Y":
            yield Finding("partial", "holds some of the server's tables only", fatal=False)

    def _redo(self, checkpoints: dict[str, str], *, prepared: bool) -> Iterator[Finding]:
        """What was written while the copy was made; without it the files do not fit together."""
        if prepared or not checkpoints:
            return
        redo = self._files.get(_REDO)
        begin, end = (checkpoints.get(key, "") for key in ("to_lsn", "last_lsn"))
        if redo is None or not redo.size:
            yield Finding(
                "redo", f"{_REDO} is missing: without it the files of an unprepared backup do not fit together"
            )
        elif bytes(redo.text or b"") == b"Phys" and _NUMBER.fullmatch(begin) and _NUMBER.fullmatch(end):
            missing = _REDO_HEAD + int(end) - int(begin) - redo.size
            if missing > 0:
                yield Finding("redo", f"{_REDO} is cut: {missing} bytes are missing at its end")

    def _missing(self, *, prepared: bool) -> Iterator[Finding]:
        """Tables without the files that their engine keeps rows in."""
        if "ibdata1" not in self._files:
            yield Finding("missing", "ibdata1, InnoDB's system tablespace, is missing")
        during = not prepared and any(path.endswith((".del", ".ren")) for path in self._files)
        lost = sorted(
            path[:-4] for path, file in self._files.items() if path.endswith(".frm") and self._lost(path, file)
        )
        for table in lost[:_MOST_SHOWN]:
            more = f" (and {len(lost) - _MOST_SHOWN} more tables)" if len(lost) > _MOST_SHOWN else ""
            text = f"table {printable(_decoded(table), 120, one_line=True)} has no data file{more}"
            text += ": it is lost, unless the server kept it elsewhere (innodb_file_per_table=OFF)"
            if not during:
                yield Finding("missing", text, fatal=False)

    def _lost(self, path: str, file: _File) -> bool:
        head = bytes(file.text or b"")
        if len(head) < _FRM_HEAD or head[0] != 0xFE:  # noqa: PLR2004 -- a view's is text
            return False
        stem, engine = path[:-4], head[_ENGINE_AT]
        if engine == _INNODB:
            return not any(stem + suffix in self._files for suffix in _DATA)
        if engine == _PARTITION and head[_PART_ENGINE_AT] == _INNODB:
            return not any(other.startswith(f"{stem}#P#") for other in self._files)
        return any(stem + suffix not in self._files for suffix in _FILES.get(engine, ()))

    def _dangerous(self) -> Iterator[Finding]:
        if packed := [path for path in self._files if path.endswith(_PACKED)]:
            shown = printable(packed[0], 80, one_line=True)
            text = f"was made with --compress or --encrypt ({shown}), which nothing here can undo"
            yield Finding("compressed", text)
        if linked := [path for path in self._files if path.endswith(".isl")]:
            shown = printable(linked[0], 80, one_line=True)
            text = f"{shown} points to a file outside of the data directory: a server started on it would open that one"
            yield Finding("outside", text)

    def _tables(self) -> tuple[tuple[Table, ...], tuple[Object, ...]]:
        """Tables, views and triggers of the schema by their files; what is in them is not known yet."""
        lead = f"{_encoded(self._schema)}/"
        tables: list[Table] = []
        objects: list[Object] = []
        sizes: dict[str, int] = {}
        for path, file in self._files.items():
            if path.startswith(lead):
                stem = path.rpartition(".")[0].partition("#P#")[0]
                sizes[stem] = sizes.get(stem, 0) + file.size
        for path in sorted(self._files):
            if not path.startswith(lead) or path.count("/") > 1:
                continue
            name, file = _decoded(path[len(lead) : -4]), self._files[path]
            if path.endswith(".TRN"):
                objects.append(Object("trigger", name, ""))
            elif path.endswith(".frm") and not path.startswith(f"{lead}#sql"):
                if bytes(file.text or b"").startswith(b"TYPE=VIEW"):
                    objects.append(Object("view", name, ""))
                else:
                    tables.append(Table(name, "", bytes=sizes[path[:-4]]))
        return tuple(sorted(tables, key=lambda table: table.name)), tuple(objects)


def _encoded(schema: str) -> str:
    """A schema's folder (MariaDB, Identifier to File Name Mapping), for names in ASCII and beyond Latin letters."""
    plain = re.compile(r"[A-Za-z0-9_]")
    return "".join(c if plain.fullmatch(c) else f"@{ord(c):04x}" for c in schema)


def _decoded(name: str) -> str:
    """The name of what a file belongs to; two-character codes of Latin letters stay as they are."""
    return _LETTER.sub(lambda match: chr(int(match[1], 16)), name)


FORMAT = Physical
