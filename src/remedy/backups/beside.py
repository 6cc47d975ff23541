"""What lies beside a backup and says what it should be: checksum files, manifests, signatures.

Decides which file is one and to which backup it belongs, by name. Leaves to others: what they say (`manifest`).

    site-2026-02-03.sql.gz.sha256     of that file; SHA256SUMS is of all in its folder
    site-2026-02-03.manifest.json     of site-2026-02-03.sql.zst and whatever else begins so
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from remedy.backups import formats
from remedy.backups.naming import bare, split_path
from remedy.backups.values import Backup, File

MANIFEST: Final = ".manifest.json"
_SUM: Final = re.compile(r"(?P<of>.+)\.sha256(?:sum)?\Z", re.IGNORECASE)
_OTHER: Final = re.compile(
    r"(?P<of>.+)\.(?:md5|sha1|sha224|sha384|sha512|b2|crc|sfv|sig|minisig)(?:sum)?\Z", re.IGNORECASE
)
_SUMS: Final = re.compile(r"(?:sha256sums?|checksums?|sums)(?:\.(?:sha256|txt))?\Z", re.IGNORECASE)


def is_sidecar(path: str, names: set[str]) -> bool:
    """Whether a file of this name says something about others. `names` are all the paths listed with it.

    `X.asc` is a signature when there is an X, else an encrypted backup.
    """
    name = split_path(path)[1]
    if path.lower().endswith(".asc") and path[:-4] in names:
        return True
    return name.endswith(MANIFEST) or any(shape.fullmatch(name) for shape in (_SUM, _OTHER, _SUMS))


class Sidecars:
    """The files of one copy that lie beside backups; remembers which of them were claimed."""

    def __init__(self, files: Iterable[File], data: Iterable[File]) -> None:
        """Sort them by what they are and by the path they are about. `data` are the files that are no sidecars."""
        self._written: dict[str, list[int]] = defaultdict(list)
        for file in data:
            self._written[file.name].append(file.changed)
        self._sums: dict[str, list[File]] = defaultdict(list)
        self._manifests: dict[str, list[File]] = defaultdict(list)
        self._others: dict[str, list[File]] = defaultdict(list)
        self._folders: dict[str, list[File]] = defaultdict(list)
        self._all: list[File] = []
        self._claimed: set[str] = set()
        for file in files:
            self._all.append(file)
            folder, name = split_path(file.name)
            about = f"{folder}/" if folder else ""
            if name.endswith(MANIFEST):
                self._manifests[about + name.removesuffix(MANIFEST)].append(file)
            elif _SUMS.fullmatch(name):
                self._folders[folder].append(file)
            elif match := _SUM.fullmatch(name):
                self._sums[about + match["of"]].append(file)
            elif match := _OTHER.fullmatch(name):
                self._others[about + match["of"]].append(file)
            else:
                self._others[file.name[:-4]].append(file)

    def beside(self, backup: Backup, folder: str, paths: tuple[str, ...], *, inside: bool = False) -> Backup:
        """The backup with what lies beside it. `paths[0]` is its own path, the others are those of its parts.

        A checksum counts when it is named after the very file: one of the decompressed text is only mentioned. Of
        several versions of a sidecar the one counts that was written nearest in time, and to no other version nearer.
        """
        own = paths[0]
        stems = [own]
        while (shorter := bare(stems[-1])) != stems[-1]:
            stems.append(shorter)
        stems += [stem[: -len(suffix)] for stem in stems for suffix in formats.suffixes() if stem.endswith(suffix)]
        sums = self._sums.get(own)
        if inside and own in self._folders:
            sums = self._folders[own]
        checksum = self._nearest(sums or self._above(folder), backup)
        manifest = next(
            (self._nearest(self._manifests[stem], backup) for stem in stems if stem in self._manifests), None
        )
        more = [file for path in (*stems, *paths[1:]) for file in self._others.get(path, ())]
        more += [file for path in (*stems[1:], *paths[1:]) if path != own for file in self._sums.get(path, ())]
        self._claimed.update(file.name for file in (checksum, manifest, *more) if file)
        newest = {file.name: file for file in sorted(more, key=lambda file: file.changed)}
        return replace(backup, checksum=checksum, manifest=manifest, beside=tuple(newest.values()))

    def left(self) -> tuple[File, ...]:
        """Those that belong to nothing that is there."""
        return tuple(file for file in self._all if file.name not in self._claimed)

    def _above(self, folder: str) -> list[File] | None:
        """The checksum file of a folder, or of the nearest one above it that has one."""
        while folder and folder not in self._folders:
            folder = split_path(folder)[0]
        return self._folders.get(folder)

    def _nearest(self, versions: list[File] | None, backup: Backup) -> File | None:
        if not versions:
            return None
        best = min(versions, key=lambda file: (abs(file.changed - backup.changed), -file.changed))
        written = self._written.get(backup.files[0].name, ())
        nearer = any(abs(best.changed - other) < abs(best.changed - backup.changed) for other in written)
        return None if nearer and len(written) > 1 else best
