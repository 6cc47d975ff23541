"""The machine and the programs that a result belongs to: a number without them says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path


def describe(programs: dict[str, Sequence[str]]) -> dict[str, str]:
    """Processor, cores, memory, kernel, and the first line of what each program says about its version."""
    facts = {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) // 1024} MiB",
        "kernel": platform.release(),
        "system": _field("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "python": platform.python_version(),
    }
    return facts | {name: _version(argv) for name, argv in programs.items()}


def _field(path: str, name: str, separator: str = ":") -> str:
    """Sample: ``model name : Some Processor @ 2.50GHz``."""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, found, value = line.partition(separator)
        if found and key.strip() == name:
            return value.strip()
    return "unknown"


def _version(argv: Sequence[str]) -> str:
    """Some print it to standard output, OpenSSH to standard error."""
    done = subprocess.run(argv, capture_output=True, check=True, timeout=60, text=True)
    return (done.stdout or done.stderr).splitlines()[0].strip()
