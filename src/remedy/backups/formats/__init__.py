"""Kinds of backups, one file each, found by walking the folder.

A module of this package that reads a kind of backup names its class in `FORMAT`. Reading is one pass: bytes go in,
`Piece`s come out as they are complete, and at the end `contents` says what was there. The same pass judges a backup
and feeds the loader, so what was judged is what is loaded.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from remedy.backups.values import Contents, File
from remedy.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement (or run of statements) of a backup, as bytes to be sent with the default delimiter.

    `kind` is "setup" (SET statements for every session), "structure" (CREATE TABLE or SEQUENCE `name`), "rows" (an
    INSERT into table `name`), "object" (view, trigger, routine, event: kept for the cut-over), or "left" (not sent:
    USE, DROP, LOCK, comments, another schema). `keyed` is False for rows of a table without a primary key,
    which have to stay in order.
    """

    kind: str
    name: str
    sql: bytes
    keyed: bool = True


class Reading(Protocol):
    """One pass over one backup. Call `begin`, `feed` …, `end` for each stream in order, then `close`."""

    def begin(self, name: str) -> None:
        """The next stream of the backup starts; `name` is its file name without compression, encryption and part."""
        ...

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Take decompressed bytes; give what is complete. Raises Damaged when it cannot go on."""
        ...

    def end(self) -> Iterator[Piece]:
        """The stream has ended."""
        ...

    def close(self) -> Contents:
        """The backup has ended: what was in it, with findings. Raises nothing: damage is a finding."""
        ...


class Format(Protocol):
    """A kind of backup."""

    #: "logical" (statements that any server reads) or "physical" (files of one server's data directory).
    kind: ClassVar[str]

    @staticmethod
    def recognises(names: tuple[str, ...], head: bytes) -> bool:
        """Whether files of these names (suffixes of compression removed), the first beginning with `head`, are one."""
        ...

    @staticmethod
    def streams(files: tuple[File, ...]) -> tuple[tuple[File, ...], ...]:
        """The files in the order in which they are read; the parts of one split file together."""
        ...

    @staticmethod
    def reading(schema: str) -> Reading:
        """Begin to read; only what belongs to database `schema` is given as pieces to be sent."""
        ...


@functools.cache
def registered() -> dict[str, type[Format]]:
    """Every format of the folder, by module name."""
    found: dict[str, type[Format]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        kind = getattr(importlib.import_module(f"{__name__}.{module.name}"), "FORMAT", None)
        if kind is not None:
            found[module.name] = kind
    return found


def named(name: str) -> type[Format]:
    """The format of that name. Raises UsageError when there is none."""
    if name not in registered():
        raise UsageError(f"no backup format is called {name!r}", hint=f"has: {', '.join(registered())}")
    return registered()[name]
