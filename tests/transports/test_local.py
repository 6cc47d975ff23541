"""Commands on the controller itself."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from remedy.core.errors import AnswerUnusable, ElevationFailed, TimedOut
from remedy.core.values import Command, Reply, Target
from remedy.transports.limits import Limits
from remedy.transports.local import LocalConnection

from .conftest import reveal, sh


def here(limits: Limits | None = None, *, user: str = "root", become: bool = False) -> LocalConnection:
    """A connection to this machine."""
    return LocalConnection(Target("controller", "", become=become), resolve_secret=reveal, user=user, limits=limits)


def test_answers_are_those_of_a_target() -> None:
    """Order, streams, status and input are kept apart as over SSH."""
    replies = here().run([Command(("cat",), stdin="x" * 300_000), sh("echo e >&2; exit 9"), Command(("cat",))])
    assert replies == (Reply(0, b"x" * 300_000), Reply(9, b"", b"e\n"), Reply(0))


def test_a_slow_command_is_ended_with_what_it_started() -> None:
    """After a time-out nothing of the batch is left running here."""
    with pytest.raises(TimedOut, match="ran longer than its 1 s"):
        here().run([sh("sleep 8.125 & sleep 8.125", seconds=1)])
    deadline = time.monotonic() + 2
    while _running("8.125") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _running("8.125")


def _running(word: str) -> bool:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):  # gone meanwhile
                if (process / "cmdline").read_bytes().split(b"\0")[:2] == [b"sleep", word.encode()]:
                    return True
    return False


def test_endless_output_is_refused() -> None:
    """The limit on what is accepted holds here too."""
    with pytest.raises(AnswerUnusable, match="more than 1024 KiB"):
        here(Limits(total=1024 * 1024)).run([sh("head -c 9000000 /dev/zero")])


def test_background_processes_do_not_hold_up_the_answer() -> None:
    """Something left running with its output open is not waited for."""
    start = time.monotonic()
    assert here().run([sh("sleep 2 & echo started")]) == (Reply(0, b"started\n"),)
    assert time.monotonic() - start < 1.5


def test_root_needs_no_sudo_and_others_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only a user other than root is elevated; without sudo that is an elevation failure."""
    assert here(become=True).run([Command(("true",))]) == (Reply(0),)
    script = tmp_path / "sudo"
    script.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ElevationFailed, match="password is required"):
        here(user="op", become=True).run([Command(("true",))])


def test_nothing_to_do() -> None:
    """No commands, no process; closing is always possible."""
    connection = here()
    assert connection.run([]) == ()
    connection.close()
