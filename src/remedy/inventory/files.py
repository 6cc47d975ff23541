"""Inventory files on disk: which are sources, and their text, bounded.

Decides which entries of an inventory directory count (Ansible's rules for `inventory_ignore_extensions` and for
`group_vars/` and `host_vars/`), and refuses what must not be read or run: scripts, devices, huge files.
Leaves to others what the text means.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from remedy.core.errors import InventoryError
from remedy.inventory.findings import Finding

#: Largest file read, in bytes. Real inventories of ten thousand hosts stay below a quarter of it.
MAX_BYTES: Final = 16 * 2**20
MAX_FILES: Final = 20_000
MAX_DEPTH: Final = 10

#: What Ansible's `find_vars_files` accepts as extension of a variable file, besides none at all.
VARS_SUFFIXES: Final = (".yml", ".yaml", ".json")
_NOT_SOURCES: Final = frozenset({"group_vars", "host_vars", "vars_plugins"})
_IGNORED_SUFFIXES: Final = (
    *(".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst"),
    *(".orig", ".cfg", ".retry"),
)
VAULT_HEADER: Final = "$ANSIBLE_VAULT;"
_NO_SCRIPT_HINT: Final = (
    "remedy runs no code from an inventory; write what it answers to a file: "
    "ansible-inventory -i {path} --list --yaml --export --output hosts.yml"
)


def sources(root: Path) -> Iterator[Path]:
    """The source files of an inventory: the file itself, or those of a directory in Ansible's order.

    Order is by name, byte by byte, directories inline; hidden files, `group_vars`, `host_vars` and the ignored
    extensions are left out. Raises InventoryError when nothing is there, on loops and on too many files.
    """
    if not root.exists():
        raise InventoryError("there is no such inventory", where=str(root), hint="name an inventory with -i")
    if not root.is_dir():
        yield root
        return
    for count, path in enumerate(_walk(root, (os.path.realpath(root),))):
        if count >= MAX_FILES:
            raise InventoryError(f"more than {MAX_FILES} files in the inventory directory", where=str(root))
        yield path


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    for name in sorted(_listing(folder)):
        if name.startswith(".") or name in _NOT_SOURCES or name.endswith(_IGNORED_SUFFIXES):
            continue
        path = folder / name
        if not path.is_dir():
            yield path
            continue
        real = os.path.realpath(path)
        if real in above or len(above) > MAX_DEPTH:
            raise InventoryError(
                "this directory leads back to itself or is nested too deep", where=str(path), hint="remove the link"
            )
        yield from _walk(path, (*above, real))


def _listing(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise InventoryError(f"cannot list the directory: {error.strerror}", where=str(folder)) from error


class VarsFolder:
    """One `group_vars/` or `host_vars/` directory, listed once."""

    def __init__(self, path: Path) -> None:
        """List the directory; a missing one has no files."""
        self.path = path
        self.names: frozenset[str] = frozenset(_listing(path)) if path.is_dir() else frozenset()

    def find(self, name: str) -> list[Path]:
        """The files with the variables of host or group `name`, in the order they are merged.

        As Ansible: the first that exists of `name`, `name.yml`, `name.yaml`, `name.json`; a directory stands for all
        files in it, sorted, recursively. Names with a slash have no files: they could lead out of the inventory.
        """
        if "/" in name or name in {"", ".", ".."}:
            return []
        for suffix in ("", *VARS_SUFFIXES):
            if name + suffix in self.names:
                path = self.path / (name + suffix)
                if path.exists():
                    return list(self._files(path, 0))
        return []

    def _files(self, path: Path, depth: int) -> Iterator[Path]:
        if not path.is_dir():
            yield path
            return
        if depth > MAX_DEPTH:
            raise InventoryError("nested too deep", where=str(path), hint="remove the link that leads back")
        for name in sorted(_listing(path)):
            if name.startswith(".") or name.endswith("~"):
                continue
            child, suffix = path / name, Path(name).suffix
            if (child.is_dir() and not suffix) or (child.is_file() and suffix in ("", *VARS_SUFFIXES)):
                yield from self._files(child, depth + 1)

    def strays(self, known: frozenset[str]) -> list[str]:
        """Entries that belong to no known host or group, or that a sibling hides."""
        stems = {
            name: next((name.removesuffix(s) for s in VARS_SUFFIXES if name.endswith(s)), name) for name in self.names
        }
        return sorted(
            name
            for name, stem in stems.items()
            if not (name.startswith(".") or name.endswith(_IGNORED_SUFFIXES))
            and stem not in known
            and name not in known
        )


def read(path: Path, notes: list[Finding]) -> str:
    """The text of an inventory file, UTF-8, without byte order mark.

    Raises InventoryError on scripts and programs, on anything but a regular file, above `MAX_BYTES`, on NULs and
    on invalid UTF-8 outside comment lines. An executable bit on plain text is noted only: some file systems set it
    on everything, and Ansible falls back to reading the text too.
    """
    data, executable = _bytes(path)
    if data.startswith((b"#!", b"\x7fELF")):
        raise InventoryError(
            "this is a program (a dynamic inventory), not an inventory",
            where=str(path),
            hint=_NO_SCRIPT_HINT.format(path=path),
        )
    if executable:
        notes.append(Finding("warning", str(path), "inventory file is marked executable", f"chmod -x {path}"))
    zero = data.find(b"\x00")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise InventoryError("the file contains a NUL byte", where=f"{path}:{line}", hint="save it as plain UTF-8")
    return _decode(data.removeprefix(b"\xef\xbb\xbf"), path)


def _bytes(path: Path) -> tuple[bytes, bool]:
    try:
        # O_NONBLOCK: opening a FIFO would otherwise wait for a writer for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InventoryError(f"cannot read the file: {error.strerror}", where=str(path)) from error
    with open(handle, "rb") as stream:  # noqa: PTH123 -- an open descriptor, not a path
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise InventoryError("not a regular file", where=str(path), hint="inventories are text files")
        data = stream.read(MAX_BYTES + 1) if state.st_size <= MAX_BYTES else b""
        if state.st_size > MAX_BYTES or len(data) > MAX_BYTES:
            raise InventoryError(
                f"the file is larger than {MAX_BYTES // 2**20} MiB", where=str(path), hint="is this an inventory?"
            )
    return data, bool(state.st_mode & 0o111)


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        # Old files have Latin-1 comments; Ansible lets them pass in comments only.
        lines = []
        for number, line in enumerate(data.split(b"\n"), 1):
            try:
                lines.append("" if line.lstrip()[:1] in (b"#", b";") else line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise InventoryError(
                    "the line is not valid UTF-8", where=f"{path}:{number}", hint="save the file as UTF-8"
                ) from error
        return "\n".join(lines)
