"""Foreign keys, their orphans, and rights: what is asked, and what is answered."""

from __future__ import annotations

from typing import Final

from remedy.core.canon import Json
from remedy.core.values import Probe
from remedy.probes import integrity

PROBES: Final[tuple[Probe, ...]] = (
    integrity.keys("", "site"),
    integrity.there("", []),
    integrity.orphans("", "site", []),
    integrity.rights("", "site"),
    integrity.held("", "site"),
)
#: One of a single column; one of two, to another schema.
KEYS: Final = """\
{"name": "of", "table": "item", "own": "order", "schema": "site", "to": "orders", "other": "id"}
{"name": "日", "table": "数据", "own": "a`b", "schema": "old", "to": "page", "other": "x"}
{"name": "日", "table": "数据", "own": "c", "schema": "old", "to": "page", "other": "y"}
""".encode()
#: As `parse_keys` gives them.
READ: Final[list[dict[str, Json]]] = [
    {"name": "of", "table": "item", "to": ["site", "orders"], "columns": [["order", "id"]]},
    {"name": "日", "table": "数据", "to": ["old", "page"], "columns": [["a`b", "x"], ["c", "y"]]},
]
RIGHTS: Final = "'site'@'198.18.1.%' SELECT on site.*\n'o\x1b'@'%' SUPER on *.*\n'site'@'198.18.1.%' SELECT on site.*\n"

GOOD: Final[list[tuple[str, bytes, Json]]] = [
    ("integrity.keys", b"", []),
    ("integrity.keys", KEYS, [*READ]),
    ("integrity.numbers", b"", []),
    ("integrity.numbers", b"0\n17\n", [0, 17]),
    ("integrity.rights", b"", []),
    ("integrity.held", b'["roles"]\n["roles", "a has role b"]\n[]\n', {"roles": ["a has role b"]}),
    ("integrity.rights", RIGHTS.encode(), ["'o\\x1b'@'%' SUPER on *.*", "'site'@'198.18.1.%' SELECT on site.*"]),
]
BAD: Final[list[tuple[str, bytes]]] = [
    ("integrity.keys", b"ERROR 1142\n"),
    ("integrity.keys", b"[]\n"),
    ("integrity.keys", b'{"name": "of", "table": "item"}\n'),
    ("integrity.keys", KEYS[:60]),
    ("integrity.numbers", b"-1\n"),
    ("integrity.numbers", b"1e3\n"),
    ("integrity.numbers", "٣\n".encode()),
    ("integrity.numbers", b"NULL\n"),
]
