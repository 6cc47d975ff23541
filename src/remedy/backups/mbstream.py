"""The stream that mariadb-backup writes with --stream=mbstream (xbstream): many files, in chunks, in one.

Decides where each chunk begins and ends, that its bytes are those that were written (each carries a CRC-32), that the
chunks of a file follow on one another, that each file is ended, and that no name leads out of the folder into which
mbstream(1) would write. Source: MariaDB, extra/mariabackup/xbstream.h and xbstream_read.cc. Numbers are little-endian:

    "XBSTCK01"  flags: 1 byte  "P"  length of the path: 4  path  length: 8  offset: 8  CRC-32: 4  payload
    "XBSTCK01"  flags: 1 byte  "E"  length of the path: 4  path

Leaves to others: what the files are.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from remedy.backups.ports import Damaged
from remedy.core.text import printable

MAGIC: Final = b"XBSTCK01"

_FIXED: Final = 14
_PAYLOAD: Final = 20
_IGNORABLE: Final = 0x01
#: FN_REFLEN of MariaDB (my_global.h).
_LONGEST_PATH: Final = 512
#: Files that may be under way at once, and in all: mariadb-backup copies a few at a time.
_MOST_OPEN: Final = 4096
_MOST_FILES: Final = 2_000_000


def within(path: str) -> str:
    """The path of a file inside a folder, without a leading "./". Raises Damaged("name") when it leads out of it."""
    short = path.removeprefix("./")
    parts = short.split("/")
    plain = all(part not in {"", ".", ".."} for part in parts) and not any(ord(c) < ord(" ") for c in path)
    if not plain or "\\" in path or len(path.encode("utf-8", "surrogateescape")) >= _LONGEST_PATH:
        raise Damaged(
            "name",
            f"a file in it is called {printable(path, 80, one_line=True)!r}",
            hint="that leads out of the backup's folder: it was not made by mariadb-backup; do not unpack it",
        )
    return short


class Chunks:
    """Reads one stream as it comes. Once `feed` returns, all names in what was fed so far have been found harmless."""

    def __init__(self) -> None:
        """Wait for the first chunk."""
        self.files = 0
        self._held = bytearray()
        self._at = 0
        self._path = ""
        self._left = 0
        self._expected = 0
        self._crc = 0
        self._payload = False
        self._open: dict[str, int] = {}
        self._ended: set[str] = set()

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes | None]]:
        """Take bytes; give (path, bytes of that file) as they come, (path, None) where a file ends.

        Raises Damaged: "corrupt", "name".
        """
        view = memoryview(data)
        start = 0
        while start < len(view):
            if self._payload:
                taken = bytes(view[start : start + self._left])
                start += len(taken)
                self._at += len(taken)
                self._left -= len(taken)
                self._crc = zlib.crc32(taken, self._crc)
                yield self._path, taken
                if not self._left:
                    self._checked()
                continue
            wanted = self._head_size() - len(self._held)
            self._held += view[start : start + wanted]
            self._at += len(view[start : start + wanted])
            start += wanted
            if len(self._held) == self._head_size():
                yield from self._begin()

    def end(self) -> None:
        """The stream has ended. Raises Damaged("truncated") in the middle of a chunk, or when a file has no end."""
        if self._held or self._payload:
            raise Damaged("truncated", f"the stream ends inside a chunk, at byte {self._at}")
        if self._open:
            name = printable(min(self._open), 80, one_line=True)
            raise Damaged("truncated", f"the stream ends before {len(self._open)} files in it do: {name!r}")

    def _head_size(self) -> int:
        """How many bytes the head of the chunk under way has, as far as that is known."""
        if len(self._held) < _FIXED:
            return _FIXED
        length = int.from_bytes(self._held[10:14], "little")
        if self._held[:8] != MAGIC or not 0 < length < _LONGEST_PATH:
            raise Damaged("corrupt", f"no chunk begins at byte {self._at - len(self._held)} of the stream")
        return _FIXED + length + (_PAYLOAD if self._held[9:10] != b"E" else 0)

    def _begin(self) -> Iterator[tuple[str, bytes | None]]:
        """A head is complete."""
        head, length = bytes(self._held), int.from_bytes(self._held[10:14], "little")
        self._held.clear()
        path = within(head[_FIXED : _FIXED + length].decode("utf-8", "surrogateescape"))
        kind, rest = head[9:10], head[_FIXED + length :]
        if kind not in {b"P", b"E"} and not head[8] & _IGNORABLE:
            raise Damaged("corrupt", f"a chunk of a kind that is not known ends at byte {self._at} of the stream")
        if path in self._ended:
            raise Damaged("corrupt", f"{printable(path, 80, one_line=True)!r} goes on after its end")
        if kind == b"E":
            if path not in self._open:  # an empty file
                self.files += 1
            self._open.pop(path, None)
            self._ended.add(path)
            if len(self._ended) > _MOST_FILES:
                raise Damaged("corrupt", f"more than {_MOST_FILES} files in one stream")
            yield path, None
            return
        self._path, self._payload = path, True
        self._left = int.from_bytes(rest[:8], "little")
        offset, self._expected = int.from_bytes(rest[8:16], "little"), int.from_bytes(rest[16:20], "little")
        if path not in self._open:
            self.files += 1
        if offset != self._open.get(path, 0):
            raise Damaged("corrupt", f"a chunk of {printable(path, 80, one_line=True)!r} is missing or there twice")
        self._open[path] = offset + self._left
        if len(self._open) > _MOST_OPEN:
            raise Damaged("corrupt", f"more than {_MOST_OPEN} files of the stream are begun and not ended")
        self._crc = 0
        if not self._left:
            self._checked()

    def _checked(self) -> None:
        """A payload is complete."""
        self._payload = False
        if self._crc != self._expected:
            raise Damaged(
                "corrupt",
                f"{printable(self._path, 80, one_line=True)!r} is not what was written: the checksum of the chunk "
                f"that ends at byte {self._at} of the stream differs",
            )
