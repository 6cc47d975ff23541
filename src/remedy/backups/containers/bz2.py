"""bzip2: what bzip2, lbzip2 and pbzip2 write. One or more streams, each block with a CRC-32 and each stream with one.

42 5a 68 39  31 41 59 26 53 59 …
"""

from __future__ import annotations

import bz2
from collections.abc import Iterable, Iterator
from typing import Final

from remedy.backups import members

SUFFIXES: Final = (".bz2",)
MAGIC: Final = b"BZh"


def CHECKED(head: bytes) -> bool:  # noqa: ARG001, N802 -- the name that every container gives this
    """Always: every block and every stream carries a CRC-32."""
    return True


def opened(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes inside. Raises Damaged: "truncated", "corrupt", "trailing"."""
    return members.decoded(chunks, bz2.BZ2Decompressor, MAGIC, OSError)
