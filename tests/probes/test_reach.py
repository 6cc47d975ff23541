"""The reachability program, run for real against sockets behind a real packet filter, by Python and by bash alone."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds.namespaces import Host, cable

from remedy.core.canon import Json
from remedy.core.values import Reply
from remedy.probes import parse, reach

NEAR, FAR = ("198.18.1.11", "2001:db8:0:1::11"), ("198.18.1.12", "2001:db8:0:1::12")
RULES = """
nft -f - <<'END'
table inet t {
  chain input {
    type filter hook input priority 0;
    meta l4proto { tcp, udp } th dport 81 drop
    meta l4proto { tcp, udp } th dport 82 reject with icmpx admin-prohibited
    tcp dport 83 reject with tcp reset
  }
}
END
"""


class Far:
    """The far end: TCP 80 open, UDP 80 answered, UDP 53 answered; 81 silent, 82 prohibited, 83 and the rest refused."""

    def __init__(self) -> None:
        """Bring it up."""
        self.host, self.vantage = Host("far"), Host("vantage")
        cable(
            self.host,
            "eth0",
            self.vantage,
            near=(f"{NEAR[0]}/24", f"{NEAR[1]}/64"),
            far=(f"{FAR[0]}/24", f"{FAR[1]}/64"),
        )
        self.host.run(RULES)
        make = socket.create_server
        self.tcp = self.host.inside(lambda: make(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=500))
        self.udp = [self.host.inside(lambda port=port: self._bound(port)) for port in (80, 53)]  # type: ignore[misc]
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._answer, args=(made,)) for made in self.udp]
        for thread in self.threads:
            thread.start()

    def _bound(self, port: int) -> socket.socket:
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(("::", port))
        made.settimeout(0.1)
        return made

    def _answer(self, server: socket.socket) -> None:
        while not self.over.is_set():
            try:
                data, sender = server.recvfrom(512)
            except TimeoutError:
                continue
            server.sendto(data, sender)

    def close(self) -> None:
        """End it."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        for made in (self.tcp, *self.udp):
            made.close()
        self.host.close()
        self.vantage.close()

    def ask(
        self, cells: list[tuple[str, str, int]], *, path: str = "", tries: int = reach.PROOF, first: str = ""
    ) -> Json:
        """What the vantage says of the cells; `path` replaces its PATH, `first` is done in the shell before."""
        command = reach.reach(cells, tries).command
        env = {**os.environ, **({"PATH": path} if path else {})}
        words = ("sh", "-c", f'{first}; exec "$@"', "sh", *command.argv) if first else command.argv
        argv = ("nsenter", "-t", str(self.vantage.pid), "-n", "-p", "--", *words)
        done = subprocess.run(
            argv, executable="/usr/bin/nsenter", env=env, capture_output=True, check=False, timeout=30
        )
        return parse("reach.states", Reply(done.returncode, done.stdout, done.stderr))


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    """A far end behind a packet filter, and a vantage to ask from."""
    if os.geteuid():
        pytest.fail("these tests make network namespaces: run them as root")
    made = Far()
    yield made
    made.close()


CELLS = [
    (80, "open"),
    (81, "silent"),
    (82, "prohibited"),
    (83, "refused"),
    (84, "refused"),
]


@pytest.mark.parametrize("address", NEAR, ids=["IPv4", "IPv6"])
def test_tcp(far: Far, address: str) -> None:
    """Open, dropped, rejected by the filter, reset and closed are told apart."""
    assert far.ask([("tcp", address, port) for port, _ in CELLS]) == [state for _, state in CELLS]


@pytest.mark.parametrize("address", NEAR, ids=["IPv4", "IPv6"])
def test_udp_and_dns(far: Far, address: str) -> None:
    """A datagram back is open, a closed port refused, a filter silent or prohibited; DNS asks and is answered."""
    cells = [("udp", address, port) for port in (80, 81, 82, 84)]
    assert far.ask([*cells, ("dns", address, 53)]) == ["open", "silent", "prohibited", "refused", "open"]


def test_faults_of_its_own_prove_nothing(far: Far) -> None:
    """No route, no source address, no free port, no socket, an unknown error: the vantage is unable, never blocked."""
    lonely: list[tuple[str, str, int]] = [(kind, "198.19.0.1", 80) for kind in ("tcp", "udp", "dns")]
    lonely += [(kind, "fe80::1", 80) for kind in ("tcp", "udp")]  # link-local without a device
    far.vantage.run("ip route del default; ip route add blackhole 198.19.7.0/24")
    try:
        assert far.ask([*lonely, ("tcp", "198.19.7.1", 80), ("tcp", NEAR[0], 80)]) == ["unable"] * 6 + ["open"]
    finally:
        far.vantage.run(f"ip route del blackhole 198.19.7.0/24; ip route add default via {NEAR[0]}")
    ports = "/proc/sys/net/ipv4/ip_local_port_range"
    few = f"echo 50000 50000 > {ports}"
    try:
        assert far.ask([("tcp", NEAR[0], 81)] * 3, first=few, tries=1) == ["silent", "unable", "unable"]
    finally:
        far.vantage.run(f"echo 32768 60999 > {ports}")
    states = far.ask([("tcp", NEAR[0], 80)] * 30, first="ulimit -n 16", tries=1)
    assert isinstance(states, list)
    assert set(states) == {"open", "unable"}


def test_no_way_there(far: Far) -> None:
    """An address that nobody has on the segment is not reached: neither open nor refused."""
    states = far.ask([("tcp", "198.18.1.99", 80), ("tcp", "2001:db8:0:1::99", 80), ("tcp", "127.0.0.1", 80)])
    assert isinstance(states, list)
    assert all(state in {"silent", "prohibited"} for state in states[:2])
    assert states[2] == "refused"


def test_bash_alone(far: Far, tmp_path: Path) -> None:
    """Without Python, bash tells TCP the same way and admits that it cannot tell the rest."""
    for name in ("sh", "bash", "timeout"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    cells = [("tcp", NEAR[i], port) for i in (0, 1) for port, _ in CELLS]
    wanted: list[Json] = [state for _ in NEAR for _, state in CELLS]
    assert far.ask([*cells, ("udp", NEAR[0], 80), ("dns", NEAR[0], 53)], path=str(tmp_path)) == [
        *wanted,
        "unable",
        "unable",
    ]


def test_nothing_to_ask_with(far: Far, tmp_path: Path) -> None:
    """Without Python and bash every cell is "unable", which never counts as silence."""
    (tmp_path / "sh").symlink_to("/usr/bin/sh")
    assert far.ask([("tcp", NEAR[0], 80), ("tcp", NEAR[0], 81)], path=str(tmp_path)) == ["unable", "unable"]


def test_lost_packets_do_not_pass_for_silence(far: Far) -> None:
    """With the first packets lost the later tries still find the open port."""
    far.host.run("nft add chain inet t lossy '{ type filter hook input priority -5; }'")
    far.host.run("nft insert rule inet t lossy tcp dport 80 tcp flags syn limit rate 1/hour burst 2 packets drop")
    try:
        assert far.ask([("tcp", NEAR[0], 80)]) == ["open"]
    finally:
        far.host.run("nft delete chain inet t lossy")


def test_many_cells_share_one_wait(far: Far) -> None:
    """Sixty silent cells and one open are answered in one go, in order."""
    cells = [("tcp", NEAR[0], 81)] * 30 + [("tcp", NEAR[0], 80)] + [("udp", NEAR[1], 81)] * 30
    assert far.ask(cells) == ["silent"] * 30 + ["open"] + ["silent"] * 30
