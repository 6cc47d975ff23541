"""The rehearsal's intrusion is real: page, beacon and session, each stopped by what should stop it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from remedy.core.errors import UsageError
from remedy.lab import Lab
from remedy.lab.site_content import DEFACED_MARK

pytestmark = pytest.mark.lab


@pytest.fixture
def attacked(calm_lab: Lab) -> Iterator[Lab]:
    """The lab with an intrusion on web01."""
    calm_lab.attack("web01")
    yield calm_lab
    calm_lab.clear()
    calm_lab.attack_stop("web01")


def page() -> str:
    """What visitors of web01 see."""
    with urllib.request.urlopen("http://198.18.1.11/", timeout=5) as answer:
        return str(answer.read().decode())


def test_an_intrusion_is_heard_over_everything(attacked: Lab) -> None:
    """The attacker hears all four beacons of web01 by its own addresses and holds a session over each family."""
    seen = attacked.attack_status("web01")
    assert {(b.protocol, b.family, b.source) for b in seen.beacons if b.heard} == {
        ("tcp", 4, "198.18.1.11"),
        ("tcp", 6, "2001:db8:0:1::11"),
        ("udp", 4, "198.18.1.11"),
        ("udp", 6, "2001:db8:0:1::11"),
    }
    assert [(s.family, s.answers, s.last.split("(")[0]) for s in seen.sessions] == [
        (4, True, "uid=0"),
        (6, True, "uid=0"),
    ]
    assert DEFACED_MARK in page()


def test_a_cut_cable_ends_what_the_attacker_hears(attacked: Lab, eventually: Callable[..., bool]) -> None:
    """Once the cable is cut neither beacons nor sessions are heard within two seconds."""
    attacked.fault("link-cut", "web01")
    time.sleep(2.2)
    seen = attacked.attack_status("web01", within=2.0)
    assert not seen.heard
    assert not seen.session_alive
    attacked.clear("web01")
    assert eventually(lambda: attacked.attack_status("web01").heard, 10)


def test_only_the_family_that_is_filtered_goes_silent(attacked: Lab) -> None:
    """With IPv4 dropped on the host the IPv6 beacons and session live on, and the status tells them apart."""
    rules = "table ip trial {\n chain out {\n type filter hook output priority 0; policy drop;\n oif lo accept\n }\n}\n"
    assert attacked.exec("web01", ["nft", "-f", "-"], rules.encode())[0] == 0
    time.sleep(2.2)
    seen = attacked.attack_status("web01", within=2.0)
    attacked.exec("web01", ["nft", "delete", "table", "ip", "trial"])
    assert {beacon.family for beacon in seen.beacons if beacon.heard} == {6}
    assert [session.family for session in seen.sessions if session.answers] == [6]


def test_the_implant_survives_a_power_cycle(attacked: Lab, eventually: Callable[..., bool]) -> None:
    """After a power-cycle the implant calls home again by itself, while the old sessions stay dead."""
    before = time.time()
    attacked.fault("power-cycle", "web01")
    assert eventually(lambda: (time.time() - before > 3) and attacked.attack_status("web01", within=1.0).heard, 10)
    assert not attacked.attack_status("web01").session_alive


def test_stopping_the_attack_leaves_no_trace(calm_lab: Lab) -> None:
    """After the clean-up the page is the old one, no process or file is left, and the attacker hears nothing."""
    calm_lab.attack("web02")
    calm_lab.attack_stop("web02")
    _, processes, _ = calm_lab.exec("web02", ["ps", "axo", "args"])
    assert b"update-check" not in processes
    assert calm_lab.exec("web02", ["find", "/", "-xdev", "-name", "*update-check*"])[1] == b""
    assert b"intruder.py web02" not in calm_lab.exec("attacker", ["ps", "axo", "args"])[1]
    time.sleep(1.2)
    assert not calm_lab.attack_status("web02", within=1.0).heard


def test_beacons_come_from_inside_too(calm_lab: Lab) -> None:
    """A host the perimeter hides from outside can be intruded as well: its beacons get out, no session gets in."""
    calm_lab.attack("db01")
    seen = calm_lab.attack_status("db01")
    calm_lab.attack_stop("db01")
    assert all(beacon.heard for beacon in seen.beacons)
    assert not seen.session_alive


def test_an_unknown_host_cannot_be_attacked(lab: Lab) -> None:
    """The name is checked against the lab."""
    with pytest.raises(UsageError, match="web99"):
        lab.attack("web99")
