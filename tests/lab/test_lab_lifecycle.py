"""Bringing the lab up and down, twice, interrupted, killed: nothing stays, and what is wrong is said.

These tests make labs of their own. There is one lab per network namespace, so each runs in a namespace of its own and
does not disturb the lab the other tests share.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from remedy.core.errors import RemedyError, UsageError
from remedy.lab import Lab, image
from remedy.lab.topology import topology

pytestmark = pytest.mark.lab

_PROGRAM = """
import json, os, pathlib, signal, subprocess, sys, time
from remedy.core.errors import RemedyError
from remedy.lab import Lab
state, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
lab = Lab(state)
def groups():
    name = "**/remedy-lab-%d" % os.stat("/proc/self/ns/net").st_ino
    return {str(path) for path in pathlib.Path("/sys/fs/cgroup").glob(name)}
before = groups()  # a network that is gone has left its number to another
def leftovers():
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True).stdout
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True).stdout
    routes += subprocess.run(["ip", "-6", "route"], capture_output=True, text=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
    mounts = pathlib.Path("/proc/self/mounts").read_text()
    processes = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(state) in line and entry.name != str(os.getpid()):
            processes.append(line)
    group = sorted(groups() - before)
    return {"links": "remedy" in links, "routes": "198.18" in routes or "2001:db8" in routes, "tables": "remedy" in tables,
            "mounts": str(state) in mounts, "processes": processes, "state": state.exists(), "groups": group}
"""  # noqa: E501 - a program, not prose


def in_own_network(tmp_path: Path, body: str) -> Any:  # noqa: ANN401 - JSON
    """Run `body` after _PROGRAM in a new network namespace; what it prints last, as JSON."""
    program = _PROGRAM + body
    argv = ["unshare", "--net", sys.executable, "-c", program, str(tmp_path / "state"), str(tmp_path / "inventory")]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


CLEAN = {
    "links": False,
    "routes": False,
    "tables": False,
    "mounts": False,
    "processes": [],
    "state": False,
    "groups": [],
}


def test_down_leaves_nothing_and_up_works_again(tmp_path: Path) -> None:
    """Up, down, up, down: each time it is up there is a link, each time it is down there is nothing left at all."""
    body = """
seen = []
for _ in range(2):
    lab.up(inventory=folder)
    seen.append(leftovers())
    pids = [host["pid"] for host in lab.status()["hosts"].values()]
    lab.down()
    seen.append(leftovers() | {"alive": [pid for pid in pids if os.path.exists(f"/proc/{pid}")]})
lab.down()
print(json.dumps(seen))
"""
    first, second, third, fourth = in_own_network(tmp_path, body)
    assert first["links"]
    assert first["routes"]
    assert third["processes"]
    assert second == CLEAN | {"alive": []}
    assert fourth == CLEAN | {"alive": []}


def test_up_twice_says_who_has_it(tmp_path: Path) -> None:
    """A second `up` is refused, naming who brought the lab up, since when and where, and leaves it alone."""
    body = """
lab.up(inventory=folder)
try:
    Lab(state.with_name("other")).up(inventory=folder)
except RemedyError as error:
    said = [type(error).__name__, error.message, error.hint]
alive = lab.is_up and lab.exec("web01", ["true"])[0] == 0
lab.down()
print(json.dumps({"said": said, "alive": alive, "up": lab.is_up}))
"""
    answer = in_own_network(tmp_path, body)
    kind, message, hint = answer["said"]
    assert kind == "HeldByOther"
    assert str(tmp_path / "state") in message
    assert "since" in message
    assert "down" in hint
    assert answer["alive"]
    assert not answer["up"]


def test_down_cleans_up_after_a_killed_supervisor(tmp_path: Path) -> None:
    """A kill -9 of the supervisor takes all hosts with it, and `down` removes what is left."""
    body = """
lab.up(inventory=folder)
pids = [host["pid"] for host in lab.status()["hosts"].values()]
os.kill(lab.status()["pid"], signal.SIGKILL)
until = time.monotonic() + 5
while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < until:
    time.sleep(0.02)
alive = [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
lab.down()
print(json.dumps(leftovers() | {"alive": alive}))
"""
    assert in_own_network(tmp_path, body) == CLEAN | {"alive": []}


@pytest.mark.parametrize("stage", ["making keys", "hosts started"])
def test_an_interrupted_up_leaves_nothing(tmp_path: Path, stage: str) -> None:
    """Ctrl-C at any stage of `up` ends it with nothing left behind."""
    body = f"""
def interrupt(line):
    if line.startswith({stage!r}):
        os.kill(os.getpid(), signal.SIGINT)
try:
    lab.up(inventory=folder, progress=interrupt)
    ended = "up"
except KeyboardInterrupt:
    ended = "interrupted"
print(json.dumps(leftovers() | {{"ended": ended}}))
"""
    assert in_own_network(tmp_path, body) == CLEAN | {"ended": "interrupted"}


def test_thirty_hosts_come_up_together(lab: Lab, connects: Any) -> None:  # noqa: ANN401 - a fixture's callable
    """host001 to host030 are up, each with its own name, address and host key."""
    names = [f"host{number:03d}" for number in range(1, 31)]
    assert [lab.exec(name, ["hostname"])[1].decode().strip() for name in names] == names
    hosts = lab.status()["hosts"]
    assert len({hosts[name]["v6"] for name in names}) == 30
    assert all(connects(hosts[name]["v4"], 22) for name in names)
    keys = {lab.exec(name, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"])[1] for name in names}
    assert len(keys) == 30


def test_requests_without_a_lab_say_it_is_down(tmp_path: Path) -> None:
    """Status, exec and faults of a lab that is not up are refused with the command that brings it up."""
    body = """
said = []
for call in (lab.status, lambda: lab.exec("web01", ["true"]), lambda: lab.fault("link-cut", "web01"), lab.clear):
    try:
        call()
    except RemedyError as error:
        said.append([error.exit_code, error.message, error.hint])
print(json.dumps({"said": said, "up": lab.is_up}))
"""
    answer = in_own_network(tmp_path, body)
    assert answer == {"said": [[25, "the lab is not up", "bring it up with: remedy lab up"]] * 4, "up": False}


def test_foreign_folders_are_never_emptied(tmp_path: Path) -> None:
    """A state or inventory folder with somebody's files in it is refused and left as it was."""
    body = """
said = []
for name in (state, folder):
    name.mkdir()
    (name / "precious").write_text("mine")
    try:
        lab.up(inventory=folder)
    except RemedyError as error:
        said.append(error.exit_code)
    said.append((name / "precious").read_text())
    (name / "precious").unlink()
lab.down()
print(json.dumps(said))
"""
    assert in_own_network(tmp_path, body) == [25, "mine", 25, "mine"]


def test_only_root_is_answered(lab: Lab) -> None:
    """The supervisor hangs up on callers that are not root."""
    program = (
        "import os, socket\nos.setgid(65534)\nos.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\n"
        "s.connect('\\0remedy-lab')\ns.sendall(b'{\"op\": \"down\"}\\n')\nprint(s.recv(9))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.stdout in ("b''\n", ""), done.stdout
    asking = "import os\nfrom remedy.lab import protocol\nos.setuid(65534)\nprotocol.ask({'op': 'status'})"
    asked = subprocess.run([sys.executable, "-c", asking], check=False, capture_output=True, text=True)
    assert "sudo" in asked.stderr
    assert lab.is_up


def test_missing_programs_are_named_with_their_packages() -> None:
    """A machine without the needed programs is told each one, its package, and the line that installs them."""
    assert image.missing() == []
    needed = {"no-such-program": "no-such-package", "ip": "iproute2"}
    assert image.missing(needed) == [
        "the program no-such-program (Debian package no-such-package)",
        "install them: apt-get update && apt-get install --yes --no-install-recommends no-such-package",
    ]
    with pytest.raises(RemedyError, match="no-such-program"):
        image.require_machine(needed)


def test_an_image_build_that_fails_leaves_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing build raises with the builder's words and leaves the cache folder empty."""
    builder = tmp_path / "bin" / "mmdebstrap"
    builder.parent.mkdir()
    builder.write_text('#!/bin/sh\nmkdir -p "$8"\necho "E: no such mirror" >&2\nexit 25\n')
    builder.chmod(0o755)
    monkeypatch.setenv("PATH", f"{builder.parent}:{os.environ['PATH']}")
    with pytest.raises(RemedyError, match="E: no such mirror"):
        image.ensure_image(lambda _line: None, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(("hosts", "extra"), [(-1, ()), (1001, ()), (0, ("web07",))])
def test_impossible_sizes_are_usage_errors(hosts: int, extra: tuple[str, ...]) -> None:
    """A number of hosts out of range or an unknown extra host is refused before anything starts."""
    with pytest.raises(UsageError):
        topology(hosts, extra)


def test_a_stopped_process_group_does_not_outlive_exec(lab: Lab) -> None:
    """A caller that is interrupted while a command runs on a host takes the command with it."""
    body = "from remedy.lab import Lab\nLab().exec('web01', ['sleep', '321'])\n"
    with subprocess.Popen([sys.executable, "-c", body], stderr=subprocess.DEVNULL) as caller:
        until = time.monotonic() + 10
        while b"sleep 321" not in lab.exec("web01", ["ps", "axo", "args"])[1] and time.monotonic() < until:
            time.sleep(0.05)
        assert b"sleep 321" in lab.exec("web01", ["ps", "axo", "args"])[1]
        caller.send_signal(signal.SIGINT)
        caller.wait(timeout=10)
    time.sleep(0.1)
    assert b"sleep 321" not in lab.exec("web01", ["ps", "axo", "args"])[1]
