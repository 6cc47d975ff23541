"""The lab's cables: bridges in routers, one virtual cable per host, and the one that joins the machine itself.

Decides the ip(8) batches. Leaves to others: the addresses inside hosts (layers.py writes them, the host's boot sets
them) and faults on cables (faults.py).
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from remedy.core.errors import RemedyError
from remedy.lab.topology import CONTROLLER, LINK, ZONES, Host, Zone

__all__ = [
    "CONTROLLER_PORT",
    "attach",
    "attach_controller",
    "attach_switch",
    "build_bridges",
    "detach",
    "detach_controller",
    "detach_switch",
    "in_network",
    "ip_batch",
    "run",
    "trunk_up",
    "wait_unplugged",
]

#: The machine's port inside fw01.
CONTROLLER_PORT = f"p-{CONTROLLER}"

#: What the cables between fw01 and the switch are called at either end, before the number of the VLAN each carries:
#: the DMZ's, and the one for isolated hosts.
UPLINK = "p-sw01"
TRUNK = "up0"
DMZ, QUARANTINE = 10, 999

#: Centiseconds after which fw01 looks for a host that was moved to another VLAN behind its new cable: both end in one
#: bridge there, which knows no VLANs. One that does learns addresses for each VLAN anew.
_AGEING = 100

#: Nothing of the lab is ever forwarded by the machine, whatever its own settings are.
_GUARD = """\
table inet remedy_lab_guard
delete table inet remedy_lab_guard
table inet remedy_lab_guard {
  chain forward {
    type filter hook forward priority -300; policy accept;
    iifname "remedy-lab" drop
    oifname "remedy-lab" drop
  }
}
"""


def run(argv: list[str], stdin: str = "") -> str:
    """Run a program of the machine to its end; its stdout. Raises RemedyError with what it said."""
    done = subprocess.run(argv, input=stdin, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RemedyError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()}", where="the lab")
    return done.stdout


def in_network(pid: int, argv: list[str]) -> list[str]:
    """`argv`, run with the machine's programs but in the network namespace of process `pid`."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "--", *argv]


def ip_batch(pid: int, lines: list[str]) -> None:
    """Run ip(8) lines in the network of process `pid`. Raises RemedyError."""
    run(in_network(pid, ["ip", "-batch", "-"]), "\n".join(lines) + "\n")


def build_bridges(router: int, zones: Iterable[Zone]) -> None:
    """Create the zones' bridges in a router, with hardware addresses that do not change when ports come and go."""
    lines = []
    for zone in zones:
        mac = f"02:fe:00:00:00:{zone.number:02x}"
        lines.append(f"link add {zone.bridge} address {mac} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
    ip_batch(router, lines)


def attach(router: int, hosts: list[tuple[Host, int]], *, switch: bool = False) -> None:
    """Plug each host (with the process whose network it is) into its zone's bridge; its end is called eth0.

    Those plugged into a `switch` belong to no bridge until it puts them into a VLAN.
    """
    ip_batch(
        router,
        [
            f"link add name {host.port}{'' if switch else f' master {ZONES[host.zone].bridge}'} up"
            f" type veth peer name eth0 address {host.mac} netns {pid}"
            for host, pid in hosts
        ],
    )


def attach_switch(router: int, switch: int) -> None:
    """Join a switch's trunk with fw01's DMZ: a cable for each VLAN that leads there (see `devices.switching`).

    What passes the quarantine VLAN's is fw01's to decide (perimeter.py).
    """
    bridge = ZONES["dmz"].bridge
    lines = [
        f"link add name {UPLINK}.{vlan} master {bridge} up type veth peer name {TRUNK}.{vlan} netns {switch}"
        for vlan in (DMZ, QUARANTINE)
    ]
    ip_batch(router, [*lines, f"link set {bridge} type bridge ageing_time {_AGEING}"])


def detach_switch(router: int) -> None:
    """Pull a switch's trunk out."""
    ip_batch(router, [f"link delete {UPLINK}.{vlan}" for vlan in (DMZ, QUARANTINE)])


def trunk_up(router: int, switch: int) -> bool:
    """Whether the DMZ's frames pass a switch's trunk (a bridge's port opens within a second, see `Machine.link_up`)."""
    names = ((router, f"{UPLINK}.{DMZ}"), (switch, f"{TRUNK}.{DMZ}"))
    ends = (Path(f"/proc/{pid}/root/sys/class/net/{name}") for pid, name in names)
    try:
        return all((end / "brport/state").read_text(encoding="ascii") == "3\n" for end in ends)
    except OSError:
        return False


def detach(router: int, host: Host) -> None:
    """Pull the host's cable out, both ends."""
    ip_batch(router, [f"link delete {host.port}"])


def attach_controller(router: int, own_pid: int) -> None:
    """Join the machine to the management zone as .1 and ::1, with routes to the lab and a guard against forwarding."""
    zone = ZONES["management"]
    run(["nft", "-f", "-"], _GUARD)
    ip_batch(
        router,
        [f"link add name {CONTROLLER_PORT} master {zone.bridge} up type veth peer name {LINK} netns {own_pid}"],
    )
    settings = Path("/proc/sys/net/ipv6/conf") / LINK
    for name, value in (("disable_ipv6", "0"), ("accept_dad", "0"), ("accept_ra", "0")):
        (settings / name).write_text(value, encoding="ascii")
    lines = [
        f"link set {LINK} up",
        f"address add {zone.address4(1)}/{zone.prefix} dev {LINK}",
        f"address add {zone.address6(1)}/64 dev {LINK} nodad",
        f"route add 198.18.0.0/16 via {zone.gateway4} dev {LINK}",
        f"route add 2001:db8::/48 via {zone.gateway6} dev {LINK}",
    ]
    run(["ip", "-batch", "-"], "\n".join(lines) + "\n")


def wait_unplugged(patience: float = 10.0) -> None:
    """Return when the machine's link is gone: a dead router takes all cables with it, but not at once.

    Raises RemedyError after `patience` seconds.
    """
    until = time.monotonic() + patience
    while _has_link():
        if time.monotonic() > until:
            raise RemedyError(f"the link {LINK} does not go away", hint=f"ip link delete {LINK}")
        time.sleep(0.01)


def _has_link() -> bool:
    """Whether this process's network has the lab's link; /sys would show the network it was mounted in."""
    return LINK in {name for _, name in socket.if_nameindex()}


def detach_controller() -> None:
    """Take the machine's link, its routes and the guard away; fine when they are not there."""
    if _has_link():
        run(["ip", "link", "delete", LINK])
    if "remedy_lab_guard" in run(["nft", "list", "tables"]):
        run(["nft", "delete", "table", "inet", "remedy_lab_guard"])
