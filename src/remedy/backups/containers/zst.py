r"""Zstandard: what zstd, zstdmt and pzstd write. Frames one after another, skippable frames among them (RFC 8878).

Frames are walked here, block by block, and decoded by libzstd. A block gives at most 128 KiB, so handing over a few
blocks at a time bounds what comes out at once, which the decoder's own interface does not; and a file that is cut
exactly after a block is seen to be cut.

    28 b5 2f fd  a4 …        a frame; a4 is its descriptor: bit 2 set, a checksum follows the last block
    50 2a 4d 18  04 00 00 00 …   a skippable frame of 4 bytes, as pzstd writes before each frame
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import zstandard

from remedy.backups.ports import Damaged

SUFFIXES: Final = (".zst", ".zstd")
_FRAME: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = tuple(bytes((0x50 + n,)) + b"\x2a\x4d\x18" for n in range(16))
MAGIC: Final = (_FRAME, *_SKIPPABLE)

_WORD: Final = 4
_CHECKSUM_FLAG: Final = 0x04
_DICTIONARY_SIZES: Final = (0, 1, 2, 4)
_CONTENT_SIZES: Final = (0, 2, 4, 8)
#: Blocks handed over at once: at most 1 MiB comes out.
_BLOCKS: Final = 8
#: libzstd's own limit for streams (ZSTD_WINDOWLOG_LIMIT_DEFAULT); `zstd --long` needs as much, `--ultra -22` too.
_WINDOW: Final = 128 << 20
_RLE: Final = 1
_RESERVED: Final = 3


def CHECKED(head: bytes) -> bool:  # noqa: N802 -- the name that every container gives this
    """Whether the first frame's header says that a checksum follows. Leading skippable frames are passed over."""
    at = 0
    while head[at : at + _WORD] in _SKIPPABLE and len(head) >= at + 2 * _WORD:
        at += 2 * _WORD + int.from_bytes(head[at + _WORD : at + 2 * _WORD], "little")
    return head[at : at + _WORD] == _FRAME and len(head) > at + _WORD and bool(head[at + _WORD] & _CHECKSUM_FLAG)


def opened(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes inside all frames, at most 1 MiB at a time. Raises Damaged: "truncated", "corrupt", "trailing"."""
    text = _Bytes(chunks)
    frames = 0
    while text.fill(1):
        magic = text.peek(_WORD) if text.fill(_WORD) else b""
        if magic in _SKIPPABLE:
            text.take(_WORD)
            text.skip(int.from_bytes(text.take(_WORD), "little"))
        elif magic == _FRAME:
            yield from _frame(text, frames + 1)
        else:
            raise Damaged(
                "trailing",
                "something that is not compressed follows the compressed data",
                where=f"after frame {frames}",
                hint="compare the file with another copy",
            )
        frames += 1


def _frame(text: _Bytes, number: int) -> Iterator[bytes]:
    where = f"frame {number}"
    header, checksum = _header(text, where)
    decoder = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj(write_size=_BLOCKS << 17)
    try:
        decoder.decompress(header)
        last = False
        while not last:
            size, last = _blocks(text, where)
            out = decoder.decompress(text.take(size + (_WORD if last and checksum else 0)))
            if out:
                yield out
    except zstandard.ZstdError as error:
        raise Damaged("corrupt", f"does not decompress: {error}", where=where) from error
    if not decoder.eof:
        raise Damaged("corrupt", "does not decompress: its frame has not ended after its last block", where=where)


def _header(text: _Bytes, where: str) -> tuple[bytes, bool]:
    """The frame's header (RFC 8878, 3.1.1.1) and whether a checksum follows its blocks."""
    flags = text.peek(_WORD + 1)[_WORD]
    single = bool(flags & 0x20)
    content = _CONTENT_SIZES[flags >> 6] or int(single)
    header = text.take(_WORD + 1 + (0 if single else 1) + _DICTIONARY_SIZES[flags & 3] + content)
    if single:
        window = int.from_bytes(header[-content:], "little")
    else:
        exponent, mantissa = divmod(header[_WORD + 1], 8)
        window = (1 << (10 + exponent)) // 8 * (8 + mantissa)
    if window > _WINDOW:
        raise Damaged(
            "memory",
            f"needs {window >> 20} MiB of memory to decompress, more than {_WINDOW >> 20}",
            where=where,
            hint="compress it again without --long=28 or more",
        )
    return header, bool(flags & _CHECKSUM_FLAG)


def _blocks(text: _Bytes, where: str) -> tuple[int, bool]:
    """How many bytes the next whole blocks at hand take, at least one, and whether the last of the frame is there."""
    size = 0
    for count in range(_BLOCKS):
        if count and not text.holds(size + 3):
            break
        head = int.from_bytes(text.peek(size + 3)[size:], "little")
        last, kind, length = head & 1, head >> 1 & 3, head >> 3
        if kind == _RESERVED:
            raise Damaged("corrupt", "does not decompress: a block of a reserved kind", where=where)
        whole = size + 3 + (1 if kind == _RLE else length)
        if count and not text.holds(whole):
            break
        text.peek(whole)
        size = whole
        if last:
            return size, True
    return size, False


class _Bytes:
    """A stream of bytes from which given numbers are taken. Raises Damaged("truncated") when they do not come."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0

    def holds(self, size: int) -> bool:
        """Whether so much is at hand."""
        return len(self._data) - self._at >= size

    def fill(self, size: int) -> bool:
        """Fetch until so much is at hand; False when the stream ends before."""
        if self.holds(size):
            return True
        parts = [self._data[self._at :]]
        have = len(parts[0])
        while have < size and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        self._data, self._at = b"".join(parts), 0
        return have >= size

    def peek(self, size: int) -> bytes:
        """The next so many bytes, which stay."""
        if not self.fill(size):
            raise Damaged("truncated", "the compressed data ends inside a frame", hint="take another copy of it")
        return self._data[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """The next so many bytes."""
        data = self.peek(size)
        self._at += size
        return data

    def skip(self, size: int) -> None:
        """Pass over so many bytes."""
        while size:
            part = min(size, 1 << 16)
            self.take(part)
            size -= part
