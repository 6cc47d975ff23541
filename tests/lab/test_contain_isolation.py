"""Isolation and release under attack, for real: what the certificate says, and what the attacker sees."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.contain import Console, Remedy, eventually, restored

from remedy.lab import Lab

pytestmark = pytest.mark.lab

WEB01 = ("198.18.1.11", "2001:db8:0:1::11")


@pytest.fixture
def remedy(lab_inventory: Path, tmp_path: Path) -> Remedy:
    """An operator with the lab's whole inventory and a new record."""
    return Remedy(lab_inventory, tmp_path / "record.db")


@pytest.fixture
def hosts(lab: Lab, remedy: Remedy, request: pytest.FixtureRequest) -> Iterator[None]:
    """The hosts these tests isolate, given back afterwards."""
    names = [request.node.callspec.params["name"]] if hasattr(request.node, "callspec") else ["web01", "sys01"]
    yield from restored(lab, names, remedy)


@pytest.fixture
def attacked(lab: Lab, hosts: None) -> Iterator[Lab]:  # noqa: ARG001 -- order of the clean-up
    """The lab; whatever intrusion a test starts is removed afterwards."""
    yield lab
    lab.clear()
    for name in ("web01", "legacy01"):
        lab.attack_stop(name)


def management_login(lab: Lab, address: str) -> int:
    """The exit status of OpenSSH's own client, from this machine."""
    argv = ["ssh", "-F", "none", "-i", str(lab.credentials.controller_key), "-o", "BatchMode=yes"]
    argv += ["-o", f"UserKnownHostsFile={lab.credentials.known_hosts}", "-o", "ConnectTimeout=5"]
    return subprocess.run([*argv, f"root@{address}", "true"], check=False, capture_output=True).returncode


def reaches(address: str, port: int) -> bool:
    """Whether this machine gets a TCP connection within a second."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("name", ["web01", "legacy01"])
def test_an_attacked_host_is_cut_off_and_given_back(attacked: Lab, remedy: Remedy, name: str) -> None:
    """Isolation silences every beacon and session, keeps loopback and management, and release restores all but them."""
    lab = attacked
    host, peer, db = Console(lab, name), Console(lab, "web02"), "198.18.2.21"
    address = lab.status()["hosts"][name]["v4"]
    lab.attack(name)
    attacked_state = host.state()
    assert host.connects(db, 3306)

    said = remedy("isolate", name, "--yes", "--json")
    made = said.target
    assert said.code == 0, said.err
    assert made["status"] == "verified"
    assert made["layers_held"] == ["host"]
    assert made["withstands_root"] is False
    cells = made["certificate"]
    assert {(c["direction"], c["family"], c["protocol"]) for c in cells} >= {
        (way, family, protocol) for way in ("in", "out") for family in ("IPv4", "IPv6") for protocol in ("TCP", "UDP")
    }
    assert {c["vantage"] for c in cells} >= {"controller", "attacker", "web02", "mon01", name}
    assert all(c["before"] in {"open", "refused"} for c in cells), "every cell has its positive control"
    assert any(c["after"] in {"silent", "prohibited"} for c in cells)

    time.sleep(2.2)
    seen = lab.attack_status(name, within=2.0)
    assert not [beacon for beacon in seen.beacons if beacon.heard]
    assert not seen.session_alive
    assert host.page().startswith("HTTP/1.0 "), "the site still answers on its own loopback"
    assert not peer.page(address)
    assert not host.connects(db, 3306)
    assert not peer.connects(address, 22)
    assert management_login(lab, address) == 0
    assert not reaches(address, 80)

    said = remedy("release", name, "--yes", "--json")
    assert (said.code, said.target["status"]) == (0, "verified"), said.err
    assert host.state() == attacked_state
    assert host.connects(db, 3306)
    assert peer.page(address)
    time.sleep(3)
    seen = lab.attack_status(name, within=2.0)
    assert seen.heard, "the implant is not remedy's to remove: released means released"
    assert not seen.session_alive, "a session that was cut must not come back"
    assert remedy("incident", "verify").code == 0


def test_isolation_under_systemd_survives_the_services_that_flush(hosts: None, lab: Lab, remedy: Remedy) -> None:  # noqa: ARG001
    """On a systemd host the isolation is there after nftables was restarted and reloaded, and after a reboot."""
    host = Console(lab, "sys01")
    said = remedy("isolate", "sys01", "--yes", "--json")
    assert said.code == 0, said.target["doubts"]
    assert all(cell["held"] for cell in said.target["certificate"])
    before = host.sh("nft -s list table inet remedy_isolation; nft -s list table bridge remedy_isolation")
    for verb in ("restart", "reload", "restart"):
        host.sh(f"systemctl {verb} nftables")
        assert host.sh("nft -s list table inet remedy_isolation; nft -s list table bridge remedy_isolation") == before
        assert "table inet filter" in host.sh("nft list tables"), "the host's own rules were loaded too"
    boots = lab.status()["hosts"]["sys01"]["boots"]
    host.sh("systemctl reboot", ok=False)
    assert eventually(lambda: lab.status()["hosts"]["sys01"]["boots"] > boots, 30)
    assert eventually(lambda: management_login(lab, "198.18.1.14") == 0, 20)
    assert host.sh("nft -s list table inet remedy_isolation; nft -s list table bridge remedy_isolation") == before
    assert not Console(lab, "web02").connects("198.18.1.14", 22)
    watched = remedy("watch", said.document["incident"], "--once", "--json")
    assert watched.code == 0, watched.out
    assert remedy("release", "sys01", "--yes").code == 0
    host.sh("systemctl start nftables; systemctl restart nftables; systemctl stop nftables")
    assert not host.is_cut


@pytest.mark.parametrize("name", ["web01", "legacy01"])
def test_isolation_comes_back_after_a_power_cut_and_release_does_not(
    hosts: None,  # noqa: ARG001
    lab: Lab,
    remedy: Remedy,
    name: str,
) -> None:
    """A power-cycle changes nothing: the isolated host boots isolated, the released one boots released."""
    host, address = Console(lab, name), lab.status()["hosts"][name]["v4"]
    said = remedy("isolate", name, "--yes", "--json")
    assert said.code == 0, said.err
    rules = host.state()
    lab.fault("power-cycle", name)
    assert host.state() == rules
    assert not Console(lab, "web02").connects(address, 80)
    assert management_login(lab, address) == 0
    assert remedy("watch", said.document["incident"], "--once").code == 0
    assert remedy("isolate", name, "--yes", "--json").target["status"] == "unchanged"
    said = remedy("release", name, "--yes", "--json")
    assert said.code == 0, said.err
    lab.fault("power-cycle", name)
    assert not host.left()
    assert Console(lab, "web02").connects(address, 80)


def test_isolating_twice_asks_the_certificate_again_and_changes_nothing(hosts: None, lab: Lab, remedy: Remedy) -> None:  # noqa: ARG001
    """The second isolation of a host is verified anew, sends nothing, and leaves the state as it was."""
    assert remedy("isolate", "web01", "--yes").code == 0
    before = Console(lab, "web01").state()
    made = remedy("isolate", "web01", "--yes", "--json").target
    assert (made["status"], made["changed"]) == ("unchanged", False)
    assert len(made["certificate"]) > 20
    assert Console(lab, "web01").state() == before


def test_pinned_dns_leaves_exactly_the_resolver_open(hosts: None, lab: Lab, remedy: Remedy) -> None:  # noqa: ARG001
    """With --dns pinned the inventory's resolvers answer and the attacker's port 53 does not."""
    said = remedy("isolate", "web01", "--dns", "pinned", "--yes", "--json")
    assert said.code == 0, said.err
    dns = {(c["address"], c["after"]) for c in said.target["certificate"] if c["protocol"] == "DNS"}
    assert ("198.18.1.254", "open") in dns
    host = Console(lab, "web01")
    assert host.sh("getent ahostsv4 web02.lab.example").startswith("198.18.1.12")
    assert not host.connects("198.18.0.66", 53)


@pytest.mark.parametrize("name", ["web01", "legacy01", "sys01"])
def test_the_recovery_card_restores_the_host_from_its_console(
    hosts: None,  # noqa: ARG001
    lab: Lab,
    remedy: Remedy,
    name: str,
) -> None:
    """The card's lines, pasted into a root shell, bring back the pre-image, and release then has nothing to do."""
    host = Console(lab, name)
    before = host.state()
    said = remedy("isolate", name, "--yes", "--json")
    assert host.is_cut
    host.sh("\n".join(["set -e", *said.target["card"]]))
    assert host.state() == before
    assert not host.left()
    released = remedy("release", name, "--yes", "--json")
    assert (released.code, released.target["status"], released.target["changed"]) == (0, "unchanged", False)
