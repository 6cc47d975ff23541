"""Physical backups in one stream (mariadb-backup --stream=mbstream): the files of `physical`, in chunks.

Decides what such a stream is recognised by. Leaves to others: its chunks (`backups.mbstream`), the files in it.
"""

from __future__ import annotations

from typing import ClassVar

from remedy.backups.formats import Reading
from remedy.backups.formats.physical import FilesReading
from remedy.backups.mbstream import MAGIC
from remedy.backups.values import File


class Stream:
    """The kind of backup; see the module."""

    kind: ClassVar[str] = "physical"

    @staticmethod
    def recognises(names: tuple[str, ...], head: bytes) -> bool:  # noqa: ARG004 -- the port's
        """Whether a chunk begins there."""
        return head.startswith(MAGIC)

    @staticmethod
    def streams(files: tuple[File, ...]) -> tuple[tuple[File, ...], ...]:
        """One, whatever its parts."""
        return (files,)

    @staticmethod
    def reading(schema: str) -> Reading:
        """Begin to read; what it says of tables is about `schema`."""
        return FilesReading(schema)


FORMAT = Stream
