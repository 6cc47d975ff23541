"""The events of a server's binary log, read from its own bytes as they come.

Decides where each event begins and ends, that it is the one that was written (CRC-32, the position it names), and what
those hold that matter for going back to a point in time. The text that mariadb-binlog(1) prints is not read for that:
a statement may hold lines that look like its comments. Sources: MariaDB, Replication Protocol (2-Binlog Event Header
and the pages of each event); log_event.h. Tried on MariaDB 10.11; the events that MySQL alone writes were not.

    fe 62 69 6e                                        at the beginning of a file
    time 4 | kind 1 | server 4 | length 4 | end 4 | flags 2 | body | CRC-32 4       numbers are little-endian
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from remedy.backups.ports import Damaged

MAGIC: Final = b"\xfebin"
#: Bytes of an event that are kept: statements are looked at, not carried out.
KEPT: Final = 64 << 10

QUERY: Final = 2
STOP: Final = 3
ROTATE: Final = 4
FORMAT: Final = 15
XID: Final = 16
TABLE_MAP: Final = 19
INCIDENT: Final = 26
ROWS_QUERY: Final = 29
GTID_OF_MYSQL: Final = frozenset({33, 34})
XA_PREPARE: Final = 38
PAYLOAD: Final = 40
ANNOTATE: Final = 160
GTID: Final = 162
GTID_LIST: Final = 163
ENCRYPTED: Final = 164
QUERY_COMPRESSED: Final = 165
#: LOAD DATA in statement format, in files of its own.
LOAD: Final = frozenset({6, 9, 10, 11, 12, 17, 18})
#: Changed rows, by what was done.
ROWS: Final = {
    **dict.fromkeys((20, 23, 30, 166, 169), "INSERT INTO"),
    **dict.fromkeys((21, 24, 31, 39, 167, 170), "UPDATE"),
    **dict.fromkeys((22, 25, 32, 168, 171), "DELETE FROM"),
}

_HEADER: Final = 19
_CHECKSUM: Final = 4
_LONGEST: Final = 2 << 30
_IN_USE: Final = 0x01
_STANDALONE: Final = 0x01
_POST_QUERY: Final = 13
_VERSION: Final = re.compile(rb"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: `at` and `end` are positions in its file, `body` its first bytes without the checksum.

    `time` is when its statement began, in seconds since 1970 UTC, by the server's clock (or what a session set).
    """

    kind: int
    time: int
    server: int
    at: int
    end: int
    body: bytes


class Log:
    """Reads one file as it comes."""

    def __init__(self) -> None:
        """Wait for its first bytes."""
        self.at = 0
        #: Whether the server that wrote it closed it.
        self.closed = False
        #: Length of the fixed part of each kind of event, as the file says.
        self._fixed: bytes = b""
        self._crc = False
        self._held = bytearray()
        self._head: bytes | None = None
        self._left = 0
        self._sum = 0
        self._tail = b""

    @property
    def cut(self) -> bool:
        """Whether it ends inside an event, so far."""
        return bool(self._held) or self._head is not None or self.at < len(MAGIC)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take bytes, give complete events. Raises Damaged: "corrupt", "encrypted"."""
        view = memoryview(chunk)
        while view:
            if self.at < len(MAGIC):
                view = self._magic(view)
            elif self._head is None:
                view = self._header(view)
            else:
                part = bytes(view[: self._left])
                view = view[len(part) :]
                self._take(part)
                if not self._left:
                    yield from self._event()

    def _magic(self, view: memoryview) -> memoryview:
        missing = len(MAGIC) - len(self._held)
        self._held += view[:missing]
        if len(self._held) == len(MAGIC):
            if self._held != MAGIC:
                raise Damaged("corrupt", "it is no binary log, or it is encrypted", hint="look at its first bytes")
            self.at = len(MAGIC)
            self._held.clear()
        return view[missing:]

    def _header(self, view: memoryview) -> memoryview:
        missing = _HEADER - len(self._held)
        self._held += view[:missing]
        if len(self._held) == _HEADER:
            head = bytes(self._held)
            self._held.clear()
            length = int.from_bytes(head[9:13], "little")
            if not _HEADER <= length <= _LONGEST:
                raise Damaged("corrupt", f"no event begins at position {self.at}")
            self._head, self._left, self._tail = head, length - _HEADER, b""
            flags = head[17] & ~_IN_USE if head[4] == FORMAT else head[17]
            self._sum = zlib.crc32(head[:17] + bytes((flags,)) + head[18:])
            if not self._left:
                raise Damaged("corrupt", f"the event at position {self.at} is empty")
        return view[missing:]

    def _take(self, part: bytes) -> None:
        """Bytes of a body: the last four are kept apart, because they may be the checksum of all before."""
        self._left -= len(part)
        if len(self._held) < KEPT + _CHECKSUM:
            self._held += part[: KEPT + _CHECKSUM - len(self._held)]
        whole = self._tail + part
        self._sum = zlib.crc32(whole[:-_CHECKSUM], self._sum) if len(whole) > _CHECKSUM else self._sum
        self._tail = whole[-_CHECKSUM:]

    def _event(self) -> Iterator[Event]:
        head, body = self._head or b"", bytes(self._held)
        self._held.clear()
        self._head = None
        length = int.from_bytes(head[9:13], "little")
        kind, at = head[4], self.at
        if kind == FORMAT:
            self._format(body)
        if self._crc:
            if int.from_bytes(self._tail, "little") != self._sum:
                raise Damaged("corrupt", f"the event at position {at} is not what was written: its checksum differs")
            body = body[: length - _HEADER - _CHECKSUM]
        self.at = end = at + length
        named = int.from_bytes(head[13:17], "little")
        if named and named != end & 0xFFFFFFFF:
            raise Damaged("corrupt", f"the event at position {at} says that it ends at {named}: it is of another place")
        if kind == ENCRYPTED:
            raise Damaged("encrypted", "its events are encrypted by the server", hint="decrypt it on its server")
        self.closed = kind in {STOP, ROTATE}
        yield Event(kind, int.from_bytes(head[:4], "little"), int.from_bytes(head[5:9], "little"), at, end, body[:KEPT])

    def _format(self, body: bytes) -> None:
        """Format_description: version 2, server 50, created 4, header length 1, fixed lengths, checksum algorithm 1."""
        version = _VERSION.match(body[2:52])
        if version is None:
            raise Damaged("corrupt", "its first event does not say which server wrote it")
        # Since MySQL 5.6.1 and MariaDB 5.3 the last bytes are the algorithm and a checksum.
        new = (int(version[1]), int(version[2])) >= (5, 6) or b"MariaDB" in body[2:52]
        self._crc = new and body[-5:-4] == b"\x01"
        self._fixed = body[57 : -5 if new else None]

    def _fixed_of(self, kind: int, usual: int) -> int:
        return self._fixed[kind - 1] if 0 < kind <= len(self._fixed) else usual

    def query(self, event: Event) -> tuple[str, str]:
        """The default database and the text of a statement (its beginning).

        Raises Damaged when it cannot be read.
        """
        body, fixed = event.body, self._fixed_of(event.kind, _POST_QUERY)
        if len(body) < max(fixed, _POST_QUERY):
            raise Damaged("corrupt", f"the statement at position {event.at} is cut")
        names = fixed + int.from_bytes(body[11:13], "little")
        database = body[names : names + body[8]]
        text = body[names + body[8] + 1 :]
        if event.kind == QUERY_COMPRESSED:
            text = _inflated(text, event.at)
        return database.decode("utf-8", "backslashreplace"), text.decode("utf-8", "backslashreplace")

    def table(self, event: Event) -> tuple[str, str]:
        """Database and name of the table that a Table_map names."""
        body = event.body[self._fixed_of(TABLE_MAP, 8) :]
        database = body[1 : 1 + body[0]] if body else b""
        rest = body[2 + len(database) :]
        name = rest[1 : 1 + rest[0]] if rest else b""
        return database.decode("utf-8", "backslashreplace"), name.decode("utf-8", "backslashreplace")


def gtid(event: Event) -> tuple[tuple[int, int], int, bool]:
    """Domain and server, sequence number, and whether the group is one statement without a commit (MariaDB)."""
    body = event.body
    key = int.from_bytes(body[8:12], "little"), event.server
    return key, int.from_bytes(body[:8], "little"), bool(body[12] & _STANDALONE) if len(body) > 12 else False  # noqa: PLR2004 -- the flags


def gtid_list(event: Event) -> dict[tuple[int, int], int]:
    """What had been logged when the file began: sequence number by domain and server (MariaDB)."""
    body = event.body
    count = min(int.from_bytes(body[:4], "little") & 0x0FFFFFFF, (len(body) - 4) // 16)
    rows = (body[4 + 16 * n : 20 + 16 * n] for n in range(count))
    return {
        (int.from_bytes(row[:4], "little"), int.from_bytes(row[4:8], "little")): int.from_bytes(row[8:], "little")
        for row in rows
    }


def text(event: Event) -> str:
    """The statement that an Annotate_rows or Rows_query event keeps."""
    body = event.body if event.kind == ANNOTATE else event.body[1:]
    return body.decode("utf-8", "backslashreplace")


def _inflated(data: bytes, at: int) -> bytes:
    """The beginning of a compressed text: one byte with the length of the length, the length, zlib."""
    start = 1 + (data[0] & 0x07) if data else 0
    try:
        return zlib.decompressobj().decompress(data[start:], KEPT)
    except zlib.error as error:
        raise Damaged("corrupt", f"the statement at position {at} cannot be decompressed") from error
