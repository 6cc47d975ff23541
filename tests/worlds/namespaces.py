"""Hosts for tests: network, mount and process namespaces of this machine, joined by virtual cables.

Decides how a test gets a host with its own packet filter, /etc, /run and processes without a lab or sshd: a shell
keeps the namespaces alive, nsenter(1) runs programs in them, setns(2) opens sockets in them.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from tests.worlds import children

T = TypeVar("T")

_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

#: PID 1 of a host: answers once its own /run and /etc are there, then reaps orphans until its maker is gone.
_INIT: Final = """
set -e
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/upper /run/work /run/sshd
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc
mkdir -p /etc/rcS.d /etc/init.d
ip link set lo up
for v in 4 6; do [ $v = 4 ] && f=net/ipv4/icmp_ratelimit || f=net/ipv6/icmp/ratelimit; echo 0 > /proc/sys/$f; done
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
set +e
exec 3<&0
trap exit TERM
(cat <&3 >/dev/null; kill -TERM 1) &
exec 3<&-
echo ready
while :; do sleep 1000 & wait; done
"""


class Host:
    """One host. Everything in it ends with `close`."""

    def __init__(self, name: str, *, init: str = _INIT) -> None:
        """Start it; returns when it is ready, which `init`, its PID 1, says."""
        self.name = name
        self._net = -1
        self.pid = 0
        self._keeper = children.start(
            (
                "unshare",
                "--net",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child=SIGKILL",
                "--mount-proc",
                "sh",
                "-c",
                init,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._ready()
        except BaseException:
            self.close()
            raise

    def _ready(self) -> None:
        if self._keeper.stdout is None or self._keeper.stdout.readline() != b"ready\n":
            _, said = self._keeper.communicate()
            raise RuntimeError(f"the host {self.name} does not start: {said.decode()}")
        below = Path(f"/proc/{self._keeper.pid}/task/{self._keeper.pid}/children")
        self.pid = int(below.read_text().split()[0])
        self._net = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)

    def enter(self, *argv: str) -> tuple[str, ...]:
        """The argument vector that runs a program in the host."""
        return ("nsenter", "-t", str(self.pid), "-n", "-m", "-p", "--", *argv)

    def run(self, script: str, *args: str) -> str:
        """Run a shell script that must succeed; its standard output."""
        done = subprocess.run(
            self.enter("sh", "-ec", script, "sh", *args), capture_output=True, text=True, check=False, timeout=30
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {script[:200]!r} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def inside(self, work: Callable[[], T]) -> T:
        """Do something with sockets as if from the host: in a thread of its own, in the host's network namespace."""
        result: list[T] = []
        errors: list[BaseException] = []

        def enter_and_work() -> None:
            try:
                self.join()
                result.append(work())
            except BaseException as error:  # noqa: BLE001 -- raised again by the caller's thread
                errors.append(error)

        thread = threading.Thread(target=enter_and_work)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return result[0]

    def join(self) -> None:
        """Put the calling thread, and whatever it starts, into the host's network namespace."""
        join_network(self._net)

    def power_cycle(self) -> None:
        """Everything that lives only in memory is gone: processes and packet filter. Then the boot hooks run."""
        self.run(
            "for p in $(pgrep -f 'remedy|^sleep [0-9]+$'); do [ $p = 1 ] || [ $p = $$ ] || kill -9 $p || :; done\n"
            "nft flush ruleset 2>/dev/null || :\n"
            "for t in iptables-legacy ip6tables-legacy; do for m in mangle filter; do\n"
            "  $t -t $m -F; $t -t $m -X; done; done\n"
            "for s in /etc/rcS.d/S01remedy*; do [ ! -e $s ] || $s start; done"
        )

    def close(self) -> None:
        """End the host and everything in it; again does nothing."""
        children.end(self._keeper)
        if self._net >= 0:
            os.close(self._net)
            self._net = -1
        end = time.monotonic() + 5
        while self.pid and Path(f"/proc/{self.pid}/ns/net").exists() and time.monotonic() < end:
            time.sleep(0.01)


def join_network(descriptor: int) -> None:
    """Move the calling thread into a network namespace (setns(2))."""
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def cable(
    one: Host,
    name: str,
    other: Host,
    *,
    near: Sequence[str],
    far: Sequence[str],
    end: str = "eth0",
    routed: bool = True,
) -> None:
    """Join two hosts: interface `name` with addresses `near` in the first, `end` with `far` in the second.

    When `routed`, the other's default route leads to the first of `near` of each family.
    """
    argv = ("ip", "link", "add", name, "netns", str(one.pid), "type", "veth")
    subprocess.run((*argv, "peer", "name", end, "netns", str(other.pid)), check=True, timeout=10)
    for host, interface, addresses in ((one, name, near), (other, end, far)):
        for address in addresses:
            nodad = "nodad" if ":" in address else ""
            host.run(f"ip addr add {address} dev {interface} {nodad}")
        host.run(f"ip link set {interface} up")
    for address in near if routed else ():
        gateway = address.partition("/")[0]
        other.run(f"ip {'-6' if ':' in gateway else '-4'} route add default via {gateway}")
