"""One powered-on host: its namespaces, its root file system, its PID 1.

Decides what a host sees of the machine and what it may not touch. Leaves to others: what is on its disk (layers.py),
its cable (cabling.py), and when it is switched on or off (supervisor.py).

A host has its own mount, PID, UTS, IPC, cgroup and network views. Root inside is real root without the capabilities
in syscalls.DROPPED_CAPABILITIES, and its devices are the harmless ones. That keeps accidents in: it does not hold
somebody who tries to get out, so real malware has no place here.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from remedy.lab import device_guard, syscalls

__all__ = ["Rootfs", "Waiting", "hold_network", "prepare", "release"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Character devices a host gets: name, major, minor.
_DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("net/tun", 10, 200),
)

#: How many buckets the TCP tables of networks made from inside this one get (Linux 6.1). By default all share the
#: machine's table, and each look at a host's sockets walks all of it, which costs 10 ms a time.
_SMALL_TABLES = Path("/proc/sys/net/ipv4/tcp_child_ehash_entries")

#: Parts of /proc that steer the whole machine.
_READ_ONLY = ("/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")


@dataclass(frozen=True)
class Rootfs:
    """Where a host's disk is: overlay layers (lower ones first to last = top to bottom) and the writable part."""

    disk: Path
    lowers: tuple[Path, ...]

    @property
    def upper(self) -> Path:
        """What the host has written."""
        return self.disk / "upper"

    @property
    def merged(self) -> Path:
        """Where the whole is mounted while the host runs."""
        return self.disk / "root"

    def mount(self) -> None:
        """Mount the overlay at `merged`. Raises OSError."""
        lower = ":".join(str(path) for path in self.lowers)
        data = f"lowerdir={lower},upperdir={self.upper},workdir={self.disk / 'work'}"
        syscalls.mount("overlay", self.merged, "overlay", 0, data)


@dataclass
class Waiting:
    """A host whose PID 1 exists, in its namespaces, and waits to be released; `gate` is the pipe it reads."""

    pid: int
    gate: int


def prepare(name: str, rootfs: Rootfs, router: int | None = None) -> Waiting:
    """Fork PID 1 of a host up to just before its boot, so that its cable can be plugged in. Raises OSError.

    Its network is made from inside that of process `router`, see _SMALL_TABLES; the router itself is made without.

    PID 1 becomes this process's child (which must be a subreaper): the process between them, needed to enter a new
    PID namespace, ends at once.
    """
    gate_read, gate_write = os.pipe()
    told_read, told_write = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(gate_write)
        os.close(told_read)
        _become_host(name, rootfs, router, gate_read, told_write)
    os.close(gate_read)
    os.close(told_write)
    with os.fdopen(told_read, "rb") as told:
        answer = told.read()
    os.waitpid(between, 0)
    if not answer.isdigit():
        os.close(gate_write)
        raise OSError(f"{name}: {answer.decode('utf-8', 'replace') or 'its first process died'}")
    return Waiting(int(answer), gate_write)


def release(waiting: Waiting) -> None:
    """Let it boot."""
    os.write(waiting.gate, b"g")
    os.close(waiting.gate)


def hold_network(router: int) -> int:
    """A child process that does nothing but keep a new network alive, with a /sys that shows it; its pid.

    Raises OSError.
    """
    told_read, told_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.die_with_parent()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            syscalls.enter_network(router)
            syscalls.unshare(syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS)
            syscalls.mount("sysfs", "/sys", "sysfs", syscalls.MS_RDONLY)
            _tune_network()
            os.write(told_write, b"1")
            os.closerange(3, 1024)
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(told_write)
    with os.fdopen(told_read, "rb") as told:
        if told.read(1) != b"1":
            os.waitpid(pid, 0)
            raise OSError("no network for a host with systemd")
    return pid


def _become_host(name: str, rootfs: Rootfs, router: int | None, gate: int, told: int) -> None:
    """The forked child's whole life; never returns."""
    try:
        device_guard.procs_file().write_text("0", encoding="ascii")
        if router is not None:
            syscalls.enter_network(router)
        syscalls.unshare(
            syscalls.CLONE_NEWNS
            | syscalls.CLONE_NEWUTS
            | syscalls.CLONE_NEWIPC
            | syscalls.CLONE_NEWNET
            | syscalls.CLONE_NEWCGROUP
            | syscalls.CLONE_NEWPID
        )
        socket.sethostname(name)
        _tune_network()
        first = os.fork()
        if first:
            os.write(told, str(first).encode())
            os._exit(0)
    except BaseException as error:  # noqa: BLE001 - a forked child reports and ends, it must not unwind into the parent
        os.write(told, f"{type(error).__name__} {error}".encode())
        os._exit(1)
    try:
        os.close(told)
        _boot(rootfs, gate)
    except BaseException as error:  # noqa: BLE001 - likewise
        sys.stderr.write(f"{name}: cannot boot: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    os._exit(1)


def _tune_network() -> None:
    """No duplicate address detection (it delays every boot by a second), no router advertisements, small tables."""
    if _SMALL_TABLES.exists():
        _SMALL_TABLES.write_text("1024", encoding="ascii")
    for scope in ("all", "default"):
        for setting in ("accept_dad", "accept_ra"):
            Path(f"/proc/sys/net/ipv6/conf/{scope}/{setting}").write_text("0", encoding="ascii")


def _boot(rootfs: Rootfs, gate: int) -> None:
    """PID 1: wait for the go, mount everything, give up what is not the host's, become init."""
    if os.read(gate, 1) != b"g":
        os._exit(0)
    syscalls.die_with_parent()
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    rootfs.mount()
    root = rootfs.merged
    _mount_views(root)
    syscalls.pivot_to(root)
    for path in _READ_ONLY:
        if Path(path).exists():
            syscalls.mount(path, path, flags=syscalls.MS_BIND)
            syscalls.mount(path, path, flags=syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY)
    syscalls.drop_capabilities()
    os.setsid()
    os.umask(0o022)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, 1024)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    environment = {"PATH": _PATH, "HOME": "/", "TERM": "linux", "LANG": "C.UTF-8"}
    os.execve("/bin/busybox", ["init"], environment)  # noqa: S606 - becoming init is the point


def _mount_views(root: Path) -> None:
    """Fresh /proc, /sys, /dev and /run; nodes before MKNOD is dropped."""
    harmless = syscalls.MS_NOSUID | syscalls.MS_NOEXEC | syscalls.MS_NODEV
    syscalls.mount("proc", root / "proc", "proc", harmless)
    syscalls.mount("sysfs", root / "sys", "sysfs", harmless | syscalls.MS_RDONLY)
    syscalls.mount("tmpfs", root / "run", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "size=32m,mode=755")
    dev = root / "dev"
    syscalls.mount("tmpfs", dev, "tmpfs", syscalls.MS_NOSUID, "size=1m,mode=755")
    for folder in ("pts", "shm", "net"):
        (dev / folder).mkdir()
    for name, major, minor in _DEVICES:
        os.mknod(dev / name, 0o020666, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    syscalls.mount(
        "devpts", dev / "pts", "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "newinstance,ptmxmode=666,gid=5"
    )
    syscalls.mount("tmpfs", dev / "shm", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "size=32m,mode=1777")
    for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1")):
        (dev / name).symlink_to(target)
    (dev / "stderr").symlink_to("fd/2")
