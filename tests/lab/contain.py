"""What the containment tests share: the real command line as a subprocess, and what is really so on a lab host.

Decides how a state is read from a host's console and compared. Leaves to others: the lab itself, and every claim.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from remedy.lab import Lab
from remedy.lab.topology import ZONES

#: Everything of a host's disk that an action could have touched: kinds, modes and owners, then contents.
_TREE = r"""
cd / || exit
set -- etc root home srv usr/local usr/lib/systemd var/spool
find "$@" -xdev \( -type l -printf 'l %p -> %l\n' -o -printf '%y %m %u:%g %p\n' \) | sort
find "$@" -xdev -type f -print0 | sort -z | xargs -0 sha256sum
"""
_RULES = r"""
command -v nft >/dev/null 2>&1 && nft -s list ruleset
command -v nft >/dev/null 2>&1 || for t in iptables ip6tables; do
  echo "== $t"; "$t-save" -t mangle; "$t-save" -t filter; "$t-save" -t nat
done | sed -e 's/\[[0-9]*:[0-9]*\]//' -e '/^#/d'
:
"""
_LEFT = r"""
ls -d /etc/remedy /etc/init.d/remedy-isolation /etc/rcS.d/S01remedy-isolation /etc/systemd/system/remedy-isolation* \
  /etc/systemd/system/*/remedy-isolation* 2>/dev/null
grep -ls 'remedy-[d]eadman' /proc/[0-9]*/cmdline
nft list tables 2>/dev/null | grep remedy_isolation
for t in iptables ip6tables; do
  [ -e /usr/sbin/nft ] || "$t-save" -t mangle 2>/dev/null | grep REMEDY
done
:
"""
_VISIT = """
import socket, sys
s = socket.create_connection((sys.argv[1], 80), 2)
s.settimeout(10)
s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(b"".join(iter(lambda: s.recv(65536), b"")).decode())
"""

_ECHO = """
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 4444))
while True:
    s.sendto(*s.recvfrom(2048))
"""


@dataclass(frozen=True)
class Said:
    """How one call of remedy ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        lines = self.out.splitlines()
        assert len(lines) == 1, f"not one document: {self.out[:2000]!r}; {self.err[-2000:]}"
        made = json.loads(lines[0])
        assert made["schema_version"] == 1
        assert made["exit_code"] == self.code, (made, self.code)
        return dict(made)

    @property
    def target(self) -> dict[str, Any]:
        """What became of the only target."""
        (one,) = self.document["targets"]
        return dict(one)

    @property
    def targets(self) -> dict[str, dict[str, Any]]:
        """What became of each target, by name."""
        return {one["target"]: one for one in self.document["targets"]}


@dataclass
class Remedy:
    """One operator's remedy: an inventory and a record."""

    inventory: Path
    record: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the calls."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        home = str(self.record.parent)
        given = {"HOME": home, "USER": "root", "REMEDY_INVENTORY": str(self.inventory)}
        return kept | given | {"REMEDY_RECORD": str(self.record), "REMEDY_TRACEBACK": "1"} | self.environ

    def command(self, *words: str, wrapped: Sequence[str] = ()) -> list[str]:
        """The argument vector of one call; `wrapped` are a script and its words in place of the entry point."""
        entry = wrapped or ("-c", "from remedy.cli.main import run; run()")
        return [sys.executable, *entry, *words]

    def __call__(self, *words: str, wrapped: Sequence[str] = (), timeout: float = 120) -> Said:
        """Call remedy and wait."""
        done = subprocess.run(
            self.command(*words, wrapped=wrapped),
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self.environment,
            timeout=timeout,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, wrapped: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Call remedy and do not wait."""
        return subprocess.Popen(
            self.command(*words, wrapped=wrapped),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def finish(self, process: subprocess.Popen[str], timeout: float = 120) -> Said:
        """Wait for a started call."""
        out, err = process.communicate(timeout=timeout)
        return Said(process.returncode, out, err)

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        """The record's entries of these kinds, oldest first, read from the file itself."""
        names = ("time", "kind", "incident", "run", "body")
        with contextlib.closing(sqlite3.connect(f"file:{self.record}?mode=ro", uri=True)) as db:
            rows = db.execute(f"SELECT {', '.join(names)} FROM entry ORDER BY seq").fetchall()
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return [entry | {"body": json.loads(entry["body"])} for entry in found if not kinds or entry["kind"] in kinds]

    def run_id(self) -> str:
        """The newest run that has a plan."""
        return str(self.entries("plan")[-1]["run"])


@dataclass(frozen=True)
class State:
    """What is loaded and on disk on a host, as text."""

    rules: str
    tree: str


class Console:
    """A lab host seen from its console."""

    def __init__(self, lab: Lab, name: str) -> None:
        """Nothing is asked yet."""
        self.lab = lab
        self.name = name

    def sh(self, script: str, *words: str, stdin: bytes = b"", ok: bool = True) -> str:
        """Run a script as root; its standard output. With `ok` a status other than 0 fails the test."""
        status, out, err = self.lab.exec(self.name, ["sh", "-c", script, "sh", *words], stdin)
        assert not ok or status == 0, f"{self.name}: {script!r} ended with {status}: {err.decode(errors='replace')}"
        return out.decode(errors="replace")

    def state(self) -> State:
        """The whole state that a release has to bring back."""
        return State(self.sh(_RULES), self.sh(_TREE))

    def left(self) -> str:
        """Traces of an isolation, one a line; empty on a clean host."""
        return self.sh(_LEFT)

    def end_timers(self) -> None:
        """Kill every dead-man timer, as an intruder or a tidy test would."""
        self.sh("for f in $(grep -ls 'remedy-[d]eadman' /proc/[0-9]*/cmdline); do p=${f#/proc/}; kill ${p%/*}; done; :")

    @property
    def is_cut(self) -> bool:
        """Whether remedy's rules are loaded."""
        return "remedy_isolation" in self.sh(_RULES) or "-A INPUT -j REMEDY_IN" in self.sh(_RULES)

    @property
    def boot_files(self) -> str:
        """The isolation's files on disk."""
        return self.sh("ls /etc/remedy/* /etc/init.d/remedy-isolation 2>/dev/null; :")

    def connects(self, address: str, port: int, seconds: float = 1.0) -> bool:
        """Whether this host gets a TCP connection."""
        probe = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))"
        status, _, _ = self.lab.exec(self.name, ["python3", "-c", probe, address, str(port), str(seconds)])
        return status == 0

    def page(self, address: str = "127.0.0.1") -> str:
        """What a web server answers to a visitor on this host, head and all; "" when nothing answers."""
        status, out, _ = self.lab.exec(self.name, ["python3", "-c", _VISIT, address])
        return out.decode() if status == 0 else ""


def eventually(question: Callable[[], bool], seconds: float) -> bool:
    """Whether a question becomes true within so many seconds, asked every 0.1 s."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if question():
            return True
        time.sleep(0.1)
    return question()


def inventory(folder: Path, hosts: Mapping[str, Mapping[str, Any]], common: Mapping[str, Any]) -> Path:
    """Write an inventory of one file: hosts with their variables, all in the group `lab`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "hosts.yml"
    content = {"all": {"children": {"lab": {"vars": dict(common), "hosts": {k: dict(v) for k, v in hosts.items()}}}}}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def common_vars(lab: Lab) -> dict[str, Any]:
    """What every host of the lab needs to be logged in to."""
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.credentials.controller_key),
        "remedy_known_hosts": str(lab.credentials.known_hosts),
        "remedy_management": ["198.18.3.1", "2001:db8:0:3::1"],
        "remedy_budget": {"isolations_per_hour": 1000, "group_share_percent": 100},
    }


def plain_inventory(lab: Lab, folder: Path, targets: Sequence[str], **more: Any) -> Path:  # noqa: ANN401 -- any variable
    """An inventory of plain hosts of the scale zone, with one peer, one "outside" and one canary among themselves.

    Enough for a certificate that can be complete, at three vantage points. The canary answers over UDP, too.
    """
    status = lab.status()["hosts"]
    Console(lab, "host030").sh(
        "ss -Huln 'sport = 4444' | grep -q . || setsid python3 -c \"$1\" </dev/null >/dev/null 2>&1 &", _ECHO
    )

    def host(name: str, **variables: Any) -> dict[str, Any]:  # noqa: ANN401 -- inventory variables
        both = {"ansible_host": status[name]["v4"], "remedy_addresses": [status[name]["v4"], status[name]["v6"]]}
        return both | variables

    canary = status["host030"]
    hosts = {name: host(name) for name in targets}
    hosts |= {
        "host028": host("host028", remedy_vantage="peer"),
        "host029": host("host029", remedy_vantage="outside"),
        "host030": host("host030"),
    }
    common = common_vars(lab) | {
        "remedy_canaries": [canary["v4"], canary["v6"]],
        "remedy_canary_ports": {"tcp": [22], "udp": [4444]},
        "remedy_resolvers": [ZONES["scale"].gateway4, ZONES["scale"].gateway6],
    }
    return inventory(folder, hosts, common | more)


def restored(lab: Lab, names: Sequence[str], remedy: Remedy) -> Iterator[None]:
    """Yield, then give every named host back and fail when something of an isolation is still there."""
    before = {name: Console(lab, name).state() for name in names}
    yield
    lab.clear()
    for name in names:
        console = Console(lab, name)
        if console.left():
            console.end_timers()
            said = remedy("release", name, "--yes", "--force")
            assert not console.left(), f"{name} cannot be given back: {said.err}"
        after = console.state()
        assert after == before[name], f"{name} is not as it was before the test"
