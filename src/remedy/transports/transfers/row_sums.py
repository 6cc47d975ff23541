r"""The rows of a table as a sum that depends neither on their order nor on how their values are written.

Decides when two texts of a row are the same row: each value is reduced to what it means, and the SHA-256 of the row is
added up modulo 2^256, without a key: it tells accidents, and nobody chooses what was loaded. A second opinion, asked
when the digest of the text differs: it looks into every value, and costs as much as that. Understood are

    (1,'it''s',NULL,0x00FF)    (1,"it's",NULL,_binary '\0\xFF')

with any list of columns before VALUES, generated ones or not.
Numbers are compared as they are written. Leaves to others: which tables are in doubt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from remedy.backups.formats import Piece
from remedy.backups.ports import Damaged

#: The times of a versioned row are written without quotes (mariadb-dump --dump-history).
_IDENT: Final = rb"(?:`(?:[^`]|``)+`|row_start|row_end)"
_HEAD: Final = re.compile(
    rb"\s*(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s+" + _IDENT + rb"\s*"
    rb"(?:\((?P<columns>(?:\s*" + _IDENT + rb"\s*,?)+)\)\s*)?VALUES",
    re.IGNORECASE,
)
_NAME: Final = re.compile(_IDENT)
_TOKEN: Final = re.compile(
    rb"\s*(?:(?:_binary\s*)?'(?P<one>(?:[^'\\]++|\\.|'')*+)'|(?:_binary\s*)?\"(?P<two>(?:[^\"\\]++|\\.|\"\")*+)\""
    rb"|0x(?P<hex>(?:[0-9A-Fa-f]{2})+)(?![0-9A-Za-z])|(?P<word>[^,();'\"\s]+)|(?P<mark>[,();]))",
    re.DOTALL | re.IGNORECASE,
)
_ESCAPE: Final = re.compile(rb"\\(.)|''|\"\"", re.DOTALL)
#: String literals (MySQL Reference Manual); any other character stands for itself.
_MEANS: Final = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}
_BLANK: Final = re.compile(rb"\s*\Z")
_SETTING: Final = re.compile(rb"\s*SET [^\n]*;\n")
_MODULUS: Final = 1 << 256


@dataclass(slots=True)
class RowSum:
    """The rows so far.

    `columns` are those that all rows of the table have, in order; of them only `stored` ones are compared: some dumpers
    write the values of generated columns too.
    """

    columns: tuple[str, ...]
    stored: frozenset[str]
    sum: int = 0
    count: int = 0

    def add(self, sql: bytes) -> None:
        """Take INSERT statements. Raises Damaged("rows") when they are of a form that is not understood."""
        at = 0
        while setting := _SETTING.match(sql, at):
            at = setting.end()
        while not _BLANK.match(sql, at):
            head = _HEAD.match(sql, at)
            if head is None:
                raise Damaged("rows", "a statement with rows is of a form that is not understood")
            names = head["columns"]
            there = self.columns if names is None else tuple(map(_unquoted, _NAME.findall(names)))
            at = self._rows(sql, head.end(), there)

    def _rows(self, sql: bytes, at: int, there: tuple[str, ...]) -> int:
        """Take the rows of one statement, whose values are those of the columns `there`; where it ends."""
        if missing := self.stored - set(there):
            raise Damaged("rows", f"a statement without the column {min(missing)}")
        order = [there.index(name) for name in self.columns if name in self.stored]
        row: list[bytes] | None = None
        while token := _TOKEN.match(sql, at):
            at = token.end()
            mark = token["mark"]
            if mark is None and row is not None:
                row.append(_value(token))
            elif mark == b"(" and row is None:
                row = []
            elif mark == b")" and row is not None and len(row) == len(there):
                self._add(row[index] for index in order)
                row = None
            elif mark == b";" and row is None:
                return at
            elif mark != b",":
                break
        raise Damaged("rows", "a row is of a form that is not understood")

    def _add(self, values: Iterable[bytes]) -> None:
        row = hashlib.sha256()
        for value in values:
            row.update(b"%d:%s" % (len(value), value))
        self.sum = (self.sum + int.from_bytes(row.digest())) % _MODULUS
        self.count += 1


class RowSums:
    """The sums of some tables of one reading."""

    def __init__(self, tables: Mapping[str, tuple[tuple[str, ...], frozenset[str]]]) -> None:
        """Of these tables; their columns, and those that are stored."""
        self._sums: dict[str, RowSum | None] = {name: RowSum(*columns) for name, columns in tables.items()}

    def take(self, piece: Piece) -> None:
        """Take a piece of the reading."""
        if piece.kind == "rows" and (found := self._sums.get(piece.name)) is not None:
            try:
                found.add(piece.sql)
            except Damaged:
                self._sums[piece.name] = None

    def of(self, name: str) -> RowSum | None:
        """The sum of a table; None when its rows are of a form that is not understood."""
        return self._sums[name]


def _unquoted(ident: bytes) -> str:
    bare = ident[1:-1].replace(b"``", b"`") if ident.startswith(b"`") else ident
    return bare.decode("utf-8", "backslashreplace")


def _value(token: re.Match[bytes]) -> bytes:
    """What a value means: strings and hexadecimal literals their bytes, all else its text."""
    if token["hex"] is not None:
        return b"'" + bytes.fromhex(token["hex"].decode())
    text = token["one"] if token["one"] is not None else token["two"]
    if text is None:
        return bytes(token["word"])
    return b"'" + (_ESCAPE.sub(_meant, text) if b"\\" in text or b"''" in text or b'""' in text else text)


def _meant(escape: re.Match[bytes]) -> bytes:
    if escape[1] is None:
        return escape[0][:1]
    return _MEANS.get(escape[1], escape[1])
