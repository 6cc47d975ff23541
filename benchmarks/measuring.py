"""One measured run of a program: wall time, CPU of the whole process tree, when each host was done, the first packet.

Decides what is measured and how. Leaves to others: which program, how often, and whether it did what it claims.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SO_TIMESTAMPNS: Final = 35  # socket(7), <asm/socket.h>; Python has no name for it
_ETH_P_ALL: Final = 3
_IPV4: Final = b"\x08\x00"
_TCP: Final = 6
_SYN, _ACK = 0x02, 0x10
_SSH: Final = 22


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Times in seconds since the process was started.

    `cpu` is user and system time of the process and of every descendant that was waited for; a daemon it leaves behind
    is not in it. `marks` says, by mark and host, when a line of output told of it. `peak` is the most memory that it or
    any of those descendants had at once, in bytes.
    """

    status: int
    wall: float
    cpu: float
    marks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    first_syn: float | None = None
    said: str = ""
    peak: int = 0


@dataclass(slots=True)
class _Syn:
    """When the first SYN to an SSH port left through an interface, by the kernel's own time stamp."""

    interface: str
    at: float | None = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Listen while the block runs. Needs root (packet(7))."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as raw:
            raw.bind((self.interface, _ETH_P_ALL))
            raw.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            raw.settimeout(0.2)
            over = threading.Event()
            thread = threading.Thread(target=self._listen, args=(raw, over))
            thread.start()
            try:
                yield
            finally:
                over.set()
                thread.join()

    def _listen(self, raw: socket.socket, over: threading.Event) -> None:
        while self.at is None and not over.is_set():
            with contextlib.suppress(TimeoutError):
                frame, ancillary, _, _ = raw.recvmsg(128, 64)
                if _is_syn(frame):
                    for level, kind, data in ancillary:
                        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                            seconds, nanoseconds = struct.unpack("qq", data[:16])
                            self.at = seconds + nanoseconds / 1e9


def _is_syn(frame: bytes) -> bool:
    """Whether an Ethernet frame is the first packet of a TCP connection to port 22 (RFC 791, RFC 9293)."""
    header = 14 + (frame[14] & 15) * 4 if len(frame) > 14 else 0  # noqa: PLR2004 -- Ethernet's header
    if frame[12:14] != _IPV4 or len(frame) < header + 14 or frame[23] != _TCP:
        return False
    flags = frame[header + 13]
    return struct.unpack("!H", frame[header + 2 : header + 4])[0] == _SSH and flags & (_SYN | _ACK) == _SYN


def measure(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    marks: Mapping[str, str] | None = None,
    interface: str = "",
    seconds: float = 300,
) -> Run:
    """Run a program to its end, at most `seconds`; its process group is killed then and TimeoutError raised.

    `marks` are patterns by name; the first group of each names the host that a line of standard output speaks of.
    `interface` is watched for the first SYN.
    """
    syn = _Syn(interface)
    patterns = {name: re.compile(pattern) for name, pattern in (marks or {}).items()}
    seen: dict[str, dict[str, float]] = {name: {} for name in patterns}
    lines: list[str] = []
    with contextlib.ExitStack() as around:
        if interface:
            around.enter_context(syn.watching())
        errors = around.enter_context(tempfile.TemporaryFile())
        begun, started = time.time(), time.monotonic()
        process = subprocess.Popen(
            argv,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        killed = threading.Event()

        def kill() -> None:
            killed.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            with process.stdout or contextlib.nullcontext(()) as stdout:
                for line in stdout:
                    text = line.decode("utf-8", "replace")
                    lines.append(text)
                    for name, pattern in patterns.items():
                        if match := pattern.search(text):
                            seen[name].setdefault(match[1], time.monotonic() - started)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - started
        except BaseException:
            kill()
            raise
        finally:
            timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = "".join(lines[-15:]) + errors.read()[-3000:].decode("utf-8", "replace")
    if killed.is_set():
        raise TimeoutError(f"{argv[0]} ran longer than {seconds:g} s: {said[-500:]}")
    first = syn.at - begun if syn.at is not None else None
    return Run(process.returncode, wall, usage.ru_utime + usage.ru_stime, seen, first, said, usage.ru_maxrss * 1024)


def load() -> float:
    """The machine's load average over the last minute (proc(5)): what others were doing while we measured."""
    return float(Path("/proc/loadavg").read_text(encoding="ascii").split()[0])


def busy(seconds: float = 1.0) -> float:
    """The share of the machine's CPU time, 0 to 1, that others use right now, looked at for `seconds` (proc(5))."""

    def times() -> tuple[int, int]:
        words = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:9]]
        return sum(words), words[3] + words[4]

    before = times()
    time.sleep(seconds)
    after = times()
    total = after[0] - before[0]
    return 1 - (after[1] - before[1]) / total if total else 0.0


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)
