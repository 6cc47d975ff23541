"""The lab as all contenders see it: the same hosts in everybody's inventory, the same ruleset, the same proof.

Decides what counts as done: the host's own console lists exactly the ruleset that remedy would load, and afterwards
nothing of it. Leaves to others: bringing hosts into that state (contenders), and timing it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from remedy.lab import Lab

#: The controller's end of the cable into the lab.
INTERFACE: Final = "remedy-lab"
REMEDY: Final = str(Path(sys.executable).with_name("remedy"))
_LIST: Final = "nft -s -nn list table inet remedy_isolation; nft -s -nn list table bridge remedy_isolation"
_REHEARSE: Final = f"nft -f - && {{ {_LIST}; }}"
_CLEAN: Final = (
    "nft delete table inet remedy_isolation; nft delete table bridge remedy_isolation; rm -f /etc/rcS.d/S01remedy-*"
)
_TRACES: Final = "nft list tables | grep remedy_; ls -d /etc/remedy /etc/rcS.d/*remedy* 2>/dev/null; :"
_STAMP: Final = re.compile(r'comment "remedy [^"]*"')
#: A dry-run that has changes to show.
_WOULD_CHANGE: Final = 10
#: Far above what a benchmark does in an hour.
_BUDGET: Final = {"isolations_per_hour": 1_000_000, "group_share_percent": 100}


class BrokenRun(Exception):
    """A contender did not do what it claims: its time does not count, and the whole benchmark ends."""


@dataclass(slots=True)
class Estate:
    """A lab that is up, and a folder with everybody's inventory, the rules and what hosts list once they are loaded."""

    lab: Lab
    folder: Path
    hosts: dict[str, str]
    records: Iterator[int] = field(default_factory=itertools.count)

    @property
    def inventory(self) -> Path:
        """Ansible's and remedy's: the scale hosts in group `bench`, without vantage points and canaries."""
        return self.folder / "bench.yml"

    @property
    def full_inventory(self) -> Path:
        """The lab's own, with a budget that does not get in the way."""
        return self.folder / "lab"

    @property
    def rules(self) -> Path:
        """What `nft -f` is fed."""
        return self.folder / "rules.nft"

    @property
    def wanted(self) -> Path:
        """What nft lists afterwards, as it prints it."""
        return self.folder / "wanted"

    @property
    def wanted_normal(self) -> Path:
        """The same without empty lines, as remedy's parser gives it."""
        return self.folder / "wanted-normal"

    @property
    def key(self) -> str:
        """The private key that opens every host."""
        return str(self.lab.credentials.controller_key)

    @property
    def known_hosts(self) -> str:
        """The hosts' own keys."""
        return str(self.lab.credentials.known_hosts)

    def new_record(self) -> tuple[Path, str]:
        """A fresh record with one open incident, so that no run pays for the entries of the ones before."""
        record = self.folder / f"record-{next(self.records)}" / "record.db"
        argv = [REMEDY, "--record", str(record), "incident", "open", "benchmark", "--json"]
        done = subprocess.run(argv, capture_output=True, check=True, timeout=60)
        return record, _incident(json.loads(done.stdout))

    def prepare(self) -> None:
        """Write inventories and rules. The rules are what `remedy isolate --dry-run` says it would send."""
        self._write_inventories()
        record, incident = self.new_record()
        name, out = next(iter(self.hosts)), self.folder / "plan.json"
        argv = [REMEDY, "-i", str(self.inventory), "--record", str(record), "isolate", name]
        argv += ["--incident", incident, "--out", str(out), "--json"]
        done = subprocess.run(argv, capture_output=True, check=False, timeout=120, text=True)
        if done.returncode != _WOULD_CHANGE:
            raise BrokenRun(f"the dry-run of {name} ended with {done.returncode}: {done.stderr}{done.stdout[:500]}")
        load = json.loads(out.read_text(encoding="utf-8"))["plans"][0]["plan"]["changes"][0]
        self.rules.write_text(load["do"]["stdin"], encoding="utf-8")
        self.wanted_normal.write_text(json.loads(load["after"]) + "\n", encoding="utf-8")
        listing = self._console(name, ["unshare", "-n", "sh", "-c", _REHEARSE], load["do"]["stdin"].encode())
        self.wanted.write_text(listing, encoding="utf-8")

    def require_applied(self, names: Sequence[str]) -> None:
        """Raise BrokenRun unless every host lists exactly the wanted rules (whatever run the stamp names)."""
        wanted = _STAMP.sub("", self.wanted.read_text(encoding="utf-8"))
        for name in names:
            if _STAMP.sub("", self._console(name, ["sh", "-c", _LIST])) != wanted:
                raise BrokenRun(f"{name} does not have the rules")

    def require_clean(self, names: Sequence[str]) -> None:
        """Raise BrokenRun unless no host has any trace of an isolation."""
        for name in names:
            if left := self._console(name, ["sh", "-c", _TRACES]):
                raise BrokenRun(f"{name} is not as it was: {left}")

    def clean(self, names: Sequence[str]) -> None:
        """Take the rules away from the console."""
        for name in names:
            self._console(name, ["sh", "-c", _CLEAN])

    def round_trip(self) -> float:
        """Milliseconds of the fastest of five TCP handshakes with a host."""
        address = next(iter(self.hosts.values()))
        found = []
        for _ in range(5):
            begun = time.monotonic()
            socket.create_connection((address, 22), 5).close()
            found.append(time.monotonic() - begun)
        return min(found) * 1000

    def _console(self, name: str, argv: Sequence[str], stdin: bytes = b"") -> str:
        status, out, err = self.lab.exec(name, argv, stdin=stdin)
        if status:
            raise BrokenRun(f"{name}: {' '.join(argv)} ended with {status}: {err.decode('utf-8', 'replace')[:300]}")
        return out.decode()

    def _write_inventories(self) -> None:
        common: dict[str, Any] = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": self.key,
            "ansible_python_interpreter": "/usr/bin/python3",
            "remedy_known_hosts": self.known_hosts,
            "remedy_management": ["198.18.3.1", "2001:db8:0:3::1"],
            "remedy_budget": _BUDGET,
        }
        hosts = {name: {"ansible_host": address} for name, address in self.hosts.items()}
        tree = {"bench": {"hosts": hosts, "vars": common}}
        self.inventory.write_text(yaml.safe_dump(tree), encoding="utf-8")
        for path in self.full_inventory.glob("group_vars/lab.yml"):
            path.write_text(
                path.read_text(encoding="utf-8") + yaml.safe_dump({"remedy_budget": _BUDGET}), encoding="utf-8"
            )
        data = {
            "ssh_user": "root",
            "ssh_key": self.key,
            "ssh_known_hosts_file": self.known_hosts,
            "ssh_strict_host_key_checking": "yes",
            "ssh_allow_agent": False,
            "ssh_look_for_keys": False,
            "rules": str(self.rules),
            "wanted": str(self.wanted),
        }
        pairs = [(name, {"ssh_hostname": address, **data}) for name, address in self.hosts.items()]
        (self.folder / "ansible.cfg").touch()  # an empty one, so that the user's own does not count
        (self.folder / "pyinfra_hosts.py").write_text(f"bench = {pairs!r}\n", encoding="utf-8")


def _incident(document: dict[str, Any]) -> str:
    """The new incident's name in `remedy incident open --json`."""
    found = re.search(r"INC-[0-9-]+", json.dumps(document))
    if not found:
        raise BrokenRun(f"no incident was opened: {document}")
    return found[0]


@contextlib.contextmanager
def estate(hosts: int, delay: float) -> Iterator[Estate]:
    """Bring the lab up with so many plain hosts, `delay` milliseconds of round trip to all; down at the end."""
    lab = Lab()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Path(folder)
        lab.up(hosts=hosts, inventory=place / "lab")
        try:
            found = lab.status()["hosts"]
            made = Estate(lab, place, {n: h["v4"] for n, h in found.items() if n.startswith("host")})
            made.prepare()
            if delay:
                lab.fault("delay", "controller", delay / 2)
            yield made
        finally:
            lab.down()
