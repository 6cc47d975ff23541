"""Kinds of backups, one file each, found by walking the folder.

A module of this package that reads a kind of backup names its class in `FORMAT`. The class says how such backups are
found in a listing: one in a file by the file's `suffixes`, one in a folder by `groups`. Reading is one pass: bytes go
in, `Piece`s come out as they are complete, and at the end `contents` says what was there. The same pass judges a backup
and feeds the loader, so what was judged is what is loaded. Leaves to others: parts, sidecars, versions, compression and
encryption, which are the same for all (`catalog`, `containers`, `seals`).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Group:
    """Files of a listing that are one backup: those of `folder`, or below it. `odd` says why it cannot be used.

    With `notes` they are only what a tool wrote about a backup: they belong to one of the same kind in a file beside
    them, if there is one, and are odd without.
    """

    folder: str
    files: tuple[File, ...]
    odd: str = ""
    notes: bool = False


class Format(Protocol):
    """A kind of backup."""

    #: "logical" (statements that any server reads) or "physical" (files of one server's data directory).
    kind: ClassVar[str]
    #: What one backup is: "file" (one, or its parts), "folder" (files of one), "tree" (of one and of those below it).
    span: ClassVar[str]
    #: For a "file": what its name has in it, in small letters. The last suffix in a name counts: `full.xb`, `a.sql-2`.
    suffixes: ClassVar[tuple[str, ...]] = ()
    #: How its bytes begin when they are no text. A decryption that gives neither has had a wrong key.
    magic: ClassVar[tuple[bytes, ...]] = ()

    @staticmethod
    def groups(listed: Mapping[str, Sequence[File]]) -> Iterable[Group]:  # noqa: ARG004 -- for those that override it
        """For a "folder" or "tree": the backups among the files listed, which come by their folder ("" is the top).

        Only what is unmistakably of this format; every "folder" format is asked before any "tree", each about what is
        left, and a folder becomes one backup only. Names are as stored (`naming.bare` takes compression and encryption
        away). Links and pipes are among the files (`File.kind`): one inside makes a backup odd.
        """
        return ()

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


def suffixes() -> tuple[str, ...]:
    """Those of all formats of backups in one file."""
    return tuple(_suffixes()[1])


def called(name: str) -> str:
    """The format of a backup in a file of this name (without compression and encryption), "" when it tells none."""
    pattern, formats = _suffixes()
    found = pattern.findall(name)
    return formats[found[-1].lower()] if found else ""


def spanning() -> tuple[tuple[str, type[Format]], ...]:
    """The formats of backups in folders, in the order in which they are asked: the narrower first."""
    found = [(name, form) for name, form in registered().items() if form.span != "file"]
    return tuple(sorted(found, key=lambda item: item[1].span == "tree"))


def is_folder(name: str) -> bool:
    """Whether backups of the format of that name are folders; False for "" and unknown ones."""
    return name in registered() and registered()[name].span != "file"


def is_alike(one: str, other: str) -> bool:
    """Whether both names are those of formats of one kind."""
    return one in registered() and other in registered() and registered()[one].kind == registered()[other].kind


@functools.cache
def _suffixes() -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern of all suffixes, before the end of a name or of a word in it; and whose they are."""
    formats = {suffix: name for name, form in registered().items() for suffix in form.suffixes}
    longest = sorted(formats, key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(map(re.escape, longest))})(?=[._-]|\Z)", re.IGNORECASE | re.ASCII), formats


def named(name: str) -> type[Format]:
    """The format of that name. Raises UsageError when there is none."""
    if name not in registered():
        raise UsageError(f"no backup format is called {name!r}", hint=f"has: {', '.join(registered())}")
    return registered()[name]
