"""The lab's access switch: with it, the DMZ's hosts are plugged into its ports, and its VLANs and ports hold.

A lab of its own, in a network of its own, since the switch changes where every host of the DMZ is plugged in.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab

_PROGRAM = """
import json, pathlib, sys, time
import netmiko
from remedy.core.errors import RemedyError
from remedy.inventory.loading import load
from remedy.lab import Lab
state, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
lab, said = Lab(state), {}
ASK = '''
import socket, sys
for address in sys.argv[1:]:
    try:
        socket.create_connection((address, 80), 0.7).close(); print("yes")
    except OSError:
        print("no")
'''
WEB = ("198.18.1.11", "2001:db8:0:1::11")
def reaches(host):
    return lab.exec(host, ["python3", "-c", ASK, *WEB])[1].decode().split()
def seen(within=3.0):
    until = time.monotonic() + within
    while (found := (reaches("attacker"), reaches("web02"))) != (["yes"] * 2,) * 2 and time.monotonic() < until:
        pass  # a bridge's port takes up to a second to open
    return found
lab.up(extra=("sw01", "sys01"), inventory=folder)
try:
    session = netmiko.ConnectHandler(
        device_type="hp_comware", host="198.18.3.40", port=2222, username="remedy", ssh_strict=True, alt_host_keys=True,
        password=lab.credentials.device_password.read_text(), alt_key_file=str(lab.credentials.known_hosts))
    said["complaints"] = lab.ask_device("sw01", {"ask": "complaints"})["answer"]
    said["plugged"] = seen()
    said["macs"] = session.send_command("display mac-address")
    session.send_config_set(["interface g1/0/1", "port access vlan 999"])
    lab.ask_device("sw01", {"ask": "settled"})
    said["quarantined"] = seen(0)
    lab.exec("web01", ["nft", "flush", "ruleset"])
    said["flushed"] = seen(0)
    session.send_config_set(["interface g1/0/1", "port access vlan 10", "shutdown"])
    lab.ask_device("sw01", {"ask": "settled"})
    said["shut"] = seen(0)
    session.send_config_set(["interface g1/0/1", "undo shutdown"])
    said["back"] = seen()
    for host in ("web01", "fw01", "sw01"):
        lab.fault("power-cycle", host)
        said[host] = seen()
    try:
        lab.fault("delay", "web01", 5)
    except RemedyError as error:
        said["delay"] = error.message
    inventory = load(folder)
    port = inventory.switch_port("web01")
    said["inventory"] = [port.device, port.port, inventory.device("sw01").quarantine_vlan]
finally:
    lab.down()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 -- JSON
    """What a lab with the switch did."""
    folder = tmp_path_factory.mktemp("switch")
    argv = ["unshare", "--net", sys.executable, "-c", _PROGRAM, str(folder / "state"), str(folder / "inventory")]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


_ALL, _NOTHING = [["yes", "yes"], ["yes", "yes"]], [["no", "no"], ["no", "no"]]


def test_hosts_are_at_their_ports(said: Any) -> None:  # noqa: ANN401 -- JSON
    """The web server is reached through the switch, which knows its address at the port the inventory names."""
    assert said["complaints"] == []
    assert said["plugged"] == _ALL
    assert "0200-c612-010b 10       Learned        GigabitEthernet1/0/1 " in said["macs"]
    assert said["inventory"] == ["sw01", "GigabitEthernet1/0/1", 999]


def test_a_port_in_quarantine_or_shut_carries_nothing(said: Any) -> None:  # noqa: ANN401 -- JSON
    """Moved to the quarantine VLAN or shut, the host is reached by nobody, whatever root does; moved back it is."""
    assert said["quarantined"] == said["flushed"] == said["shut"] == _NOTHING
    assert said["back"] == _ALL


def test_cables_find_their_vlans_after_a_power_cycle(said: Any) -> None:  # noqa: ANN401 -- JSON
    """After host, router or switch lost their power, everything is plugged in again; a delay is refused."""
    assert [said[name] for name in ("web01", "fw01", "sw01")] == [_ALL, _ALL, _ALL]
    assert "switch" in said["delay"]
