"""The lab's network devices: what is typed there, over netmiko's own drivers, really stops the lab's packets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import netmiko
import pytest
from paramiko import SSHException

from remedy.inventory.loading import load
from remedy.lab import Lab
from remedy.lab.topology import topology

_REACHES = """
import socket, sys
for address in sys.argv[2:]:
    try:
        socket.create_connection((address, int(sys.argv[1])), 0.7).close(); print("yes")
    except OSError:
        print("no")
"""
_DROP_ATTACKER = (
    "object-group ip address remedy-block", "network host address 198.18.0.66", "quit",
    "object-group ipv6 address remedy-block6", "network host address 2001:db8::66", "quit",
    "security-policy ip", "rule name remedy-block", "action drop", "source-zone Untrust", "source-ip remedy-block",
    "counting enable", "quit", "move rule name remedy-block top", "accelerate enhanced enable", "quit",
    "security-policy ipv6", "rule name remedy-block6", "action drop", "source-zone Untrust", "source-ip remedy-block6",
    "quit", "move rule name remedy-block6 top", "accelerate enhanced enable", "quit",
)  # fmt: skip
_CUT_MANAGEMENT = (
    "security-policy ip", "rule name wrong", "action drop", "source-zone Management", "quit",
    "move rule name wrong top",
    "accelerate enhanced enable",
)  # fmt: skip


pytestmark = pytest.mark.lab


@pytest.fixture
def devices(calm_lab: Lab) -> Iterator[Lab]:
    """The lab, with its devices as shipped afterwards."""
    yield calm_lab
    calm_lab.clear()
    for name in ("fw01", "core01", "asa01"):
        calm_lab.reset_device(name)


def login(lab: Lab, name: str, driver: str) -> netmiko.BaseConnection:
    """A session at a device, as its address, account and host key stand in the lab's files."""
    host = topology(extra=("core01", "asa01", "sw01"))[name]
    return netmiko.ConnectHandler(
        device_type=driver,
        host=host.v4,
        port=host.services["cli"],
        username="remedy",
        password=lab.credentials.device_password.read_text(),
        secret=lab.credentials.device_enable.read_text(),
        ssh_strict=True,
        alt_host_keys=True,
        alt_key_file=str(lab.credentials.known_hosts),
        conn_timeout=3,
        fast_cli=True,
    )


def reaches(lab: Lab, host: str, *addresses: str, port: int = 80) -> list[str]:
    """Whether a host gets a TCP connection to each address: "yes" or "no"."""
    status, out, err = lab.exec(host, ["python3", "-c", _REACHES, str(port), *addresses])
    assert status == 0, err
    return out.decode().split()


WEB = ("198.18.1.11", "2001:db8:0:1::11")


def test_a_rule_at_the_firewall_stops_the_attacker(devices: Lab) -> None:
    """A drop rule on a group, typed over netmiko, stops the attacker's HTTP in both families and nobody else's."""
    assert reaches(devices, "attacker", *WEB) == ["yes", "yes"]
    with login(devices, "fw01", "hp_comware") as session:
        session.send_config_set(_DROP_ATTACKER)
        devices.ask_device("fw01", {"ask": "settled"})
        assert reaches(devices, "attacker", *WEB) == ["no", "no"]
        assert reaches(devices, "offsite", *WEB) == ["yes", "yes"]
        assert "(0 packets" not in session.send_command("display security-policy statistics ip rule remedy-block")
        session.send_config_set(["object-group ip address remedy-block", "undo network host address 198.18.0.66"])
        devices.ask_device("fw01", {"ask": "settled"})
        assert reaches(devices, "attacker", *WEB) == ["yes", "no"]


def shown(session: netmiko.BaseConnection) -> bool:
    """Whether the device answers Enter within a second."""
    session.read_channel()
    session.write_channel("\n")
    time.sleep(1)
    return bool(session.read_channel())


def test_a_wrong_rule_cuts_the_management_session(
    devices: Lab, eventually: Callable[[Callable[[], bool], float], bool]
) -> None:
    """A rule that drops what management sends ends the session that typed it, and a power-cycle, unsaved, undoes it."""
    session = login(devices, "fw01", "hp_comware")
    try:
        session.config_mode()
        session.write_channel("".join(f"{line}\n" for line in _CUT_MANAGEMENT))
        assert eventually(lambda: devices.ask_device("fw01", {"ask": "settled"})["answer"] and not shown(session), 10)
        assert reaches(devices, "mon01", "198.18.3.254", port=2222) == ["no"]
        with pytest.raises((SSHException, OSError)):
            login(devices, "fw01", "hp_comware")
    finally:
        session.paramiko_cleanup()
    devices.fault("power-cycle", "fw01")
    with login(devices, "fw01", "hp_comware") as again:
        assert "wrong" not in again.send_command("display security-policy ip")


def test_what_was_saved_outlives_a_power_cycle(devices: Lab) -> None:
    """After a power-cycle the saved rule stops the attacker again, and what was typed after the save is gone."""
    with login(devices, "fw01", "hp_comware") as session:
        session.send_config_set(_DROP_ATTACKER)
        session.save_config()
        session.send_config_set(["sysname forgotten"])
        session.set_base_prompt()
    devices.fault("power-cycle", "fw01")
    assert reaches(devices, "attacker", *WEB) == ["no", "no"]
    with login(devices, "fw01", "hp_comware") as session:
        assert session.find_prompt() == "<fw01>"
    assert devices.ask_device("fw01", {"ask": "complaints"}) == {"answer": []}


def test_live_connections_through_the_firewall_end(
    devices: Lab, eventually: Callable[[Callable[[], bool], float], bool]
) -> None:
    """The intruder's open sessions stop answering once the group has his address."""
    devices.attack("web01")
    with login(devices, "fw01", "hp_comware") as session:
        session.send_config_set(_DROP_ATTACKER)
        devices.ask_device("fw01", {"ask": "settled"})
        assert eventually(lambda: not devices.attack_status("web01", within=1.0).session_alive, 10)
    devices.attack_stop("web01")


BRANCH = ("198.18.4.11", "2001:db8:0:4::11")


def test_a_block_at_the_router_stops_the_attacker(devices: Lab) -> None:
    """A group denied in the list of core01's outer interface keeps the attacker from the branch, and nobody else."""
    assert reaches(devices, "attacker", *BRANCH) == ["yes", "yes"]
    with login(devices, "core01", "cisco_ios") as session:
        session.enable()
        session.send_config_set([
            "object-group network remedy-block", "host 198.18.0.66", "object-group v6-network remedy-block6",
            "host 2001:db8::66", "ip access-list extended edge-in", "5 deny ip object-group remedy-block any",
            "ipv6 access-list edge6-in", "sequence 5 deny ipv6 object-group remedy-block6 any",
        ])  # fmt: skip
        devices.ask_device("core01", {"ask": "settled"})
        assert reaches(devices, "attacker", *BRANCH) == ["no", "no"]
        assert reaches(devices, "attacker", *WEB) == ["yes", "yes"]
        assert reaches(devices, "offsite", *BRANCH) == ["yes", "yes"]
        assert " match" in str(session.send_command("show ip access-lists edge-in")).splitlines()[1]


def test_a_block_at_the_asa_stops_the_attacker(devices: Lab) -> None:
    """A group denied in asa01's outer list, and a shunned source, keep the attacker from the partner, nobody else."""
    partner = ("198.18.5.11", "2001:db8:0:5::11")
    assert reaches(devices, "attacker", *partner) == ["yes", "yes"]
    with login(devices, "asa01", "cisco_asa") as session:
        session.send_config_set([
            "object-group network remedy-block", "network-object host 2001:db8::66",
            "access-list outside_in line 1 extended deny ip object-group remedy-block any",
        ])  # fmt: skip
        devices.ask_device("asa01", {"ask": "settled"})
        assert reaches(devices, "attacker", *partner) == ["yes", "no"]
        session.send_command("shun 198.18.0.66")
        devices.ask_device("asa01", {"ask": "settled"})
        assert reaches(devices, "attacker", *partner) == ["no", "no"]
        assert reaches(devices, "offsite", *partner) == ["yes", "yes"]
        assert "(hitcnt=0)" not in str(session.send_command("show access-list outside_in")).splitlines()[1]


def test_a_wrong_list_at_the_router_cuts_its_own_session(
    devices: Lab, eventually: Callable[[Callable[[], bool], float], bool]
) -> None:
    """A list that denies everything ends the session that typed it; nothing was saved, so that power brings it back."""
    session = login(devices, "core01", "cisco_ios")
    try:
        session.enable()
        session.write_channel("configure terminal\nip access-list extended edge-in\n1 deny ip any any\n")
        assert eventually(lambda: not shown(session), 10)
    finally:
        session.paramiko_cleanup()
    devices.fault("power-cycle", "core01")
    login(devices, "core01", "cisco_ios").disconnect()


def test_the_inventory_says_how_to_log_in(lab_inventory: Path) -> None:
    """The lab's inventory has fw01 as a SecPath with its gate, protected, and its known host key."""
    inventory = load(lab_inventory)
    device = inventory.device("fw01")
    assert device is not None
    assert device.vendor.name == "h3c_secpath"
    assert [gate.zone for gate in device.gates] == ["Untrust"]
    assert inventory.device("web01") is None


def test_nobody_else_reaches_the_command_line(lab: Lab) -> None:
    """The command line answers in the management zone alone; the Linux behind it keeps its own SSH server."""
    assert reaches(lab, "attacker", "198.18.0.254", port=2222) == ["no"]
    assert reaches(lab, "mon01", "198.18.3.254", "2001:db8:0:3::fe", port=2222) == ["yes", "yes"]
    assert reaches(lab, "mon01", "198.18.3.254", port=22) == ["yes"]
