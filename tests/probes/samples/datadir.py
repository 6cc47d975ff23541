"""The data directory of a server that may be dead."""

from __future__ import annotations

from typing import Final

from remedy.core.canon import Json
from remedy.core.values import Probe
from remedy.probes import datadir

PROBES: Final[tuple[Probe, ...]] = (
    datadir.find(),
    datadir.answers("/root/x.cnf"),
    datadir.state("/var/lib/mysql", "/var/lib/mysql.remedy-R1", "R1"),
)

GOOD: Final[list[tuple[str, bytes, Json]]] = [
    (
        "datadir.find",
        b"/var/lib/mysql\nno\nmysql\nyes\n",
        {"path": "/var/lib/mysql", "mounted": "no", "owner": "mysql", "install": "yes"},
    ),
    *(("datadir.word", f"{word}\n".encode(), word) for word in ("yes", "no", "absent", "halfway", "done")),
]

BAD: Final[list[tuple[str, bytes]]] = [
    ("datadir.find", b"/var/lib/mysql\nno\nmysql\n"),
    ("datadir.find", b"/var/lib/mysql\nmaybe\nmysql\nyes\n"),
    ("datadir.find", b"/var/lib/mysql\nno\nmysql\nperhaps\n"),
    ("datadir.find", b"var/lib/mysql\nno\nmysql\nyes\n"),
    ("datadir.find", b"/var/lib/my sql; reboot\nno\nmysql\nyes\n"),
    ("datadir.find", b"/var/lib/../..\nno\nmysql\nyes\n"),
    ("datadir.word", b"done done\n"),
    ("datadir.word", b""),
]
