r"""The rows of a table as its INSERT statements give them, as one digest.

Decides the form in which row text is hashed, so that the same rows have the same digest however they are grouped into
statements and lines, and whatever list of columns stands before them:

    INSERT INTO `t` VALUES                  INSERT INTO `t` (`a`,`b`) VALUES (1,'x');
    (1,'x'),                                INSERT INTO `t` (`a`,`b`) VALUES (2,NULL);
    (2,NULL);
                both hashed as      (1,'x'),(2,NULL)

mydumper's strings in double quotes are hashed as if they were in single ones: what is escaped inside is the same.
Leaves to others: where a statement ends (`sql`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from remedy.backups.sql import Rows

#: How much of a long statement is rewritten and hashed at once; and from what length on.
_WINDOW: Final = 1 << 20
_SHORT: Final = 4 << 20
#: Stand for escaped backslashes and quotes while quotes are changed: dumpers write NUL as an escape, too.
_PAIR: Final = b"\0\1"
_ESCAPED: Final = b"\0\2"
_BACKSLASH: Final = ord("\\")


class RowDigest:
    """Digest, number and size of the rows of one table.

    `one_line` says that no literal holds a raw newline (`Splitter.recognised`): then all newlines are layout, and
    rows that stand on lines of their own can be counted.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._hash = hashlib.sha256()
        #: Number of rows, -1 when the text does not tell.
        self.count = 0
        #: Bytes of row text, as hashed.
        self.bytes = 0

    def hexdigest(self) -> str:
        """SHA-256 of the row text so far."""
        return self._hash.hexdigest()

    def add(self, rows: Rows, *, one_line: bool, double_quotes: bool = False) -> bool:
        """Take the rows of an INSERT. False when what follows VALUES is not rows in parentheses."""
        text, head, statements = rows.text, rows.text[: rows.head], 1
        if text[rows.head : rows.head + 1] != b"(" or not _closed(text):
            return False
        if rows.many:
            text = text.replace(b";\n" + head, b",")
            statements += (len(rows.text) - len(text)) // (rows.head + 1)
        if self.bytes:
            self._put(b",")
        before = self.bytes
        for part in _parts(text, rows.head, one_line=one_line, double_quotes=double_quotes):
            self._put(part)
        lines = len(text) - rows.head - 2 - (self.bytes - before)
        self.count = _counted(self.count, rows, statements, lines) if one_line and self.count >= 0 else -1
        return True

    def _put(self, part: bytes | memoryview) -> None:
        self._hash.update(part)
        self.bytes += len(part)


def _closed(text: bytes) -> bool:
    end = len(text) - 2
    while text[end - 1 : end].isspace():
        end -= 1
    return text[end - 1 : end] == b")"


def _counted(before: int, rows: Rows, statements: int, lines: int) -> int:
    """The count with the rows of a dumper's INSERT added, which are told apart by lines, never by looking into them."""
    if lines:
        return before + lines + (0 if rows.text.endswith(b"\n;\n") else statements)
    line_each = rows.text[rows.head - 1 : rows.head] == b"\n"
    return before + statements if line_each or b"),(" not in rows.text else -1


def _parts(text: bytes, start: int, *, one_line: bool, double_quotes: bool) -> Iterator[bytes | memoryview]:
    """The row text from `start` to the last semicolon, in its hashed form."""
    stop = len(text) - 2
    if not one_line:
        yield text[start:stop].rstrip().replace(b",\n(", b",(")
    elif double_quotes:
        yield from _single_quoted(text, start, stop)
    elif stop - start < _SHORT:
        flat = text.replace(b"\n", b"")  # without taking it out of `text` first: one copy less
        yield memoryview(flat)[start - text.count(b"\n", 0, start) : -1]
    else:
        for at in range(start, stop, _WINDOW):
            yield text[at : min(stop, at + _WINDOW)].replace(b"\n", b"")


def _single_quoted(text: bytes, at: int, stop: int) -> Iterator[bytes]:
    while at < stop:
        end = min(stop, at + _WINDOW)
        escapes = end
        while escapes > at and text[escapes - 1] == _BACKSLASH:
            escapes -= 1
        if (end - escapes) % 2 and end < stop:
            end += 1  # never between a backslash and what it escapes
        part = text[at:end].replace(b"\n", b"").replace(b"\\\\", _PAIR).replace(b'\\"', _ESCAPED)
        yield part.replace(b'"', b"'").replace(_ESCAPED, b'\\"').replace(_PAIR, b"\\\\")
        at = end
