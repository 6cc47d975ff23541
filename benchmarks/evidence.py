"""Collecting logs beside what an administrator would type: one host, a folder of logs, over a real sshd on loopback.

    python benchmarks/run.py evidence              1 GiB of logs (about two minutes)
    python benchmarks/run.py evidence --quick      200 MB

Decides who is compared with whom, and what a run has to leave behind to count: a tar whose content has the size of the
logs. Host and controller share the processors, so that what the host does (tar, zstd, its side of SSH) is in every wall
time; "client CPU" is that of the contender's own processes. Remedy keeps SHA-256 and SM3 of what it writes, flushes it
and seals a bag; the floor hashes once, with sha256sum.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import zstandard
from benchmarks.database_host import PYTHON
from benchmarks.estate import BrokenRun
from benchmarks.measuring import Run, busy, load, measure

Json = dict[str, Any]
_PART: Final = str(Path(__file__).resolve().parent / "parts" / "collect_logs.py")
_MIB: Final = 2**20
_BLOCK: Final = 16 * _MIB
_FLOOR: Final = "ssh tar | zstd -1 | tee | sha256sum"
_LONG: Final = 900.0
_GCM: Final = ("-c", "aes128-gcm@openssh.com")


def evidence(*, quick: bool, rounds: int) -> Iterator[tuple[str, Json]]:
    """The case: everybody takes the same logs from the same host, in turns."""
    size = 200 * 10**6 if quick else 2**30
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        logs = folder / "logs"
        _write(logs, size)
        with _sshd(folder) as port:
            before = {"load_before": load(), "busy_before": round(busy(), 2)}
            runs: dict[str, list[Json]] = {}
            for _ in range(rounds):
                for who, argv, packed in _contenders(folder, logs, port):
                    runs.setdefault(who, []).append(_run(folder, argv, packed, size))
            yield (
                f"{size / 10**6:.0f} MB of logs",
                {"floor": _FLOOR, "hosts": 0, **before, "load_after": load(), "runs": runs},
            )


def _contenders(folder: Path, logs: Path, port: int) -> Iterator[tuple[str, list[str], bool]]:
    """Each with its arguments, and whether what it leaves is compressed."""
    ssh = ["ssh", "-F", "none", "-p", str(port), "-i", str(folder / "key"), "-oBatchMode=yes"]
    ssh += [f"-oUserKnownHostsFile={folder}/known_hosts"]
    ask = f"tar c {logs} | zstd -1"
    pull = '"$@" | tee "$0" | sha256sum'
    out = str(folder / "out" / "logs.tar.zst")
    yield _FLOOR, ["sh", "-c", pull, out, *ssh, "root@127.0.0.1", ask], True
    yield "the same with AES-GCM", ["sh", "-c", pull, out, *ssh, *_GCM, "root@127.0.0.1", ask], True
    part = [PYTHON, _PART, "127.0.0.1", str(port), str(folder / "key"), str(folder / "known_hosts"), str(logs)]
    yield "remedy, the host's zstd", [*part, str(folder / "out"), "host"], True
    yield "remedy, zstd here", [*part, str(folder / "out"), "here"], True


def _run(folder: Path, argv: list[str], packed: bool, size: int) -> Json:  # noqa: FBT001 -- ours
    (folder / "out").mkdir()
    os.sync()
    run: Run = measure(argv, environment={"PYTHONPATH": str(Path(__file__).parents[1] / "src")}, seconds=_LONG)
    kept = list((folder / "out").rglob("*.tar.zst"))
    if run.status or len(kept) != 1:
        raise BrokenRun(run.said[-500:])
    got = 0
    with kept[0].open("rb") as file:
        for chunk in zstandard.ZstdDecompressor().read_to_iter(file):
            got += len(chunk)
    if not (packed and size <= got <= size * 1.01):
        raise BrokenRun(f"{argv[0]} left {got} bytes of {size}")
    shutil.rmtree(folder / "out")
    return {"wall": run.wall, "cpu": run.cpu, "rate": size / 10**6 / run.wall, "peak": run.peak / 10**6}


def _write(folder: Path, size: int) -> None:
    """Logs as a web server and sshd write them, in files of 16 MiB."""
    folder.mkdir()
    dice = random.Random(20261120)  # noqa: S311 -- the same logs every time
    pages = [f"/{dice.choice(('news', 'list', 'static', 'api'))}/{dice.randrange(10**5)}" for _ in range(2000)]
    lines = []
    for _ in range(100_000):
        who = f"198.18.{dice.randrange(256)}.{dice.randrange(256)}"
        when = f"20/Nov/2026:{dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02} +0800"
        page, status, length = dice.choice(pages), dice.choice((200, 200, 200, 304, 404)), dice.randrange(10**5)
        agent = f"Mozilla/5.0 (X11; Linux x86_64) Chrome/{dice.randrange(90, 130)}.0.{dice.randrange(9999)}"
        lines.append(f'{who} - - [{when}] "GET {page} HTTP/1.1" {status} {length} "-" "{agent}"\n'.encode())
    for number, start in enumerate(range(0, size, _BLOCK)):
        left, parts = min(_BLOCK, size - start), []
        while left > 0:
            line = dice.choice(lines)[:left]
            left -= len(line)
            parts.append(line)
        (folder / f"access.log.{number}").write_bytes(b"".join(parts))


@contextlib.contextmanager
def _sshd(folder: Path) -> Iterator[int]:
    """An sshd on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    public = " ".join((folder / "host_key.pub").read_text(encoding="ascii").split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n", encoding="ascii")
    lines = [f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host_key", f"SetEnv HOME={folder}"]
    lines += [f"AuthorizedKeysFile {folder}/key.pub", "PidFile none", "UsePAM no", "StrictModes no", "UseDNS no"]
    (folder / "sshd_config").write_text("\n".join([*lines, "PermitRootLogin yes"]) + "\n", encoding="ascii")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        argv = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)
