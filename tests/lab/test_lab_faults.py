"""Every fault does what it says, and clearing it brings the old state back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from remedy.core.errors import Refused, TimedOut, UsageError
from remedy.lab import Lab

pytestmark = pytest.mark.lab

WEB01 = ("198.18.1.11", "2001:db8:0:1::11")
_TIMING = """
import socket, sys, time
best = 9.0
for _ in range(5):
    before = time.monotonic()
    socket.create_connection((sys.argv[1], 22), 5).close()
    best = min(best, time.monotonic() - before)
print(best)
"""


def round_trip(lab: Lab, address: str) -> float:
    """The shortest of five TCP handshakes from mon01, in seconds."""
    status, out, err = lab.exec("mon01", ["python3", "-c", _TIMING, address])
    assert status == 0, err
    return float(out)


def sent_and_received(lab: Lab, address: str, count: int) -> int:
    """How many of `count` echo requests from mon01 are answered."""
    argv = ["ping", "-q", "-c", str(count), "-i", "0.005", "-W", "1", address]
    return int(lab.exec("mon01", argv)[1].decode().split(" received")[0].rsplit(" ", 1)[1])


def host_key(address: str) -> str:
    """The Ed25519 host key a server shows."""
    argv = ["ssh-keyscan", "-T", "20", "-t", "ed25519", address]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split(" ", 1)[-1]


@pytest.mark.parametrize("address", WEB01)
def test_a_cut_link_silences_the_host(
    calm_lab: Lab, connects: Callable[[str, int], bool], eventually: Callable[..., bool], address: str
) -> None:
    """With its cable cut web01 sees no carrier and answers nobody; set twice and cleared once it answers again."""
    assert connects(address, 22)
    calm_lab.fault("link-cut", "web01")
    calm_lab.fault("link-cut", "web01")
    assert not connects(address, 22)
    assert b"NO-CARRIER" in calm_lab.exec("web01", ["ip", "link", "show", "eth0"])[1]
    calm_lab.clear("web01")
    assert eventually(lambda: connects(address, 22), 5), "neighbours are asked for once a second"


@pytest.mark.parametrize("address", WEB01)
def test_delay_adds_twice_its_number_to_the_round_trip(calm_lab: Lab, address: str) -> None:
    """40 ms each way make 80 ms a round trip, also with neighbours forgotten; 10 replace them, clearing ends it."""
    calm_lab.exec("web01", ["ip", "neigh", "flush", "all"])
    calm_lab.fault("delay", "web01", ms=40)
    assert 0.080 <= round_trip(calm_lab, address) < 0.120
    calm_lab.fault("delay", "web01", ms=10)
    assert 0.020 <= round_trip(calm_lab, address) < 0.060
    calm_lab.clear("web01")
    assert round_trip(calm_lab, address) < 0.015


def test_a_delayed_link_carries_bulk_data_unharmed(calm_lab: Lab) -> None:
    """Eight megabytes through a delayed cable arrive with the same checksum, offloads and all."""
    calm_lab.fault("delay", "web02", ms=2)
    script = (
        "head -c 8000000 /dev/urandom >/srv/bulk; (nc -N -l 9999 </srv/bulk >/dev/null 2>&1 &); sha256sum </srv/bulk"
    )
    _, wanted, _ = calm_lab.exec("web02", ["sh", "-c", script])
    _, got, err = calm_lab.exec("mon01", ["sh", "-c", "nc -d 198.18.1.12 9999 | sha256sum"])
    assert got == wanted, err
    calm_lab.exec("web02", ["rm", "/srv/bulk"])


def test_the_controllers_own_link_can_be_delayed(calm_lab: Lab) -> None:
    """A delay on `controller` slows this machine's way to the lab and not the hosts' among each other."""
    import socket  # noqa: PLC0415 - only here

    calm_lab.fault("delay", "controller", ms=30)
    before = time.monotonic()
    socket.create_connection((WEB01[0], 22), 5).close()
    assert time.monotonic() - before >= 0.060
    assert round_trip(calm_lab, WEB01[0]) < 0.030


@pytest.mark.parametrize("address", WEB01)
def test_loss_drops_some_packets_and_all_of_them(calm_lab: Lab, address: str) -> None:
    """At 30 percent each way some echoes come back and some do not, at 100 none does, and cleared all do."""
    calm_lab.fault("loss", "web01", percent=30)
    assert 10 < sent_and_received(calm_lab, address, 100) < 90
    calm_lab.fault("loss", "web01", percent=100)
    assert sent_and_received(calm_lab, address, 5) == 0
    calm_lab.clear("web01")
    assert sent_and_received(calm_lab, address, 20) == 20


def test_loss_and_delay_work_together(calm_lab: Lab) -> None:
    """Loss still drops when a delay is added to it, and still does when the delay is taken by a power-cycle."""
    calm_lab.fault("loss", "web01", percent=100)
    calm_lab.fault("delay", "web01", ms=1)
    assert sent_and_received(calm_lab, WEB01[0], 5) == 0
    calm_lab.fault("power-cycle", "web01")
    assert sent_and_received(calm_lab, WEB01[0], 5) == 0
    calm_lab.clear("web01")
    assert sent_and_received(calm_lab, WEB01[0], 20) == 20


def test_a_power_cycle_kills_processes_and_keeps_the_disk(calm_lab: Lab) -> None:
    """After a power-cycle processes, /tmp, /run and nft rules are gone, files on disk are there, sshd answers."""
    script = """
    echo kept >/root/kept; echo gone >/tmp/gone; echo gone >/run/gone
    nft add table inet gone; setsid sleep 987 </dev/null >/dev/null 2>&1 &
    """
    assert calm_lab.exec("web01", ["sh", "-c", script])[0] == 0
    boots = calm_lab.status()["hosts"]["web01"]["boots"]
    calm_lab.fault("power-cycle", "web01")
    state = calm_lab.exec("web01", ["sh", "-c", "cat /root/kept; ls /tmp /run; nft list tables; pgrep -f 'sleep 987'"])[
        1
    ]
    assert b"kept" in state
    assert b"gone" not in state
    assert b"987" not in calm_lab.exec("web01", ["ps", "ax"])[1].replace(b"pgrep", b"")
    assert calm_lab.status()["hosts"]["web01"]["boots"] == boots + 1
    assert calm_lab.status()["hosts"]["web01"]["services"] == {"ssh": True, "http": True}
    calm_lab.exec("web01", ["rm", "/root/kept"])


def test_boot_hooks_run_before_the_network(calm_lab: Lab) -> None:
    """What stands in /etc/rcS.d runs at boot with `start`, while the host's cable still has no address."""
    hook = '#!/bin/sh\n{ echo "$1"; ip -br address show eth0; } >/root/hook\n'
    calm_lab.exec("web02", ["tee", "/etc/rcS.d/S50trial"], hook.encode())
    calm_lab.exec("web02", ["chmod", "755", "/etc/rcS.d/S50trial"])
    calm_lab.fault("power-cycle", "web02")
    _, out, _ = calm_lab.exec("web02", ["cat", "/root/hook"])
    calm_lab.exec("web02", ["rm", "/etc/rcS.d/S50trial", "/root/hook"])
    assert out.startswith(b"start\neth0")
    assert b"198.18.1.12" not in out
    assert b"198.18.1.12" in calm_lab.exec("web02", ["ip", "-br", "address", "show", "eth0"])[1]


def test_a_power_cycle_sends_no_farewell(calm_lab: Lab) -> None:
    """A peer of a connection to a host whose power goes keeps it established: no FIN and no RST came."""
    script = "exec 3<>/dev/tcp/198.18.1.12/22; read -r banner <&3; sleep 4; ss -Htn state established dst 198.18.1.12"
    with subprocess.Popen(
        ["nsenter", f"--net=/proc/{calm_lab.status()['hosts']['mon01']['pid']}/ns/net", "bash", "-c", script],
        stdout=subprocess.PIPE,
    ) as peer:
        time.sleep(0.5)
        calm_lab.fault("power-off", "web02")
        out, _ = peer.communicate(timeout=10)
    assert b"198.18.1.12" in out


def test_a_host_without_power_stays_off_until_cleared(calm_lab: Lab, connects: Callable[[str, int], bool]) -> None:
    """Powered off, web02 answers nobody and runs nothing; cleared, all its services are back."""
    calm_lab.fault("power-off", "web02")
    calm_lab.fault("power-off", "web02")
    assert not connects("198.18.1.12", 22)
    with pytest.raises(Refused, match="switched off"):
        calm_lab.exec("web02", ["true"])
    calm_lab.clear("web02")
    assert connects("198.18.1.12", 80)


def test_reboot_from_inside_boots_the_host_again(calm_lab: Lab, eventually: Callable[..., bool]) -> None:
    """`reboot -f` on a host is noticed: it boots again from its disk, and its services return."""
    boots = calm_lab.status()["hosts"]["web02"]["boots"]
    calm_lab.exec("web02", ["reboot", "-f"])
    assert eventually(
        lambda: (
            calm_lab.status()["hosts"]["web02"]["boots"] == boots + 1
            and all(calm_lab.status()["hosts"]["web02"]["services"].values())
        ),
        10,
    )


def test_the_database_survives_a_power_cycle(calm_lab: Lab) -> None:
    """A row committed on db01 is there after its power went."""
    insert = "CREATE TABLE site.trial (n INT); INSERT INTO site.trial VALUES (7);"
    assert calm_lab.exec("db01", ["mariadb", "-e", insert])[0] == 0
    calm_lab.fault("power-cycle", "db01")
    _, out, _ = calm_lab.exec("db01", ["mariadb", "-N", "-e", "SELECT n FROM site.trial; DROP TABLE site.trial;"])
    assert out == b"7\n"


def test_the_router_can_be_power_cycled(calm_lab: Lab, connects: Callable[[str, int], bool]) -> None:
    """After fw01's power-cycle every zone is reachable again, over both families, and filtered as before."""
    calm_lab.fault("power-cycle", "fw01")
    for address in (*WEB01, "198.18.2.21", "2001:db8:0:2::21"):
        assert connects(address, 22)
    assert calm_lab.exec("attacker", ["nc", "-z", "-w", "1", WEB01[0], "80"])[0] == 0
    assert calm_lab.exec("attacker", ["nc", "-z", "-w", "1", WEB01[0], "22"])[0] != 0


def test_a_full_disk_takes_nothing_more(calm_lab: Lab) -> None:
    """With a full disk writing fails with ENOSPC and what is there stays readable; cleared, writing works."""
    write = ["dd", "if=/dev/zero", "of=/srv/trial", "bs=64k", "count=1"]
    calm_lab.fault("disk-full", "web01")
    status, _, err = calm_lab.exec("web01", write)
    assert status != 0
    assert b"No space left on device" in err
    assert calm_lab.exec("web01", ["cat", "/etc/hostname"])[1] == b"web01\n"
    calm_lab.clear("web01")
    assert calm_lab.exec("web01", write)[0] == 0
    calm_lab.exec("web01", ["rm", "/srv/trial"])


@pytest.mark.parametrize("host", ["web01", "sys01"])
def test_a_stopped_sshd_refuses_and_returns(calm_lab: Lab, connects: Callable[[str, int], bool], host: str) -> None:
    """With sshd stopped port 22 refuses, also after a while in which init could have restarted it."""
    address = calm_lab.status()["hosts"][host]["v4"]
    calm_lab.fault("sshd-stop", host)
    time.sleep(0.5)
    assert not connects(address, 22)
    calm_lab.clear(host)
    assert connects(address, 22)


def test_a_changed_host_key_is_another_one(calm_lab: Lab) -> None:
    """The fault shows clients a key that is not in known_hosts, and clearing it the old one."""
    old = host_key(WEB01[0])
    calm_lab.fault("host-key", "web01")
    new = host_key(WEB01[0])
    calm_lab.clear("web01")
    assert old in calm_lab.credentials.known_hosts.read_text(encoding="ascii")
    assert new not in calm_lab.credentials.known_hosts.read_text(encoding="ascii")
    assert host_key(WEB01[0]) == old


@pytest.mark.parametrize("host", ["web01", "sys01"])
def test_a_wrong_clock_is_seen_by_new_programs_only_there(calm_lab: Lab, host: str) -> None:
    """A day's offset moves `date` on that host by a day, not on another one, and clearing it moves it back."""

    def away(name: str) -> float:
        return float(calm_lab.exec(name, ["date", "+%s"])[1]) - time.time()

    calm_lab.fault("clock", host, offset=-86400)
    assert -86405 < away(host) < -86395
    assert abs(away("web02")) < 5
    key, known = calm_lab.credentials.controller_key, calm_lab.credentials.known_hosts
    address = calm_lab.status()["hosts"][host]["v4"]
    argv = ["ssh", "-i", str(key), "-o", f"UserKnownHostsFile={known}", f"root@{address}", "date", "+%s"]
    over_ssh = subprocess.run(argv, check=True, capture_output=True, timeout=20).stdout
    assert -86405 < float(over_ssh) - time.time() < -86395
    calm_lab.clear(host)
    assert abs(away(host)) < 5


def test_systemd_brings_back_what_is_enabled(calm_lab: Lab, eventually: Callable[..., bool]) -> None:
    """sys01 runs systemd as PID 1; an enabled unit runs again after a power-cycle and after a reboot."""
    unit = (
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo ran >>/root/ran'\n[Install]\nWantedBy=multi-user.target\n"
    )
    calm_lab.exec("sys01", ["tee", "/etc/systemd/system/trial.service"], unit.encode())
    assert calm_lab.exec("sys01", ["systemctl", "enable", "trial"])[0] == 0
    assert calm_lab.exec("sys01", ["cat", "/proc/1/comm"])[1] == b"systemd\n"
    calm_lab.fault("power-cycle", "sys01")
    assert eventually(lambda: calm_lab.exec("sys01", ["cat", "/root/ran"])[1] == b"ran\n", 10)
    calm_lab.exec("sys01", ["systemctl", "reboot"])
    assert eventually(lambda: ran_twice(calm_lab), 20)
    calm_lab.exec("sys01", ["sh", "-c", "systemctl disable trial; rm /root/ran /etc/systemd/system/trial.service"])


def ran_twice(lab: Lab) -> bool:
    """Whether sys01 is up and its trial unit has run twice; while it reboots it is off or going down."""
    try:
        return lab.exec("sys01", ["cat", "/root/ran"])[1] == b"ran\nran\n"
    except Refused:
        return False


def test_wrong_faults_are_refused_clearly(calm_lab: Lab) -> None:
    """Unknown kinds and hosts, missing or silly numbers, and faults a machine cannot have are usage errors."""
    for kind, host, value in (
        ("earthquake", "web01", None),
        ("link-cut", "web99", None),
        ("delay", "web01", None),
        ("loss", "web01", 101.0),
        ("link-cut", "web01", 5.0),
        ("link-cut", "fw01", None),
        ("disk-full", "controller", None),
        ("power-off", "fw01", None),
    ):
        with pytest.raises(UsageError):
            calm_lab.fault(kind, host, value)


def test_exec_ends_what_takes_too_long(lab: Lab) -> None:
    """A command past its time-out is killed with its children, and the error says so."""
    with pytest.raises(TimedOut, match="did not end"):
        lab.exec("web01", ["sh", "-c", "sleep 654 & sleep 654"], timeout=0.3)
    time.sleep(0.1)
    assert b"sleep 654" not in lab.exec("web01", ["ps", "axo", "args"])[1]


def test_exec_passes_input_output_and_status(lab: Lab) -> None:
    """Bytes go in and come out unchanged, apart, with the exit status."""
    data = bytes(range(256)) * 2000
    assert lab.exec("web01", ["cat"], data) == (0, data, b"")
    assert lab.exec("web01", ["sh", "-c", "echo no >&2; exit 7"]) == (7, b"", b"no\n")
