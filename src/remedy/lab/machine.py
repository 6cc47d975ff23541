"""A lab host as the supervisor keeps it: its disk while it is off, its processes while it is on, its faults.

Decides how one host is switched on and off. Leaves to others: when (supervisor.py) and what is on the disk (layers.py).
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from remedy.core.errors import Refused
from remedy.lab import container, syscalls
from remedy.lab.topology import LINK, Host

__all__ = ["Machine", "listening"]

_LISTEN = "0A"
_FORWARDING = "3\n"


@dataclass
class Machine:
    """One host.

    `pid` is its PID 1 as seen from outside, None while it is off; `child` the process to wait for, the same one unless
    its PID 1 is kept by another program; `booted` the moment of its last boot (monotonic clock); `companions` other
    processes of this machine that live and die with it; `sysfs` is set for the machine itself, whose link is not called
    eth0; `wire` is the forwarder that delays its packets; `faults` maps kind to value; `versions` are those a fault
    made in its S3 store, each with its key.
    """

    host: Host
    rootfs: container.Rootfs
    pid: int | None = None
    child: int | None = None
    boots: int = 0
    booted: float = 0.0
    faults: dict[str, float] = field(default_factory=dict)
    wire: int | None = None
    sysfs: Path | None = None
    companions: list[int] = field(default_factory=list)
    versions: list[tuple[str, str]] = field(default_factory=list)

    @property
    def running(self) -> int:
        """Its PID 1. Raises Refused when it is off."""
        if self.pid is None:
            raise Refused("the host is switched off", where=self.host.name, hint="clear its power-off first")
        return self.pid

    @property
    def bridge_device(self) -> str:
        """The device inside fw01 on which its traffic meets the bridge: its port, or the delay's TAP."""
        return f"t-{self.host.name}" if self.wire is not None else self.host.port

    def link_up(self, router: int) -> bool:
        """Whether frames pass its cable: the kernel takes up to a second to open a bridge's port to a new carrier.

        `router` is fw01's PID 1, in whose /sys the ports are; the host's own end is in `devices`.
        """
        ports = Path(f"/proc/{router}/root/sys/class/net")
        try:
            state = (ports / self.bridge_device / "brport/state").read_text(encoding="ascii")
            ends = [(end / "operstate").read_text(encoding="ascii") for end in (ports / self.host.port, self.devices)]
        except OSError:
            return False
        return state == _FORWARDING and ends == ["up\n", "up\n"]

    @property
    def devices(self) -> Path:
        """Its own end of the cable in a /sys that shows its network."""
        if self.sysfs is not None:
            return self.sysfs / "class/net" / LINK
        viewer = self.companions[0] if self.host.systemd else self.pid
        return Path(f"/proc/{viewer}/root/sys/class/net/eth0")

    def create_disk(self) -> None:
        """Mount its empty disk, a tmpfs of its size, in this process's mount namespace."""
        self.rootfs.disk.mkdir(parents=True)
        syscalls.mount("tmpfs", self.rootfs.disk, "tmpfs", 0, f"size={self.host.disk_mib}m,mode=755")
        for folder in (self.rootfs.upper, self.rootfs.disk / "work", self.rootfs.merged):
            folder.mkdir()

    def kill(self) -> None:
        """Everything in it dies at once, as when the power goes; its disk stays."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.child or self.pid, 0)
            self.pid = self.child = None
        self.end_companions()

    def end_wire(self) -> None:
        """Kill its forwarder, if it has one."""
        if self.wire is not None:
            os.kill(self.wire, signal.SIGKILL)
            os.waitpid(self.wire, 0)
            self.wire = None

    def end_companions(self) -> None:
        """Kill the processes of this machine that live with the host."""
        for pid in self.companions:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.companions.clear()

    def services(self) -> dict[str, bool]:
        """Which of its services answer: whether something listens on their TCP port."""
        ports = listening(self.pid) if self.pid is not None else set()
        return {name: port in ports for name, port in self.host.services.items()}


def listening(pid: int) -> set[int]:
    """The TCP ports, of either family, listened on in the network of process `pid`; none when it is gone.

    Reads lines of /proc/PID/net/tcp like
    `   0: 00000000:0016 00000000:0000 0A 00000000:00000000 …` (proc(5)).
    """
    ports = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN:
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports
