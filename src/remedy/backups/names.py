r"""Identifiers in SQL text: how they are written, and which text they stand for.

`orders`   `we``ird`   "pk" (sql_mode ANSI_QUOTES)   orders (mysqldump --skip-quote-names)   `web`.`orders`
"""

from __future__ import annotations

import re
from typing import Final

from remedy.backups.charsets import CODECS

#: One identifier, quoted or not, as a pattern without groups.
IDENT: Final = rb'(?:`(?:[^`]|``)++`|"(?:[^"]|"")++"|[\w$\x80-\xff]++)'
#: An identifier that may be qualified: `table` or `schema`.`table`.
QUALIFIED: Final = IDENT + rb"(?:\s*\.\s*" + IDENT + rb")?"
#: user@host, each quoted in any way, or a role or CURRENT_USER().
ACCOUNT: Final = rb"(?:" + IDENT + rb"|'(?:[^']|'')*+')(?:@(?:" + IDENT + rb"|'(?:[^']|'')*+'))?(?:\(\))?"

_PARTS: Final = re.compile(rb"\s*(" + IDENT + rb")\s*(?:\.|\Z)")


def unquoted(ident: bytes) -> bytes:
    """The name that one identifier stands for."""
    quote = ident[:1]
    if quote in (b"`", b'"', b"'") and len(ident) > 1:
        return ident[1:-1].replace(quote * 2, quote)
    return ident


def parts(qualified: bytes) -> tuple[bytes, bytes]:
    """Schema ("" when unqualified) and name of what matched `QUALIFIED`."""
    found = [unquoted(match[1]) for match in _PARTS.finditer(qualified)]
    return (found[0], found[1]) if len(found) > 1 else (b"", found[0])


def decoded(name: bytes, charset: str = "") -> tuple[str, bool]:
    """A name as text, and whether its bytes are text of the client's character set (UTF-8 where it is not said).

    mysqldump writes definitions in UTF-8 and all else in the character set it was given, names in both.
    Bytes that are no such text are shown as backslash escapes: no such table can be named again.
    """
    codec = CODECS.get(charset, "utf-8")
    try:
        return name.decode(codec), True
    except UnicodeDecodeError:
        return name.decode(codec, "backslashreplace"), False


def quoted(name: bytes) -> bytes:
    """A name as an identifier in backquotes."""
    return b"`" + name.replace(b"`", b"``") + b"`"
