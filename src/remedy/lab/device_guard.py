"""A control group for everything that runs in hosts: no disks for root inside, and one switch that ends it all.

Decides which devices may be opened. Dropping CAP_MKNOD alone would not do: root may mount devtmpfs and find the
machine's disks there. The rule is a small BPF program on a cgroup of version 2, see the kernel's
Documentation/admin-guide/cgroup-v2.rst, section "Device controller", and bpf(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import time
from pathlib import Path

from remedy.core.errors import RemedyError, TargetUnfit

__all__ = ["create", "joining", "kill", "procs_file", "remove"]

_SYSCALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD = 5
_PROG_ATTACH = 8
_TYPE_CGROUP_DEVICE = 15
_ATTACH_CGROUP_DEVICE = 6
_ALLOW_MULTI = 2
_CHARACTER = 2

#: Character devices hosts may open: major, and minors (None: any). Memory, ports and all block devices are not there.
_ALLOWED: tuple[tuple[int, tuple[int, ...] | None], ...] = (
    (1, (3, 5, 7, 8, 9)),  # null zero full random urandom
    (5, (0, 1, 2)),  # tty console ptmx
    (10, (200,)),  # net/tun
    (136, None),  # pts
)


def _mounted() -> Path:
    """Where the version 2 hierarchy is mounted. Raises TargetUnfit.

    Reads lines of /proc/self/mounts like `cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0`.
    """
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, target, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(target)
    raise TargetUnfit(
        "no cgroup version 2 is mounted, so lab hosts could reach this machine's disks",
        hint="mount -t cgroup2 none /sys/fs/cgroup",
    )


def _older() -> list[Path]:
    """Where hierarchies of version 1 are mounted; lines like `cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd`."""
    rows = (line.split(" ") for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines())
    return [Path(target) for _, target, kind, *_ in rows if kind == "cgroup"]


def procs_file() -> Path:
    """The file a process's number is written to so that it belongs to the lab of this network namespace."""
    network = Path("/proc/self/ns/net").stat().st_ino
    return _mounted() / f"remedy-lab-{network}" / "cgroup.procs"


def joining(argv: list[str]) -> list[str]:
    """`argv`, run as a member of the lab's group."""
    return ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', str(procs_file()), *argv]


def create() -> None:
    """Make the group and attach the rule. Raises TargetUnfit, RemedyError."""
    group = procs_file().parent
    try:
        group.mkdir(exist_ok=True)
        descriptor = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _attach(descriptor, _program())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RemedyError(f"the lab's device rule cannot be set: {error}", where=str(group)) from error


def kill() -> None:
    """End every process of the lab's hosts; returns when none is left. Raises RemedyError after ten seconds."""
    with contextlib.suppress(TargetUnfit):
        group = procs_file().parent
        until = time.monotonic() + 10
        while group.is_dir() and _populated(group):
            with contextlib.suppress(OSError):
                (group / "cgroup.kill").write_text("1", encoding="ascii")
            if time.monotonic() > until:
                raise RemedyError("processes of the lab do not end", where=str(group))
            time.sleep(0.02)


def remove() -> None:
    """Remove the group, with those a host's systemd made below it; fine when there is none."""
    with contextlib.suppress(TargetUnfit):
        group = procs_file().parent
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
        # systemd-nspawn makes one of the same name in the version 1 hierarchy, where a machine has both.
        for place in _older():
            for folder, _, _ in os.walk(place / group.name, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()


def _populated(group: Path) -> bool:
    return "populated 1" in (group / "cgroup.events").read_text(encoding="ascii")


def _instruction(code: int, registers: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """One BPF instruction; `registers` is destination | source << 4."""
    return struct.pack("=BBhi", code, registers, offset, value)


def _program() -> bytes:
    """The rule: R1 is struct bpf_cgroup_dev_ctx {u32 access_type, major, minor}; R0 = 1 allows."""
    allow = _instruction(0xB7, 0, 0, 1) + _instruction(0x95)  # R0 = 1; exit
    deny = _instruction(0xB7, 0, 0, 0) + _instruction(0x95)
    code = _instruction(0x61, 0x12, 0)  # R2 = access_type
    code += _instruction(0x57, 0x2, 0, 0xFFFF)  # R2 &= 0xffff: the device's type
    code += _instruction(0x15, 0x2, 2, _CHARACTER) + deny  # a character device goes on
    code += _instruction(0x61, 0x12, 4) + _instruction(0x61, 0x13, 8)  # R2 = major, R3 = minor
    for major, minors in _ALLOWED:
        tests = b"".join(_instruction(0x55, 0x3, 2, minor) + allow for minor in minors or ()) + deny
        body = tests if minors else allow
        code += _instruction(0x55, 0x2, len(body) // 8, major) + body  # another major: skip
    return code + deny


def _attach(group: int, code: bytes) -> None:
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    instructions = ctypes.create_string_buffer(code, len(code))
    load = struct.pack(
        "=IIQQIIQII16sII",
        _TYPE_CGROUP_DEVICE,
        len(code) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
        *(0, 0, 0, 0, 0, b"", 0, 0),
    )
    program = _bpf(_PROG_LOAD, load)
    try:
        _bpf(_PROG_ATTACH, struct.pack("=IIII", group, program, _ATTACH_CGROUP_DEVICE, _ALLOW_MULTI))
    finally:
        os.close(program)


def _bpf(command: int, attributes: bytes) -> int:
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise TargetUnfit(f"the lab knows no bpf(2) number for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = libc.syscall(number, command, buffer, len(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"bpf: {os.strerror(code)}")
    return int(result)
