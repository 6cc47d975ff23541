"""The server's character sets: what a client of one can write, and which are awkward to read.

Decides by names alone. Sources: MariaDB and MySQL manuals, "Supported Character Sets"; Unicode repertoires of each.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

#: What the server calls a character set, and what Python calls it. Everything else is read as UTF-8.
CODECS: Final = {
    "latin1": "cp1252",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "gb18030": "gb18030",
    "big5": "big5",
    "sjis": "shift_jis",
    "cp932": "cp932",
}
#: Character sets in which the second byte of a character can be a backslash or a backquote.
WIDE: Final = frozenset(("gbk", "gb18030", "big5", "sjis", "cp932"))

_PLAIN: Final = frozenset(("ascii", "binary"))
_ALL: Final = frozenset(("utf8mb4", "binary"))
#: utf8mb3 lacks what lies outside the Basic Multilingual Plane: emoji, and some characters in Chinese names.
_BASIC: Final = frozenset(("utf8", "utf8mb3"))
_BEYOND_BASIC: Final = frozenset(("utf8mb4", "utf16", "utf16le", "utf32", "gb18030"))


def writes(client: str, kept: AbstractSet[str]) -> bool:
    """Whether a client of character set `client` can write all that columns of the sets `kept` can hold."""
    if client in _ALL:
        return True
    if client in _BASIC:
        return not kept & _BEYOND_BASIC
    return kept <= _PLAIN | {client}
