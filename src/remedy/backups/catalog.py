"""What lies in a copy: the files that a shelf lists, grouped into backups, sidecars beside them, binary logs apart.

Decides which files belong together, by their names and places alone, and what cannot be used (`odd`). Nothing is
hidden: every file, link and pipe that is listed is in a backup, beside one, in the binary logs, or an odd backup of its
own. Leaves to others: what the backups of each format are called (`formats`), reading (transports), and which backup to
take (`choose`).

    site-2026-02-03.sql.zst                a dump
    site-2026-02-03.sql.zst.sha256         its checksum, site-2026-02-03.manifest.json its manifest
    weekly.sql.gz.partaa  …partab          a dump in two parts
    2026-02-03/metadata  …/site.notice-schema.sql.zst  …      mydumper
    full/xtrabackup_checkpoints  …/ibdata1  …/site/notice.ibd  mariadb-backup
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from remedy.backups import formats, naming
from remedy.backups.beside import Sidecars, is_sidecar
from remedy.backups.formats import Group, called
from remedy.backups.naming import bare, split_path
from remedy.backups.values import Backup, Copy, File


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
    made = {folder for folder, backup in found if formats.is_folder(backup.format)}
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
    listed: dict[str, list[File]] = defaultdict(list)
    for file in files:
        listed[split_path(file.name)[0]].append(file)
    notes: dict[str, tuple[str, Group]] = {}
    made: set[str] = set()
    for form, kind in formats.spanning():
        for group in tuple(kind.groups(listed)):
            if group.folder in made:
                continue  # a folder is one backup; what else lies in it is shown file by file
            made.add(group.folder)
            if group.notes:
                notes[group.folder] = form, group
            else:
                found.append((group.folder, _folder(copy, group, form, sidecars)))
            taken = frozenset(group.files)
            for folder in {split_path(file.name)[0] for file in taken}:
                listed[folder] = [file for file in listed[folder] if file not in taken]
    for folder, left in listed.items():
        alone = list(_files(copy, folder, left, sidecars))
        if folder in notes:
            form, group = notes[folder]
            if any(formats.is_alike(backup.format, form) for _, backup in alone):
                alone = [(place, _noted(backup, form, group)) for place, backup in alone]
            else:
                found.append((folder, _folder(copy, group, form, sidecars)))
        found += alone
    return found


def _noted(backup: Backup, form: str, notes: Group) -> Backup:
    return replace(backup, beside=(*backup.beside, *notes.files)) if formats.is_alike(backup.format, form) else backup


def _folder(copy: Copy, group: Group, form: str, sidecars: Sidecars) -> Backup:
    name = split_path(group.folder)[1]
    name = name or copy.path.rstrip("/").rpartition("/")[2] or copy.prefix.rstrip("/") or copy.name
    files, odd = tuple(sorted(group.files, key=lambda file: file.name)), group.odd
    strange = next((file for file in files if file.kind != "file"), None)
    if strange:
        odd = f"holds {_strange(strange)}: {split_path(strange.name)[1]}"
    paths = (group.folder, *(file.name for file in files))
    return sidecars.beside(Backup(name, copy.name, form, files, odd=odd), group.folder, paths, inside=True)


def _strange(file: File) -> str:
    return "a symbolic link" if file.kind == "link" else "a pipe, socket or device"


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
        for mark in _like_marks(len(min(row)), style):
            like = plain.get(f"{whole}.{mark}")
            if like and like not in taken:
                *_, last, number = sorted(naming.numbers(tuple(row))) + naming.numbers([mark])
                if number <= last + 1:
                    row[mark] = like
        marks = tuple(row)
        counted = dict(zip(marks, naming.numbers(marks), strict=True))
        marks = tuple(sorted(marks, key=lambda mark: (counted[mark], mark)))
        odd = naming.gaps(tuple(counted.values()), least=1 if marks[0].isdigit() else 0)
        made = tuple(row[mark] for mark in marks)
        taken.update(made)
        backup = Backup(bare(whole), copy.name, called(bare(whole)), made, odd=odd)
        paths = (_below(folder, whole), *(file.name for file in made))
        yield made[0].name, sidecars.beside(backup, folder, paths)
    for file in files:
        if file not in taken:
            yield file.name, _single(copy, folder, file, sidecars)


def _like_marks(length: int, style: str) -> list[str]:
    """Marks of a long set that look like a suffix: X.sql.gz.gz may be part 182 of X.sql.gz."""
    marks = [suffix[1:] for suffix in naming.suffixes() if suffix[1:].isalpha()]
    return [mark for mark in marks if len(mark) == length] if style == f".{length}" else []


def _single(copy: Copy, folder: str, file: File, sidecars: Sidecars) -> Backup:
    name = split_path(file.name)[1]
    if file.kind != "file":
        return Backup(name, copy.name, "", (file,), odd=f"{_strange(file)}: never followed nor opened")
    if naming.unfinished(name) or naming.unfinished(bare(name)):
        return Backup(name, copy.name, called(name), (file,), odd="unfinished: some program is still writing it")
    stem = bare(name)
    return sidecars.beside(Backup(stem, copy.name, called(stem), (file,)), folder, (file.name,))


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
