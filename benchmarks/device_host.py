"""Emulated devices in processes of their own, prepared for blocking, and an inventory that names them.

Each is a SecPath of the lab on loopback, or an IOS router on which nothing was prepared. Decides what a device is like
before a run (prepared, its group empty) and what has to be there afterwards; what is measured on it is `block`'s
business.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import paramiko
from benchmarks.estate import REMEDY, BrokenRun

from remedy.lab.devices.faults import ask

PYTHON: Final = sys.executable
USER: Final = "admin"
PASSWORD: Final = "Admin-1"  # noqa: S105 -- of a device that is made for the run
#: What the inventory says of a device with each face: for remedy, and for Ansible beside it.
_FACES: Final = {
    "secpath": "remedy_platform: h3c_secpath, remedy_gates: [{zone: Untrust}]",
    "ios": "remedy_platform: cisco_ios, ansible_network_os: cisco.ios.ios, ansible_network_cli_ssh_type: paramiko,"
    " ansible_buffer_read_timeout: 0",
}


@dataclass
class Device:
    """A device that is on."""

    name: str
    port: int
    control: Path
    known: str

    def running(self) -> str:
        """Its running configuration, from its console."""
        return str(ask(self.control, {"ask": "running"})["answer"])

    def slow(self, seconds: float) -> None:
        """Let every line take so long."""
        ask(self.control, {"set": {"slow": seconds}})


@dataclass
class Devices:
    """Devices, their inventory, and how to start again."""

    folder: Path
    stack: contextlib.ExitStack
    startup: Path | None = None
    on: list[Device] = field(default_factory=list)
    #: How many were ever switched on, for folders of their own.
    count: int = 0

    @property
    def inventory(self) -> Path:
        """The inventory of those that are on."""
        return self.folder / "hosts.yml"

    def command(self, *words: str) -> list[str]:
        """`remedy WORDS` with a record of its own."""
        self.count += 1
        return [REMEDY, "-i", str(self.inventory), "--record", str(self.folder / f"record{self.count}.db"), *words]

    def fresh(self, number: int, face: str = "secpath") -> Sequence[Device]:
        """So many devices, as they were prepared and nothing blocked; those before are switched off."""
        self.stack.close()
        self.on = [self._switch_on(f"fw{at:02}", face) for at in range(1, number + 1)]
        entries = "".join(
            f"    {one.name}: {{ansible_port: {one.port}, remedy_known_hosts: {one.known}, {_FACES[face]}}}\n"
            for one in self.on
        )
        self.inventory.write_text(
            f"all:\n  vars:\n    ansible_host: 127.0.0.1\n    ansible_user: {USER}\n"
            "    ansible_connection: ansible.netcommon.network_cli\n"
            "    ansible_password: \"{{ lookup('env', 'DEVICE_PASSWORD') }}\"\n"
            f"    remedy_budget: {{blocks_per_hour: 1000}}\n  hosts:\n{entries}",
            encoding="utf-8",
        )
        return self.on

    def prepare(self) -> None:
        """Set one up as `remedy acl prepare` does; all that follow begin like that."""
        [one] = self.fresh(1)
        argv = self.command("acl", "prepare", "--for", "block", "--yes", "-q")
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment())
        if done.returncode:
            raise BrokenRun(f"acl prepare ended with {done.returncode}: {done.stdout}{done.stderr}")
        self.startup = self.folder / "startup.cfg"
        self.startup.write_text(str(ask(one.control, {"ask": "saved"})["answer"]), encoding="utf-8")

    def _switch_on(self, name: str, face: str) -> Device:
        self.count += 1
        folder = self.folder / f"{name}-{self.count}"
        folder.mkdir()
        settings = {
            "face": face,
            "name": name.upper(),
            "accounts": {USER: [PASSWORD, "admin"]},
            "control": str(folder / "control"),
            "state": str(folder / "flash"),
            "faults": {"activation": 0.0},
            **({"startup": str(self.startup)} if self.startup and face == "secpath" else {}),
        }
        (folder / "device.json").write_text(json.dumps(settings), encoding="utf-8")
        argv = [PYTHON, "-m", "remedy.lab.devices", str(folder / "device.json")]
        process = self.stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        self.stack.callback(process.terminate)
        words = process.stdout.readline().split() if process.stdout else []
        if len(words) != 2:  # noqa: PLR2004 -- "ready PORT"
            raise BrokenRun(f"{name} did not come up")
        port = int(words[1])
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {_key(port)}\n", encoding="utf-8")
        return Device(name, port, folder / "control", str(folder / "known_hosts"))


def environment() -> dict[str, str]:
    """That of every contender."""
    return {**os.environ, "DEVICE_PASSWORD": PASSWORD, "ANSIBLE_HOST_KEY_CHECKING": "False"}


@contextlib.contextmanager
def devices(folder: Path) -> Iterator[Devices]:
    """Where devices can be switched on; all are off at the end."""
    with contextlib.ExitStack() as stack:
        made = Devices(folder, stack)
        made.prepare()
        yield made


def _key(port: int) -> str:
    with paramiko.Transport(("127.0.0.1", port)) as transport:
        transport.start_client(timeout=10)
        key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}"
