"""Values within a variable that is a map: each with its key, its file and its line, rendered when it is asked for.

Decides how such values are read: references to other variables followed, secrets kept as references, every error with
its place. Leaves to the callers which keys there are.

    remedy_databases:
      site:
        copies: "{{ usual_copies }}"           read at the place where usual_copies is written
        keys: {openssl: {env: BACKUP_KEY}}     stays a reference
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from remedy.core.errors import InventoryError
from remedy.core.text import printable
from remedy.core.values import Secret
from remedy.inventory import credentials
from remedy.inventory.documents import Marked, Vaulted
from remedy.inventory.findings import Located, Variables
from remedy.inventory.templates import Renderer, is_template

_ALIASES: Final = 32
_LINED: Final = re.compile(r":[0-9]+\Z")
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class Around:
    """What a host's values are read with: its variables and their renderer, all hosts, where paths start."""

    host: str
    variables: Variables
    renderer: Renderer
    hosts: Collection[str]
    locate: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One value within a variable and its place: key path, file:line for messages. Rendered when it is asked for."""

    around: Around
    key: str
    where: str
    value: object

    def wrong(self, expected: str, hint: str = "", *, secret: bool = False) -> NoReturn:
        """Raise InventoryError; of a `secret` place the value is not shown."""
        got = {dict: "a map", Marked: "a map", list: "a list", type(None): "nothing", Vaulted: "a vault's text"}
        said = got.get(type(self.value)) or ("a value" if secret else printable(repr(self._masked()), 80))
        raise InventoryError(f"{self.key}: expected {expected}, got {said}", where=self.where, hint=hint)

    def _masked(self) -> object:
        """The value, without what its key or its form says is secret."""
        above, _, name = self.key.rpartition(".")
        return credentials.masked(name.partition("[")[0], self.value, above.rpartition(".")[2].partition("[")[0])

    def of(self, value: object, key: str = "", where: str = "") -> Setting:
        """A value at a place below, with references to other variables followed, not rendered yet."""
        here = where or self.where
        for _ in range(_ALIASES):
            name = self.around.renderer.alias(value)
            if name is None:
                break
            located: Located = self.around.variables[name]
            value, here = located.value, located.where
        return Setting(self.around, f"{self.key}{key}", here, value)

    def rendered(self) -> Setting:
        """The value of a template; anything else as it is."""
        if isinstance(self.value, Vaulted) or is_template(self.value):
            return replace(self, value=self.around.renderer.value(self.value, self.key, self.where))
        return self

    def entries(self, keys: Collection[str] | None = None, *, secret: bool = False) -> dict[str, Setting]:
        """The entries of a map, those that are set; with `keys` any other key is an error."""
        at = self.rendered()
        if not isinstance(at.value, dict):
            at.wrong("a map", secret=secret)
        made = {}
        path = at.where.rpartition(":")[0] if _LINED.search(at.where) else at.where
        for key, value in at.value.items():
            where = at.value.where(path, key) if isinstance(at.value, Marked) else at.where
            if not isinstance(key, str):
                replace(at, value=key, where=where).wrong("names as keys", "put it in quotes")
            if keys is not None and key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(keys)}"
                raise InventoryError(f"{at.key}: there is no key {printable(key, 80)!r}", where=where, hint=hint)
            if value is not None:
                made[key] = at.of(value, f".{key}", where)
        return made

    def items(self) -> list[Setting]:
        """The items of a list; a single value stands for a list of one."""
        at = self.rendered()
        values = at.value if isinstance(at.value, (list, tuple)) else [at.value]
        path = at.where.rpartition(":")[0]
        found = []
        for number, value in enumerate(values):
            lines = value.lines.values() if isinstance(value, Marked) else ()
            where = f"{path}:{min(lines)}" if lines and _LINED.search(at.where) else at.where
            found.append(at.of(value, f"[{number}]", where))
        return found

    def text(self, expected: str = "text", shape: re.Pattern[str] | None = None, hint: str = "") -> str:
        """Text without controls, of that shape. Raises InventoryError, which says what was expected."""
        at = self.rendered()
        if not isinstance(at.value, str):
            at.wrong(expected, hint or "put it in quotes")
        text = str(at.value)
        if text != printable(text, len(text) + 1, one_line=True) or (shape and not shape.match(text)):
            at.wrong(expected, hint)
        return text

    def flag(self) -> bool:
        """True or false, INI's spellings too."""
        at = self.rendered()
        word = str(at.value).lower()
        if not isinstance(at.value, (bool, int, str)) or word not in _YES | _NO:
            at.wrong("true or false")
        return word in _YES

    def whole(self, least: int, most: int) -> int:
        """A whole number within these bounds."""
        at = self.rendered()
        text = str(at.value)
        if isinstance(at.value, (bool, float)) or not (text.isascii() and text.isdigit()):
            at.wrong("a whole number")
        if not least <= int(text[:12]) <= most:
            at.wrong(f"a number from {least} to {most}")
        return int(text[:12])

    def path(self) -> str:
        """An absolute path on a host, without a slash at its end."""
        text = self.text("an absolute path")
        if not text.startswith("/") or ".." in text.split("/") or not text.strip("/"):
            self.wrong("an absolute path without '..'", "write it from the root on: /var/backups/mariadb")
        return text.rstrip("/")

    def local(self) -> str:
        """A path on this machine; relative ones start at the inventory."""
        return self.around.locate(self.text("a path"))

    def host(self) -> str:
        """The name of a host of the inventory."""
        name = self.text("the name of a host")
        if name not in self.around.hosts:
            near = difflib.get_close_matches(name, self.around.hosts, n=1)
            self.wrong("a host of this inventory", f"did you mean {near[0]}?" if near else "add it to the inventory")
        return name

    def secret(self) -> Secret | None:
        """A secret by reference. The value itself is never shown, nor kept."""
        value = self.value
        if isinstance(value, dict) or (is_template(value) and not credentials.is_lookup(value)):
            value = self.around.renderer.value(value, self.key, self.where)
        found = credentials.reference(self.key, value, where=self.where, locate=self.around.locate)
        if found and found.value:
            raise InventoryError(
                f"{self.key} stands here in clear",
                where=self.where,
                hint="write {env: NAME}, {file: PATH}, {command: [PROGRAM, …]} or {keyring: [SERVICE, USER]}",
            )
        return found
