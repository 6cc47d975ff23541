"""The lab, brought up once for all tests that need it and taken down after the last one.

Other test files ask for the fixtures `lab` (the lab that is up), `lab_inventory` (its inventory folder) and
`calm_lab` (the same lab, with every fault and intrusion undone after the test).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from remedy.lab import Lab
from remedy.lab.image import missing


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with the systemd host, 30 plain ones, and a router and a firewall with a zone behind each.

    A machine that cannot run it fails the tests, saying why.
    """
    lacking = missing()
    if lacking:
        pytest.fail("the lab cannot run here: " + "; ".join(lacking), pytrace=False)
    instance = Lab(tmp_path_factory.mktemp("lab") / "state")
    inventory = tmp_path_factory.mktemp("inventory") / "lab"
    instance.up(hosts=30, extra=("sys01", "core01", "asa01"), inventory=inventory)
    yield instance
    instance.down()


@pytest.fixture
def lab_inventory(lab: Lab) -> Path:
    """The folder with the inventory of the lab."""
    return lab.inventory


@pytest.fixture
def calm_lab(lab: Lab) -> Iterator[Lab]:
    """The lab, with every fault undone afterwards."""
    yield lab
    lab.clear()


@pytest.fixture
def connects() -> Callable[[str, int], bool]:
    """Whether this machine gets a TCP connection to an address and port within a second."""

    def attempt(address: str, port: int) -> bool:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            return False
        return True

    return attempt


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool], float], bool]:
    """Whether a question becomes true within so many seconds, asked every 50 ms."""

    def wait(question: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if question():
                return True
            time.sleep(0.05)
        return question()

    return wait
