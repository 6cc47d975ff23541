"""Another process at work on a record, started by the tests.

append COUNT NAME   append (COUNT 0: for ever); print each number once it is acknowledged
lock                hold SQLite's write lock; print "locked"; until standard input ends
hold TARGET RUN     take a lease; print "held"; until standard input ends
fill                append until it is refused, make room, append again; print what happened as JSON
fork                append in a forked child and print why not; then in the parent
readonly            open for writing, and verify; print what happened as JSON
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

from remedy.core.errors import RemedyError
from remedy.record.actor import here
from remedy.record.journal import Record
from remedy.record.verify import verify


def say(text: object) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(path: Path, what: str, args: list[str]) -> None:
    """Do what is asked."""
    actor = here(environ=os.environ, version="0.1.0")
    if what == "lock":
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            say("locked")
            sys.stdin.read()
        return
    if what == "readonly":
        say(json.dumps(readonly(path)))
        return
    with Record.open(path, clock=lambda: datetime.now(UTC), actor=actor, key_dir=path.parent / "keys") as record:
        if what == "append":
            count, done = int(args[0]), 0
            while not count or done < count:
                done += 1
                say(record.append("note", {"text": "x" * 300}, incident="INC-1", key=f"{args[1]}:{done}").seq)
        elif what == "hold":
            record.hold(args[0], run=args[1], holder=f"ops@adm1 pid {os.getpid()}")
            say("held")
            sys.stdin.read()
        elif what == "fork":
            fork(record)
        elif what == "fill":
            say(json.dumps(fill(record, path)))


def fill(record: Record, path: Path) -> dict[str, object]:
    """Fill the disk, one entry at a time."""
    ballast = path.with_name("ballast")
    ballast.write_bytes(b"x" * 200_000)
    done = 0
    try:
        while True:
            record.append("note", {"text": "x" * 20_000}, incident="INC-1", key=f"fill:{done + 1}")
            done += 1
    except RemedyError as error:
        refused = [type(error).__name__, str(error)]
    seen = record.head()[0]
    ballast.unlink()
    after = record.append("note", {"text": "room again"}, incident="INC-1").seq
    return {"acknowledged": done, "seen": seen, "refused": refused, "after": after}


def fork(record: Record) -> None:
    """Append on both sides of a fork."""
    child = os.fork()
    if child == 0:
        try:
            record.append("note", {}, incident="I")
        except RemedyError as error:
            say(error)
        os._exit(0)
    os.waitpid(child, 0)
    say(f"the parent appended {record.append('note', {}, incident='I').seq}")


def readonly(path: Path) -> dict[str, object]:
    """Try to write, then verify."""
    try:
        Record.open(path, clock=lambda: datetime.now(UTC), actor=here(environ={}, version="0"), key_dir=path.parent)
        refused = ["", ""]
    except RemedyError as error:
        refused = [type(error).__name__, str(error)]
    report = verify(path)
    return {"refused": refused, "ok": report.ok, "entries": report.entries}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
