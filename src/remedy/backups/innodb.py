"""InnoDB's data files: whether every page is the one that was written, and whether any is missing at the end.

Decides what innochecksum(1) decides, on a stream and without a server, and what it leaves out: that the file has as
many pages as its first page says, and that each page is where it belongs. Sources: MariaDB, storage/innobase
(fil0fil.h, fsp0types.h, buf0buf.cc, page0zip.cc), each form tried on files of MariaDB 10.11.

=====================  ==================================================================================
tablespace             checksum of a page of n bytes, numbers big-endian
=====================  ==================================================================================
full_crc32 (10.5 on)   CRC-32C of bytes 0 to n-4, in the last 4; of a compressed page, n is in its type
crc32                  CRC-32C of 4 to 26 xor that of 38 to n-8, at 0 and again at n-8
ROW_FORMAT=COMPRESSED  CRC-32C of 4 to 16 xor that of 24 to 26 xor that of 34 to n, at 0
=====================  ==================================================================================

What has another checksum (innodb, none; page compression or encryption before full_crc32) is left unchecked.
Leaves to others: which files there should be (`formats.physical`); what is in the pages (CHECK TABLE on a server).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

_POLYNOMIAL: Final = 0x82F63B78
#: Multiples of the polynomial (0x1EDC6F41, RFC 3720 appendix B.4) that have few terms: degree, exponents, and 1.
_SPARSE: Final = ((5685, (1362, 426)), (563, (109, 58, 53, 31)), (180, (60, 59, 46, 38, 36, 4)))
#: Squared, a polynomial over GF(2) has the same terms at twice the exponents, so each serves any length.
_LADDER: Final = sorted(
    ((degree << k, tuple(e << k for e in exponents)) for degree, exponents in _SPARSE for k in range(8)), reverse=True
)
_ALL_ONES: Final = 0xFFFFFFFF

_PAGE: Final = 16384
_LARGEST: Final = 65536
_FLAGS_AT: Final = 54
_HEAD: Final = 58
_FULL_CRC32: Final = 0x10
_SMALLEST_SSIZE: Final = 3
_LARGEST_SSIZE: Final = 7
_LARGEST_ZIP: Final = 5
_COMPRESSED_PAGE: Final = 0x8000
#: Page types before full_crc32 whose bytes are compressed or encrypted (fil0fil.h): nothing here can check them.
_OPAQUE: Final = frozenset({34354, 37401})
_NO_CHECKSUM: Final = 0xDEADBEEF
_ZEROES: Final = bytes(_LARGEST)
_MOST_NAMED: Final = 5


def _table() -> tuple[int, ...]:
    made = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        made.append(value)
    return tuple(made)


_TABLE: Final = _table()


@functools.cache
def _passes(bits: int) -> tuple[tuple[tuple[int, int, tuple[int, ...]], ...], int]:
    """How so many bits are reduced: (bits cleared, their mask, shifts) in order; then so many single bytes."""
    left = bits + 32
    made = []
    for degree, exponents in _LADDER:
        gap = degree - exponents[0]
        while left - degree >= max(gap // 2, 8):
            cleared = min(gap, left - degree) & ~7
            made.append((cleared, (1 << cleared) - 1, tuple(degree - e - cleared for e in (*exponents, 0))))
            left -= cleared
    return tuple(made), (left - 32) // 8


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C (Castagnoli) of some bytes.

    The remainder of a long polynomial is that of a shorter one, after a multiple of the divisor has been subtracted.
    With a multiple of three other terms that takes three shifts of one long integer, not a step for each byte: about
    400 MB a second.
    """
    value = int.from_bytes(data, "little") ^ _ALL_ONES
    passes, rest = _passes(8 * len(data))
    for cleared, mask, shifts in passes:
        low = value & mask
        value >>= cleared
        for shift in shifts:
            value ^= low << shift
    for _ in range(rest):
        value = (value >> 8) ^ _TABLE[value & 0xFF]
    return value ^ _ALL_ONES


@dataclass(frozen=True, slots=True)
class Layout:
    """What the flags in the first page say: the bytes of a page as stored, and how it is checked."""

    page: int = _PAGE
    full: bool = True
    zipped: bool = False


def layout(flags: int) -> Layout | None:
    """Read FSP_SPACE_FLAGS; None when no tablespace has such flags."""
    full = bool(flags & _FULL_CRC32)
    size = flags & 15 if full else (flags >> 6) & 15
    zip_size = 0 if full else (flags >> 1) & 15
    if size and not _SMALLEST_SSIZE <= size <= _LARGEST_SSIZE:
        return None
    if zip_size > _LARGEST_ZIP:
        return None
    page = 512 << size if size else _PAGE
    return Layout(512 << zip_size, full, zipped=True) if zip_size else Layout(page, full)


@dataclass(frozen=True, slots=True)
class Tablespace:
    """What became of reading one data file.

    `bytes` were read, `promised` is how many its first page says it has (0: it is empty, not written yet). `damaged`
    are the first pages that are wrong, of `wrong` in all.
    """

    bytes: int
    promised: int
    wrong: int
    damaged: tuple[int, ...]
    torn: bool
    strange: bool

    @property
    def truncated(self) -> bool:
        """Whether pages are missing at the end."""
        return self.bytes < self.promised


class Reader:
    """Reads one data file as it comes, in chunks of any length.

    With `first` False it is a further file of the system tablespace, without a header: `known` is then the layout of
    the first one. Without `checksums` only the length is looked at.
    """

    def __init__(self, *, first: bool = True, known: Layout | None = None, checksums: bool = True) -> None:
        """Wait for the first page."""
        self._checksums = checksums
        self.layout = known if not first else None
        self._first = first
        self._rest = b""
        self._page = 0
        self._bytes = 0
        self._promised = 0
        self._space: bytes = b""
        self._wrong = 0
        self._damaged: list[int] = []
        self._strange = False

    def feed(self, chunk: bytes) -> None:
        """Take bytes; nothing of them is kept but the beginning of a page."""
        self._bytes += len(chunk)
        if self._strange:
            return
        data = self._rest + chunk if self._rest else chunk
        if self.layout is None:
            if len(data) < _HEAD:
                self._rest = data
                return
            self._begin(data)
            if self.layout is None:
                return
        size = self.layout.page
        whole = len(data) - len(data) % size
        view = memoryview(data)
        for start in range(0, whole if self._checksums else 0, size):
            self._take(view[start : start + size])
        self._rest = data[whole:]

    def _begin(self, data: bytes) -> None:
        made = layout(int.from_bytes(data[_FLAGS_AT:_HEAD], "big"))
        self.layout = made
        self._strange = made is None
        self._promised = int.from_bytes(data[46:50], "big") * made.page if made else 0
        self._space = data[34:38]

    def _take(self, page: memoryview) -> None:
        number, self._page = self._page, self._page + 1
        if page == _ZEROES[: len(page)]:
            return
        good = _checked(page, self.layout or Layout())
        if good is None:
            return
        if good:
            good = self._belongs(page, number)
        if not good:
            self._wrong += 1
            if len(self._damaged) < _MOST_NAMED:
                self._damaged.append(number)

    def _belongs(self, page: memoryview, number: int) -> bool:
        """Whether a page is of this place and this tablespace. The system tablespace keeps copies of others' pages."""
        if not self._first or self._space == b"\0\0\0\0":
            return True
        compressed = page[24] & 0x80 and self.layout and self.layout.full
        return int.from_bytes(page[4:8], "big") == number and bool(compressed or page[34:38] == self._space)

    def end(self) -> Tablespace:
        """The file has ended."""
        return Tablespace(
            self._bytes,
            self._promised,
            self._wrong,
            tuple(self._damaged),
            torn=bool(self._rest),
            strange=self._strange,
        )


def _checked(page: memoryview, made: Layout) -> bool | None:
    """Whether a page's checksum is right; None when it has one that is not known here."""
    kind = int.from_bytes(page[24:26], "big")
    if made.full:
        size = (kind & 0xFF) << 8 if kind & _COMPRESSED_PAGE else len(page)
        if not _HEAD < size <= len(page):
            return False
        return crc32c(page[: size - 4]) == int.from_bytes(page[size - 4 : size], "big")
    stored = int.from_bytes(page[:4], "big")
    if made.zipped:
        return stored == crc32c(page[4:16]) ^ crc32c(page[24:26]) ^ crc32c(page[34:])
    again = int.from_bytes(page[-8:-4], "big")
    key, number = int.from_bytes(page[26:30], "big"), int.from_bytes(page[4:8], "big")
    if kind in _OPAQUE or (key and number):
        return None
    if stored == crc32c(page[4:26]) ^ crc32c(page[38:-8]):
        return stored == again
    # The algorithms "innodb" and "none" of old servers; a page of crc32 has the same number at both ends.
    return None if stored != again or stored == _NO_CHECKSUM else False
