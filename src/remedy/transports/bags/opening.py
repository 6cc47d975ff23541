"""Opens what is in a bag that somebody else may have filled: no link is followed, nothing but files is ever opened.

Decides how folders are listed and files opened below a folder's descriptor, so that no name leads elsewhere and a fifo
or device is never waited for. Leaves to others: what should be there (`verifying`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from remedy.evidence.bag import MOST_FILES
from remedy.transports.bags.sums import CHUNK

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotAFile(OSError):
    """A link, fifo, socket, device or folder stands where a file has to be."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. `kind` is "file", "folder" or "other". `key` orders as the bytes of full paths do."""

    key: bytes
    name: str
    kind: str


def folder(name: str, within: int | None = None) -> int:
    """A descriptor of a folder. Raises OSError, also when it is a link."""
    return os.open(name, _FOLDER, dir_fd=within)


def entries(descriptor: int) -> tuple[list[Entry], bool]:
    """What is in a folder, sorted, and whether that is all: a hostile one could fill the memory. Raises OSError."""
    found: list[Entry] = []
    with os.scandir(descriptor) as names:
        for one in names:
            if len(found) > MOST_FILES:
                return sorted(found, key=lambda entry: entry.key), False
            is_folder = one.is_dir(follow_symlinks=False)
            kind = "folder" if is_folder else "file" if one.is_file(follow_symlinks=False) else "other"
            found.append(Entry(os.fsencode(one.name) + (b"/" if is_folder else b""), one.name, kind))
    return sorted(found, key=lambda entry: entry.key), True


def file(name: str, within: int) -> int:
    """A descriptor of a regular file; anything else is not opened, which could act on it. Raises NotAFile, OSError."""
    if not stat.S_ISREG(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode):
        raise NotAFile(22, "not a regular file", name)
    descriptor = os.open(name, _FILE, dir_fd=within)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile(22, "not a regular file", name)
    return descriptor


def chunks(descriptor: int) -> Iterator[bytes]:
    """The content, in parts of at most `CHUNK` bytes. Raises OSError."""
    while data := os.read(descriptor, CHUNK):
        yield data


def small(name: str, within: int, most: int) -> bytes:
    """A whole small file. Raises NotAFile, OSError, ValueError when it has more than `most` bytes."""
    descriptor = file(name, within)
    try:
        if os.fstat(descriptor).st_size > most:
            msg = f"has more than {most} bytes"
            raise ValueError(msg)
        data = b"".join(chunks(descriptor))
    finally:
        os.close(descriptor)
    return data
