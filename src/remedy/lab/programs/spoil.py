"""Spoils the newest backup of a folder the way accidents and intruders do, and mends it again.

Usage: spoil.py FOLDER flip COUNT | cut PERCENT | delete | replace | mend. Says the file's name. What was there is kept
in /var/lib/remedy-lab/kept, outside the folder, until `mend`; a second spoiling keeps what the first has kept.

`flip` turns one bit in each of COUNT places, the same ones for the same bytes; `cut` keeps PERCENT of the bytes;
`delete` takes the checksum away too; `replace` puts a dump in its place that is complete in form, matches its new
checksum, and has no rows.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

KEPT = Path("/var/lib/remedy-lab/kept")
BESIDE = (".sha256", ".manifest.json")
#: Past the headers of every container, so that it is still recognised for what it was.
HEADER = 64
OPEN = {".zst": ["zstd", "-dcq"], ".gz": ["gzip", "-dc"], ".xz": ["xz", "-dc"], ".bz2": ["bzip2", "-dc"]}
CLOSE = {".zst": ["zstd", "-cq"], ".gz": ["gzip", "-c"], ".xz": ["xz", "-c"], ".bz2": ["bzip2", "-c"]}
#: mariadb-dump writes a row a line: from an INSERT to the line that ends its statement.
EMPTIED = ["sed", "-e", "/^INSERT INTO /,/;$/d"]


def newest(folder: Path) -> Path:
    """The backup that was written last, by its time and then its name."""
    found = [
        path
        for path in folder.iterdir()
        if path.is_file() and not path.is_symlink() and not path.name.endswith((*BESIDE, ".part"))
    ]
    if not found:
        sys.exit(f"{folder} holds no backup")
    return max(found, key=lambda path: (path.stat().st_mtime, path.name))


def beside(path: Path) -> list[Path]:
    """The file and what lies beside it."""
    return [path, *(path.with_name(path.name + suffix) for suffix in BESIDE)]


def kept(folder: Path) -> Path:
    """Where the files of this folder are kept."""
    return KEPT / str(folder).strip("/").replace("/", "_")


def keep(folder: Path, path: Path) -> None:
    """Keep the file and those beside it, unless they are kept already."""
    place = kept(folder)
    place.mkdir(parents=True, exist_ok=True)
    if not (place / path.name).exists():
        for one in beside(path):
            if one.exists():
                shutil.copy2(one, place)


def mend(folder: Path) -> None:
    """Put back what is kept for this folder."""
    place = kept(folder)
    for path in place.iterdir() if place.exists() else ():
        shutil.copy2(path, folder)
    shutil.rmtree(place, ignore_errors=True)


def flip(path: Path, count: int) -> None:
    """Turn one bit in each of `count` places."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").digest()
    chance = random.Random(content)  # noqa: S311 -- the same places for the same file is the point
    size = path.stat().st_size
    with path.open("r+b") as file:
        for place in sorted(chance.sample(range(min(HEADER, size // 2), size), min(count, size // 2))):
            file.seek(place)
            byte = file.read(1)[0] ^ (1 << chance.randrange(8))
            file.seek(place)
            file.write(bytes([byte]))


def cut(path: Path, percent: int) -> None:
    """Keep the first part of it."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * percent // 100)


def replace(path: Path) -> None:
    """An emptied dump under the same name, with a checksum that matches."""
    opening, closing = OPEN.get(path.suffix, ["cat"]), CLOSE.get(path.suffix, ["cat"])
    new = KEPT / "new"
    with path.open("rb") as old, new.open("wb") as made:
        first = subprocess.Popen(opening, stdin=old, stdout=subprocess.PIPE)
        second = subprocess.Popen(EMPTIED, stdin=first.stdout, stdout=subprocess.PIPE)
        subprocess.run(closing, stdin=second.stdout, stdout=made, check=True)
        if first.wait() or second.wait():
            sys.exit(f"{path} cannot be read")
    shutil.copyfile(new, path)
    new.unlink()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def main() -> None:
    """Do what the arguments say."""
    folder, what, *rest = sys.argv[1:]
    where = Path(folder)
    if what == "mend":
        mend(where)
        return
    path = newest(where)
    times = path.stat()
    keep(where, path)
    if what == "flip":
        flip(path, int(rest[0]))
    elif what == "cut":
        cut(path, int(rest[0]))
    elif what == "replace":
        replace(path)
    else:
        for one in beside(path):
            one.unlink(missing_ok=True)
    for one in beside(path):
        if one.exists():
            os.utime(one, (times.st_atime, times.st_mtime))
    print(path.name)  # noqa: T201 -- its answer


if __name__ == "__main__":
    main()
