"""Another process at work on a record, started by the tests.

append COUNT NAME   append (COUNT 0: for ever); print each number once it is acknowledged
again COUNT NAME    open, append, close so many times; print 1 after the first
lock                hold SQLite's write lock; print "locked"; until standard input ends
hold TARGET RUN     take a lease; print "held"; until standard input ends
fill                append until it is refused, make room, append again; print what happened as JSON
fork                append in a forked child and print why not; then in the parent
readonly            open for writing, and verify; print what happened as JSON
verify              verify; print what happened
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable
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


def opened(path: Path) -> Record:
    """The record, open for writing."""
    actor = here(environ=os.environ, version="0.1.0")
    return Record.open(path, clock=lambda: datetime.now(UTC), actor=actor, key_dir=path.parent / "keys")


def main(path: Path, what: str, args: list[str]) -> None:
    """Do what is asked."""
    alone = {"lock": lock, "readonly": readonly, "verify": verified}
    if what in alone:
        alone[what](path)
    elif what == "again":
        again(path, int(args[0]), args[1])
    else:
        with opened(path) as record:
            inside: dict[str, Callable[..., None]] = {"append": append, "hold": hold, "fork": fork, "fill": fill}
            inside[what](record, *args)


def lock(path: Path) -> None:
    """Hold the write lock."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        say("locked")
        sys.stdin.read()


def append(record: Record, count: str, name: str) -> None:
    """Append, and acknowledge each entry."""
    done = 0
    while not int(count) or done < int(count):
        done += 1
        say(record.append("note", {"text": "x" * 300}, incident="INC-1", key=f"{name}:{done}").seq)


def again(path: Path, count: int, name: str) -> None:
    """Append, each time in a record opened anew."""
    for n in range(1, count + 1):
        with opened(path) as record:
            record.append("note", {"text": "x" * 300}, incident="INC-1", key=f"{name}:{n}")
        if n == 1:
            say(n)


def hold(record: Record, target: str, run: str) -> None:
    """Take a lease."""
    record.hold(target, run=run, holder=f"ops@adm1 pid {os.getpid()}")
    say("held")
    sys.stdin.read()


def verified(path: Path) -> None:
    """Verify."""
    try:
        say(verify(path).ok)
    except RemedyError as error:
        say(f"{type(error).__name__} {error}")


def fill(record: Record) -> None:
    """Fill the disk, one entry at a time."""
    ballast = record.path.with_name("ballast")
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
    say(json.dumps({"acknowledged": done, "seen": seen, "refused": refused, "after": after}))


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


def readonly(path: Path) -> None:
    """Try to write, then verify."""
    try:
        Record.open(path, clock=lambda: datetime.now(UTC), actor=here(environ={}, version="0"), key_dir=path.parent)
        refused = ["", ""]
    except RemedyError as error:
        refused = [type(error).__name__, str(error)]
    report = verify(path)
    say(json.dumps({"refused": refused, "ok": report.ok, "entries": report.entries}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
