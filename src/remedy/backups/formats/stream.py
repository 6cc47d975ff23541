"""Physical backups in one stream (mariadb-backup --stream=mbstream): the files of `physical`, in chunks.

Decides what such a stream is called. Leaves to others: its chunks (`backups.mbstream`), the files in it.
"""

from __future__ import annotations

from typing import ClassVar

from remedy.backups.formats import Format, Reading
from remedy.backups.formats.physical import FilesReading
from remedy.backups.mbstream import MAGIC
from remedy.backups.values import File


class Stream(Format):
    """The kind of backup; see the module."""

    kind: ClassVar[str] = "physical"
    span: ClassVar[str] = "file"
    suffixes: ClassVar[tuple[str, ...]] = (".xb", ".xbstream", ".mbstream")
    magic: ClassVar[tuple[bytes, ...]] = (MAGIC,)

    @staticmethod
    def streams(files: tuple[File, ...]) -> tuple[tuple[File, ...], ...]:
        """One, whatever its parts."""
        return (files,)

    @staticmethod
    def reading(schema: str) -> Reading:
        """Begin to read; what it says of tables is about `schema`."""
        return FilesReading(schema)


FORMAT = Stream
