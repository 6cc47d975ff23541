"""Whatever goes wrong in a test, nothing that it started is left running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.worlds import children
from tests.worlds.namespaces import Host
from tests.worlds.real import World

ROOT = Path(__file__).parents[2]
#: A test that fails with its child in the traceback, which is kept until the interpreter ends.
FAILING = """
import sys
from tests.worlds import children

def test():
    process = children.start(["sleep", "600"], stdin=-1, stdout=-1)
    print(process.pid, flush=True)
    raise AssertionError

try:
    test()
except AssertionError as error:
    sys.kept = error
"""


def running() -> set[int]:
    """The processes below this one that have not been waited for."""
    found = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def test_what_a_failed_test_leaves_is_ended_without_a_warning() -> None:
    """A child kept in a traceback is killed and waited for before anything could warn of it."""
    argv = [sys.executable, "-W", "error", "-X", "dev", "-c", FAILING]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert not Path(f"/proc/{int(done.stdout)}").exists()


def test_a_child_that_does_not_go_gently_is_killed() -> None:
    """One that ignores SIGTERM is given its time and no more; ending it again does nothing."""
    with children.child(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 60 & wait; done"], stdout=-1) as deaf:
        assert deaf.stdout
        assert deaf.stdout.readline() == b"ready\n"
        children.end(deaf, gently=0.2)
        assert deaf.returncode == -9
    assert deaf.stdout.closed


def test_a_host_that_does_not_start_leaves_nothing() -> None:
    """Its keeper is waited for, and the error says why it did not start."""
    before = running()
    with pytest.raises(RuntimeError, match="no room"):
        Host("full", init="echo no room >&2; exit 3")
    assert running() == before


def test_a_network_that_comes_up_half_way_leaves_nothing() -> None:
    """When a step fails after the hosts are up they are ended; nothing is raised but the failure."""
    before = running()
    with pytest.raises(KeyError, match="ipfw"):
        World("ipfw")
    assert running() == before


class Resisting(World):
    """One whose sockets cannot be closed."""

    def _hang_up(self) -> None:
        super()._hang_up()
        raise OSError("resists")


def test_a_network_is_ended_whole_though_a_part_resists() -> None:
    """When ending one part raises, the hosts are ended all the same, and the error is not lost."""
    before = running()
    world = Resisting()
    with pytest.raises(OSError, match="resists"):
        world.close()
    assert running() == before
    world.close()
