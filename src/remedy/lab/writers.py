"""Writers during a rehearsal: tills on web01 whose every acknowledged receipt must be found again afterwards.

Decides how their log is read and what counts as lost. Leaves to others: the writing itself (programs/till.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remedy.core.errors import RemedyError

__all__ = ["HOST", "Audit", "Seen", "audit", "seen", "start", "stop"]

Exec = Callable[..., tuple[int, bytes, bytes]]

HOST: Final = "web01"
LOG: Final = "var/log/receipts.log"
_DATABASE: Final = "db01"
_ALL: Final = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'receipt'"


@dataclass(frozen=True)
class Seen:
    """What the tills were told so far.

    `acknowledged` receipts were committed, `doubtful` ones were sent and the answer was lost; `refused` is the number
    of times they were told no, `said` the last such answer. `silence` is the longest time in seconds during which no
    till got an acknowledgement, after the first one; `rate` is receipts a second since the first.
    """

    running: bool
    acknowledged: int
    doubtful: int
    refused: int
    said: str
    silence: float
    rate: float


@dataclass(frozen=True)
class Audit:
    """The acknowledged receipts against the database: how many there are, how many each schema has, which are lost."""

    acknowledged: int
    schemas: dict[str, int]
    lost: tuple[tuple[int, int], ...]


def start(run: Exec, tills: int, pause: float) -> None:
    """Start that many tills with an empty log; `pause` is their rest between two transactions, in seconds."""
    stop(run)
    _do(run, HOST, ("rm", "-f", f"/{LOG}"))
    _do(run, HOST, ("tee", "/etc/remedy-lab/till.json"), json.dumps({"tills": tills, "pause": pause}).encode())
    _do(run, HOST, ("service", "till", "start"))


def stop(run: Exec) -> None:
    """Stop them; the log stays."""
    _do(run, HOST, ("service", "till", "stop"))


def seen(run: Exec, root: Path) -> Seen:
    """What they were told. `root` is the root folder of HOST as this machine sees it."""
    acknowledged = doubtful = refused = 0
    said, silence, first, last = "", 0.0, 0.0, 0.0
    for when, _, kind, rest in _lines(root):
        if kind == "ack":
            acknowledged += len(rest)
            silence = max(silence, when - last) if last else 0.0
            first, last = first or when, when
        elif kind == "doubt":
            doubtful += len(rest)
        else:
            refused += 1
            said = " ".join(rest)
    running = run(HOST, ("service", "till", "status"))[0] == 0
    rate = acknowledged / (last - first) if last > first else 0.0
    return Seen(running, acknowledged, doubtful, refused, said, round(silence, 3), round(rate, 1))


def audit(run: Exec, root: Path) -> Audit:
    """Look for every acknowledged receipt in all schemas that have the table. Raises RemedyError."""
    wanted = {(till, int(number)) for _, till, kind, numbers in _lines(root) if kind == "ack" for number in numbers}
    found: dict[str, set[tuple[int, int]]] = {}
    for schema in _ask(run, _ALL):
        name = schema.replace("`", "``")
        rows = _ask(run, f"SELECT till, number FROM `{name}`.receipt")  # noqa: S608 -- quoted above
        pairs = (row.split("\t") for row in rows)
        found[schema] = {(int(till), int(number)) for till, number in pairs} & wanted
    lost = wanted.difference(*found.values())
    return Audit(len(wanted), {schema: len(rows) for schema, rows in found.items()}, tuple(sorted(lost)))


def _lines(root: Path) -> Iterator[tuple[float, int, str, list[str]]]:
    """The log's whole lines; see programs/till.py."""
    path = root / LOG
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as log:
        for line in log:
            if line.endswith("\n"):
                when, till, kind, *rest = line.split()
                yield float(when), int(till), kind, rest


def _ask(run: Exec, question: str) -> list[str]:
    argv = ("mariadb", "--batch", "--skip-column-names", "--raw", "--execute", question)
    return _do(run, _DATABASE, argv).decode("utf-8", "replace").splitlines()


def _do(run: Exec, host: str, argv: tuple[str, ...], stdin: bytes = b"") -> bytes:
    code, out, err = run(host, argv, stdin, 120.0)
    if code != 0:
        said = err.decode("utf-8", "replace").strip()[-300:]
        raise RemedyError(f"{' '.join(argv[:3])} ended with {code}: {said}", where=host)
    return out
