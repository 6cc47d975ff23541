r"""The lexical forms of SQL text as the `mariadb` client sees them, as patterns over bytes.

Decides what begins a statement, a comment, a string, as `add_line` and `find_command` of MariaDB's client/mysql.cc do.
Patterns are possessive: on hostile text they take time in proportion to it. Leaves to others: chunks (`sql`).
"""

from __future__ import annotations

import functools
import re
from typing import Final

from remedy.backups.names import IDENT, QUALIFIED

#: The head of an INSERT up to its first row; group 1 is the table.
INSERT: Final = re.compile(
    rb"(?:INSERT|REPLACE)\s+(?:(?:LOW_PRIORITY|HIGH_PRIORITY|DELAYED|IGNORE)\s+)*+(?:INTO\s+)?("
    + QUALIFIED
    + rb")\s*(?:\((?:\s*"
    + IDENT
    + rb"\s*,?)++\s*\)\s*)?VALUES?\s*(?=\()",
    re.IGNORECASE,
)
#: The end of an INSERT of a dumper that writes no newline inside a literal.
END: Final = re.compile(rb";\n")
SPACE: Final = re.compile(rb"[ \t\r\n\f\v]*+")
DELIMITER: Final = re.compile(rb"DELIMITER(?:[ \t]++([^\n]*+))?\n", re.IGNORECASE)

#: What matters inside a comment, outside and inside a version comment that began on the same line.
OPEN_OR_CLOSE: Final = re.compile(rb"\*/|/\*!?")
LINE_OR_CLOSE: Final = re.compile(rb"\*/|/\*!?|\n")
#: What may stand where a statement can begin, by name of the group:
#: `comment` is one to the end of the line (the client takes two hyphens at a line's beginning for one even without a
#: space), among them what a dumper says when its errors go where its dump goes. `sandbox` is the first line of dumps
#: made since 2024, which asks the client to refuse commands. `command` are the client's own words and its backslash;
#: USE is left to those who read statements.
OPENING: Final = re.compile(
    rb"(?P<comment>#|--|(?:mysqldump|mariadb-dump|mysqlpump|mysqldump\.exe|Warning|Error): ?)"
    rb"|(?P<sandbox>/\*M?!999999\\- enable the sandbox mode \*/[ \t]*)"
    rb"|(?P<block>/\*(?!!|M!))"
    rb"|(?P<command>\\|(?:source|system|tee|notee|pager|nopager|edit|prompt|connect|charset|quit|exit|help|status|print"
    rb"|rehash|clear|ego|go|warnings|nowarning|sandbox|resetconnection|query_attributes|ssl_session_data_print)(?=[\s;\\]))"
    rb"|(?P<delimiter>DELIMITER\s)"
    rb"|(?P<insert>(?:INSERT|REPLACE)\s)",
    re.IGNORECASE,
)
#: What has to be seen to match `OPENING`, but for the rest of a DELIMITER line and of an INSERT's head.
AHEAD: Final = 64

#: A character of two bytes, or its first byte alone where the second cannot be one's.
_WIDE: Final = b"[\x81-\xfe][\x40-\xfe]|[\x81-\xfe](?=[^\x40-\xfe])"


@functools.lru_cache(64)
def code(delimiter: bytes, escapes: bool, wide: bool) -> re.Pattern[bytes]:  # noqa: FBT001 -- the key of a cache
    """A run of text in which no statement ends and no comment begins. Strings that end in the text are part of it.

    `escapes`: a backslash escapes inside strings. `wide`: characters may have a backslash for their second byte.
    """
    special = b"'\"`#\\\\\\-/" + re.escape(delimiter[:1]) + (b"\x81-\xfe" if wide else b"")
    choices = [b"[^" + special + b"]++"]
    choices.extend(quote + _inside(quote, escapes, wide) + quote for quote in (b"'", b'"', b"`"))
    if wide:
        choices.append(_WIDE)
    if delimiter[:1] != b"-":
        choices.append(b"-(?=[^-])")
    if delimiter[:1] != b"/":
        choices.append(rb"/(?=[^*])")
    return re.compile(b"(?:" + b"|".join(choices) + b")*+", re.DOTALL)


@functools.lru_cache(64)
def body(quote: bytes, escapes: bool, wide: bool) -> re.Pattern[bytes]:  # noqa: FBT001 -- the key of a cache
    """What stands between two quotes, as far as there is any of it."""
    return re.compile(_inside(quote, escapes, wide), re.DOTALL)


def _inside(quote: bytes, escapes: bool, wide: bool) -> bytes:  # noqa: FBT001 -- as above
    escapes = escapes and quote != b"`"
    stop = quote + (b"\\\\" if escapes else b"") + (b"\x81-\xfe" if wide else b"")
    choices = [b"[^" + stop + b"]++"] + ([rb"\\."] if escapes else []) + ([_WIDE] if wide else [])
    return b"(?:" + b"|".join(choices) + b")*+"
