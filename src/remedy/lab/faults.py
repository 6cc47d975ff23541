"""The bad days on demand: every fault a host can have, and how each is undone.

Decides what a fault does to one machine. Leaves to others: power (supervisor.py) and remembering who has which fault.
Setting a fault twice with the same value changes nothing; a new value replaces the old one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from remedy.core.errors import RemedyError, UsageError
from remedy.lab import cabling, services, spoiling, syscalls
from remedy.lab.credentials import Credentials, new_key_pair
from remedy.lab.inside import run_inside
from remedy.lab.machine import Machine
from remedy.lab.topology import ZONES

__all__ = ["FAULTS", "Fault", "Scene", "replug", "restore_cable_faults"]

_ALL = 100
_STOPPED = f"{services.STOPPED}/sshd"
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
#: Ends the listening sshd only: its pid file names it, sessions are other processes.
_END_SSHD = 'mkdir -p "${0%/*}"; : >"$0"; [ ! -e /run/sshd.pid ] || kill "$(cat /run/sshd.pid)"'
_LET_SSHD = f'rm -f "$0"; {services.WAKE}'
_REREAD_KEY = 'cat >"$0" && kill -HUP "$(cat /run/sshd.pid)"'
_SHIFT_CLOCK = """
library=$(ls /usr/lib/*/faketime/libfaketimeMT.so.1) || exit 1
printf '%s\\n' "$0" >/etc/faketimerc && printf '%s\\n' "$library" >/etc/ld.so.preload
"""
_TRUE_CLOCK = """
rm -f /etc/ld.so.preload /etc/faketimerc
"""
#: A new listener, because the library's shared memory must be made by it: its sandboxed children may not.
_NEW_SSHD = """
[ -e /run/sshd.pid ] || exit 0
kill "$(cat /run/sshd.pid)"
while [ -e /run/sshd.pid ]; do sleep 0.05; done
"""
_NEW_SSHD_SYSTEMD = "systemctl restart ssh"
_LOSS = """\
table netdev {table}
delete table netdev {table}
table netdev {table} {{
  chain in {{
    type filter hook ingress device "{device}" priority 0;
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert }} accept
    meta protocol {{ ip, ip6 }} {chance}drop
  }}
  chain out {{
    type filter hook egress device "{device}" priority 0;
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert }} accept
    meta protocol {{ ip, ip6 }} {chance}drop
  }}
}}
"""


#: While a forwarder has the port's frames, fw01 itself must not: it would answer ARP on the port for any of its
#: addresses, and traffic would take the short way. Packet sockets see frames before this hook.
_SET_APART = """\
table netdev {table}
delete table netdev {table}
table netdev {table} {{
  chain in {{
    type filter hook ingress device "{device}" priority 0; policy drop;
  }}
}}
"""


@dataclass(frozen=True)
class Scene:
    """What a fault needs besides its machine: the router's PID 1 and the lab's keys."""

    router: int
    credentials: Credentials


@dataclass(frozen=True)
class Fault:
    """One kind. `argument` names its number (and `limits` bound it), empty when it has none; see the functions.

    Without a number it is `usual`, if there is such a thing. `again`: given once more, it happens once more.
    """

    does: str
    apply: Callable[[Machine, Scene, float], None]
    undo: Callable[[Machine, Scene], None]
    argument: str = ""
    limits: tuple[float, float] = (0, 0)
    on_cable: bool = False
    usual: float | None = None
    again: bool = False

    def value(self, given: float | None, kind: str) -> float:
        """The number to apply with. Raises UsageError."""
        low, high = self.limits
        if not self.argument:
            if given is not None:
                raise UsageError(f"{kind} takes no number")
            return 0.0
        if given is None:
            given = self.usual
        if given is None or not low <= given <= high:
            raise UsageError(f"{kind} needs --{self.argument} between {low:g} and {high:g}")
        return float(given)


def _cut(machine: Machine, scene: Scene, _value: float) -> None:
    """The switch's end of the cable goes down; the host sees no carrier, as with a pulled plug."""
    cabling.ip_batch(scene.router, [f"link set {machine.host.port} down"])


def _uncut(machine: Machine, scene: Scene) -> None:
    cabling.ip_batch(scene.router, [f"link set {machine.host.port} up"])


def _lose(machine: Machine, scene: Scene, percent: float) -> None:
    """Drop that share of IP packets in each direction; ARP and neighbour discovery pass, or it would be a cut."""
    chance = "" if percent >= _ALL else f"numgen random mod 1000 < {round(percent * 10)} "
    script = _LOSS.format(table=_loss_table(machine), device=machine.bridge_device, chance=chance)
    cabling.run(cabling.in_network(scene.router, ["nft", "-f", "-"]), script)


def _unlose(machine: Machine, scene: Scene) -> None:
    _remove_table(scene, _loss_table(machine))


def _loss_table(machine: Machine) -> str:
    return f"loss_{machine.host.name}"


def _delay_table(machine: Machine) -> str:
    return f"delay_{machine.host.name}"


def _remove_table(scene: Scene, table: str) -> None:
    script = f"table netdev {table}\ndelete table netdev {table}\n"
    cabling.run(cabling.in_network(scene.router, ["nft", "-f", "-"]), script)


def _delay(machine: Machine, scene: Scene, milliseconds: float) -> None:
    """Put a forwarder (delay.py) between the port and the bridge; the round trip grows by twice the number."""
    if machine.wire is not None:
        _undelay(machine, scene)
    bridge = ZONES[machine.host.zone].bridge
    script = _SET_APART.format(table=_delay_table(machine), device=machine.host.port)
    cabling.run(cabling.in_network(scene.router, ["nft", "-f", "-"]), script)
    argv = [sys.executable, "-m", "remedy.lab.delay", machine.host.port, f"t-{machine.host.name}", bridge]
    wire = subprocess.Popen(
        cabling.in_network(scene.router, [*argv, str(milliseconds / 1000)]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    with wire.stdout or open(os.devnull, "rb") as told:  # noqa: PTH123 - stdout is a pipe, the rest is for the type
        if told.readline() != b"ready\n":
            wire.kill()
            wire.wait()
            replug(machine, scene)
            raise RemedyError(
                "the delaying forwarder did not start", where=machine.host.name, hint="needs /dev/net/tun"
            )
    machine.wire = wire.pid
    wire.returncode = 0  # from here on the supervisor waits for it, by its pid
    if "loss" in machine.faults:
        _lose(machine, scene, machine.faults["loss"])


def _undelay(machine: Machine, scene: Scene) -> None:
    if machine.wire is None:
        return
    machine.end_wire()
    replug(machine, scene)


def replug(machine: Machine, scene: Scene) -> None:
    """Put the port back on its bridge after its forwarder ended."""
    _remove_table(scene, _delay_table(machine))
    if machine.pid is not None:
        cabling.ip_batch(scene.router, [f"link set {machine.host.port} master {ZONES[machine.host.zone].bridge}"])
        if "loss" in machine.faults:
            _lose(machine, scene, machine.faults["loss"])


def _fill(machine: Machine, _scene: Scene, _value: float) -> None:
    """Shrink the disk to what is on it (4 KiB pages): every further byte meets ENOSPC."""
    usage = os.statvfs(machine.rootfs.disk)
    used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
    _resize(machine, str(used))


def _empty(machine: Machine, _scene: Scene) -> None:
    _resize(machine, f"{machine.host.disk_mib}m")


def _resize(machine: Machine, size: str) -> None:
    syscalls.mount("tmpfs", machine.rootfs.disk, "tmpfs", syscalls.MS_REMOUNT, f"size={size}")


def _stop_sshd(machine: Machine, _scene: Scene, _value: float) -> None:
    """End the listening sshd and keep init from starting another; open sessions live on, as with systemctl stop."""
    _shell(machine, "systemctl stop ssh" if machine.host.systemd else _END_SSHD, _STOPPED)


def _start_sshd(machine: Machine, _scene: Scene) -> None:
    _shell(machine, "systemctl start ssh" if machine.host.systemd else _LET_SSHD, _STOPPED)


def _change_key(machine: Machine, _scene: Scene, _value: float) -> None:
    """A new host key, as after a reinstallation or with somebody in between; known_hosts keeps the old one."""
    _shell(machine, _REREAD_KEY, _HOST_KEY, new_key_pair().private)


def _restore_key(machine: Machine, scene: Scene) -> None:
    _shell(machine, _REREAD_KEY, _HOST_KEY, scene.credentials.host_key(machine.host.name).read_text(encoding="ascii"))


def _shift_clock(machine: Machine, _scene: Scene, seconds: float) -> None:
    """Let programs see another time of day.

    All hosts share the kernel's one clock, so this is not the kernel's doing: libfaketime is preloaded into every
    dynamically linked program started from now on, through /etc/ld.so.preload. What runs already keeps the true
    time (open sessions' shells too), and so do sshd and the kernel's time stamps on files and packets.
    """
    _shell(machine, _SHIFT_CLOCK + _new_sshd(machine), f"{seconds:+.0f}")


def _true_clock(machine: Machine, _scene: Scene) -> None:
    _shell(machine, _TRUE_CLOCK + _new_sshd(machine), "")


def _new_sshd(machine: Machine) -> str:
    return _NEW_SSHD_SYSTEMD if machine.host.systemd else _NEW_SSHD


def _spoil(what: str) -> Callable[[Machine, Scene, float], None]:
    return lambda machine, _scene, number: spoiling.spoil(machine, what, number)


def _mend(machine: Machine, _scene: Scene) -> None:
    spoiling.mend(machine)


def _shell(machine: Machine, script: str, argument: str, stdin: str = "") -> None:
    argv = ["/bin/sh", "-c", script, argument]
    status, _, err = run_inside(machine.host.name, machine.running, argv, stdin.encode())
    if status != 0:
        text = err.decode("utf-8", "replace").strip()
        raise RemedyError(f"the fault's script ended with {status}: {text}", where=machine.host.name)


FAULTS: dict[str, Fault] = {
    "link-cut": Fault("its cable is pulled out", _cut, _uncut, on_cable=True),
    "delay": Fault("every packet takes longer, each way", _delay, _undelay, "ms", (0.1, 10000), on_cable=True),
    "loss": Fault("IP packets are lost, each way", _lose, _unlose, "percent", (0.1, 100), on_cable=True),
    "disk-full": Fault("nothing more fits on its disk", _fill, _empty),
    "sshd-stop": Fault("its SSH server is stopped", _stop_sshd, _start_sshd),
    "host-key": Fault("its SSH host key changes", _change_key, _restore_key),
    "backup-flip": Fault(
        "bits of its newest backup are turned",
        _spoil("flip"),
        _mend,
        "count",
        (1, 10000),
        usual=3,
        again=True,
    ),
    "backup-cut": Fault("its newest backup is cut off", _spoil("cut"), _mend, "percent", (0, 99), usual=60, again=True),
    "backup-delete": Fault("its newest backup is gone", _spoil("delete"), _mend, again=True),
    "backup-replace": Fault("its newest backup is one without rows", _spoil("replace"), _mend, again=True),
    "clock": Fault("new programs see another time of day", _shift_clock, _true_clock, "offset", (-(10**9), 10**9)),
}


def restore_cable_faults(machine: Machine, scene: Scene) -> None:
    """Give a host that was just plugged in again the faults its cable had."""
    for kind, value in machine.faults.items():
        if kind in FAULTS and FAULTS[kind].on_cable:
            FAULTS[kind].apply(machine, scene, value)
