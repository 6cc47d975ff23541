r"""SQL text in bytes, split into statements as the `mariadb` client splits it.

Decides where a statement ends: strings, quoted names, the three kinds of comments, `/*! … */` (which is text, not a
comment) and DELIMITER lines. Two things are done on top:

- The rows of an INSERT are found by their end alone once `recognised` is set: mysqldump, mariadb-dump and mydumper
  never write a newline inside a literal, so the first ``;\n`` ends the statement. That is what makes reading as fast
  as decompressing. Statements one row long are taken together.
- Commands of the client (`\!`, `source` …) are reported, not obeyed.

Chunks of any size give the same statements; nothing is searched twice, and no more than one statement is kept.
Leaves to others: the patterns (`lexis`), and what a statement means.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from remedy.backups import lexis
from remedy.backups.lexis import (
    AHEAD,
    DELIMITER,
    INSERT,
    LINE_OR_CLOSE,
    OPEN_OR_CLOSE,
    OPENING,
    SPACE,
    body,
    code,
)
from remedy.backups.ports import Damaged

#: The longest INSERT taken, more than the server's largest max_allowed_packet (1 GiB); and any other statement.
ROWS_LIMIT: Final = 1181116006
LIMIT: Final = 64 << 20
#: Above this, a statement is kept in one buffer.
_LONG: Final = 8 << 20
#: How much of a comment is kept.
COMMENT_LIMIT: Final = 1 << 16
#: An INSERT's head longer than this is read like any other statement.
_HEAD_LIMIT: Final = 1 << 16
#: Below this, an INSERT is taken to be one of many of its kind.
_SMALL: Final = 1 << 14

_START, _CODE, _STRING, _LINE, _BLOCK, _ROWS = range(6)
_INSIDE: Final = {_CODE: "statement", _STRING: "string", _LINE: "comment", _BLOCK: "comment", _ROWS: "rows"}
_QUOTES: Final = b"'\"`"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement without its delimiter, and that delimiter."""

    text: bytes
    delimiter: bytes


@dataclass(frozen=True, slots=True)
class Rows:
    r"""An INSERT whose head has `head` bytes; with `many`, several that have the same head. Ends with ``;\n``.

    `behind` is what a line holds behind the end of its rows: no dumper writes anything there.
    """

    text: bytes
    table: bytes
    head: int
    many: bool = False
    behind: bytes = b""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment between statements, with its newline when it had one. Long ones are cut."""

    text: bytes


@dataclass(frozen=True, slots=True)
class ClientCommand:
    """A command for the client itself, in or between statements."""

    text: bytes


Token = Statement | Rows | Comment | ClientCommand


class Splitter:
    """Splits one stream. `feed` and `end` give tokens; between two of them the attributes may be changed."""

    def __init__(self) -> None:
        """Begin, with the client's own settings."""
        #: Whether the text is that of a dumper which writes no newline inside a literal.
        self.recognised = False
        #: Whether a backslash escapes inside strings (not under sql_mode NO_BACKSLASH_ESCAPES).
        self.escapes = True
        #: Whether characters may end in a byte that looks like a backslash or a backquote (`names.WIDE`).
        self.wide = False
        self.delimiter = b";"
        #: No statement so far was longer, in bytes. Of short ones taken together it is the sum.
        self.longest = 0
        self._state = _START
        self._carry = b""
        self._parts: list[bytes] = []
        self._size = 0
        self._long: io.BytesIO | None = None
        self._limit = LIMIT
        self._quote = b""
        self._head = 0
        self._table = b""
        self._doubt = False
        self._command = False
        self._inside = False
        self._server = False
        self._last = b"\n"
        self._final = False
        self._added = False

    def feed(self, chunk: bytes) -> Iterator[Token]:
        """Take bytes, give what is complete. Raises Damaged("too-big") for a statement that no server takes."""
        if not chunk:
            return
        self._last = chunk[-1:]
        data = self._carry + chunk if self._carry else chunk
        self._carry = b""
        at, size = 0, len(data)
        while at < size:
            at, token = self._STEPS[self._state](self, data, at)
            if token is not None:
                yield token

    def end(self) -> Iterator[Token]:
        """The stream has ended: give what its last line completes. `unfinished` says what is left open."""
        self._final = True
        self._added = self._last != b"\n"
        held, self._carry = self._carry, b""
        yield from self.feed(held + b"\n" if self._added else held)

    @property
    def unfinished(self) -> str:
        """What is open: "rows", "string", "comment", "statement", "delimiter"; "" between statements."""
        if self._state != _START:
            return _INSIDE[self._state]
        return "" if self.delimiter == b";" else "delimiter"

    def _wait(self, data: bytes, at: int) -> tuple[int, None]:
        self._carry = data[at:]
        return len(data), None

    def _keep(self, part: bytes) -> None:
        """Keep a part of a statement. Joining parts is quickest; one long buffer, given away whole, needs no copy."""
        self._size += len(part)
        if self._size > self._limit:
            raise Damaged(
                "too-big",
                f"a statement is longer than {self._limit >> 20} MiB",
                hint="no server takes such a statement",
            )
        if self._long is not None:
            self._long.write(part)
            return
        self._parts.append(part)
        if self._size > _LONG:
            self._long = io.BytesIO()
            self._long.writelines(self._parts)
            self._parts = []

    def _done(self) -> bytes:
        """The statement kept so far."""
        text = b"".join(self._parts) if self._long is None else self._long.getvalue()
        self._parts, self._long, self._size, self._server = [], None, 0, False
        self._state, self._limit = _START, LIMIT
        return text

    def _start(self, data: bytes, at: int) -> tuple[int, Token | None]:
        """Between statements."""
        match = SPACE.match(data, at)
        at = match.end() if match else at
        if at == len(data):
            return at, None
        if len(data) - at < AHEAD and not self._final:
            return self._wait(data, at)
        if data.startswith(self.delimiter, at):
            return at + len(self.delimiter), Statement(b"", self.delimiter)
        opening = OPENING.match(data, at)
        if opening is None:
            self._state = _CODE
            return at, None
        return self._OPENED[opening.lastgroup or ""](self, data, at)

    def _comment(self, data: bytes, at: int) -> tuple[int, None]:  # noqa: ARG002 -- the form of what opens
        self._state, self._inside, self._command = _LINE, False, False
        return at, None

    def _command_line(self, data: bytes, at: int) -> tuple[int, None]:  # noqa: ARG002 -- the form of what opens
        self._state, self._inside, self._command = _LINE, False, True
        return at, None

    def _sandbox(self, data: bytes, at: int) -> tuple[int, None]:
        return data.index(b"*/", at) + 2, None

    def _comment_block(self, data: bytes, at: int) -> tuple[int, None]:
        self._state, self._inside = _BLOCK, False
        self._keep(data[at : at + 2])
        return at + 2, None

    def _delimiter(self, data: bytes, at: int) -> tuple[int, None]:
        match = DELIMITER.match(data, at)
        if match is None and len(data) - at < COMMENT_LIMIT and not self._final:
            return self._wait(data, at)
        words = (match[1] or b"").split() if match else []
        if match is None or not words or b"\\" in words[0]:
            return self._command_line(data, at)
        self.delimiter = words[0]
        return match.end(), None

    def _insert(self, data: bytes, at: int) -> tuple[int, Token | None]:
        head = INSERT.match(data, at, at + _HEAD_LIMIT)
        if head is not None:
            return self._rows(data, at, head)
        if len(data) - at < _HEAD_LIMIT and not self._final:
            return self._wait(data, at)
        self._state = _CODE
        return at, None

    def _rows(self, data: bytes, at: int, head: re.Match[bytes]) -> tuple[int, Token | None]:
        self._table, self._head, self._limit = head[1], head.end() - at, ROWS_LIMIT
        if not self.recognised or self.delimiter != b";":
            self._state = _CODE
            self._keep(head[0])
            return head.end(), None
        end, self._doubt = lexis.rows_end(data, head.end())
        if end < 0:
            self._state = _ROWS
            return self._later(data, at)
        many = end - at < _SMALL and data.startswith(head[0], end)
        if many:
            end, self._doubt = lexis.run_end(data, at, end, head[0])
        self.longest = max(self.longest, end - at)
        self._limit = LIMIT
        return end, self._found(data[at:end], many=many)

    def _found(self, text: bytes, *, many: bool = False) -> Rows:
        # Binary data among characters that end in a backslash is not told apart well enough.
        looked = self._doubt and not self.wide
        behind = lexis.behind(text, self._head, escapes=self.escapes) if looked else b""
        return Rows(text, self._table, self._head, many, behind)

    def _later(self, data: bytes, at: int) -> tuple[int, None]:
        """The INSERT goes on in the next chunk."""
        stop = len(data) - (data.endswith(b";") and not self._final)
        self._keep(data[at:stop])
        return self._wait(data, stop)

    def _spanning(self, data: bytes, at: int) -> tuple[int, Token | None]:
        """Inside an INSERT, its head read."""
        end, doubt = lexis.rows_end(data, at)
        self._doubt |= doubt
        if end < 0:
            return self._later(data, at)
        self._keep(data[at:end])
        text = self._done()
        self.longest = max(self.longest, len(text))
        return end, self._found(text)

    def _code(self, data: bytes, at: int) -> tuple[int, Token | None]:  # noqa: PLR0911 -- one per thing to be met
        """Inside a statement, outside its strings and comments."""
        match = code(self.delimiter, self.escapes, self.wide).match(data, at)
        stop = match.end() if match else at
        self._keep(data[at:stop])
        if self._server and LINE_OR_CLOSE.search(data, at, stop):
            self._server = False
        if stop == len(data):
            return stop, None
        first, left = data[stop : stop + 1], len(data) - stop
        if data.startswith(self.delimiter, stop):
            return stop + len(self.delimiter), self._complete()
        if left < max(4, len(self.delimiter)) and first not in _QUOTES and not self._final:
            return self._wait(data, stop)
        if first in _QUOTES:
            self._state, self._quote = _STRING, first
        elif first == b"#" or (
            first == b"-" and data[stop + 1 : stop + 2] == b"-" and data[stop + 2 : stop + 3] <= b" "
        ):
            self._state, self._inside = _LINE, True
            return stop, None
        elif first == b"/" and data[stop + 1 : stop + 2] == b"*":
            self._server |= data[stop + 2 : stop + 3] == b"!"
            if data[stop + 2 : stop + 3] != b"!" and data[stop + 2 : stop + 4] != b"M!":
                self._state, self._inside = _BLOCK, True
            self._keep(data[stop : stop + 2])
            return stop + 2, None
        elif first == b"\\":
            self._keep(data[stop : stop + 2])
            known = data[stop + 1 : stop + 2] == b"N"  # NULL in old dumps
            return min(stop + 2, len(data)), None if known else ClientCommand(data[stop : stop + 2])
        self._keep(first)
        return stop + 1, None

    def _complete(self) -> Token:
        rows = self._limit == ROWS_LIMIT
        text = self._done()
        self.longest = max(self.longest, len(text))
        if rows:
            return Rows(text + b";\n", self._table, self._head)
        return Statement(text, self.delimiter)

    def _string(self, data: bytes, at: int) -> tuple[int, Token | None]:
        match = body(self._quote, self.escapes, self.wide).match(data, at)
        stop = match.end() if match else at
        if stop == len(data):
            self._keep(data[at:stop])
            return stop, None
        if data.startswith(self._quote, stop):
            self._state = _CODE
        elif not self._final:  # half of an escape, or of a character
            self._keep(data[at:stop])
            return self._wait(data, stop)
        self._keep(data[at : stop + 1])
        return stop + 1, None

    def _line(self, data: bytes, at: int) -> tuple[int, Token | None]:
        """Inside a comment to the end of the line, or a client's command."""
        stop = data.find(b"\n", at) + 1
        part = data[at : stop or len(data)]
        if self._inside:
            self._keep(part)
        else:
            self._keep(part[: COMMENT_LIMIT - self._size])
        if not stop:
            return len(data), None
        if self._inside:
            self._state = _CODE
            return stop, None
        text = self._done()
        if self._added and stop == len(data):
            text = text[:-1]  # the newline is not the file's
        return stop, ClientCommand(text) if self._command else Comment(text)

    def _block(self, data: bytes, at: int) -> tuple[int, Token | None]:
        """Inside a comment between slash-star and star-slash.

        The client loses count when one that begins with slash-star-exclamation mark opens within another on one line:
        the next star-slash then ends the inner one. So it is done here.
        """
        end, closed = at, False
        while not closed and (mark := (LINE_OR_CLOSE if self._server else OPEN_OR_CLOSE).search(data, end)):
            end = mark.end()
            closed = mark[0] == b"*/" and not self._server
            self._server = mark[0] == b"/*!" or (self._server and mark[0] == b"/*")
        if not closed:
            held = 0 if self._final else 2 if data.endswith(b"/*") else int(data.endswith((b"*", b"/")))
            end = max(end, len(data) - held)
        self._keep(data[at:end] if self._inside else data[at:end][: COMMENT_LIMIT - self._size])
        if not closed:
            return self._wait(data, end)
        if self._inside:
            self._state = _CODE
            return end, None
        return end, Comment(self._done())

    _STEPS: Final[tuple[Callable[[Splitter, bytes, int], tuple[int, Token | None]], ...]] = (
        _start,
        _code,
        _string,
        _line,
        _block,
        _spanning,
    )
    _OPENED: Final[dict[str, Callable[[Splitter, bytes, int], tuple[int, Token | None]]]] = {
        "comment": _comment,
        "command": _command_line,
        "sandbox": _sandbox,
        "block": _comment_block,
        "delimiter": _delimiter,
        "insert": _insert,
    }
