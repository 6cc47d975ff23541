"""Backups that are folders or streams: mydumper's and mariadb-backup's, sound and broken; part of the nasty backups.

Beside each lies SHA256SUMS, made after whatever happened to it: only what is inside can tell.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.worlds.mariadb import Server
from tests.worlds.nasty_case import ACCEPTED, Expected, doubtful, rejected

__all__ = ["mydumper", "physical"]

#: Takes path, expectation and reason of a case.
Keep = Callable[[Path, Expected, str], None]

_PAGE: Final = 16384


def mydumper(server: Server, folder: Path, schema: str, tell: Keep) -> None:
    """A mydumper folder, with and without compression, and what becomes of them when files are lost or cut."""
    keep = _with_sums(tell)

    def made(name: str, *options: str) -> Path:
        path = folder / name / "export"
        path.parent.mkdir()
        argv = ["mydumper", f"--socket={server.socket}", "--user=root", f"--database={schema}", f"--outputdir={path}"]
        subprocess.run([*argv, "--triggers", "--routines", "--events", *options], check=True, capture_output=True)
        return path

    def copied(name: str, of: Path) -> Path:
        return Path(shutil.copytree(of, folder / name / "export"))

    sound = made("mydumper")
    keep(sound, ACCEPTED, "by mydumper")
    chunks = made("mydumper-gz", "--compress", "--rows=100")
    keep(chunks, ACCEPTED, "by mydumper, compressed, large tables in several files")

    path = copied("mydumper-deleted", sound)
    (path / f"{schema}.orders.sql").unlink()
    keep(path, doubtful("structure", "maybe-empty|rows-missing"), "the rows of a table are gone: myloader is content")
    path = copied("mydumper-schema-deleted", sound)
    (path / f"{schema}.orders-schema.sql").unlink()
    keep(path, rejected("structure", "no-structure"), "the definition of a table is gone")
    path = copied("mydumper-chunk-deleted", chunks)
    (path / f"{schema}.order_line.00001.sql.gz").unlink()
    keep(path, doubtful("structure", "chunk-missing"), "one of several files of a table is gone")
    path = copied("mydumper-halved", sound)
    _halve(path / f"{schema}.article.sql")
    keep(path, rejected("structure", "cut|no-footer|rows-missing"), "a file of rows is cut in the middle")
    path = copied("mydumper-gz-halved", chunks)
    _halve(path / f"{schema}.article.sql.gz")
    keep(path, rejected("container", "truncated|corrupt"), "a compressed file of rows is cut in the middle")
    path = copied("mydumper-gz-emptied", chunks)
    (path / f"{schema}.article.sql.gz").write_bytes(gzip.compress(b""))
    keep(path, doubtful("structure", "maybe-empty|empty-file"), "a file of rows is empty, and good gzip")
    path = copied("mydumper-partial", sound)
    (path / "metadata").rename(path / "metadata.partial")
    keep(path, rejected("listing"), "the run did not finish: metadata.partial")


def physical(server: Server, folder: Path, schema: str, tell: Keep) -> None:
    """A mariadb-backup folder, prepared and not, a stream of it, and what `--prepare` does not notice."""
    keep = _with_sums(tell)
    access = [f"--socket={server.socket}", "--user=root", f"--datadir={server.folder}/data"]
    command = ["mariadb-backup", "--no-defaults"]

    def run(*options: str) -> bytes:
        return subprocess.run([*command, *options], check=True, capture_output=True, cwd=folder).stdout

    def copied(name: str, of: Path) -> Path:
        """With links to files that are not changed: a page cut off is made on a copy of its own."""
        return Path(shutil.copytree(of, folder / name / "full", copy_function=os.link))

    raw = folder / "physical" / "full"
    raw.parent.mkdir()
    run("--backup", *access, f"--target-dir={raw}")
    keep(raw, ACCEPTED, "by mariadb-backup, not prepared yet: --copy-back alone would take it, rc 0")
    prepared = Path(shutil.copytree(raw, folder / "physical-prepared" / "full"))
    run("--prepare", f"--target-dir={prepared}")
    keep(prepared, ACCEPTED, "the same, prepared")

    stream = folder / "physical-stream" / "full.mbstream"
    stream.parent.mkdir()
    stream.write_bytes(run("--backup", *access, "--stream=mbstream"))
    keep(stream, ACCEPTED, "by mariadb-backup --stream=mbstream")
    cut = folder / "physical-stream-cut" / "full.mbstream"
    cut.parent.mkdir()
    content = stream.read_bytes()
    cut.write_bytes(content[: len(content) * 60 // 100])
    keep(cut, rejected("container", "truncated|unfinished|corrupt|cut"), "a stream cut at 60 %")

    victim = next(path.relative_to(prepared) for path in (prepared / schema).iterdir() if path.name == "article.ibd")
    path = copied("physical-flipped", prepared)
    content = (path / victim).read_bytes()
    place = content.index("通知".encode(), 4 * _PAGE)
    _own(path / victim, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    keep(path, rejected("structure", "page|corrupt"), "one bit of a row: --prepare says completed OK!")
    path = copied("physical-deleted", prepared)
    (path / victim).unlink()
    keep(path, doubtful("structure", "missing"), "a table's file is gone: --prepare says completed OK!")
    path = copied("physical-page-cut", prepared)
    content = (path / victim).read_bytes()
    _own(path / victim, content[: len(content) // _PAGE // 2 * _PAGE])
    keep(path, rejected("structure", "truncated|page"), "a table's file cut at a page: innochecksum is content")
    path = copied("physical-unfinished", raw)
    for name in ("xtrabackup_info", "xtrabackup_checkpoints"):
        (path / name).unlink()
    (path / "xtrabackup_checkpoints").write_text("", encoding="ascii")
    keep(path, rejected("structure", "unfinished"), "the run did not finish: what it writes last is missing")
    path = copied("physical-redo-cut", raw)
    content = (path / "ib_logfile0").read_bytes()
    _own(path / "ib_logfile0", content[: len(content) // 2])
    keep(path, rejected("structure", "redo|truncated"), "the log of what was written meanwhile is cut")


def _with_sums(tell: Keep) -> Keep:
    """Write what `sha256sum` says of all files beside a case before telling of it."""

    def keep(path: Path, expected: Expected, why: str) -> None:
        files = sorted(file for file in (path, *path.rglob("*")) if file.is_file())
        lines = [
            f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(path.parent)}\n" for file in files
        ]
        (path.parent / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
        tell(path, expected, why)

    return keep


def _own(path: Path, content: bytes) -> None:
    """Other content, without touching what the file is linked to."""
    path.unlink()
    path.write_bytes(content)


def _halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
