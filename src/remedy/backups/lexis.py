r"""The lexical forms of SQL text as the `mariadb` client sees them, as patterns over bytes.

Decides what begins a statement, a comment, a string, as `add_line` and `find_command` of MariaDB's client/mysql.cc do.
And where the rows of an INSERT end that a dumper wrote, and whether something stands behind them.
Patterns are possessive: on hostile text they take time in proportion to it. Leaves to others: chunks (`sql`).
"""

from __future__ import annotations

import functools
import itertools
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
_END: Final = re.compile(rb";\n")
_SEMICOLON: Final = ord(";")
#: A semicolon behind which, on its line, another statement may stand: after blanks a comment, the line's end, or a word
#: that statements of harm begin with. Literals hold such, too.
_BEHIND: Final = re.compile(
    rb";[ \t\r\f\v]*+(?:\n|/\*|--|#|(?:ALTER|BACKUP|BEGIN|BINLOG|CALL|CLONE|CREATE|DELETE|DO|DROP|EXECUTE|GRANT"
    rb"|HANDLER|IMPORT|INSERT|INSTALL|KILL|LOAD|PREPARE|PURGE|RENAME|REPLACE|RESET|RESTART|REVOKE|SELECT|SET|SHUTDOWN"
    rb"|TRUNCATE|UNINSTALL|UPDATE|USE)\b)",
    re.IGNORECASE,
)
_INSIDE: Final = re.compile(rb";(?!\n)")
#: So many semicolons inside are looked at, and one more per so many bytes of rows, and no line longer than this: it
#: costs next to nothing beside reading the rows.
_FIRST: Final = 8
_EACH: Final = 1 << 16
_LONGEST: Final = 1 << 13
#: Bytes of a run that tell whether its literals are full of semicolons.
_PROBE: Final = 1 << 12
#: How much of what stands behind rows is told.
_SHOWN: Final = 1 << 10
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


def rows_end(data: bytes, at: int) -> tuple[int, bool]:
    """Where the INSERT ends whose rows are at `at`, -1 when not in `data`; and whether there is a semicolon before.

    All rows on one line: the first newline ends it. A line per row: there are many newlines, and few semicolons.
    """
    first = data.find(b";", at)
    if first < 0 or data.startswith(b";\n", first):
        return first + 2 if first >= 0 else -1, False
    newline = data.find(b"\n", at)
    if newline > at and data[newline - 1] == _SEMICOLON:
        return newline + 1, True
    match = _END.search(data, newline + 1) if newline >= 0 else None
    return match.end() if match else -1, True


def run_end(data: bytes, at: int, end: int, head: bytes) -> tuple[int, bool]:
    """The same of the run of INSERTs with one head that begins at `at` and whose first statement ends at `end`."""
    last = data.rfind(b";\n", at) + 2
    statements = data.count(b";\n" + head, at, last) + 1
    # Where literals are full of semicolons they need not all be counted to be told.
    if not _INSIDE.search(data, at, min(last, at + _PROBE)) and data.count(b";", at, last) == statements:
        return last, False  # no other semicolon in between, so nothing else can stand there
    if data.count(b"\n", at, last) == statements:
        return last, True  # no other line
    other = re.compile(rb";\n(?!" + re.escape(head) + rb")").search(data, end - 2)
    return other.end() if other else last, True


def behind(rows: bytes, head: int, *, escapes: bool) -> bytes:
    """What stands behind the end of rows on their line, where it is looked for; b"" when nothing is found.

    `rows` are INSERTs with one head of `head` bytes, whose literals hold no newline: every line begins outside of them.
    Looked at are the last line, and the first semicolons; not long lines. Rows with more of them in their literals may
    hide something: what a client sends is walled in by the rights of its account, not by this.
    """
    if b"\n" in rows[:head].rstrip():  # a name with a newline
        rows = rows[head:].replace(b";\n" + rows[:head], b";\n")
    stop = len(rows[:-2].rstrip()) if rows[-3:-2].isspace() else len(rows) - 2
    for found in itertools.islice(_INSIDE.finditer(rows, 0, stop), _FIRST + len(rows) // _EACH):
        at = found.start()
        if _BEHIND.match(rows, at) and (more := _ended(rows, at, rows.find(b"\n", at), escapes=escapes)):
            return more
    return _ended(rows, stop - 1, stop, escapes=escapes)


def _ended(rows: bytes, at: int, stop: int, *, escapes: bool) -> bytes:
    """What follows on the line of `at`, up to `stop`, when its rows end at `at` or before; b"" when they do not."""
    line = rows.rfind(b"\n", 0, at) + 1
    run = code(b";", escapes, False).match(rows, line, stop) if stop - line < _LONGEST else None
    return b"" if run is None or run.end() > at else rows[run.end() : min(stop, run.end() + _SHOWN)]


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
