"""Run remedy and die, or be interrupted, at one exact entry of its record.

Usage: dying.py NUMBER before|after SIGNAL WORDS... The NUMBER-th append of the process sends SIGNAL to the process
itself, before or after the entry is on disk; everything else is the real command line.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

from remedy.cli.main import run
from remedy.core.canon import Json
from remedy.core.values import Entry
from remedy.record.journal import Record

_REAL = Record.append


def main() -> None:
    """Wrap the record's append, then be remedy."""
    number, when, name, *words = sys.argv[1:]
    count = 0

    def append(
        self: Record, kind: str, body: Mapping[str, Json], *, incident: str, run: str = "", key: str = ""
    ) -> Entry:
        nonlocal count
        count += 1
        if count == int(number) and when == "before":
            os.kill(os.getpid(), signal.Signals[name])
        made = _REAL(self, kind, body, incident=incident, run=run, key=key)
        if count == int(number) and when == "after":
            os.kill(os.getpid(), signal.Signals[name])
        return made

    Record.append = append  # type: ignore[method-assign]
    run(words)


if __name__ == "__main__":
    main()
