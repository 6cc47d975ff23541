"""Filling db01's database to a wanted size while the lab is up, and backing it up like the nightly cron job does.

Decides which clients send what. Leaves to others: the rows (database.py) and the backup program (history.py).
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from remedy.core.errors import RemedyError
from remedy.lab import database, offsite
from remedy.lab.history import BACKUPS
from remedy.lab.inside import ENVIRONMENT, inside

__all__ = ["HOST", "back_up", "fill", "send"]

Exec = Callable[..., tuple[int, bytes, bytes]]

HOST: Final = "db01"
_CLIENT: Final = ("mariadb", "--default-character-set=utf8mb4", "--init-command=SET sql_log_bin = 0", "site")
#: What each of the clients sends; about the same work.
_PARTS: Final = (("sales",), ("visits", "articles"))
_LAST: Final = """\
SELECT greatest(coalesce((SELECT max(id) FROM customer), 0), coalesce((SELECT max(id) FROM orders), 0),
  coalesce((SELECT max(id) FROM article), 0), coalesce((SELECT max(id) FROM attachment), 0))"""
_PATIENCE: Final = 600.0
_SAY_EVERY: Final = 2.0


def fill(run: Exec, pid: int, size: int, progress: Callable[[str], None]) -> None:
    """Add about `size` bytes of rows (as in a dump) to the database on HOST, whose PID 1 is `pid`.

    The rows are not in the binary log: that would double the memory they take, and the backups made before know nothing
    of them. Follow it with `back_up`. Raises RemedyError.
    """
    code, out, err = run(HOST, ("mariadb", "--batch", "--skip-column-names", "--execute", _LAST, "site"))
    if code != 0:
        raise RemedyError(err.decode("utf-8", "replace").strip()[-300:], where=HOST)
    first = int(out) + 1
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    count = _Count(size, progress)
    parts = [
        _begun(count.watch(database.rows(size, seed=first, first=first, until=until, groups=groups)))
        for groups in _PARTS
    ]
    send(inside(pid, _CLIENT), parts)


def send(argv: Sequence[str], parts: Iterable[Iterator[bytes]]) -> None:
    """Run `argv` once for each part, at the same time, and send it the part. Raises RemedyError when one fails."""
    failures: list[str] = []
    threads = [threading.Thread(target=_send, args=(argv, part, failures)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RemedyError(failures[0], where=argv[-1])


def back_up(run: Exec, roots: dict[str, Path], *, s3: bool) -> str:
    """Run db01's nightly backup now and copy it to the other places; the file's name.

    `roots` are the root folders of db01 and backup01 as this machine sees them; `s3` whether the store is up.
    """
    code, _, err = run(HOST, ("/usr/local/sbin/site-backup",), b"", _PATIENCE)
    if code != 0:
        raise RemedyError(err.decode("utf-8", "replace").strip()[-300:], where=HOST)
    made = [path for path in (roots[HOST] / BACKUPS).iterdir() if path.name.startswith("site-")]
    name = max((path.stat().st_mtime, path.name) for path in made if path.suffix != ".sha256")[1]
    files = [roots[HOST] / BACKUPS / name, roots[HOST] / BACKUPS / f"{name}.sha256"]
    for path in files:
        shutil.copy2(path, roots["backup01"] / "srv/backups/db01")
    if s3:
        offsite.store(offsite.client(), files)
    return name


class _Count:
    """Says from time to time how far the parts have come together."""

    def __init__(self, size: int, progress: Callable[[str], None]) -> None:
        self._size = size
        self._progress = progress
        self._sent = 0
        self._said = time.monotonic()
        self._one_at_a_time = threading.Lock()

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            with self._one_at_a_time:
                self._sent += len(piece)
                if time.monotonic() - self._said >= _SAY_EVERY:
                    self._said = time.monotonic()
                    self._progress(f"{self._sent >> 20} of {self._size >> 20} MiB")


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield database.SESSION
    yield from pieces


def _send(argv: Sequence[str], part: Iterator[bytes], failures: list[str]) -> None:
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,
    ) as client:
        # The client says nothing until it fails, and then ends: reading afterwards cannot block it.
        try:
            if client.stdin is not None:
                client.stdin.writelines(part)
                client.stdin.close()
        except BrokenPipeError:
            pass
        said = client.stderr.read().decode("utf-8", "replace") if client.stderr else ""
        if client.wait() != 0:
            errors = [line for line in said.splitlines() if line.startswith("ERROR")]
            failures.append(errors[-1][:300] if errors else f"the client ended with {client.returncode}")
