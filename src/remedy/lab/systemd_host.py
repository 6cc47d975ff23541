"""Lab hosts whose PID 1 is a real systemd, for what must survive a reboot under systemd.

Decides how systemd-nspawn(1) is called. Leaves to others: everything else about the host.

The host's network belongs to a small process that only holds it, because nspawn wants a network that exists already;
with `--keep-unit` a reboot ends nspawn with status 133, and the supervisor boots the host with a network made anew, as
a power-cycle would.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from remedy.core.errors import RemedyError
from remedy.lab import container, device_guard
from remedy.lab.machine import Machine

__all__ = ["boot", "wants_reboot"]

_REBOOT_STATUS = 133
_PATIENCE = 10.0
_CAPABILITIES = "CAP_NET_ADMIN,CAP_NET_RAW,CAP_SYSLOG"


def boot(machine: Machine, router: int, plug: Callable[[int], None]) -> None:
    """Boot it: network, cable, root file system, nspawn; returns when its PID 1 exists.

    `plug` plugs the network of a process in. Raises RemedyError, OSError.
    """
    holder = container.hold_network(router)
    machine.companions.append(holder)
    plug(holder)
    root = machine.rootfs.merged
    if not os.path.ismount(root):
        machine.rootfs.mount()
    name = machine.host.name
    with (machine.rootfs.disk / "console.log").open("ab") as console:
        process = subprocess.Popen(
            device_guard.joining(
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    "--",
                    "systemd-nspawn",
                    "--register=no",
                    "--keep-unit",
                    "--quiet",
                    f"--directory={root}",
                    f"--machine={name}",
                    f"--network-namespace-path=/proc/{holder}/ns/net",
                    f"--capability={_CAPABILITIES}",
                    "--resolv-conf=off",
                    "--timezone=off",
                    "--link-journal=no",
                    "--console=pipe",
                    "--boot",
                ]
            ),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
    machine.child = process.pid
    process.returncode = 0  # waited for by pid
    until = time.monotonic() + _PATIENCE
    while (first := _first_process(process.pid)) is None:
        if time.monotonic() > until or not Path(f"/proc/{process.pid}").exists():
            said = (machine.rootfs.disk / "console.log").read_text(encoding="utf-8", errors="replace").strip()
            raise RemedyError(f"systemd does not start: {said[-300:]}", where=name)
        time.sleep(0.01)
    machine.pid = first


def _first_process(nspawn: int) -> int | None:
    """The container's PID 1, once it is systemd: a child of nspawn whose own number for itself is 1."""
    try:
        children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text(encoding="ascii").split()
        for child in children:
            status = Path(f"/proc/{child}/status").read_text(encoding="utf-8")
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            if fields["NSpid"].split()[1:] == ["1"] and fields["Name"] == "systemd":
                return int(child)
    except OSError:
        return None
    return None


def wants_reboot(machine: Machine, status: int) -> bool:
    """Whether wait status `status` of the host's child process means a reboot.

    A PID namespace whose root called reboot(2) ends as if killed by SIGHUP, by SIGINT for a halt; nspawn says 133.
    """
    if machine.host.systemd:
        return os.WIFEXITED(status) and os.WEXITSTATUS(status) == _REBOOT_STATUS
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGHUP
