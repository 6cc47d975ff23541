"""A controller's console: the real command line over real SSH, in a network of namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.worlds import children
from tests.worlds.firewalls import OTHERS, firewall
from tests.worlds.namespaces import cable, join_network
from tests.worlds.real import World

from remedy import devices
from remedy.actions.perimeter import device as typing
from remedy.actions.prepare import Prepare
from remedy.cli.main import main

SECRET = "correct-horse-battery"
INVENTORY = """\
all:
  vars:
    ansible_user: root
    ansible_ssh_private_key_file: FOLDER/login
    remedy_known_hosts: FOLDER/known_hosts
    remedy_budget: {isolations_per_hour: 1000, group_share_percent: 100}
    remedy_management: [198.18.3.1, "2001:db8:0:3::1"]
  children:
    web:
      hosts:
        web01:
          ansible_host: 198.18.3.11
          remedy_addresses: [198.18.1.11, "2001:db8:0:1::11"]
          remedy_probe: {tcp: [22, 80], udp: [4444]}
          remedy_canaries: [198.18.0.66, "2001:db8::66"]
          remedy_canary_ports: {tcp: [4444], udp: [4444]}
          remedy_resolvers: [198.18.0.66]
          remedy_impact: "the public \\e]0;owned\\a site"
        gone01:
          ansible_host: 198.18.3.99
          ansible_port: 2222
    eyes:
      hosts:
        web02: {ansible_host: 198.18.4.2, remedy_vantage: peer}
        attacker: {ansible_host: 198.18.5.2, remedy_vantage: outside}
    vault:
      hosts:
        log01: {ansible_host: 198.18.3.98, remedy_protected: true}
    sudoers:
      hosts:
        sudo01:
          ansible_host: 198.18.3.97
          ansible_become: true
          ansible_become_password: "{{ lookup('env', 'SUDO_PASSWORD') }}"
"""


@dataclass
class Site:
    """The network with sshd on every host that is logged in to."""

    world: World
    folder: Path
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def serve(self, name: str) -> None:
        """Start sshd on a host."""
        config = self.folder / f"sshd_{name}"
        words = ["Port 22", "PidFile none", "UsePAM no", "StrictModes no", "UseDNS no", "PermitRootLogin yes"]
        words += ["MaxStartups 200", f"AuthorizedKeysFile {self.folder}/login.pub", f"HostKey {self.folder}/host"]
        config.write_text("\n".join(words) + "\n")
        argv = self.world.hosts[name].enter("/usr/sbin/sshd", "-D", "-e", "-f", str(config))
        self.servers.append(children.start(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def close(self) -> None:
        """End it."""
        self.world.close()
        for server in self.servers:
            children.end(server)


@dataclass
class Said:
    """What a call of the command line came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output, and nothing else there."""
        assert self.out.endswith("\n")
        assert len(self.out.splitlines()) == 1, self.out
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def target(self) -> dict[str, Any]:
        """The one target in it."""
        [found] = self.document["targets"]
        assert isinstance(found, dict)
        return found


@dataclass
class Console:
    """Types commands on the controller."""

    capture: pytest.CaptureFixture[str]
    folder: Path
    inventory: Path
    world: World | None = None

    @property
    def record(self) -> Path:
        """This console's incident record."""
        return self.folder / "state" / "record.db"

    def __call__(self, *args: str) -> Said:
        """Run `remedy ARGS`."""
        self.capture.readouterr()
        code = main(["-i", str(self.inventory), "--record", str(self.record), *args])
        out, err = self.capture.readouterr()
        return Said(code, out, err)


@contextlib.contextmanager
def at(world: World) -> Iterator[None]:
    """In the controller's network, threads and programs started included."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        world.hosts["controller"].join()
        yield
    finally:
        join_network(before)
        os.close(before)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The network, once."""
    if os.geteuid():
        pytest.fail("these tests make network namespaces: run them as root")
    folder = tmp_path_factory.mktemp("site")
    for name in ("login", "host"):
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name), check=True)
    (folder / "known_hosts").write_text("* " + (folder / "host.pub").read_text())
    world = World(ports=(80,))
    made = Site(world, folder)
    controller = world.hosts["controller"]
    for number, name in ((4, "web02"), (5, "attacker")):
        near, far = f"198.18.{number}.1/24", f"198.18.{number}.2/24"
        cable(controller, f"c{number}", world.hosts[name], near=(near,), far=(far,), end="mgmt0", routed=False)
    for name in ("web01", "web02", "attacker"):
        made.serve(name)
    end = time.monotonic() + 10
    while not all(world.reaches(name, 22, "127.0.0.1") for name in ("web01",)) and time.monotonic() < end:
        time.sleep(0.05)
    world.reaches("web01", 22)
    (folder / "hosts.yml").write_text(INVENTORY.replace("FOLDER", str(folder)))
    yield made
    made.close()


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console with an inventory of hosts that nobody answers for; nothing is on the network."""
    for name in ("SSH_AUTH_SOCK", "REMEDY_RECORD", "REMEDY_INVENTORY", "REMEDY_INCIDENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SUDO_PASSWORD", SECRET)
    text = INVENTORY.replace("FOLDER", str(tmp_path))
    for network in ("3", "4", "5"):
        for last in ("11", "99", "98", "97", "2"):
            text = text.replace(f"ansible_host: 198.18.{network}.{last}", "ansible_host: 127.0.0.77")
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(text.replace("ansible_user: root", "ansible_user: root\n    ansible_port: 9"))
    return Console(capsys, tmp_path, inventory)


@pytest.fixture(scope="session")
def configured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each face the configuration of a device that is prepared, among an administrator's own rules."""
    texts = {}
    for face in ("secpath", "comware"):
        with firewall(tmp_path_factory.mktemp(face), face) as one:
            for command in (typing.configure(OTHERS[face]), typing.save("fw01", devices.named(one.vendor)).do):
                assert one.sessions.send(command, at="fw01").status == 0
            texts[f"{face} as found"] = one.asked("saved")
            for family in (4, 6):
                assert one.act(Prepare(one.vendor, one.gate, family), f"P{family}").status == "verified"
            texts[face] = one.asked("saved")
    return texts


@pytest.fixture
def console(bare: Console, site: Site) -> Iterator[Console]:
    """A console on the network of namespaces; whatever was isolated is released afterwards."""
    bare.inventory = site.folder / "hosts.yml"
    bare.world = site.world
    before = site.world.target.run("nft -s list ruleset; ls -R /etc/init.d /etc/rcS.d")
    with at(site.world):
        yield bare
        if site.world.target.run("nft -s list ruleset; ls -R /etc/init.d /etc/rcS.d") != before:
            assert bare("release", "web01", "--yes", "-q").code in {0, 22}
    assert site.world.target.run("nft -s list ruleset; ls -R /etc/init.d /etc/rcS.d") == before
