"""The ways in which a dump may have written the rows of a table: the same rows are different text in each.

Decides which ways there are (binary columns in hexadecimal or not; system-versioned tables with their history or
without), which one is tried next for tables whose text was another one so far, and which columns count when rows are
compared by value. Leaves to others: the dumps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

#: The first is what `remedy backup take` does. Each bit of a way's number is one of what can differ.
_PLAIN: Final = 1
_HISTORY: Final = 2
WAYS: Final = (
    ("--hex-blob",),
    (),
    ("--hex-blob", "--dump-history"),
    ("--dump-history",),
)
#: The tables of a schema, those with columns whose text --hex-blob changes, and those with a history.
THERE: Final = """
SELECT 'table', table_name FROM information_schema.tables WHERE table_schema = DATABASE()
 AND table_type NOT IN ('VIEW', 'SEQUENCE');
SELECT 'versioned', table_name FROM information_schema.tables WHERE table_schema = DATABASE()
 AND table_type = 'SYSTEM VERSIONED';
SELECT DISTINCT 'binary', table_name FROM information_schema.columns WHERE table_schema = DATABASE()
 AND data_type IN ('binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob', 'bit', 'geometry', 'point',
 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon', 'geometrycollection')"""

#: "VIRTUAL GENERATED", "STORED GENERATED"; "DEFAULT_GENERATED" (MySQL) is no such thing, and is taken out. The times
#: of a versioned row are generated too, but for one that is loaded with its history.
COLUMNS: Final = """
SELECT table_name, column_name, IF(generation_expression IN ('ROW START', 'ROW END'), 'TIME',
 REPLACE(extra, 'DEFAULT_GENERATED', '')) FROM information_schema.columns
 WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"""
#: What they are called in a table that does not name them (MariaDB manual, System-Versioned Tables).
_TIMES: Final = ("row_start", "row_end")


def with_history(way: int) -> bool:
    """Whether a dump of this way has the history of its tables."""
    return bool(way & _HISTORY)


class Ways:
    """Which of `WAYS` make a difference for which table. `first` is tried first: the one that was right last."""

    def __init__(self, rows: Iterable[tuple[str, ...]]) -> None:
        """By what `THERE` is answered."""
        kinds: dict[str, set[str]] = {"table": set(), "versioned": set(), "binary": set()}
        for kind, name in rows:
            kinds[kind].add(name)
        self.tables = frozenset(kinds["table"])
        self._differ = {_PLAIN: kinds["binary"], _HISTORY: kinds["versioned"]}
        self.first = 0

    def telling(self, names: Iterable[str]) -> tuple[frozenset[str], ...]:
        """Of these tables, those that show one of what can differ, for each of it."""
        known = frozenset(names)
        return tuple(known & differ for differ in self._differ.values())

    def next(self, names: Iterable[str], tried: Iterable[int] = ()) -> int | None:
        """The way closest to `first` in which the text of one of these tables was not tried yet, None for none."""
        tables, before = tuple(names), tuple(tried)
        for way in sorted(range(len(WAYS)), key=lambda way: (way ^ self.first).bit_count()):
            if any(self._text(name, way) not in {self._text(name, one) for one in before} for name in tables):
                return way
        return None

    def _text(self, name: str, way: int) -> int:
        """A way without what makes no difference for a table."""
        return sum(bit for bit, names in self._differ.items() if way & bit and name in names)


def columns_of(
    rows: Iterable[tuple[str, ...]], tables: Mapping[str, bool]
) -> dict[str, tuple[tuple[str, ...], frozenset[str]]]:
    """The columns of tables, and those that are compared: stored, not computed. `rows` is what `COLUMNS` is answered.

    `tables` says of each whether it is compared with its history, whose times are then values like others.
    """
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in tables}
    for table, column, extra in rows:
        if table in found:
            found[table].append((column, extra.upper()))
    for table, columns in found.items():
        if tables[table] and not any(extra == "TIME" for _, extra in columns):
            columns += [(name, "TIME") for name in _TIMES]
    return {
        table: (tuple(name for name, _ in columns), _stored(columns, history=tables[table]))
        for table, columns in found.items()
    }


def _stored(columns: Iterable[tuple[str, str]], *, history: bool) -> frozenset[str]:
    return frozenset(name for name, extra in columns if (history if extra == "TIME" else "GENERATED" not in extra))
