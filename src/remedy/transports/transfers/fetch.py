"""Fetch: the files of a physical backup, or binary logs, brought to a folder of a host as they are read from a copy.

Decides how they travel: a folder's as one tar archive that is made on the way, a stream as it is, into mbstream on the
host, binary logs one by one and decompressed. Every name is looked at before the host hears of it: one that leads out
of the folder ends everything. What arrives has the hash of what was judged, or it is not taken. Leaves to others: what
the files are worth (`backups.formats.physical`, and a server started on them).
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from remedy.backups import binlog, containers, formats
from remedy.backups.formats import physical
from remedy.backups.mbstream import Chunks, within
from remedy.backups.ports import Damaged, Shelf
from remedy.backups.transfers import LOGS, Fetch
from remedy.backups.values import File
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.core.values import Command
from remedy.transports.transfers.clients import LONG, Bulk, Running
from remedy.transports.transfers.flow import Progress
from remedy.transports.transfers.pipeline import OpenSealed

#: The folder is made anew, by root for root; "$1", then what takes the stream and is told the folder.
_INTO: Final = r"""
umask 077; into=$1; shift
rm -rf "$into" && mkdir "$into" || exit 1
[ $# -gt 0 ] || exit 0
exec "$@" -C "$into"
"""
_LOG: Final = 'umask 077; exec cat > "$1"'
_LOG_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
_BLOCK: Final = tarfile.BLOCKSIZE


def fetch(
    spec: Fetch, at: str, *, bulk: Bulk, shelf: Shelf, open_sealed: OpenSealed, tell: Tell, result: dict[str, Json]
) -> None:
    """Carry out `spec` on host `at`; `result` is filled in as far as it comes.

    Raises Damaged (a name, a chunk's checksum, a file that changed), ChangeFailed, Unreachable.
    """
    _Fetching(spec, at, bulk, shelf, open_sealed, Progress(tell)).run(result)


@dataclass(slots=True)
class _Fetching:
    spec: Fetch
    at: str
    bulk: Bulk
    shelf: Shelf
    open_sealed: OpenSealed
    progress: Progress
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    stored: int = 0
    sent: int = 0
    files: int = 0

    def run(self, result: dict[str, Json]) -> None:
        backup = self.spec.backup
        strange = [file for file in backup.files if file.kind != "file"]
        if strange:
            raise Damaged("name", f"{printable(strange[0].name, 120, one_line=True)} is a {strange[0].kind}, no file")
        if backup.format == LOGS:
            self._logs(backup.files)
        elif formats.named(backup.format).span == "file":
            self._stream(backup.files)
        else:
            self._folder(tuple(file for group in formats.named(backup.format).streams(backup.files) for file in group))
        result.update({"sha256": self.hash.hexdigest(), "files": self.files, "bytes": self.sent})
        if self.spec.sha256 and self.hash.hexdigest() != self.spec.sha256:
            raise ChangeFailed(
                f"{printable(backup.name, 80, one_line=True)} is not the backup that was judged: its SHA-256 is "
                f"{self.hash.hexdigest()[:16]}…, not {self.spec.sha256[:16]}…",
                where=self.spec.copy.name,
                hint="it was replaced or has changed; list and check again",
            )

    def _folder(self, files: tuple[File, ...]) -> None:
        top = physical.root(files)
        with self._receiver("tar", "-x", "-f", "-") as running:
            for file in files:
                if not file.name.startswith(top):
                    raise Damaged("name", f"{printable(file.name, 120, one_line=True)} lies outside of the backup")
                member = tarfile.TarInfo(within(file.name.removeprefix(top)))
                member.size, member.mode = file.size, 0o600
                self._send(running, member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
                sent = 0
                for chunk in self._read((file,)):
                    sent += len(chunk)
                    self._send(running, chunk)
                if sent != file.size:
                    raise Damaged("short", f"{printable(file.name, 120, one_line=True)} gave {sent} bytes")
                self._send(running, bytes(-sent % _BLOCK))
                self.files += 1
            self._send(running, bytes(2 * _BLOCK))
            self._end(running, "tar")

    def _stream(self, files: tuple[File, ...]) -> None:
        chunks = Chunks()
        with self._receiver("mbstream", "-x") as running:
            stored = self._read(files)
            for plain in self._plain(stored):
                for _ in chunks.feed(plain):  # names and checksums, before the host gets to see them
                    pass
                self._send(running, plain)
            for _ in stored:
                pass  # what the container left unread belongs to the hash
            chunks.end()
            self._end(running, "mbstream")
        self.files = chunks.files

    def _logs(self, files: tuple[File, ...]) -> None:
        with self._receiver() as running:
            self._end(running, "the folder")
        for file in files:
            name = binlog.bare(file)
            if not _LOG_NAME.fullmatch(name):
                raise Damaged("name", f"{printable(file.name, 120, one_line=True)} is no name of a binary log")
            argv = ("sh", "-c", _LOG, "remedy", f"{self.spec.into}/{name}")
            with self.bulk.start(Command(argv, seconds=LONG), at=self.at) as running:
                for plain in self._plain(self._read((file,))):
                    self._send(running, plain)
                self._end(running, "writing a binary log")
            self.files += 1

    def _receiver(self, *argv: str) -> Running:
        command = Command(("sh", "-c", _INTO, "remedy", self.spec.into, *argv), seconds=LONG)
        return self.bulk.start(command, at=self.at)

    def _read(self, files: tuple[File, ...]) -> Iterator[bytes]:
        what = f"fetch {printable(self.spec.backup.name, 80, one_line=True)}"
        for file in files:
            with self.shelf.read(file) as chunks:
                for chunk in chunks:
                    self.hash.update(chunk)
                    self.stored += len(chunk)
                    self.progress.at(what, self.stored, self.spec.backup.size)
                    yield chunk

    def _plain(self, stored: Iterable[bytes]) -> Iterator[bytes]:
        """Unsealed and decompressed."""
        _, _, unsealed = self.open_sealed(stored, self.spec.database.keys)
        return containers.opened(unsealed)[2]

    def _send(self, running: Running, data: bytes) -> None:
        if data:
            running.write(data)
        self.sent += len(data)

    def _end(self, running: Running, what: str) -> None:
        """It has got everything, or ended before: its last words say why."""
        running.close_input()
        status, said = running.finish()
        if status:
            lines = said.strip().splitlines() or [b"status %d" % status]
            # tar's word for a disk that filled up inside a block is the second of these.
            full = any(b"No space left" in line or b"Wrote only" in line for line in lines)
            line = "the disk is full" if full else printable(lines[0], 200, one_line=True)
            hint = "make room on the host, or name another" if full else ""
            raise ChangeFailed(f"the backup does not arrive: {what}: {line}", where=self.at, hint=hint)
