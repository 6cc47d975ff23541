"""`remedy evidence collect` on real hosts: nothing is written there, what was asked and what came is recorded."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.contain import Console, Remedy, Said

from remedy.cli.commands.evidence_collect import PROFILES
from remedy.evidence import steps
from remedy.lab import Lab
from remedy.lab.site_content import DEFACED_MARK

pytestmark = pytest.mark.lab

MIB = 2**20
ONE, TWO = "host021", "host022"
Seen = dict[str, tuple[int, int, int, int]]


@pytest.fixture
def remedy(lab_inventory: Path, tmp_path: Path) -> Remedy:
    """An operator with a record of his own."""
    (tmp_path / "record").mkdir()
    return Remedy(lab_inventory, tmp_path / "record" / "record.db")


def bags(remedy: Remedy) -> list[Path]:
    """Every bag of an operator, sealed or not."""
    return sorted((remedy.record.parent / "evidence").glob("*/bag-*"))


def ledger(target: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """State and cause of every step, as the document has them."""
    return {line["step"]: (line["state"], line["cause"]) for line in target["steps"]}


def look(lab: Lab, name: str) -> Seen:
    """Every file and folder of a host with what any write to it changes; none of the kernel's own."""
    seen: Seen = {}
    folders = [lab.root(name)]
    start = len(str(folders[0]))
    while folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                path = entry.path[start:]
                if path in {"/proc", "/sys"}:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    what = entry.stat(follow_symlinks=False)
                    seen[path] = (what.st_ctime_ns, what.st_mtime_ns, what.st_size, what.st_ino)
                    if stat.S_ISDIR(what.st_mode):
                        folders.append(Path(entry.path))
    return seen


def changed(lab: Lab, name: str, act: Callable[[], object]) -> set[str]:
    """What on a host is not as it was, after something was done."""
    before = look(lab, name)
    act()
    after = look(lab, name)
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def log_in(lab: Lab, name: str) -> None:
    """A login by ssh that does nothing."""
    own = lab.credentials
    options = [f"-oUserKnownHostsFile={own.known_hosts}", "-oBatchMode=yes", "-i", str(own.controller_key)]
    subprocess.run(("ssh", "-F", "none", *options, f"root@{lab.status()['hosts'][name]['v4']}", "true"), check=True)


@pytest.mark.parametrize(("name", "profile"), [(ONE, "full"), ("sys01", "full"), ("legacy01", "triage")])
def test_nothing_is_written(lab: Lab, remedy: Remedy, name: str, profile: str) -> None:
    """A whole collection leaves no trace in any file or folder that a mere login does not leave too."""
    log_in(lab, name)
    touched = changed(lab, name, lambda: lab.exec(name, ["sh", "-c", "touch /srv/x && rm /srv/x"]))
    assert "/srv" in touched, "the watch sees what comes and goes"
    by_login = changed(lab, name, lambda: log_in(lab, name))
    said: list[Said] = []
    by_us = changed(lab, name, lambda: said.append(remedy("evidence", "collect", name, "--profile", profile, "--json")))
    assert said[0].code == 0, said[0].err
    # a systemd host writes its own journal and state at any time
    own = ("/run/systemd", "/var/log/journal", "/run/log/journal") if name == "sys01" else ()
    assert {path for path in by_us - by_login if not path.startswith(own)} == set()


def test_two_hosts_at_once(remedy: Remedy) -> None:
    """Each host has a bag that verifies with remedy and without; the record says what was asked, then what came."""
    said = remedy("evidence", "collect", ONE, TWO, "--json")
    assert said.code == 0, said.err
    assert set(said.targets) == {ONE, TWO}
    for name, target in said.targets.items():
        assert (target["status"], target["exit_code"], target["lacking"]) == ("sealed", 0, [])
        assert set(ledger(target)) == {step.name for step in steps.chosen("triage")}
        assert {state for state, _ in ledger(target).values()} <= {"ok", "absent"}
        entries = [one["body"] for one in remedy.entries("evidence") if one["run"] == target["bag"]]
        assert [body["event"] for body in entries] == ["begun", "planned", "collected", "sealed"]
        assert entries[1]["target"] == name
        assert {line["step"]: line["state"] for line in entries[2]["ledger"]} == {
            step: state for step, (state, _) in ledger(target).items()
        }
        assert entries[3]["sha256"] == target["sha256"]
        assert remedy("evidence", "verify", target["path"]).code == 0
        stock = subprocess.run(("sh", "VERIFY.txt"), cwd=target["path"], capture_output=True, text=True, check=False)
        assert stock.stdout.splitlines()[-1] == "VERIFIED", stock
    assert remedy("incident", "verify").code == 0
    told = remedy("incident", "show", said.document["incident"]).out
    assert f"13 steps, to be asked of {ONE}" in told
    assert f"collected from {TWO}; the host's clock agrees" in told
    again = remedy("evidence", "collect", ONE, "--dry-run")
    assert f"{ONE}: the last one of this profile took 0:0" in again.err


@pytest.mark.usefixtures("calm_lab")
def test_the_page_is_seen_from_outside(lab: Lab, remedy: Remedy) -> None:
    """What visitors were shown is in the bag, headers and all, as a vantage outside has seen it."""
    lab.attack("web01")
    try:
        target = remedy("evidence", "collect", "web01", "--profile", "web", "--json").target
    finally:
        lab.attack_stop("web01")
    [page] = [line for line in target["steps"] if line["step"] == "page"]
    assert (page["state"], page["findings"]) == ("ok", ["as seen from attacker"]), target["lacking"]
    seen = (Path(target["path"]) / page["files"][0]).read_bytes().decode()
    assert "HTTP/1.0 200 OK" in seen or "HTTP/1.1 200 OK" in seen
    assert DEFACED_MARK in seen


def test_a_dry_run_dials_nobody(remedy: Remedy) -> None:
    """A dry-run shows steps and limits; there is neither a bag nor an entry, nor a record at all."""
    said = remedy("evidence", "collect", ONE, "--profile", "full", "--dry-run", "--json")
    assert said.code == 0, said.err
    assert [one["step"] for one in said.document["planned"]] == [step.name for step in steps.registered()]
    assert all(one["cap"] and one["seconds"] and one["idle"] for one in said.document["planned"])
    assert not remedy.record.exists()
    assert bags(remedy) == []
    assert PROFILES == steps.PROFILES


@pytest.mark.usefixtures("calm_lab")
def test_a_host_out_of_reach(lab: Lab, remedy: Remedy) -> None:
    """One that cannot be reached is told and recorded, and leaves no empty bag; the other has its own."""
    lab.fault("link-cut", ONE)
    said = remedy("evidence", "collect", ONE, TWO, "--json")
    assert said.code == 20
    assert (said.targets[ONE]["exit_code"], said.targets[TWO]["exit_code"]) == (21, 0)
    assert [bag.name for bag in bags(remedy)] == [Path(said.targets[TWO]["path"]).name]
    [unreached] = [one["body"] for one in remedy.entries("evidence") if one["body"]["event"] == "unreached"]
    assert (unreached["target"], unreached["exit_code"]) == (ONE, 21)
    lab.clear(ONE)


@pytest.fixture
def big_logs(lab: Lab) -> Iterator[Console]:
    """A host with half a gigabyte of logs that cannot be compressed."""
    console = Console(lab, "backup01")
    console.sh(f"head -c {400 * MIB} /dev/urandom >/var/log/app.log; head -c {100 * MIB} /dev/urandom >/var/log/b.log")
    yield console
    console.sh("rm -f /var/log/app.log* /var/log/b.log")


def until_logs(process: subprocess.Popen[str], least: int) -> None:
    """Read the stream of events until so many bytes of the logs have come."""
    assert process.stdout
    for line in process.stdout:
        event = json.loads(line)
        if event.get("event") == "progress" and event["text"] == "logs" and event["done"] > least:
            return
    pytest.fail("the logs never came")


def ended(remedy: Remedy, process: subprocess.Popen[str]) -> tuple[Said, dict[str, Any]]:
    """How it ended, and what its document says of the only target."""
    said = remedy.finish(process)
    document = json.loads(said.out.splitlines()[-1])
    [target] = document["targets"]
    return said, target


@pytest.mark.usefixtures("calm_lab")
def test_interrupted_and_resumed(lab: Lab, remedy: Remedy, big_logs: Console) -> None:
    """Ctrl-C seals what came; --resume makes another bag with the rest, the log continued where it stopped."""
    lab.fault("delay", big_logs.name, 4)  # so that it takes seconds
    process = remedy.start("evidence", "collect", big_logs.name, "--profile", "web", "--jsonl")
    until_logs(process, 100 * MIB)
    process.send_signal(signal.SIGINT)
    said, first = ended(remedy, process)
    assert (said.code, first["status"]) == (130, "partial"), said.err
    assert ledger(first)["logs"] == ("truncated", "stopped")
    assert ledger(first)["persistence"] == ("truncated", "not-begun")
    assert remedy("evidence", "verify", first["path"]).code == 0
    lab.clear(big_logs.name)
    big_logs.sh("mv /var/log/app.log /var/log/app.log.1; echo later >>/var/log/app.log.1; echo new >/var/log/app.log")
    resumed = remedy("evidence", "collect", "--resume", first["bag"], "--json")
    assert resumed.code == 0, resumed.err
    second = resumed.target
    assert set(ledger(second)) == {name for name, (state, _) in ledger(first).items() if state not in {"ok", "absent"}}
    [logs] = [line for line in second["steps"] if line["step"] == "logs"]
    assert logs["received"] < 450 * MIB
    assert any("files are continued" in text for text in logs["findings"])
    continues = json.loads((Path(second["path"]) / "data" / big_logs.name / "continues.json").read_bytes())
    assert (continues["bag"], continues["sha256"]) == (first["bag"], first["sha256"])
    again = remedy("evidence", "collect", "--resume", second["bag"])
    assert (again.code, "nothing is missing" in again.err) == (2, True)


@pytest.mark.usefixtures("calm_lab")
def test_the_cable_is_pulled(lab: Lab, remedy: Remedy, big_logs: Console) -> None:
    """A host that falls silent in the middle leaves a sealed bag with what came, and exit 20."""
    lab.fault("delay", big_logs.name, 4)
    process = remedy.start("evidence", "collect", big_logs.name, "--profile", "web", "--jsonl")
    until_logs(process, 50 * MIB)
    lab.fault("link-cut", big_logs.name)
    said, target = ended(remedy, process)
    assert (said.code, target["status"]) == (20, "partial"), said.err
    state, cause = ledger(target)["logs"]
    assert (state, cause) in {("truncated", "lost"), ("timeout", "idle")}
    assert target["size"] > 50 * MIB
    assert remedy("evidence", "verify", target["path"]).code == 0
    lab.clear(big_logs.name)


def test_an_altered_bag_is_not_continued(remedy: Remedy) -> None:
    """A bag that does not verify is refused: nothing is built on it."""
    said = remedy("evidence", "collect", ONE, "--json")
    path = Path(said.target["path"])
    out = next(path.rglob("*-identity.out"))
    out.write_bytes(out.read_bytes()[:-1] + b"!")
    refused = remedy("evidence", "collect", "--resume", str(path))
    assert refused.code == 25
    assert "does not verify" in refused.err


def test_two_collections_into_one_incident(remedy: Remedy) -> None:
    """Two operators collect from the same hosts at the same time, under one incident: four bags, one record."""
    incident = remedy("incident", "open", "twice").out.strip()
    calls = [remedy.start("evidence", "collect", ONE, TWO, "--incident", incident, "--json") for _ in range(2)]
    found = [remedy.finish(call) for call in calls]
    assert [said.code for said in found] == [0, 0], [said.err for said in found]
    names = {target["path"] for said in found for target in said.targets.values()}
    assert names == {str(path) for path in bags(remedy)}
    assert len(names) == 4
    assert {one["incident"] for one in remedy.entries("evidence")} == {incident}
    assert remedy("evidence", "verify", *sorted(names)).code == 0
    assert remedy("incident", "verify").code == 0


def test_a_device_is_no_host(remedy: Remedy) -> None:
    """A network device has no shell to ask; the command that reads one is named."""
    said = remedy("evidence", "collect", "core01")
    assert (said.code, "remedy device save core01" in said.err) == (2, True)
    assert bags(remedy) == []


def test_hosts_or_a_bag(remedy: Remedy) -> None:
    """A call names hosts, or a bag to go on from, and not both."""
    for words in ((), (ONE, "--resume", "bag-E1")):
        said = remedy("evidence", "collect", *words)
        assert (said.code, "name hosts, or a bag" in said.err) == (2, True)
