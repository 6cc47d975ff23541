"""The tables of one backup: what they are defined as, and what was seen of their rows.

Decides what is said of each in the end. Leaves to others: which statements belong to which (`interpreter`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from remedy.backups import charsets
from remedy.backups.definitions import TableText
from remedy.backups.findings import Findings
from remedy.backups.rows import RowDigest
from remedy.backups.sql import Rows
from remedy.backups.values import Table


@dataclass(slots=True)
class _Table:
    text: TableText
    rows: RowDigest = field(default_factory=RowDigest)
    #: Whether the backup has a place for its rows, if only to say that there are none.
    section: bool = False


class Tables:
    """Collects the tables in the order of their definitions. A sequence that mydumper takes for one is none."""

    def __init__(self, findings: Findings) -> None:
        """Begin with none."""
        self._tables: dict[str, _Table] = {}
        self._findings = findings

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tables)

    def __contains__(self, name: str) -> bool:
        """Whether there is one of that name."""
        return name in self._tables

    def __getitem__(self, name: str) -> TableText:
        """The definition of one, without its text."""
        return self._tables[name].text

    def add(self, name: str, text: TableText) -> None:
        """Take the definition of one, and note what is remarkable about it."""
        self._tables[name] = _Table(replace(text, sql=b""))
        for code, said in (
            ("table-options", not text.engine),
            ("reaches-outside", text.outside),
            ("foreign-key-elsewhere", text.elsewhere),
        ):
            if said:
                self._findings.add(code, name)

    def rows(self, name: str, rows: Rows, *, one_line: bool, double_quotes: bool) -> bool:
        """Take rows of one; as `RowDigest.add`."""
        table = self._tables[name]
        table.section = True
        return table.rows.add(rows, one_line=one_line, double_quotes=double_quotes)

    def section(self, name: str) -> None:
        """The backup says that the rows of a table follow, if it has any."""
        if name in self._tables:
            self._tables[name].section = True

    def assume_sections(self) -> None:
        """The backup has no way to say that a table is empty: take those without rows for empty."""
        for table in self._tables.values():
            table.section |= not table.text.rowless

    def rowless(self) -> set[str]:
        """Those whose rows a dumper leaves out on purpose."""
        return {name for name, table in self._own() if table.text.rowless}

    def states(self) -> dict[str, tuple[bool, int]]:
        """Of each: whether its rows are with it, and how many (-1: not known)."""
        return {name: (table.section, table.rows.count) for name, table in self._own()}

    def check_charset(self, client: str) -> None:
        """Note those that can hold what a client of that character set cannot write."""
        for name, table in self._own():
            if not charsets.writes(client, table.text.charsets):
                self._findings.add("charset", f"{client}, {name}")

    def collations(self) -> set[str]:
        """What the definitions name."""
        return {one for _, table in self._own() for one in table.text.collations}

    def described(self) -> tuple[Table, ...]:
        """What is said of each."""
        return tuple(_described(name, table) for name, table in self._own())

    def _own(self) -> Iterator[tuple[str, _Table]]:
        return ((name, table) for name, table in self._tables.items() if not table.text.sequence)


def _described(name: str, table: _Table) -> Table:
    rows, text = table.rows, table.text
    if not table.section:
        return Table(name, text.digest, keyed=text.keyed)
    return Table(name, text.digest, rows.hexdigest(), rows.count, rows.bytes, text.keyed)
