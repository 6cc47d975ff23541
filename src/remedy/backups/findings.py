"""What can be found wrong or odd in a backup: every code, how heavily it weighs, what it means.

fatal        the backup cannot be restored as it is, or must not be: no option accepts it
acceptable   it may be right, and only a person can say so: restored when accepted by name
note         worth knowing; nothing is lost by it, and it does not stand in the way
"""

from __future__ import annotations

from typing import Final

from remedy.backups.values import Finding
from remedy.core.text import printable

FATAL: Final = "fatal"
ACCEPTABLE: Final = "acceptable"
NOTE: Final = "note"

#: Code: weight and meaning. Those of `Damaged`, which end a reading, are among them.
CODES: Final[dict[str, tuple[str, str]]] = {
    # What ends a reading.
    "truncated": (FATAL, "the compressed data ends before its end mark"),
    "corrupt": (FATAL, "the compressed data does not decompress, or its checksum is wrong"),
    "trailing": (FATAL, "something else follows the compressed data"),
    "memory": (FATAL, "decompressing needs more memory than any usual file does"),
    "too-big": (FATAL, "a statement, or all of them, are larger than any server takes"),
    "not-text": (FATAL, "the text is UTF-16, or is no SQL at all"),
    # Whether all of it is there.
    "empty": (FATAL, "there is nothing in it"),
    "header-only": (FATAL, "the dump ends after its header: the dumper failed and nobody looked"),
    "no-tables": (FATAL, "there is no table in it"),
    "no-footer": (FATAL, "the line that a finished dump ends with is missing"),
    "no-comments": (ACCEPTABLE, "written without comments: the end is there, but not when it was written or of what"),
    "no-end": (ACCEPTABLE, "written without header and footer (--compact): nothing tells whether its end is there"),
    "after-end": (ACCEPTABLE, "more follows the line that a finished dump ends with"),
    "cut": (FATAL, "it ends in the middle of a statement, or the run that wrote it did not finish"),
    "table-open": (FATAL, "the data of a table were begun and not finished"),
    "dumper-error": (FATAL, "an error message of the dumper is part of the text"),
    "dumper-warning": (NOTE, "a warning of the dumper is part of the text; it is left out"),
    "no-data": (FATAL, "no table has its rows with it (--no-data)"),
    "rows-left-out": (ACCEPTABLE, "some tables have no rows with them, not even none"),
    "no-structure": (FATAL, "rows of a table whose definition is missing"),
    "view-unfinished": (ACCEPTABLE, "a view is announced and not defined"),
    "chunk-missing": (ACCEPTABLE, "the numbers of a table's files have a gap: no rows were there, or a file is lost"),
    "rows-missing": (FATAL, "a table has not the number of rows that the backup says of itself"),
    "maybe-empty": (ACCEPTABLE, "no rows in a file, or no file of rows: there were none, or they are lost"),
    "empty-file": (FATAL, "a file that must hold statements is empty"),
    "no-metadata": (FATAL, "the file that mydumper writes last is missing or unreadable"),
    "stray-file": (ACCEPTABLE, "a file that no mydumper writes lies among the others"),
    "load-data": (FATAL, "rows are in files for LOAD DATA, which is not read"),
    # What it belongs to.
    "wrong-database": (FATAL, "it is of another database"),
    "other-schema": (FATAL, "a statement reaches into another schema"),
    "several-databases": (NOTE, "other databases are in it too; they are left out"),
    "duplicate-table": (FATAL, "a table is defined twice"),
    "foreign-key-elsewhere": (ACCEPTABLE, "a foreign key refers to a table of another schema"),
    # What a planted backup could do. None of it is ever sent.
    "client-command": (FATAL, "a command for the client's machine"),
    "behind-rows": (FATAL, "something stands behind the end of rows, on their line"),
    "privilege": (ACCEPTABLE, "a statement about accounts, the server or its files"),
    "unknown-statement": (ACCEPTABLE, "a statement that no dumper writes"),
    "reaches-outside": (ACCEPTABLE, "a table is kept outside the server's data directory or on another server"),
    "names": (FATAL, "a name is no text in any character set in question"),
    # What may have become of the text.
    "bom": (NOTE, "it begins with a byte order mark; left out"),
    "crlf": (NOTE, "its lines end as on Windows; read as if they did not"),
    "charset": (ACCEPTABLE, "dumped in a character set that cannot write all that the tables can hold"),
    "wide-charset": (NOTE, "in its character set characters may end in a backslash; the client has to be told of it"),
    "table-options": (ACCEPTABLE, "tables without engine and character set (--skip-opt); they take the server's own"),
    "binary-text": (NOTE, "some definitions are not UTF-8; they are kept byte for byte"),
    "no-sql-mode": (
        NOTE,
        "routines, triggers and events stand there without their sql_mode, as mydumper 0.10 leaves them",
    ),
    # Replication.
    "gtid-purged": (NOTE, "sets the server's GTID history; not sent"),
    "replication": (NOTE, "sets up replication; not sent"),
}

#: The codes that nobody has to accept.
NOTES: Final = frozenset(code for code, (weight, _) in CODES.items() if weight == NOTE)

#: How many findings of one code are kept one by one.
_EACH: Final = 5
_LENGTH: Final = 200


class Findings:
    """Collects findings; of one code the first few in full, of the others the number."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[str, list[str]] = {}
        self._more: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def add(self, code: str, detail: bytes | str = "") -> None:
        """Note one. `detail` may be hostile: what is kept is safe to show."""
        kept = self._found.setdefault(code, [])
        self._seen[code] = self._seen.get(code, 0) + 1
        text = printable(detail, _LENGTH, one_line=True)
        if text in kept:
            return
        if len(kept) < _EACH:
            kept.append(text)
        else:
            self._more[code] = self._more.get(code, 0) + 1

    def count(self, code: str) -> int:
        """How often a code was noted."""
        return self._seen.get(code, 0)

    def __contains__(self, code: str) -> bool:
        """Whether there is any of that code."""
        return code in self._found

    def found(self) -> tuple[Finding, ...]:
        """All of them, the fatal ones first."""
        order = sorted(self._found, key=lambda code: (CODES[code][0] != FATAL, CODES[code][0] == NOTE))
        return tuple(finding for code in order for finding in self._of(code))

    def _of(self, code: str) -> list[Finding]:
        weight, meaning = CODES[code]
        texts = [f"{meaning}: {detail}" if detail else meaning for detail in self._found[code]]
        if code in self._more:
            texts.append(f"{meaning}: and {self._more[code]} more")
        return [Finding(code, text, weight == FATAL) for text in texts]
