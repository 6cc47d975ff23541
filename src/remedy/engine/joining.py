"""A backup of several files read from several copies at once: what one copy lost or damaged, another one still has.

Decides how such a backup is written down, so that a plan can name it and anybody can open it again: its copy is called
`local+far`, and every file says in `version` which copy it comes from and what it is called there. Files are put
together only by the checksums beside them, and each was hashed before it was chosen. Leaves to others: which files
belong together (`backups.assemble`), and judging what comes out (transports).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

from remedy.backups import manifest
from remedy.backups.assemble import Piece, complete, inside
from remedy.backups.ports import Damaged, Shelf
from remedy.backups.values import Backup, Copy, Database, File
from remedy.core.errors import Refused, RemedyError, Unreachable, UsageError
from remedy.core.ports import Tell

#: Between the names of copies; no name of one has it.
JOINT: Final = "+"
_LARGEST: Final = 1 << 20


def joint(names: Sequence[str]) -> Copy:
    """The copy of a backup that lies in several."""
    name = JOINT.join(names)
    return Copy(name, path=name)


def parts(copy: Copy, database: Database) -> tuple[Copy, ...]:
    """The copies behind a joint one, () when it is none. Raises UsageError when the database no longer has one."""
    if copy.host or copy.bucket or JOINT not in copy.name:
        return ()
    known = {one.name: one for one in database.copies}
    names = copy.name.split(JOINT)
    if missing := [name for name in names if name not in known]:
        raise UsageError(f"{database.name} has no copy {missing[0]!r}", hint=f"has: {', '.join(known)}")
    return tuple(known[name] for name in names)


@dataclass(slots=True)
class Joined:
    """Implements backups.ports.Shelf over the shelves behind a joint copy, by the names of their copies."""

    copy: Copy
    shelves: Mapping[str, Shelf]

    def list(self) -> tuple[File, ...]:
        """Nothing lies in it of its own: its backups are made by whoever searches."""
        return ()

    def read(self, file: File, *, start: int = 0, length: int = -1) -> AbstractContextManager[Iterator[bytes]]:
        """As the port. Raises UsageError when the file does not say where it comes from."""
        name, real = _unmarked(file)
        if name not in self.shelves:
            raise UsageError(f"a file of {self.copy.name} comes from no copy of it", where=file.name)
        return self.shelves[name].read(real, start=start, length=length)


def assembled(found: Sequence[Backup], open_shelf: Callable[[str], Shelf], tell: Tell) -> Backup | None:
    """One whole backup from what copies have of it (`found`, one name, nearest first); None when that cannot be.

    Every file is hashed and compared with the checksum file beside one of them. Raises Interrupted.
    """
    usable = [one for one in found if _is_usable(one)]
    if len({one.copy for one in usable}) < 2:  # noqa: PLR2004 -- else there is nothing to put together
        return None
    sums = {one.copy: said for one in usable if (said := _sums(one, open_shelf))}
    bad: set[tuple[str, str]] = set()
    good: set[Piece] = set()
    while True:
        plan = complete(usable, sums, bad)
        if not plan.pieces:
            return None
        wrong = [piece for piece in plan.pieces if piece not in good and not _is_right(piece, open_shelf, tell)]
        good.update(piece for piece in plan.pieces if piece not in wrong)
        if not wrong:
            break
        bad.update((piece.copy, _path(piece, usable)) for piece in wrong)
    from_ = list(dict.fromkeys(piece.copy for piece in plan.pieces))
    if len(from_) == 1:
        return None  # it is whole in one copy: then its files are not what is wrong with it
    says = next((one for one in usable if _covers(sums.get(one.copy, ()), plan.pieces)), None)
    if says is None or says.checksum is None:
        return None
    names = list(dict.fromkeys([*from_, says.copy]))
    # As if it lay where the nearest one lies: what the folders above it are called differs from copy to copy.
    top = usable[0].files[0].name.removesuffix(next(iter(inside(usable[0]))))
    files = tuple(_marked(piece.file, piece.copy, top + _path(piece, usable)) for piece in plan.pieces)
    checksum = _marked(says.checksum, says.copy, says.checksum.name)
    return Backup(plan.name, JOINT.join(names), plan.format, files, checksum)


def _is_usable(backup: Backup) -> bool:
    """A set or folder, incomplete ones too; nothing with links in it, nor what is still being written."""
    plain = bool(backup.files) and all(file.kind == "file" for file in backup.files)
    return plain and bool(backup.format) and (not backup.odd or "missing" in backup.odd)


def _sums(backup: Backup, open_shelf: Callable[[str], Shelf]) -> tuple[tuple[str, str], ...]:
    """What the checksum file beside it says; () when there is none that can be read."""
    if backup.checksum is None or backup.checksum.size > _LARGEST:
        return ()
    with contextlib.suppress(RemedyError), open_shelf(backup.copy).read(backup.checksum) as chunks:
        return manifest.checksums(b"".join(chunks))
    return ()


def _is_right(piece: Piece, open_shelf: Callable[[str], Shelf], tell: Tell) -> bool:
    """Whether the file there is what the checksum says; what cannot be read is not."""
    found, done = hashlib.sha256(), 0
    what = f"compare {piece.file.name} from {piece.copy}"
    try:
        with open_shelf(piece.copy).read(piece.file) as chunks:
            for chunk in chunks:
                found.update(chunk)
                done += len(chunk)
                tell(what, done, piece.file.size)
    except (Damaged, Refused, Unreachable):
        return False
    return found.hexdigest() == piece.sha256


def _path(piece: Piece, found: Sequence[Backup]) -> str:
    """The path of a piece within its backup."""
    backup = next(one for one in found if one.copy == piece.copy and piece.file in one.files)
    return next(path for path, file in inside(backup).items() if file == piece.file)


def _covers(sums: Sequence[tuple[str, str]], pieces: Sequence[Piece]) -> bool:
    """Whether one checksum file speaks of every piece."""
    said = {name.rsplit("/", 1)[-1]: digest for digest, name in sums}
    return all(said.get(piece.file.name.rsplit("/", 1)[-1]) == piece.sha256 for piece in pieces)


def _marked(file: File, copy: str, name: str) -> File:
    """The file as it stands in a joined backup; where it comes from is in its version."""
    return replace(file, name=name, version=f"{copy}:{len(file.name)}:{file.name}{file.version}")


def _unmarked(file: File) -> tuple[str, File]:
    """The copy's name, and the file as that copy lists it."""
    copy, _, rest = file.version.partition(":")
    length, _, rest = rest.partition(":")
    if not length.isdecimal():
        raise UsageError("a file does not say which copy it comes from", where=file.name)
    return copy, replace(file, name=rest[: int(length)], version=rest[int(length) :])
