"""A backup of several files put together from several copies: what one copy lost, another one still has.

Decides from which copy each file of a split set or of a folder is taken. Only where a checksum file or a manifest says
which files there have to be and what each of them is: files of two backups must never be mixed. The plan names the
digest of every file, and whoever reads them compares. Leaves to others: reading the checksum files (`manifest`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from remedy.backups import formats, naming
from remedy.backups.beside import is_sidecar
from remedy.backups.values import Backup, File
from remedy.core.text import printable

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of an assembly: which, from which copy, and the SHA-256 it has to have."""

    copy: str
    file: File
    sha256: str


@dataclass(frozen=True, slots=True)
class Assembly:
    """A backup made of files of several copies, in order; `why_not` says why there can be none, with no `pieces`."""

    name: str
    format: str
    pieces: tuple[Piece, ...] = ()
    why_not: str = ""


def complete(
    parts: Sequence[Backup],
    sums: Mapping[str, Sequence[tuple[str, str]]],
    bad: AbstractSet[tuple[str, str]] = frozenset(),
) -> Assembly:
    """Plan one backup from what its copies have of it.

    `parts` are the backups of one name, nearest first, incomplete ones too. `sums` is, by copy, what the checksum file
    of the part there says: (SHA-256 in lower-case hex, file name) as `manifest.checksums` gives it. `bad` are files
    (copy, path within the backup) that were read and were not what they should be. The folder above a backup may
    differ from copy to copy.
    """
    name, form = (parts[0].name, parts[0].format) if parts else ("", "")
    wanted: dict[str, str] = {}
    for part in parts:
        for digest, path in _within(part, sums.get(part.copy, ())):
            if wanted.setdefault(path, digest) != digest:
                text = f"the copies' checksums disagree about {printable(path, 80, one_line=True)}"
                return Assembly(name, form, why_not=f"{text}: these are two backups")
    if not wanted:
        return Assembly(name, form, why_not="no copy has checksums of its files: they may be of different backups")
    have: dict[str, Piece] = {}
    for part in parts:
        for path, file in inside(part).items():
            if file.kind == "file" and path in wanted and (part.copy, path) not in bad:
                have.setdefault(path, Piece(part.copy, file, wanted[path]))
    lost = sorted(path for path in wanted if path not in have)
    if lost:
        listed = ", ".join(printable(path, 80, one_line=True) for path in lost[:_SHOWN])
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        return Assembly(name, form, why_not=f"no copy has a good {listed}{more}")
    return Assembly(name, form, tuple(have[path] for path in _in_order(list(wanted))))


def inside(backup: Backup) -> dict[str, File]:
    """The files of a backup by their path within it: in a set of parts the names, in a folder the path below it."""
    top = _top(backup)
    return {file.name[len(top) + 1 if top else 0 :]: file for file in backup.files}


def _top(backup: Backup) -> str:
    """The folder that a backup of several files lies in."""
    return min((naming.split_path(file.name)[0] for file in backup.files), key=len, default="")


def _within(backup: Backup, said: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What a checksum file says of this backup's files, by their path within it. Its names start at its own folder."""
    start = naming.split_path(backup.checksum.name)[0] if backup.checksum else _top(backup)
    alone = not formats.is_folder(backup.format)
    sets = {(part.whole, part.style) for path in inside(backup) if alone and (part := naming.part(path))}
    top = _top(backup)
    for digest, name in said:
        path = posixpath.normpath(f"{start}/{name}" if start else name)
        if top and not path.startswith(top + "/"):
            continue
        path = path[len(top) + 1 if top else 0 :]
        part = naming.part(path)
        of_set = part is not None and (part.whole, part.style) in sets
        if of_set if sets else not is_sidecar(path, set()):
            yield digest, path


def _in_order(paths: list[str]) -> list[str]:
    """Parts of a set by their numbers, files of a folder by name."""
    parts = [naming.part(path) for path in paths]
    marks = [part.mark for part in parts if part]
    if len(marks) < len(paths) or len({part.style for part in parts if part}) > 1:
        return sorted(paths)
    numbers = dict(zip(paths, naming.numbers(marks), strict=True))
    return sorted(paths, key=lambda path: (numbers[path], path))
