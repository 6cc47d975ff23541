"""Two operators on one host: the second is told who holds it, and a dead one holds nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remedy.core.errors import HeldByOther
from remedy.record.journal import Record
from remedy.record.leases import Process, is_gone, start_time, this_process
from remedy.record.verify import verify

Starter = Callable[..., "subprocess.Popen[str]"]


def events(record: Record) -> list[str]:
    """What happened to leases, in order."""
    return [json.loads(entry.body)["event"] for entry in record.entries(kinds=["lease"])]


def test_second_run_is_told_who_holds_it(record: Record) -> None:
    """Another run is refused with holder, time, run and the way out; after giving back it gets the target."""
    record.hold("web01", run="r1", holder="ann@adm1 pid 7")
    with pytest.raises(HeldByOther, match=r"held by ann@adm1 pid 7 since 2026-11-20T06:00:0\S+Z for run r1 .*end"):
        record.hold("web01", run="r2", holder="bob@adm1")
    record.hold("web02", run="r2", holder="bob@adm1")
    record.let_go("web01", run="r1")
    record.hold("web01", run="r2", holder="bob@adm1")
    assert [(lease.target, lease.run) for lease in record.leases()] == [("web01", "r2"), ("web02", "r2")]
    assert events(record) == ["taken", "taken", "given-back", "taken"]


def test_taking_and_giving_twice_does_nothing(record: Record) -> None:
    """The same run may take what it has and give back what nobody has, without an entry."""
    for _ in range(2):
        record.hold("web01", run="r1", holder="ann")
    for _ in range(2):
        record.let_go("web01", run="r1")
    assert events(record) == ["taken", "given-back"]


def test_other_runs_lease_cannot_be_given_back(record: Record) -> None:
    """Only the run that holds a target gives it back."""
    record.hold("web01", run="r1", holder="ann")
    with pytest.raises(HeldByOther):
        record.let_go("web01", run="r2")


@pytest.mark.parametrize("run", ["r2", "r1"])
def test_lease_of_a_killed_process_is_taken_over(record: Record, path: Path, start: Starter, run: str) -> None:
    """A living holder is respected; once it was killed, the lease passes on and the entry says from whom."""
    process = start(path, "hold", "web01", "r1")
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    with pytest.raises(HeldByOther, match=f"process {process.pid} on"):
        record.hold("web01", run=run, holder="bob@adm1")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    record.hold("web01", run=run, holder="bob@adm1")
    *_, entry = record.entries(kinds=["lease"])
    body = json.loads(entry.body)
    assert (body["event"], body["from_run"], body["from"]) == ("taken-over", "r1", f"ops@adm1 pid {process.pid}")
    process.wait()
    record.checkpoint()
    assert verify(path).ok


def test_who_is_gone_and_who_cannot_be_known() -> None:
    """Gone is: same machine and restarted, or same boot and no such process. Anything uncertain counts as alive."""
    me = this_process("adm1", os.getpid())
    assert me.started > 0
    assert not is_gone(me, me)
    assert is_gone(replace(me, started=me.started + 1), me)
    assert is_gone(replace(me, pid=2**22 + 1), me)
    assert is_gone(replace(me, boot="another boot"), me)
    assert not is_gone(replace(me, boot="another boot", machine="adm2"), me)
    assert not is_gone(replace(me, namespace="pid:[1]", pid=2**22 + 1), me)
    assert not is_gone(Process("adm1", "", "", 2**22 + 1, 1), me)


def test_start_time_reads_hostile_process_names(tmp_path: Path) -> None:
    """A process name with brackets and blanks does not shift the fields; a zombie is gone."""
    line = "812 (a (b) 9 9) {} 1 812 812 0 -1 4194560 93 0 0 0 0 0 0 0 20 0 1 0 4711 2527232 1\n"
    stat = tmp_path / "812" / "stat"
    stat.parent.mkdir()
    for state, started in (("S", 4711), ("Z", None)):
        stat.write_text(line.format(state))
        assert start_time(812, proc=tmp_path) == started
    assert start_time(813, proc=tmp_path) is None
