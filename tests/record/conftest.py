"""What the record's tests share: a clock that is set, records that are closed, a way to tamper."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from tests.worlds import children
from tests.worlds.tampering import tamper_with

from remedy.record.actor import Actor
from remedy.record.journal import Record

WRITER = Path(__file__).with_name("writer.py")


class Clock:
    """Gives 2026-11-20 06:00:00 and then one second more every time it is asked."""

    def __init__(self) -> None:
        """Start there."""
        self.now = datetime(2026, 11, 20, 6, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time, one second later than before."""
        self.now += timedelta(seconds=1)
        return self.now


Opener = Callable[..., Record]
Tamper = Callable[..., None]


@pytest.fixture
def clock() -> Clock:
    """A clock under the test's control."""
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's record lies."""
    return tmp_path / "state" / "record.db"


@pytest.fixture
def opener(path: Path, tmp_path: Path, clock: Clock) -> Iterator[Opener]:
    """Opens the test's record; whatever is given overrides. Closed after the test."""
    with contextlib.ExitStack() as stack:

        def opened(**given: object) -> Record:
            settings: dict[str, object] = {
                "clock": clock,
                "actor": Actor("ops", 1000, "", "adm1", os.getpid(), "0.1.0"),
                "key_dir": tmp_path / "keys",
                **given,
            }
            record = Record.open(path, **settings)  # type: ignore[arg-type]
            stack.callback(record.close)
            return record

        yield opened


@pytest.fixture
def record(opener: Opener) -> Record:
    """The test's record, open and empty."""
    return opener()


@pytest.fixture
def tamper(path: Path) -> Tamper:
    """Does what somebody with write access could: drops the triggers, runs statements, puts the triggers back."""
    return partial(tamper_with, path)


Starter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Starter]:
    """Starts another process that works on a record (writer.py); ended after the test."""
    with contextlib.ExitStack() as stack:

        def started(*args: object, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
            argv = [*prefix, sys.executable, WRITER, *args]
            pipe = subprocess.PIPE
            return stack.enter_context(children.child(argv, stdin=pipe, stdout=pipe, text=True))

        yield started
