r"""Hostile text made safe to show.

Decides which characters may reach a terminal, a log or a report as they are, and how the others are written.
Leaves to others: the bytes themselves, which records and evidence keep unchanged.

    >>> printable(b"ok\x1b]0;owned\x07\xff")
    'ok\\x1b]0;owned\\x07\\xff'
"""

from __future__ import annotations

import re
from typing import Final

#: Characters shown when nothing else is asked for.
DEFAULT_LIMIT: Final = 2000

# C0 but for newline and tab, DEL, C1, soft hyphen, line and paragraph separators, zero-width and bidirectional
# controls (Unicode Technical Report 36), invisible operators, variation selectors, interlinear annotation, tags,
# lone surrogates and non-characters; and every other format character (category Cf), such as the signs that are drawn
# around the digits after them.
_HOSTILE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202f\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3]"
)


def printable(value: bytes | str, limit: int = DEFAULT_LIMIT, *, one_line: bool = False) -> str:
    r"""The text of `value` with everything that could act on a terminal or deceive a reader shown as an escape.

    Newlines and tabs stay unless `one_line`. Bytes that are not UTF-8 appear as ``\xNN``; other controls as
    ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``. At most `limit` characters are returned, an ending
    ``… (N bytes in all)`` included, whatever the size of `value`. A backslash stays one: the result is for eyes.
    """
    size = len(value)
    # An escape is at least as long as what it stands for, so this much is always enough to fill the limit.
    part = value[: limit * (4 if isinstance(value, bytes) else 1) + 4]
    text = part.decode("utf-8", "backslashreplace") if isinstance(part, bytes) else part
    text = _HOSTILE.sub(_escape, text)
    if one_line:
        text = text.replace("\t", "\\t").replace("\n", "\\n")
    if len(text) <= limit and len(part) == size:
        return text
    ending = f"… ({size} {'bytes' if isinstance(value, bytes) else 'characters'} in all)"
    return (text[: max(0, limit - len(ending))] + ending)[:limit]


def _escape(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point <= 0xFF:  # noqa: PLR2004 -- the last code point of \xNN
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004 -- the last of \uNNNN
