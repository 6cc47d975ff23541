"""The Linux system calls the lab needs and Python does not offer: namespaces, mounts, process control.

Decides nothing. Leaves to others: the order of the calls. Constants are those of <linux/sched.h>, <linux/mount.h>,
<linux/prctl.h> and <linux/capability.h>; see unshare(2), setns(2), mount(2), pivot_root(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

__all__ = [
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUTS",
    "DROPPED_CAPABILITIES",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_RDONLY",
    "MS_REC",
    "MS_REMOUNT",
    "become_subreaper",
    "die_with_parent",
    "drop_capabilities",
    "enter_network",
    "mount",
    "pivot_to",
    "unmount",
    "unshare",
]

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
_MNT_DETACH = 0x2

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_SIGKILL = 9

#: What root inside a lab host may not do to the machine it shares: number and the name setpriv(1) uses.
DROPPED_CAPABILITIES: dict[int, str] = {
    16: "sys_module",
    17: "sys_rawio",
    25: "sys_time",
    27: "mknod",
    35: "wake_alarm",
    38: "perfmon",
    39: "bpf",
}

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones. Raises OSError."""
    _checked(_libc.unshare(flags), "unshare")


def enter_network(pid: int) -> None:
    """Join the network namespace of process `pid`. Raises OSError."""
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.setns(descriptor, CLONE_NEWNET), "setns")
    finally:
        os.close(descriptor)


def mount(source: str, target: Path | str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` at `target`; arguments as in the manual page. Raises OSError naming the target."""
    result = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    _checked(result, f"mount {target}")


def unmount(target: Path | str) -> None:
    """Detach what is mounted at `target`, even if busy. Raises OSError."""
    _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def pivot_to(root: Path | str) -> None:
    """Make the mount point `root` this process's `/` and forget the old one (pivot_root(2), the "." form)."""
    os.chdir(root)
    _checked(_libc.pivot_root(b".", b"."), "pivot_root")
    _checked(_libc.umount2(b".", _MNT_DETACH), "umount of the old root")
    os.chdir("/")


def become_subreaper() -> None:
    """Orphaned descendants become children of this process instead of the machine's PID 1."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl subreaper")


def die_with_parent() -> None:
    """Be killed when the parent dies, whatever kills it: a lab whose supervisor is gone does not linger."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl parent-death signal")


def drop_capabilities() -> None:
    """Remove DROPPED_CAPABILITIES from the bounding set; they are gone for good at the next exec."""
    for number in DROPPED_CAPABILITIES:
        _checked(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), f"prctl drop capability {number}")
