"""Reading an inventory from disk: a file, or a directory of sources with `group_vars/` and `host_vars/`.

Decides which format a source has, as Ansible does: by extension, and by trying YAML first when there is none.
Everything is read once, here; asking the `Inventory` afterwards touches no file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from remedy.core.errors import InventoryError
from remedy.inventory import files, ini_source, secrecy, yaml_source
from remedy.inventory.documents import Marked, parse
from remedy.inventory.draft import Draft
from remedy.inventory.findings import Finding, Located, Variables, of_error
from remedy.inventory.inventory import Inventory, VarsFiles

_YAML: Final = frozenset({".yml", ".yaml", ".json"})


def load(
    path: Path, *, user: str = "", home: Path | None = None, environ: Mapping[str, str] | None = None
) -> Inventory:
    """Read an inventory. Touches files only, runs nothing.

    `user` is who logs in where the inventory names nobody (root when empty), `home` what `~` stands for and `environ`
    what `lookup('env', …)` sees; both are the process's own by default. Raises InventoryError with file and line.
    """
    draft = Draft()
    for source in files.sources(path):
        _source(source, draft)
    draft.finish()
    base = path if path.is_dir() else path.parent
    return Inventory(
        draft,
        _vars_files(Path(os.path.realpath(base)), base, draft),
        root=path,
        user=user or "root",
        home=home or Path.home(),
        environ=os.environ if environ is None else environ,
    )


def check(
    path: Path, *, user: str = "", home: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """All findings about an inventory. One that cannot be loaded is one finding of severity "error"."""
    try:
        inventory = load(path, user=user, home=home, environ=environ)
    except InventoryError as error:
        return (of_error(error),)
    return inventory.check()


def _source(path: Path, draft: Draft) -> None:
    text = files.read(path, draft.notes)
    with _without_secrets(text, draft.notes):
        _read_source(text, path, draft)


@contextlib.contextmanager
def _without_secrets(text: str, notes: list[Finding]) -> Iterator[None]:
    """Errors and findings about a file show nothing of the secrets in its text, whatever they quote of it."""
    before = len(notes)
    try:
        yield
    except InventoryError as error:
        said = _cleaner(text)(error.message)
        if said == error.message:
            raise
        raise InventoryError(said, where=error.where, hint=error.hint) from None  # what it came from shows it as well
    if new := notes[before:]:
        clean = _cleaner(text)
        notes[before:] = [replace(one, message=clean(one.message)) for one in new]


def _cleaner(text: str) -> Callable[[str], str]:
    return secrecy.remover(secrecy.worth(secrecy.found(text), ()))


def _read_source(text: str, path: Path, draft: Draft) -> None:
    suffix = path.suffix
    if text.startswith(files.VAULT_HEADER):
        raise InventoryError(
            "the inventory is encrypted with Ansible Vault, and remedy does not decrypt it",
            where=str(path),
            hint="keep hosts and groups in clear, and secrets by reference",
        )
    if suffix == ".toml":
        raise InventoryError(
            "TOML inventories are not read", where=str(path), hint="write it as YAML: ansible-inventory --list --yaml"
        )
    if suffix in _YAML:
        document = parse(text, path, draft.notes)
    else:
        document = None if suffix else _yaml_or_not(text, path, draft)
        if not isinstance(document, Marked):
            ini_source.parse(text, path, draft)
            return
    if not document:
        draft.notes.append(Finding("info", str(path), "the file is empty"))
        return
    if not isinstance(document, Marked):
        raise InventoryError(
            "this is no map of groups", where=f"{path}:1", hint="start with 'all:'; INI inventories end in .ini"
        )
    yaml_source.parse(document, path, draft)


def _yaml_or_not(text: str, path: Path, draft: Draft) -> object:
    """A file without extension: its document, or None when it is not YAML and so to be read as INI."""
    notes: list[Finding] = []
    try:
        document = parse(text, path, notes)
    except InventoryError:
        first = next((line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"), "")
        if first == "---" or (first.endswith(":") and not first.startswith("[")) or first.startswith("{"):
            raise  # meant as YAML: its error says more than INI's would
        return None
    if isinstance(document, Marked):
        draft.notes.extend(notes)
    return document


def _vars_files(real: Path, shown: Path, draft: Draft) -> VarsFiles:
    made = VarsFiles()
    for folder, kind, names, into in (
        ("group_vars", "group", draft.groups, made.groups),
        ("host_vars", "host", draft.hosts, made.hosts),
    ):
        listing = files.VarsFolder(real / folder)
        for stray in listing.strays(frozenset(names)):
            draft.notes.append(
                Finding(
                    "warning", str(shown / folder / stray), f"belongs to no {kind} of this inventory", "check the name"
                )
            )
        for name in names if listing.names else ():
            merged: Variables = {}
            for path in listing.find(name):
                # Messages name the file below the inventory as given, not through links.
                here = shown / path.relative_to(real)
                found = _variables(path, here, draft)
                if found is None:
                    made.encrypted.setdefault(f"{kind}:{name}", []).append(str(here))
                else:
                    merged.update(found)
            if merged:
                into[name] = merged
    return made


def _variables(path: Path, shown: Path, draft: Draft) -> Variables | None:
    """The variables of one file; None when it is encrypted."""
    text = files.read(path, draft.notes)
    if text.startswith(files.VAULT_HEADER):
        return None
    with _without_secrets(text, draft.notes):
        document = parse(text, shown, draft.notes)
    if not document:
        return {}
    if not isinstance(document, Marked):
        raise InventoryError("this is no map of variables", where=f"{shown}:1", hint="write one 'name: value' per line")
    return {str(key): Located(value, document.where(shown, key)) for key, value in document.items()}
