"""The perimeter layer against root on the host, with the lab's firewall and real packets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.contain import Console, Remedy, restored

from remedy.lab import Lab

pytestmark = pytest.mark.lab

_REACHES = """
import socket, sys
for address in sys.argv[1:]:
    try:
        socket.create_connection((address, 80), 0.7).close(); print("yes")
    except OSError:
        print("no")
"""
WEB = ("198.18.1.11", "2001:db8:0:1::11")


@pytest.fixture
def remedy(lab: Lab, lab_inventory: Path, tmp_path: Path) -> Iterator[Remedy]:
    """An operator with a new record; host and devices are at their start afterwards."""
    made = Remedy(lab_inventory, tmp_path / "record.db")
    yield from (made for _ in restored(lab, ["web01"], made))
    lab.clear()
    lab.reset_device("fw01")


def reaches(lab: Lab, host: str) -> list[str]:
    """Whether a host reaches the web server, over both families: "yes" or "no"."""
    status, out, err = lab.exec(host, ["python3", "-c", _REACHES, *WEB])
    assert status == 0, err
    return out.decode().split()


def test_root_flushes_its_rules_and_stays_contained(lab: Lab, remedy: Remedy) -> None:
    """With the host's rules gone, its neighbour reaches it again and the attacker does not; release opens it."""
    ready = remedy("acl", "prepare", "fw01", "--for", "isolate", "--yes")
    assert ready.code == 0, ready.err
    assert reaches(lab, "attacker") == ["yes", "yes"]

    done = remedy("isolate", "web01", "--layers", "host,perimeter", "--yes", "--json")
    assert done.code == 0, (done.out, done.err)
    assert done.target["layers_held"] == ["host", "perimeter"]
    assert done.target["withstands_root"] is True

    Console(lab, "web01").sh("nft flush ruleset")
    assert reaches(lab, "web02") == ["yes", "yes"]
    assert reaches(lab, "attacker") == ["no", "no"]

    back = remedy("release", "web01", "--yes", "--json")
    assert back.code in {0, 22}, (back.out, back.err)
    assert reaches(lab, "attacker") == ["yes", "yes"]
