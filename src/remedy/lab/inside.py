"""Running a program inside a host without its network: what a person at the host's console could do.

Decides the argv of nsenter(1) and setpriv(1). Leaves to others: whether the host is on.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from remedy.core.errors import TimedOut
from remedy.lab import device_guard
from remedy.lab.syscalls import DROPPED_CAPABILITIES

__all__ = ["ENVIRONMENT", "inside", "run_inside"]

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
}


def inside(pid: int, argv: Sequence[str]) -> list[str]:
    """`argv` as root inside the host whose PID 1 is `pid`, without the capabilities the host lacks."""
    dropped = ",".join(f"-{name}" for name in DROPPED_CAPABILITIES.values())
    enter = ["/usr/bin/nsenter", f"--target={pid}", "--mount", "--uts", "--ipc", "--net", "--pid"]
    return device_guard.joining([*enter, "--", "/usr/bin/setpriv", f"--bounding-set={dropped}", "--", *argv])


def run_inside(
    name: str, pid: int, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30.0
) -> tuple[int, bytes, bytes]:
    """Run `argv` to its end inside host `name`; its exit status, stdout and stderr.

    After `timeout` seconds it and all it started in its process group are killed and TimedOut is raised.
    """
    with subprocess.Popen(
        inside(pid, argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimedOut(f"{argv[0]} did not end within {timeout:g} s", where=name) from error
            raise
    return process.returncode, out, err
