"""Who works on a database server, as it says itself."""

from __future__ import annotations

from typing import Final

from remedy.core.canon import Json
from remedy.core.values import Probe
from remedy.probes import server

PROBES: Final[tuple[Probe, ...]] = (server.around(""), server.replica("/root/x.cnf"), server.option_folder())

_ROWS: Final = b"""\
{"is": "session", "user": "site", "host": "198.18.1.11", "db": "", "command": "Sleep", "seconds": 3}
{"is": "transaction", "seconds": 61, "rows": 0}
{"is": "powerful", "account": "'root'@'localhost'"}
"""
GOOD: Final[list[tuple[str, bytes, Json]]] = [
    (
        "server.rows",
        _ROWS,
        [
            {"is": "session", "user": "site", "host": "198.18.1.11", "db": "", "command": "Sleep", "seconds": 3},
            {"is": "transaction", "seconds": 61, "rows": 0},
            {"is": "powerful", "account": "'root'@'localhost'"},
        ],
    ),
    ("server.rows", b"", []),
    ("server.replica", b"Waiting for master to send event\t198.18.1.9\trepl\n", "yes"),
    ("server.replica", b"", "no"),
    ("server.folder", b"/etc/mysql/mariadb.conf.d\n", "/etc/mysql/mariadb.conf.d"),
    ("server.folder", b"", ""),
    ("server.folder", b"/etc/mysql/../../root\n", ""),
    ("server.folder", b"/etc/my conf.d; reboot\n", ""),
    ("server.folder", b"relative\n", ""),
]

BAD: Final[list[tuple[str, bytes]]] = [
    ("server.rows", b'{"is": "session", "user": "site"}\n'),
    ("server.rows", b'{"is": "transaction", "seconds": "61", "rows": 0}\n'),
    ("server.rows", b'{"is": "transaction", "seconds": Infinity, "rows": 0}\n'),
    ("server.rows", b'{"is": "transaction", "seconds": 1e400, "rows": 0}\n'),
    ("server.rows", b'{"is": "transaction", "seconds": true, "rows": 0}\n'),
]
