"""Run remedy and die, or be interrupted, at one exact entry of its record.

Usage: dying.py ENTRY before|after SIGNAL WORDS... The ENTRY-th append of the process (or the first
one of that "kind step") sends SIGNAL to the process itself, before or after the entry is on disk; everything else is
the real command line.
Or: dying.py 0 list FILE WORDS... Nothing is sent; FILE receives one line per append: its kind and its step.
ENTRY may also name a moment inside a stream: "put 20" is before the twentieth piece of text for a client that loads,
"dump 3" before the third program that dumps what was loaded.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from remedy.cli.main import run
from remedy.core.canon import Json
from remedy.core.values import Command, Entry
from remedy.record.journal import Record
from remedy.transports.transfers.clients import Running
from remedy.transports.transfers.crew import Crew, Session
from remedy.transports.transfers.dumping import Leash

_REAL = Record.append


def main() -> None:
    """Wrap the record's append, then be remedy."""
    number, when, name, *words = sys.argv[1:]
    count, seen = 0, set[str]()

    def append(
        self: Record, kind: str, body: Mapping[str, Json], *, incident: str, run: str = "", key: str = ""
    ) -> Entry:
        nonlocal count
        count += 1
        title = f"{kind} {body.get('step', '')}".strip()
        here = number in {str(count), title} and title not in seen
        seen.add(title)
        if here and when == "before":
            os.kill(os.getpid(), signal.Signals[name])
        made = _REAL(self, kind, body, incident=incident, run=run, key=key)
        if when == "list":
            with Path(name).open("a", encoding="utf-8") as listing:
                listing.write(title + "\n")
        if here and when == "after":
            os.kill(os.getpid(), signal.Signals[name])
        return made

    Record.append = append  # type: ignore[method-assign]
    _inside_streams(number, name)
    run(words)


def _inside_streams(moment: str, name: str) -> None:
    """Send the signal at "put N" or "dump N"."""
    put, start, seen = Crew.put, Leash.start, dict.fromkeys(("put", "dump"), 0)

    def passed(what: str) -> None:
        seen[what] += 1
        if moment == f"{what} {seen[what]}":
            os.kill(os.getpid(), signal.Signals[name])

    def putting(self: Crew, session: Session, sql: bytes, name: str = "") -> None:
        passed("put")
        put(self, session, sql, name)

    def starting(self: Leash, command: Command, *, at: str, short: bool = False) -> Running:
        passed("dump")
        return start(self, command, at=at, short=short)

    Crew.put = putting  # type: ignore[method-assign]
    Leash.start = starting  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
