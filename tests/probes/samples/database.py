"""What a database server says, and what an intruder's may say instead."""

from __future__ import annotations

from typing import Final

from remedy.core.canon import Json
from remedy.core.values import Probe
from remedy.probes import database

PROBES: Final[tuple[Probe, ...]] = (
    database.asking("", "SELECT 1;", "database.line"),
    database.variables("/root/x.cnf"),
    database.schemas("", "site", "site__in", "site__undo"),
    database.structure("", "site"),
    database.existing(""),
    database.names("", "site", 1, ("tick",)),
    database.fingerprint("", "SELECT 1;"),
    database.views("", "site"),
    database.space("/var/lib/mysql"),
    database.number("", "site", "SELECT COUNT(*) FROM notice", 1),
)

_SCHEMAS: Final = b"""\
{"is": "schema", "schema": "site"}
{"is": "table", "schema": "site", "name": "notice", "type": "BASE TABLE", "engine": "InnoDB", "rows": 5, \
"bytes": 16384, "comment": ""}
{"is": "table", "schema": "site", "name": "a\\nb\xe2\x80\xa8c", "type": "VIEW", "engine": "", "rows": 0, \
"bytes": 0, "comment": "VIEW"}
{"is": "trigger", "name": "notice_bi", "table": "notice"}
{"is": "routine", "name": "three", "type": "FUNCTION"}
{"is": "event", "name": "tick"}
{"is": "inbound", "schema": "other", "name": "child", "to": "notice"}
"""
_NOTICE: Final[Json] = {
    "schema": "site",
    "name": "notice",
    "type": "BASE TABLE",
    "engine": "InnoDB",
    "rows": 5,
    "bytes": 16384,
    "comment": "",
}
_STRANGE: Final[Json] = {
    "schema": "site",
    "name": "a\nb\u2028c",
    "type": "VIEW",
    "engine": "",
    "rows": 0,
    "bytes": 0,
    "comment": "VIEW",
}

GOOD: Final[list[tuple[str, bytes, Json]]] = [
    (
        "database.variables",
        b"datadir\t/var/lib/mysql/\nversion\t10.11.6-MariaDB-0+deb12u1-log\nread_only\t\n",
        {"datadir": "/var/lib/mysql/", "version": "10.11.6-MariaDB-0+deb12u1-log", "read_only": ""},
    ),
    (
        "database.schemas",
        _SCHEMAS,
        {
            "schema": [{"schema": "site"}],
            "table": [_NOTICE, _STRANGE],
            "trigger": [{"name": "notice_bi", "table": "notice"}],
            "routine": [{"name": "three", "type": "FUNCTION"}],
            "event": [{"name": "tick"}],
            "inbound": [{"schema": "other", "name": "child", "to": "notice"}],
        },
    ),
    ("database.schemas", b"", {key: [] for key in ("schema", "table", "trigger", "routine", "event", "inbound")}),
    (
        "database.names",
        b'{"is": "named", "kind": "view", "name": "latest"}\n{"is": "named", "kind": "table", "name": "a\\ntable b"}\n',
        ["table a\ntable b", "view latest"],
    ),
    ("database.names", b'{"is": "named", "kind": "table", "name": "\\ud83d"}\n', ["table \\ud83d"]),
    (
        "database.views",
        b'{"is": "view", "name": "v", "definer": "a@b", "security": "DEFINER", "check": "NONE", "definition": "x"}\n',
        [{"is": "view", "name": "v", "definer": "a@b", "security": "DEFINER", "check": "NONE", "definition": "x"}],
    ),
    ("database.line", b"13:482919\n", "13:482919"),
    ("database.line", b"", ""),
    ("database.text", b"-- MariaDB dump\n\xff", "-- MariaDB dump\n\\xff"),
    ("database.word", b"yes", "yes"),
    ("database.word", b"ERROR 1146 (42S02): \x1b[2JTable", "ERROR 1146 (42S02): \\x1b[2JTable"),
    (
        "database.space",
        b"Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1   51475068 12345678  36489390  26% /\n",
        {"free": 36489390 * 1024, "size": 51475068 * 1024},
    ),
    (
        "database.space",
        b"Filesystem 1024-blocks Used Available Capacity Mounted on\nnfs:/a 7 8 100 20 30 40% /srv/9 10 11\n",
        {"free": 30 * 1024, "size": 100 * 1024},
    ),
]

BAD: Final[list[tuple[str, bytes]]] = [
    ("database.variables", b"datadir /var/lib/mysql\n"),
    ("database.variables", b"innodb_io_capacity\t200\n"),
    ("database.schemas", b"[]\n"),
    ("database.schemas", b"null\n"),
    ("database.schemas", b'{"is": "nothing"}\n'),
    ("database.schemas", b'{"is": ["schema"]}\n'),
    ("database.schemas", b'{"is": "schema"}\n'),
    ("database.schemas", b'{"is": "schema", "schema": 7}\n'),
    ("database.schemas", b'{"is": "schema", "schema": "site", "more": "x"}\n'),
    ("database.schemas", b'{"is": "event", "name": NaN}\n'.replace(b"NaN", b"true")),
    ("database.names", b'{"is": "schema", "schema": "site"}\n'),
    ("database.names", b'{"is": "named", "kind": "table", "name": "x"}\n\n'),
    ("database.views", b'{"is": "view", "name": "v"}\n'),
    ("database.line", b"1\n2\n"),
    ("database.space", b"Filesystem 1024-blocks Used Available Capacity Mounted on\n"),
    ("database.space", b"/dev/vda1 51475068 - - - /\n"),
    ("database.space", b""),
]
