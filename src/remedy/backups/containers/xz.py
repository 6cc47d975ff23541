"""xz: what xz and pixz write. One or more streams, padded with NULs to multiples of four (The .xz File Format, 2.2).

The header says which check follows every block: none, CRC-32, CRC-64 or SHA-256.

    fd 37 7a 58 5a 00  00 04  …
                       ── ──  the second of these bytes: 0 none, 1 CRC-32, 4 CRC-64, a SHA-256
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator
from typing import Final

from remedy.backups import members

SUFFIXES: Final = (".xz",)
MAGIC: Final = b"\xfd7zXZ\0"

#: `xz -9` needs 65 MiB. More is refused by the decoder rather than given to a file that asks for 4 GiB.
_MEMORY: Final = 100 << 20
_CHECK_AT: Final = 7


def CHECKED(head: bytes) -> bool:  # noqa: N802 -- the name that every container gives this
    """Whether the first stream's header names a check."""
    return len(head) > _CHECK_AT and head[_CHECK_AT] & 0x0F != lzma.CHECK_NONE


def opened(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes inside. Raises Damaged: "truncated", "corrupt", "trailing"."""
    return members.decoded(chunks, _begin, MAGIC, lzma.LZMAError, padding=4)


def _begin() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
