"""How far a restore has come, as a server shows it."""

from __future__ import annotations

from typing import Final

from remedy.actions.recovery import staging
from remedy.backups.values import Database
from remedy.core.canon import Json
from remedy.core.values import Probe

_DATABASE: Final = Database("site", "site", "db01")
#: The question is made by the action that knows what its steps leave behind.
ELSEWHERE: Final[tuple[Probe, ...]] = (staging.step(_DATABASE, "R1f", "swap", "/etc/my.cnf.d/zz.cnf"),)

_ASKED: Final = '{"is": "step", "name": "%s", "run": "R1f", "in": "site__in", "undo": "site__undo"}\n'
_ACCOUNT: Final = '{"is": "account", "name": "remedy_R1f"}\n'
_SWAPPING: Final = '{"is": "account", "name": "remedy_swap_R1f"}\n'
_FROZEN: Final = '{"is": "read_only", "on": 1}\n'
_OPEN: Final = '{"is": "read_only", "on": 0}\n'


def _mark(schema: str, text: str) -> str:
    return f'{{"is": "mark", "schema": "site__{schema}", "comment": "{text}"}}\n'


def _schema(schema: str, tables: int) -> str:
    return f'{{"is": "schema", "schema": "site__{schema}", "tables": {tables}}}\n'


#: Step, what the server shows, how far the step has come.
_TABLE: Final = [
    ("account", "", "absent"),
    ("account", _ACCOUNT, "halfway"),
    ("account", _ACCOUNT + _schema("in", 0), "halfway"),
    ("account", _ACCOUNT + _schema("in", 0) + "login\n", "done"),
    ("account", _ACCOUNT + _schema("in", 7) + "login\n", "halfway"),
    ("account", "login\n", "halfway"),
    ("account", _schema("in", 3), "absent"),  # somebody else's
    ("account", _mark("in", "R1f proven") + _schema("in", 8), "done"),
    ("account", _mark("undo", "R1f swapped"), "done"),
    ("account", _mark("in", "R1f undone") + _schema("in", 8), "absent"),
    ("account", _mark("in", "R1f undone") + _schema("in", 8) + _ACCOUNT + "login\n", "halfway"),
    ("account", _mark("in", "R2 proven") + _schema("in", 8), "absent"),
    ("account-gone", "", "done"),
    ("account-gone", "login\n", "absent"),
    ("account-gone", _ACCOUNT, "absent"),
    ("prove", "", "absent"),
    ("prove", _mark("in", ""), "absent"),
    ("prove", _mark("in", "R1f proven"), "done"),
    ("prove", _mark("undo", "R1f swapped"), "done"),
    ("prove", _mark("undo", "R2 swapped"), "absent"),
    ("swap", _OPEN, "absent"),
    ("swap", _mark("in", "R1f proven") + _OPEN, "absent"),
    ("swap", _mark("in", "R1f proven") + _SWAPPING + _FROZEN, "halfway"),
    ("swap", _mark("in", "R1f proven") + _FROZEN, "absent"),  # somebody else's hold
    ("swap", _mark("in", "R1f moving") + _FROZEN, "halfway"),
    ("swap", _mark("in", "R1f returning") + _FROZEN, "halfway"),
    ("swap", _mark("undo", "R1f moving") + _FROZEN, "halfway"),
    ("swap", _mark("undo", "R1f swapped") + _FROZEN, "halfway"),
    ("swap", _mark("undo", "R1f swapped") + _OPEN + "held\n", "halfway"),
    ("swap", _mark("undo", "R1f swapped") + _OPEN + _SWAPPING, "halfway"),
    ("swap", _mark("undo", "R1f swapped") + _OPEN, "done"),
    ("swap", _mark("undo", "R2 swapped") + _OPEN, "absent"),
    ("swap", _mark("in", "R1f undone") + _OPEN, "absent"),
    ("swap", _OPEN + "held\n", "halfway"),
]

GOOD: Final[list[tuple[str, bytes, Json]]] = [
    ("recovery.step", f"{_ASKED % name}{shown}".encode(), state) for name, shown, state in _TABLE
]

BAD: Final[list[tuple[str, bytes]]] = [
    ("recovery.step", b""),
    ("recovery.step", _OPEN.encode()),
    ("recovery.step", (_ASKED % "nothing").encode()),
    ("recovery.step", (_ASKED % "swap").encode() + b"[]\n"),
    ("recovery.step", (_ASKED % "swap").encode() + b"{}\n"),
    ("recovery.step", (_ASKED % "swap").encode() + b'{"is": "schema", "schema": "x", "tables": 1e999}\n'),
    ("recovery.step", (_ASKED % "swap").encode() + b'{"is": "schema", "schema": "x", "tables": []}\n'),
    ("recovery.step", (_ASKED % "swap").encode() + b"hold\n"),
]
