"""Ansible's YAML inventories.

Decides how a document of groups becomes hosts, groups and variables, after the documentation of Ansible's `yaml`
inventory plugin. What Ansible skips with a warning is skipped with a finding.

    all:
      hosts:
        mail.example.net:
      vars:
        ansible_user: deploy
      children:
        web:
          hosts:
            web[01:20]:
              http_port: 80
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from remedy.core.errors import InventoryError
from remedy.inventory import ranges
from remedy.inventory.documents import Marked
from remedy.inventory.draft import Draft
from remedy.inventory.findings import Finding

_SECTIONS: Final = ("vars", "children", "hosts")


def parse(document: Marked, path: Path, draft: Draft) -> None:
    """Read a YAML inventory into the draft.

    Raises InventoryError with file and line on lists where maps are needed, on names that are no text, on group
    cycles, and on plug-in configurations (`plugin: …`), which stand for code remedy does not run.
    """
    if document.get("plugin"):
        raise InventoryError(
            f"this configures the inventory plug-in {document['plugin']}; it is not an inventory",
            where=document.where(path, "plugin"),
            hint=f"write its answer to a file: ansible-inventory -i {path} --list --yaml --export --output hosts.yml",
        )
    reader = _Reader(path, draft)
    for name in document:
        reader.group(name, document[name], document.where(path, name))


class _Reader:
    """Walks the groups of one document."""

    def __init__(self, path: Path, draft: Draft) -> None:
        self._path = path
        self._draft = draft

    def group(self, name: object, data: object, where: str) -> str | None:
        """Read one group; its name, or None when it was skipped because it is no map."""
        if not isinstance(name, str):
            raise InventoryError(f"group name {name!r} is not text", where=where, hint="put it in quotes")
        if data is not None and not isinstance(data, Marked):
            self._skip(where, f"{name!r} is not a group: it holds {_kind(data)}, not a map")
            return None
        self._draft.add_group(name, where)
        sections = data or Marked()
        for key in sections:
            self._section(name, key, sections)
        return name

    def _section(self, group: str, key: object, sections: Marked) -> None:
        data, where = sections[key], sections.where(self._path, key)
        if key in _SECTIONS:
            entries = self._entries(data, group, str(key), where)
        elif isinstance(data, Marked):
            self._skip(where, f"unexpected key {key!r} in group {group}; only vars, children and hosts are valid")
            return
        elif data is not None:
            self._skip(where, f"key {key!r} in group {group} holds {_kind(data)}, not a map")
            return
        else:
            return
        for name in entries:
            at = entries.where(self._path, name)
            at = where if at == str(self._path) else at
            if key == "vars":
                self._draft.set_group(group, str(name), entries[name], at)
            elif key == "hosts":
                self._hosts(group, name, entries[name], at)
            else:
                self._child(group, name, entries[name], at)

    def _entries(self, data: object, group: str, key: str, where: str) -> Marked:
        if isinstance(data, str):  # `hosts: web01` is allowed for a single one
            single = Marked()
            single[data] = None
            return single
        if data is None:
            return Marked()
        if not isinstance(data, Marked):
            raise InventoryError(
                f"{key} of group {group} is {_kind(data)}, not a map",
                where=where,
                hint="write each entry as 'name:' on its own line, without a dash",
            )
        return data

    def _child(self, group: str, name: object, data: object, where: str) -> None:
        child = self.group(name, data, where)
        if child is None:
            raise InventoryError(
                f"child {name!r} of group {group} is no group", where=where, hint="end it with a colon"
            )
        self._draft.add_child(group, child, where)

    def _hosts(self, group: str, pattern: object, data: object, where: str) -> None:
        if not isinstance(pattern, str):
            raise InventoryError(f"host name {pattern!r} is not text", where=where, hint="put it in quotes")
        if data and not isinstance(data, Marked):
            raise InventoryError(
                f"host {pattern} holds {_kind(data)}, not a map", where=where, hint="write variables as 'key: value'"
            )
        names, port = ranges.expand(pattern, where=where)
        values = data if isinstance(data, Marked) else Marked()
        for name in names:
            self._draft.add_host(name, group, where, source=str(self._path), port=port)
            for key in values:
                at = values.where(self._path, key)
                self._draft.set_host(name, str(key), values[key], where if at == str(self._path) else at)

    def _skip(self, where: str, message: str) -> None:
        self._draft.notes.append(Finding("warning", where, message, "it is ignored, by Ansible too"))


def _kind(value: object) -> str:
    return {list: "a list", str: "text", int: "a number", float: "a number", bool: "a yes/no value"}.get(
        type(value), "something else"
    )
