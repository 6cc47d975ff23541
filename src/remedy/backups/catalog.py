"""What lies in a copy: the files that a shelf lists, grouped into backups, sidecars beside them, binary logs apart.

Decides which files belong together, by their names and places alone, and what cannot be used (`odd`). Nothing is
hidden: every file, link and pipe that is listed is in a backup, beside one, in the binary logs, or an odd backup of its
own. Leaves to others: reading (transports, formats), and which backup to take (`choose`).

    site-2026-02-03.sql.zst                a dump
    site-2026-02-03.sql.zst.sha256         its checksum, site-2026-02-03.manifest.json its manifest
    weekly.sql.gz.partaa  …partab          a dump in two parts
    2026-02-03/metadata  …/site.notice-schema.sql.zst  …      mydumper
    full/xtrabackup_checkpoints  …/ibdata1  …/site/notice.ibd  mariadb-backup
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from remedy.backups import naming
from remedy.backups.beside import Sidecars, is_sidecar
from remedy.backups.naming import bare, split_path
from remedy.backups.values import Backup, Copy, File

_METADATA: Final = ("metadata", "metadata.partial", "metadata.header")
_SCHEMA: Final = re.compile(r"(?P<base>.+)-schema(?:-create|-post|-view|-triggers|-sequence)?\.sql\Z")
#: mydumper's data files: SQL, or rows for LOAD DATA beside it; then checksums and row counts of older versions.
_DATA: Final = re.compile(r"(?P<table>.+\..+?)(?:\.[0-9]+)*\.(?:sql|dat|csv)\Z")
_COUNTS: Final = re.compile(r".+\..+-(?:checksum|metadata)\Z")
_NOTES: Final = tuple(f"{tool}_{what}" for tool in ("xtrabackup", "mariadb_backup") for what in ("checkpoints", "info"))
_MORE_NOTES: Final = re.compile(r"(?:xtrabackup|mariadb_backup)_\w+\Z|backup-my\.cnf\Z|donor_galera_info\Z")


@dataclass(frozen=True, slots=True)
class BinaryLogs:
    """The binary logs of one server in one folder of a copy: `name` without number, the files in order, the index.

    `others` are older versions and compressed twins of the same. `odd` tells of a gap: what was written in a missing
    file cannot be replayed, nor anything after it.
    """

    name: str
    files: tuple[File, ...]
    index: File | None = None
    others: tuple[File, ...] = ()
    odd: str = ""


def backups(copy: Copy, files: Sequence[File]) -> tuple[Backup, ...]:
    """Everything listed in a copy as backups, sorted by place. Binary logs are left to `binary_logs`.

    A versioned bucket lists one file per version: each older one makes a backup of its own.
    """
    files = sorted(files, key=lambda file: (file.name, -file.changed, file.version, file.kind, file.size))
    logs = {file for found in binary_logs(files) for file in (*found.files, *found.others, found.index) if file}
    plain = [file for file in files if file.kind == "file" and file not in logs and not file.name.endswith("/")]
    names = {file.name for file in plain}
    data = [file for file in plain if not is_sidecar(file.name, names)]
    sidecars = Sidecars((file for file in plain if is_sidecar(file.name, names)), data)
    special = [file for file in files if file.kind in {"link", "other"}]
    found: list[tuple[str, Backup]] = []
    for layer, versions in enumerate(_versions(data)):
        found += _grouped(copy, [*versions, *special] if layer == 0 else versions, sidecars)
    made = {folder for folder, backup in found if backup.format in {"mydumper", "physical"}}
    called_so = "a folder that is called like a backup"
    for file in files:
        name = split_path(file.name)[1]
        if file.kind == "directory" and naming.looks_stored(name) and file.name not in made:
            found.append((file.name, Backup(name, copy.name, "", (file,), odd=called_so)))
    found += [
        (
            file.name,
            Backup(split_path(file.name)[1], copy.name, "", (file,), odd="belongs to a backup that is not here"),
        )
        for file in sidecars.left()
    ]
    return tuple(backup for _, backup in sorted(found, key=lambda item: (item[0], -item[1].changed)))


def binary_logs(files: Iterable[File]) -> tuple[BinaryLogs, ...]:
    """The binary logs among the files, per server and folder: what default names tell, and what an index is beside.

    Sample::

        mariadb-bin.000411  mariadb-bin.000412.gz  mariadb-bin.index
    """
    indexes: dict[str, File] = {}
    rows: dict[tuple[str, str], dict[int, list[File]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(files, key=lambda one: (one.changed, one.version)):
        folder, name = split_path(file.name)
        numbered = naming.log(name) if file.kind == "file" else None
        if numbered:
            rows[folder, numbered[0]][numbered[1]].append(file)
        elif file.kind == "file" and name.endswith(".index"):
            indexes[file.name] = file
    made = []
    for (folder, base), row in sorted(rows.items()):
        path = _below(folder, base)
        index = indexes.get(path + ".index")
        if index is None and not naming.is_log_base(base):
            continue
        gap = next((number for number in sorted(row)[:-1] if number + 1 not in row), None)
        odd = f"what came after {base}.{gap:06} is missing" if gap is not None else ""
        best = {number: min(same, key=lambda file: (len(file.name), -file.changed)) for number, same in row.items()}
        others = tuple(file for number, same in row.items() for file in same if file is not best[number])
        made.append(BinaryLogs(path, tuple(best[number] for number in sorted(best)), index, others, odd))
    return tuple(made)


def _versions(files: Iterable[File]) -> list[list[File]]:
    """The newest version of every name, then the one before it of those that have one, and so on."""
    by_name: dict[str, list[File]] = defaultdict(list)
    for file in files:
        by_name[file.name].append(file)
    layers: list[list[File]] = [[]]
    for row in by_name.values():
        for depth, file in enumerate(sorted(row, key=lambda one: (-one.changed, one.version))):
            if depth == len(layers):
                layers.append([])
            layers[depth].append(file)
    return layers


def _grouped(copy: Copy, files: list[File], sidecars: Sidecars) -> list[tuple[str, Backup]]:
    """One layer of versions: folders that are backups, sets of parts, single files; each with its place."""
    found: list[tuple[str, Backup]] = []
    by_folder: dict[str, list[File]] = defaultdict(list)
    for file in files:
        by_folder[split_path(file.name)[0]].append(file)
    taken: set[File] = set()
    notes: dict[str, tuple[File, ...]] = {}
    for folder, inside in _physical(by_folder).items():
        only_notes = all(_MORE_NOTES.match(bare(split_path(file.name)[1])) for file in inside)
        plain = [split_path(file.name)[1] for file in by_folder[folder] if file.kind == "file"]
        streams = any(naming.kind(name) == "stream" for name in plain)
        taken.update(inside)
        if only_notes and streams:  # mariadb-backup --stream --extra-lsndir
            notes[folder] = tuple(inside)
        else:
            odd = "nothing but the tool's notes is left of it" if only_notes else ""
            found.append((folder, _folder(copy, folder, inside, sidecars, form="physical", odd=odd)))
    for folder, listed in by_folder.items():
        inside = _mydumper([file for file in listed if file not in taken], folder)
        if inside:
            taken.update(inside)
            names = {split_path(file.name)[1] for file in inside}
            odd = "unfinished: metadata.partial is still there" if "metadata.partial" in names else ""
            found.append((folder, _folder(copy, folder, inside, sidecars, form="mydumper", odd=odd)))
    for folder, listed in by_folder.items():
        rest = [file for file in listed if file not in taken]
        for place, backup in _files(copy, folder, rest, sidecars):
            more = notes.get(folder, ()) if backup.format == "stream" else ()
            found.append((place, replace(backup, beside=(*backup.beside, *more))))
    return found


def _folder(copy: Copy, folder: str, inside: list[File], sidecars: Sidecars, *, form: str, odd: str) -> Backup:
    name = split_path(folder)[1] or copy.path.rstrip("/").rpartition("/")[2] or copy.prefix.rstrip("/") or copy.name
    files = tuple(sorted(inside, key=lambda file: file.name))
    strange = next((file for file in files if file.kind != "file"), None)
    if strange:
        odd = f"holds {_strange(strange)}: {split_path(strange.name)[1]}"
    paths = (folder, *(file.name for file in files))
    return sidecars.beside(Backup(name, copy.name, form, files, odd=odd), folder, paths, inside=True)


def _strange(file: File) -> str:
    return "a symbolic link" if file.kind == "link" else "a pipe, socket or device"


def _physical(by_folder: dict[str, list[File]]) -> dict[str, list[File]]:
    """Every folder that mariadb-backup wrote its notes into, with all that lies below it.

    The deepest such folder counts: an incremental backup may lie below its full one. Dumps that somebody put there are
    backups of their own.
    """
    roots = {folder for folder, listed in by_folder.items() if any(_is_note(file) for file in listed)}
    found: dict[str, list[File]] = {root: [] for root in sorted(roots)}
    for folder, listed in by_folder.items() if roots else ():
        above = folder
        while above not in roots and above:
            above = split_path(above)[0]
        exported = any(_SCHEMA.match(bare(split_path(file.name)[1])) for file in listed)
        if above in roots and not exported:
            found[above] += [file for file in listed if not naming.kind(split_path(file.name)[1])]
    return {root: inside for root, inside in found.items() if inside}


def _is_note(file: File) -> bool:
    return file.kind == "file" and bare(split_path(file.name)[1]) in _NOTES


def _mydumper(listed: list[File], folder: str) -> list[File]:
    """The files of a mydumper export in one folder: those of the databases that its definitions name; none, if none.

    At the top of a copy `metadata` alone makes no export: dumps lie there under any name.
    """
    names = {file: bare(split_path(file.name)[1]) for file in listed}
    defined = {match["base"] for name in names.values() if (match := _SCHEMA.match(name))}
    databases = tuple({f"{base.partition('.')[0]}." for base in defined})
    notes = [file for file, name in names.items() if name in _METADATA]
    if not defined and not (notes and folder):
        return []
    found = []
    for file, name in names.items():
        data = _DATA.match(name)
        if (
            _SCHEMA.match(name)
            or _COUNTS.match(name)
            or (data and data["table"] in defined)
            or (data and name.startswith(databases or "") and not naming.dated(name))
        ):
            found.append(file)
    return [*notes, *found] if found else []


def _files(copy: Copy, folder: str, files: list[File], sidecars: Sidecars) -> Iterable[tuple[str, Backup]]:
    """Sets of parts and single files of one folder."""
    sets: dict[tuple[str, str], dict[str, File]] = defaultdict(dict)
    for file in files:
        part = naming.part(split_path(file.name)[1]) if file.kind == "file" else None
        if part:
            sets[part.whole, part.style].setdefault(part.mark, file)
    taken: set[File] = set()
    plain = {split_path(file.name)[1]: file for file in files if file.kind == "file"}
    for (whole, style), row in sets.items():
        if not naming.is_set(tuple(row), style):
            continue
        for mark in naming.SUFFIX_MARKS if style == f".{len(min(row))}" else ():
            like = plain.get(f"{whole}.{mark}")
            if like and len(mark) == len(min(row)) and like not in taken:
                *_, last, number = sorted(naming.numbers(tuple(row))) + naming.numbers([mark])
                if number <= last + 1:
                    row[mark] = like
        marks = tuple(row)
        counted = dict(zip(marks, naming.numbers(marks), strict=True))
        marks = tuple(sorted(marks, key=lambda mark: (counted[mark], mark)))
        odd = naming.gaps(tuple(counted.values()), least=1 if marks[0].isdigit() else 0)
        made = tuple(row[mark] for mark in marks)
        taken.update(made)
        backup = Backup(bare(whole), copy.name, naming.kind(bare(whole)), made, odd=odd)
        paths = (_below(folder, whole), *(file.name for file in made))
        yield made[0].name, sidecars.beside(backup, folder, paths)
    for file in files:
        if file not in taken:
            yield file.name, _single(copy, folder, file, sidecars)


def _single(copy: Copy, folder: str, file: File, sidecars: Sidecars) -> Backup:
    name = split_path(file.name)[1]
    if file.kind != "file":
        return Backup(name, copy.name, "", (file,), odd=f"{_strange(file)}: never followed nor opened")
    if naming.unfinished(name) or naming.unfinished(bare(name)):
        return Backup(name, copy.name, naming.kind(name), (file,), odd="unfinished: some program is still writing it")
    stem = bare(name)
    return sidecars.beside(Backup(stem, copy.name, naming.kind(stem), (file,)), folder, (file.name,))


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
