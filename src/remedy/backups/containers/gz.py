r"""gzip: what gzip, pigz and bgzip write. One or more members, each with a CRC-32 and a length (RFC 1952).

1f 8b 08 00  00 00 00 00  00 03 …   deflated data …   CRC-32   length
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from remedy.backups import members

SUFFIXES: Final = (".gz",)
MAGIC: Final = b"\x1f\x8b"

#: `wbits` for a gzip header and trailer around windows of up to 32 KiB (zlib manual, inflateInit2).
_GZIP: Final = 31


class _Member:
    """One member, with the interface of the other decoders of the standard library."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        held = self._inflate.unconsumed_tail
        return self._inflate.decompress(held + data if held else data, max(max_length, 0))


def CHECKED(head: bytes) -> bool:  # noqa: ARG001, N802 -- the name that every container gives this
    """Always: every member carries a CRC-32."""
    return True


def opened(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes inside. Raises Damaged: "truncated", "corrupt", "trailing"."""
    return members.decoded(chunks, _Member, MAGIC, zlib.error)
