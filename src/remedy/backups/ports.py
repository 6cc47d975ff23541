"""The ports through which backups are listed, read and written; implemented by transports.

Decides the narrow waist between what is decided about backups and where their bytes come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from remedy.backups.values import Copy, File
from remedy.core.errors import RemedyError


class Damaged(RemedyError):
    """The bytes of a backup are not what they should be. `code` names the finding."""

    exit_code = 20

    def __init__(self, code: str, message: str, *, where: str = "", hint: str = "") -> None:
        """Keep the code, which becomes that of the finding."""
        super().__init__(message, where=where, hint=hint)
        self.code = code


class Shelf(Protocol):
    """One copy, read-only. Streams, never whole files in memory."""

    copy: Copy

    def list(self) -> tuple[File, ...]:
        """Everything below the copy, not following links, sorted by name.

        Raises Unreachable (no way to the host or endpoint), Refused (no permission, no such folder or bucket).
        """
        ...

    def read(self, file: File, *, start: int = 0, length: int = -1) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of one file (from `start`, at most `length`; negative counts from the end as `start`).

        The iterator raises Damaged("changed") when the file is no longer the one listed, Damaged("short") when fewer
        bytes come than were listed, Unreachable when the way breaks. Leaving the context stops the stream.
        """
        ...


class Store(Shelf, Protocol):
    """A copy that can be written. Held by transfers alone."""

    def write(self, name: str, chunks: Iterable[bytes]) -> File:
        """Store a new file and return it as listed afterwards; whole or not there at all, never over another.

        Raises Refused when the name is taken or there is no space or permission, Unreachable.
        """
        ...

    def remove(self, file: File) -> None:
        """Remove a file that was written by `write`."""
        ...
