"""YAML and JSON text to plain values that remember their lines.

Decides what may stand in an inventory document: maps, lists, scalars, `!vault`, `!unsafe`. Everything else with a
tag is refused, so nothing is ever constructed from a file but data. Works on the parser's events instead of its node
tree: the C parser's own tree builder overruns the stack on deep nesting, and aliases ("YAML bombs") are counted as
what they expand to. Leaves to others what the document means.

    web01:
      ansible_host: 198.18.0.10
      ansible_become_password: !vault |
        $ANSIBLE_VAULT;1.1;AES256
        6162…
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from remedy.core.errors import InventoryError
from remedy.inventory.findings import Finding

if TYPE_CHECKING:
    import yaml

MAX_NESTING: Final = 64
#: Most values in one document, aliases expanded.
MAX_VALUES: Final = 1_000_000
_YAML: Final = "tag:yaml.org,2002:"
_VAULT_TAGS: Final = frozenset({"!vault", "!vault-encrypted"})
_SCALARS: Final = frozenset(_YAML + kind for kind in ("null", "bool", "int", "float", "str", "timestamp"))


@dataclass(frozen=True, slots=True)
class Vaulted:
    """A value only its vault secret can read: the ciphertext. Not usable, but no reason to refuse the inventory."""

    text: str


class Unsafe(str):
    """A string that is never a template (`!unsafe`)."""

    __slots__ = ()


class Marked(dict[Any, object]):
    """A map that knows the line of each key (empty for JSON)."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.lines: dict[object, int] = {}

    def where(self, path: object, key: object = None) -> str:
        """`file:line` of a key, or the file when the line is unknown."""
        line = self.lines.get(key, 0)
        return f"{path}:{line}" if line else str(path)


def parse(text: str, path: object, notes: list[Finding]) -> object:
    """The value of a JSON or YAML document; None when it is empty.

    Raises InventoryError (with file and line) on syntax errors, several documents, foreign tags, too deep nesting,
    recursive or exploding aliases. Duplicate keys are noted; the last one counts, as in Ansible.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _json(text, path, notes)
        except (ValueError, RecursionError):
            pass  # not JSON after all: YAML's flow style starts the same way, and its parser names the line
    return _Builder(text, path, notes).document()


def _json(text: str, path: object, notes: list[Finding]) -> object:
    def pairs(items: list[tuple[str, object]]) -> object:
        if len(items) == 1 and isinstance(items[0][1], str):
            if items[0][0] == "__ansible_vault":
                return Vaulted(items[0][1])
            if items[0][0] == "__ansible_unsafe":
                return Unsafe(items[0][1])
        made = Marked()
        for key, value in items:
            if key in made:
                notes.append(_duplicate(str(path), key))
            made[key] = value
        return made

    value = json.loads(text, object_pairs_hook=pairs)
    _check_nesting(value, path, 0)
    return value


def _check_nesting(value: object, path: object, depth: int) -> None:
    if depth > MAX_NESTING:
        raise InventoryError(f"nested deeper than {MAX_NESTING} levels", where=str(path))
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            _check_nesting(item, path, depth + 1)


def _duplicate(where: str, key: object) -> Finding:
    return Finding("warning", where, f"the key {key!r} stands here twice; the last one counts", "remove one of them")


class _Builder:
    """Builds one document from parser events, counting as it goes."""

    def __init__(self, text: str, path: object, notes: list[Finding]) -> None:
        import yaml  # noqa: PLC0415 -- start-up time of commands that read no inventory

        self._yaml = yaml
        self._loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        self._path = path
        self._notes = notes
        self._anchors: dict[str, tuple[object, int]] = {}
        self._count = 0

    def document(self) -> object:
        yaml = self._yaml
        try:
            self._next()  # stream start
            if isinstance(self._next(), yaml.StreamEndEvent):
                return None
            value = self._value(self._next(), 0, unsafe=False)
            self._next()  # document end
            extra = self._next()
            if not isinstance(extra, yaml.StreamEndEvent):
                raise self._wrong("a second document starts here", extra, "keep one document per file")
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            where = f"{self._path}:{mark.line + 1}" if mark else str(self._path)
            raise InventoryError(
                f"not valid YAML: {problem}", where=where, hint="check indentation and quotes"
            ) from error
        finally:
            self._loader.dispose()
        return value

    def _next(self) -> Any:  # noqa: ANN401 -- PyYAML's events have no common typed base
        return self._loader.get_event()

    def _wrong(self, message: str, event: Any, hint: str = "") -> InventoryError:  # noqa: ANN401 -- as above
        return InventoryError(message, where=f"{self._path}:{event.start_mark.line + 1}", hint=hint)

    def _spend(self, count: int, event: Any) -> None:  # noqa: ANN401 -- as above
        self._count += count
        if self._count > MAX_VALUES:
            raise self._wrong(f"the document expands to more than {MAX_VALUES} values", event, "remove the aliases")

    def _value(self, event: Any, depth: int, *, unsafe: bool) -> object:  # noqa: ANN401 -- as above
        yaml = self._yaml
        if depth > MAX_NESTING:
            raise self._wrong(f"nested deeper than {MAX_NESTING} levels", event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._wrong(f"the alias *{event.anchor} is undefined or contains itself", event)
            value, weight = self._anchors[event.anchor]
            self._spend(weight, event)
            return value
        before = self._count
        self._spend(1, event)
        unsafe = unsafe or event.tag == "!unsafe"
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, unsafe=unsafe)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._allow(event, "seq")
            items: list[object] = []
            while not isinstance(inner := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(inner, depth + 1, unsafe=unsafe))
            value = items
        else:
            self._allow(event, "map", "set")
            made = self._map(event, depth, unsafe=unsafe)
            value = list(made) if event.tag == _YAML + "set" else made
        if event.anchor:
            self._anchors[event.anchor] = (value, self._count - before)
        return value

    def _allow(self, event: Any, *kinds: str) -> None:  # noqa: ANN401 -- as above
        if event.tag not in {None, "!", "!unsafe", *(_YAML + kind for kind in kinds)}:
            raise self._wrong(f"the tag {event.tag} is refused", event, "only !vault and !unsafe have a meaning here")

    def _scalar(self, event: Any, *, unsafe: bool) -> object:  # noqa: ANN401 -- as above
        tag = event.tag
        if tag in _VAULT_TAGS:
            return Vaulted(event.value)
        if tag in {None, "!", "!unsafe"}:
            implicit = (True, False) if tag == "!unsafe" else event.implicit
            tag = self._loader.resolve(self._yaml.ScalarNode, event.value, implicit)
        if tag == _YAML + "str":
            return Unsafe(event.value) if unsafe else event.value
        if tag not in _SCALARS:
            if tag in {_YAML + "merge", _YAML + "value"}:
                return event.value
            raise self._wrong(f"the tag {tag} is refused", event, "only !vault and !unsafe have a meaning here")
        node: yaml.ScalarNode = self._yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            return self._loader.construct_object(node)
        except (ValueError, KeyError, OverflowError) as error:
            raise self._wrong(f"the value is no {tag.removeprefix(_YAML)}", event, "quote it") from error

    def _map(self, start: Any, depth: int, *, unsafe: bool) -> Marked:  # noqa: ANN401 -- as above
        yaml = self._yaml
        own, merged = Marked(), Marked()
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._value(event, depth + 1, unsafe=False)
            line = event.start_mark.line + 1
            value = self._value(inner := self._next(), depth + 1, unsafe=unsafe)
            if key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                self._merge(value, merged, inner)
                continue
            if isinstance(key, (list, dict, Vaulted)):
                raise self._wrong("a key is a plain scalar", start, "write key: value")
            if key in own:
                self._notes.append(_duplicate(f"{self._path}:{line}", key))
            own[key] = value
            own.lines[key] = line
        if not merged:
            return own
        merged.update(own)
        merged.lines.update(own.lines)
        return merged

    def _merge(self, value: object, into: Marked, event: Any) -> None:  # noqa: ANN401 -- as above
        # YAML 1.1 merge type: in a list, the earlier map wins.
        maps = value if isinstance(value, list) else [value]
        for item in reversed(maps):
            if not isinstance(item, Marked):
                raise self._wrong("<<: merges maps only", event, "refer to a map with *alias")
            self._spend(len(item), event)
            into.update(item)
            into.lines.update(item.lines)
