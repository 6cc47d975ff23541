"""Packs a bag into one tar file, verified while it is written.

Decides the bytes: the same bag always gives the same file (members as they are verified, owner 0, mode 0644, the time
of sealing), in the POSIX format that every tar reads. What is written is what was verified, byte for byte: nothing is
read a second time. It gets its name only when it is whole, on disk and everything in it verified, and never the name of
something else. Leaves to others: what verifies (`verifying`).
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from remedy.core.errors import Partial, Refused
from remedy.core.ports import Tell
from remedy.evidence.findings import Findings, Judge
from remedy.transports.bags.reading import Reading
from remedy.transports.bags.verifying import verify

__all__ = ["Packed", "pack"]

_BLOCK: Final = tarfile.BLOCKSIZE
_RECORD: Final = tarfile.RECORDSIZE
_NOTHING: Final = "nothing was left behind; name another place"


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing came to. Without a file (`path` None) something contradicted, and nothing was left behind."""

    findings: Findings
    path: Path | None = None
    sha256: str = ""
    size: int = 0


def pack(
    folder: Path,
    destination: Path,
    judge: Judge,
    *,
    roots: str = "",
    tell: Tell | None = None,
    review: Callable[[Findings], Findings] = lambda findings: findings,
) -> Packed:
    """Write the bag to a new file. `review` may add findings before it is decided whether the file may stand.

    Raises Refused when the name is taken, Partial when the disk refuses, UsageError when there is no bag.
    """
    reading = Reading.open(folder)
    if destination.exists() or destination.is_symlink():
        raise Refused("is there already", where=str(destination), hint="name a file that is not there yet")
    draft = destination.with_name(f".{destination.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                tar = _Tar(file, destination.name, folder.absolute().name, _time(reading.said("Remedy-Sealed")))
                findings = review(verify(folder, judge, roots=roots, tell=tell, copy=tar.member))
                if not findings.ok:
                    return Packed(findings)
                tar.end()
                file.flush()
                os.fsync(descriptor)
            os.close(
                os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            )  # the name is ours
            draft.replace(destination)  # a link would do both at once; on a stick with FAT there are none
        finally:
            draft.unlink(missing_ok=True)
        _sync(destination.absolute().parent)
    except FileExistsError as error:
        raise Refused("is there already", where=str(destination)) from error
    except OSError as error:
        text = f"cannot be written: {error.strerror}"
        raise Partial(text, where=str(destination), hint=_NOTHING) from error
    return Packed(findings, destination, tar.sha256, tar.size)


class _Tar:
    """A tar file being written, member after member."""

    def __init__(self, file: BinaryIO, name: str, top: str, time: int) -> None:
        self._file, self._name, self._top, self._time = file, name, top, time
        self._sum, self.size = hashlib.sha256(), 0
        self._left = 0

    def member(self, path: str, size: int) -> Callable[[bytes], None]:
        """Begin a member; what is returned takes its content, `size` bytes in all. Raises Partial."""
        self._pad()
        info = tarfile.TarInfo(f"{self._top}/{path}")
        info.size, info.mtime, info.mode = size, self._time, 0o644
        self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        self._left = size
        return self._content

    def end(self) -> None:
        """The end of the archive."""
        self._pad()
        self._write(bytes(2 * _BLOCK))
        self._write(bytes(-self.size % _RECORD))

    @property
    def sha256(self) -> str:
        """Of what was written."""
        return self._sum.hexdigest()

    def _content(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise Partial("a file grew while it was read", where=self._top, hint=_NOTHING)
        self._write(data)

    def _pad(self) -> None:
        if self._left:
            raise Partial("a file shrank while it was read", where=self._top, hint=_NOTHING)
        self._write(bytes(-self.size % _BLOCK))

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:  # told apart from a file of the bag that cannot be read
            raise Partial(f"cannot be written: {error.strerror}", where=self._name, hint=_NOTHING) from error
        self._sum.update(data)
        self.size += len(data)


def _time(text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
