"""Entries into a record, timed where they are written.

    record_entries.py PATH fill COUNT      until there are so many, many in one transaction, signed after each
    record_entries.py PATH append COUNT    one after the other, each on the disk before the next
    record_entries.py PATH sign COUNT      one entry and a checkpoint after it, so often
    record_entries.py PATH rows COUNT      rows of the same size into a table of plain SQLite, each on the disk
    record_entries.py PATH verify COUNT    verify it: at least so many entries, and no damage
    record_entries.py PATH prove COUNT     proofs of its first entry, of one in the middle, and of entry COUNT

The last line is `steps WALL CPU PEAK`: seconds of the work alone, and the most memory that the process had, in bytes.
`fill` goes through the same code as an append: what is left out are the flushes between.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from remedy.core.canon import Json
from remedy.record.actor import Actor
from remedy.record.journal import Record
from remedy.record.proofs import hand_over
from remedy.record.verify import verify

_TOGETHER = 5000


def body(number: int) -> dict[str, Json]:
    """What one step of a run leaves in the record."""
    return {"step": f"{number % 20}", "why": "load the rules", "status": 0, "said": f"{number:08d}" * 25}


def run(number: int) -> str:
    """Twenty entries a run."""
    return f"R{number // 20:08x}"


def fill(record: Record, count: int) -> None:
    """Until there are `count` entries."""
    record._writer.execute("PRAGMA cache_size=-200000")  # noqa: SLF001 -- for these few transactions
    while (there := record.head()[0]) < count:
        with record._transaction() as tail:  # noqa: SLF001 -- the appends of thousands of threads at once
            for number in range(there, min(there + _TOGETHER, count - 1)):
                tail.put(record._draft("sent", body(number), incident="INC-20261120-1", run=run(number), key=""))  # noqa: SLF001
        record.append("sent", body(there), incident="INC-20261120-1", run=run(there))
        record.checkpoint()


def append(record: Record, count: int) -> None:
    """One by one."""
    for number in range(count):
        record.append("sent", body(number), incident="INC-20261120-1", run=run(number))


def sign(record: Record, count: int) -> None:
    """One by one, each signed."""
    for number in range(count):
        record.append("sent", body(number), incident="INC-20261120-1", run=run(number))
        record.checkpoint()


def rows(path: Path, count: int) -> None:
    """What the disk and SQLite take by themselves."""
    with contextlib.closing(sqlite3.connect(path.with_name("rows.db"), isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE IF NOT EXISTS entry (seq INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        timed(lambda: [db.execute("INSERT INTO entry (body) VALUES (?)", ("x" * 800,)) for _ in range(count)])


def check(path: Path, count: int) -> None:
    """Every entry, no damage."""
    report = verify(path)
    if report.entries < count or report.damage:
        sys.exit(f"{report.entries} entries, {report.damage[:3]}")


def prove(path: Path, count: int) -> None:
    """A few entries."""
    made = hand_over(path, (1, count // 2, count))
    if len(json.dumps(made)) < 3 * 1000:
        sys.exit("not every entry was handed over")


def timed(work: Callable[[], object]) -> None:
    """Do it, and say how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(f"steps {wall:.6f} {cpu:.6f} {int(peak.split()[1]) * 1024}")


def main() -> None:
    """See the module."""
    path, what, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if what == "rows":
        rows(path, count)
        return
    if what in {"verify", "prove"}:
        timed(lambda: {"verify": check, "prove": prove}[what](path, count))
        return
    actor = Actor("ops", 1000, "", "adm1", os.getpid(), "0.1.0")
    with Record.open(path, clock=lambda: datetime.now(UTC), actor=actor, key_dir=path.parent / "keys") as record:
        timed(lambda: {"fill": fill, "append": append, "sign": sign}[what](record, count))


if __name__ == "__main__":
    main()
