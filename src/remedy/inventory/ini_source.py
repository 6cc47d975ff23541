"""Ansible's INI inventories.

Decides how the lines of a hosts file become hosts, groups and variables, after the documentation of Ansible's `ini`
inventory plugin. Values are Python literals where they are (`ast.literal_eval`), text where they are not, on host
lines and in `:vars` sections alike: that is what ansible-core does, whatever its documentation says about the latter.

    mail.example.net
    [web]
    web[01:20] ansible_user=deploy http_port=80      # a comment
    [site:children]
    web
    [site:vars]
    ansible_ssh_common_args=-J bastion
"""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remedy.core.errors import InventoryError
from remedy.inventory import ranges, secrecy
from remedy.inventory.draft import Draft

_SECTION: Final = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?\Z")
_GROUP: Final = re.compile(r"([^:\]\s]+)\s*(?:#.*)?\Z")
_KINDS: Final = frozenset({"hosts", "children", "vars"})
#: Longest line read, in characters; a literal longer than that is no hand-written inventory.
_MAX_LINE: Final = 65_536


@dataclass(slots=True)
class _Promise:
    """A group named before it is declared."""

    line: int
    kind: str
    parents: list[str]


def parse(text: str, path: Path, draft: Draft) -> None:
    """Read an INI inventory into the draft.

    Raises InventoryError with file and line on malformed lines, on undeclared groups and on group cycles.
    """
    _Reader(path, draft).read(text)


class _Reader:
    """One pass over one file. Starts as if the first line were `[ungrouped]`."""

    def __init__(self, path: Path, draft: Draft) -> None:
        self._path = path
        self._draft = draft
        self._group = "ungrouped"
        self._kind = "hosts"
        self._line = 0
        self._promised: dict[str, _Promise] = {}

    @property
    def _where(self) -> str:
        return f"{self._path}:{self._line}"

    def _wrong(self, message: str, hint: str = "") -> InventoryError:
        return InventoryError(message, where=self._where, hint=hint)

    def read(self, text: str) -> None:
        for number, raw in enumerate(text.splitlines(), 1):
            self._line = number
            line = raw.strip()
            if not line or line[0] in ";#":
                continue
            if len(line) > _MAX_LINE:
                raise self._wrong(f"the line is longer than {_MAX_LINE} characters", "is this an inventory?")
            section = _SECTION.match(line)
            if section:
                self._open(section[1], section[2] or "hosts")
            elif line.startswith("[") and line.endswith("]"):
                raise self._wrong(f"{_quoted(line)} is no section", "write [group], [group:vars] or [group:children]")
            elif self._kind == "hosts":
                self._host(line)
            elif self._kind == "vars":
                self._variable(line)
            else:
                self._child(line)
        self._settle()

    def _open(self, group: str, kind: str) -> None:
        if kind not in _KINDS:
            raise self._wrong(f"[{group}:{kind}] is of no known kind", "use :vars or :children")
        self._group, self._kind = group, kind
        if group not in self._draft.groups:
            # [group:vars] alone declares nothing; that the declaration follows is checked at the end.
            if kind == "vars" and group not in self._promised:
                self._promised[group] = _Promise(self._line, "vars", [])
            self._draft.add_group(group, self._where)
        if kind != "vars" and group in self._promised:
            for parent in self._promised.pop(group).parents:
                self._draft.add_child(parent, group, self._where)

    def _host(self, line: str) -> None:
        try:
            first, *rest = shlex.split(line, comments=True)
        except ValueError as error:
            raise self._wrong(f"cannot split the line: {error}", "close the quotes") from error
        names, port = ranges.expand(first, where=self._where)
        if port is None and first.endswith(":"):
            raise self._wrong(f"{first!r} ends in a colon", "a YAML inventory needs the extension .yml")
        if "---" in names:
            raise self._wrong("'---' starts a YAML file", "give the file the extension .yml and check its YAML")
        values: dict[str, object] = {}
        for token in rest:
            key, equals, value = token.partition("=")
            if not equals:
                # Behind a secret it may be the rest of it: an unquoted one with a space.
                said = "a word" if any(map(secrecy.is_secret, values)) else _quoted(token)
                raise self._wrong(f"{said} is not key=value", "quote values with spaces: key='a b'")
            values[key] = literal(value)
        for name in names:
            self._draft.add_host(name, self._group, self._where, source=str(self._path), port=port)
            for key, setting in values.items():
                self._draft.set_host(name, key, setting, self._where)

    def _variable(self, line: str) -> None:
        key, equals, value = line.partition("=")
        if not equals:
            raise self._wrong(f"{_quoted(line)} is not key=value", "a :vars section has one key=value per line")
        self._draft.set_group(self._group, key.strip(), literal(value.strip()), self._where)

    def _child(self, line: str) -> None:
        match = _GROUP.match(line)
        if not match:
            raise self._wrong(f"{_quoted(line)} is no group name", "a :children section has one group per line")
        child = match[1]
        if child in self._draft.groups:
            self._draft.add_child(self._group, child, self._where)
            return
        promise = self._promised.setdefault(child, _Promise(self._line, "children", []))
        promise.parents.append(self._group)

    def _settle(self) -> None:
        for name, promise in self._promised.items():
            self._line = promise.line
            if promise.kind == "vars":
                raise self._wrong(f"[{name}:vars]: group {name} is declared nowhere", f"add a [{name}] section")
            raise self._wrong(f"child group {name} is declared nowhere", f"add a [{name}] section")


def _quoted(text: str) -> str:
    """The beginning of a text, for messages."""
    return repr(secrecy.masked(text)[:60])


def literal(text: str) -> object:
    """The value of an INI setting: a Python literal if it is one, else the text itself.

    Tuples and sets become lists, bytes text, complex numbers and the ellipsis text, as in Ansible.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=repr)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is ...:
        return "..."
    return str(value) if isinstance(value, complex) else value
