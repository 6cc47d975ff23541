"""The lab's segments, perimeter, name service and hosts, seen from both sides and over both families."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from remedy.lab import Lab
from remedy.lab.topology import ZONES, topology
from remedy.transports.bags import stamping

pytestmark = pytest.mark.lab

WEB01 = ("198.18.1.11", "2001:db8:0:1::11")


def ssh(lab: Lab, address: str, *command: str, user: str = "root", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command over SSH with the lab's own key and known hosts, strictly."""
    keys = lab.credentials
    options = [f"UserKnownHostsFile={keys.known_hosts}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
    options += ["ConnectTimeout=3", "KexAlgorithms=curve25519-sha256"]
    argv = ["ssh", "-i", str(keys.controller_key), *(part for option in options for part in ("-o", option))]
    return subprocess.run(
        [*argv, f"{user}@{address}", *command], input=stdin, check=False, capture_output=True, text=True, timeout=20
    )


def reaches(lab: Lab, source: str, address: str, port: int) -> bool:
    """Whether `source` gets a TCP connection within a second."""
    return lab.exec(source, ["nc", "-z", "-w", "1", address, str(port)])[0] == 0


@pytest.mark.parametrize("address", WEB01)
def test_ssh_opens_a_host_over_either_family(lab: Lab, address: str) -> None:
    """The controller's key opens web01 over IPv4 and IPv6, and the known hosts file has its key for both."""
    assert ssh(lab, address, "hostname").stdout == "web01\n"


def test_every_host_answers_ssh(lab: Lab, connects: Callable[[str, int], bool]) -> None:
    """Every host of the lab, the plain ones too, answers on port 22 over both families from the management zone."""
    hosts = lab.status()["hosts"].values()
    silent = [address for host in hosts for address in (host["v4"], host["v6"]) if not connects(address, 22)]
    assert silent == []
    assert len(hosts) == 9 + 5 + 30


def test_sudo_works_with_and_without_a_password(lab: Lab) -> None:
    """`ops` becomes root without a password, `opspw` only with the one in the state directory."""
    password = lab.credentials.sudo_password.read_text(encoding="ascii")
    assert ssh(lab, WEB01[0], "sudo", "-n", "id", "-u", user="ops").stdout == "0\n"
    assert ssh(lab, WEB01[0], "sudo", "-n", "id", "-u", user="opspw").returncode == 1
    assert ssh(lab, WEB01[0], "sudo", "-S", "-p", "''", "id", "-u", user="opspw", stdin=password + "\n").stdout == "0\n"
    assert ssh(lab, WEB01[0], "sudo", "-S", "-p", "''", "id", "-u", user="opspw", stdin="wrong\n").returncode == 1


@pytest.mark.parametrize("host", ["web01", "web02", "legacy01"])
@pytest.mark.parametrize("family", ["v4", "v6"])
def test_the_site_shows_the_databases_rows(lab: Lab, host: str, family: str) -> None:
    """Each web host serves the page over both families with rows that only the database has."""
    address = lab.status()["hosts"][host][family]
    shown = f"[{address}]" if family == "v6" else address
    with urllib.request.urlopen(f"http://{shown}/", timeout=5) as answer:
        page = answer.read().decode()
    assert "关于开展网络安全应急演练的通知" in page
    assert host in page


@pytest.mark.parametrize("address", WEB01)
def test_the_perimeter_lets_the_web_in_and_nothing_else(lab: Lab, address: str) -> None:
    """From outside, port 80 of web01 is open and port 22, open from management, is not."""
    assert reaches(lab, "attacker", address, 80)
    assert not reaches(lab, "attacker", address, 22)
    assert reaches(lab, "mon01", address, 22)


def test_a_closed_udp_port_answers_through_the_perimeter(lab: Lab) -> None:
    """From outside, UDP 4444 of web01 answers "port unreachable", which a probe can tell from silence."""
    program = (
        "import socket,sys\ns=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
        "socket.SOCK_DGRAM)\ns.settimeout(2)\ns.connect((sys.argv[1],4444))\ns.send(b'x')\n"
        "try:\n s.recv(1)\nexcept OSError as e: print(type(e).__name__)"
    )
    for address in WEB01:
        _, out, _ = lab.exec("attacker", ["python3", "-c", program, address])
        assert out == b"ConnectionRefusedError\n"


def test_only_web_hosts_reach_the_database(lab: Lab) -> None:
    """db01's MariaDB is open to the DMZ and closed to the outside, where its SSH is closed too."""
    for address in ("198.18.2.21", "2001:db8:0:2::21"):
        assert reaches(lab, "web01", address, 3306)
        assert not reaches(lab, "attacker", address, 3306)
        assert not reaches(lab, "web01", address, 22)


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize("server", [ZONES["dmz"].gateway4, ZONES["dmz"].gateway6])
def test_the_resolver_knows_both_families(lab: Lab, server: str, transport: str) -> None:
    """fw01 answers for a lab name over UDP and TCP at both of its addresses in a zone."""
    program = (
        "import socket,struct,sys\nserver,tcp=sys.argv[1],sys.argv[2]=='+tcp'\n"
        "query=struct.pack('!6H',7,256,1,0,0,0)+b'\\x04db01\\x03lab\\x07example\\0'+struct.pack('!2H',28,1)\n"
        "family=socket.AF_INET6 if ':' in server else socket.AF_INET\n"
        "s=socket.socket(family,socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)\ns.settimeout(3)\n"
        "s.connect((server,53))\ns.sendall(struct.pack('!H',len(query))+query if tcp else query)\n"
        "print(socket.inet_ntop(socket.AF_INET6,s.recv(512)[-16:]))"
    )
    status, out, err = lab.exec("web01", ["python3", "-c", program, server, transport])
    assert (status, out) == (0, b"2001:db8:0:2::21\n"), err


def test_hosts_resolve_names_through_fw01(lab: Lab) -> None:
    """A host's own resolver configuration finds another host by its short name, in both families."""
    _, out, _ = lab.exec("web02", ["getent", "ahosts", "mon01"])
    assert {line.split()[0] for line in out.decode().splitlines()} == {"198.18.3.31", "2001:db8:0:3::31"}


def test_the_lab_has_no_way_out(lab: Lab) -> None:
    """fw01 has no default route, and this machine forwards nothing that comes over the lab's link."""
    for family in ("-4", "-6"):
        status, out, _ = lab.exec("fw01", ["ip", family, "route", "show", "default"])
        assert (status, out) == (0, b"")
    guard = subprocess.run(["nft", "list", "table", "inet", "remedy_lab_guard"], check=True, capture_output=True)
    assert b'iifname "remedy-lab" drop' in guard.stdout
    assert b'oifname "remedy-lab" drop' in guard.stdout


def test_legacy01_has_iptables_and_no_nft(lab: Lab) -> None:
    """legacy01 has no nft program, its iptables are the legacy ones in both families, and they take rules."""
    assert lab.exec("legacy01", ["sh", "-c", "command -v nft"])[0] != 0
    assert lab.exec("web01", ["sh", "-c", "command -v nft"])[0] == 0
    for program in ("iptables", "ip6tables"):
        assert b"(legacy)" in lab.exec("legacy01", [program, "-V"])[1]
        assert b"(legacy)" in lab.exec("legacy01", [f"{program}-restore", "-V"])[1]
        assert lab.exec("legacy01", [program, "-N", "trial"])[0] == 0
        assert b":trial" in lab.exec("legacy01", [f"{program}-save"])[1]
        assert lab.exec("legacy01", [program, "-X", "trial"])[0] == 0


def test_rules_of_one_host_are_its_own(lab: Lab) -> None:
    """An nft table made on web01 is not on web02 nor on this machine."""
    assert lab.exec("web01", ["nft", "add", "table", "inet", "trial"])[0] == 0
    try:
        assert b"trial" in lab.exec("web01", ["nft", "list", "tables"])[1]
        assert b"trial" not in lab.exec("web02", ["nft", "list", "tables"])[1]
        assert b"inet trial" not in subprocess.run(["nft", "list", "tables"], check=True, capture_output=True).stdout
    finally:
        lab.exec("web01", ["nft", "delete", "table", "inet", "trial"])


@pytest.mark.parametrize(
    "forbidden",
    [
        "date -s 2001-01-01",
        "mknod /root/disk b 254 0",
        "echo 1 >/proc/sys/kernel/panic",
        "mkdir -p /mnt/d && mount -t devtmpfs none /mnt/d && for d in /mnt/d/*d[a-z]; do :<$d && exit 0; done; false",
    ],
)
@pytest.mark.parametrize("over", ["ssh", "console"])
def test_root_on_a_host_cannot_change_the_machine(lab: Lab, forbidden: str, over: str) -> None:
    """Neither over SSH nor at the console can root set the clock, make devices, steer the kernel or open disks."""
    command = f"({forbidden}) 2>/dev/null"
    console = ["sh", "-c", command]
    status = ssh(lab, WEB01[0], command).returncode if over == "ssh" else lab.exec("web01", console)[0]
    lab.exec("web01", ["umount", "/mnt/d"])
    assert status not in (0, 255)


def test_root_on_a_host_can_do_what_hosts_need(lab: Lab) -> None:
    """nft, a network namespace, connection tracking and killing sockets work for root on a host."""
    for argv in (["unshare", "-n", "true"], ["conntrack", "-L"], ["ss", "-K", "-t", "dport", "=", "1"]):
        status, _, err = lab.exec("web01", argv)
        assert status == 0, err


def test_the_inventory_matches_the_lab(lab: Lab, lab_inventory: Path) -> None:
    """hosts.yml names exactly the hosts that are up, and every host's variables give its own addresses."""
    tree = yaml.safe_load((lab_inventory / "hosts.yml").read_text(encoding="utf-8"))
    groups = tree["all"]["children"]["lab"]["children"]
    up = lab.status()["hosts"]
    assert {name for group in groups.values() for name in group["hosts"]} == set(up)
    for name, host in up.items():
        variables = yaml.safe_load((lab_inventory / "host_vars" / f"{name}.yml").read_text(encoding="utf-8"))
        assert variables["remedy_addresses"] == [host["v4"], host["v6"]]
    shared = yaml.safe_load((lab_inventory / "group_vars" / "lab.yml").read_text(encoding="utf-8"))
    assert Path(shared["ansible_ssh_private_key_file"]).is_file()
    keys = len(up) + sum("cli" in host["services"] for host in up.values())  # a device's command line has its own
    assert Path(shared["remedy_known_hosts"]).read_text(encoding="ascii").count("\n") == keys


def test_the_offsite_store_speaks_s3_over_either_family(lab: Lab, eventually: Callable[..., bool]) -> None:
    """The S3 endpoint outside comes up by itself and answers a bucket listing to the inside, over both families."""
    assert eventually(lambda: lab.status()["hosts"]["offsite"]["services"]["s3"], 60)
    for url in ("http://198.18.0.80:9000/", "http://[2001:db8:0:0::80]:9000/"):
        program = f"import urllib.request as u; print(u.urlopen('{url}', timeout=20).read().decode())"
        status, out, err = lab.exec("backup01", ["python3", "-c", program])
        assert status == 0, err
        assert b"ListAllMyBucketsResult" in out


def test_the_authority_outside_stamps_evidence(lab: Lab, eventually: Callable[..., bool]) -> None:
    """The lab's time stamp authority comes up by itself and gives this machine a token that its root verifies."""
    assert eventually(lambda: lab.status()["hosts"]["offsite"]["services"]["tsa"], 60)
    for url in ("http://198.18.0.80:3161/", "http://[2001:db8:0:0::80]:3161/"):
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 -- the two above
            root = answer.read().decode("ascii")
        token = stamping.asking(url, root)(b"evidence")
        assert stamping.checked(token.der, b"evidence", root) == token.time


def test_addresses_have_the_same_digits_in_both_families() -> None:
    """web01 is .11 and ::11, fw01 is the gateway, and plain hosts never get a gateway's or a broadcast's place."""
    chosen = topology(300)
    assert (chosen["web01"].v4, chosen["web01"].v6) == WEB01
    assert (chosen["fw01"].v4, chosen["fw01"].v6) == ("198.18.3.254", "2001:db8:0:3::fe")
    places = [host.v4 for host in chosen.hosts if host.zone == "scale"]
    assert len(set(places)) == 300
    assert not {place.rsplit(".", 1)[1] for place in places} & {"0", "254", "255"}
    assert "198.18.17.1" in places
