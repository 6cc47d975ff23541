"""Canonical JSON, and frozen dataclasses to JSON and back.

Decides the one byte string a value has, so that hashes and signatures mean the same everywhere, and what of a document
that another version of remedy wrote may be read.
Follows RFC 8785 (JCS) for the values remedy uses: strings, integers, booleans, null, arrays, objects.
Floats are refused: their text differs between programs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from typing import Final, TypeVar, Union

from remedy.core.errors import PlanFileError

Json = Union[None, bool, int, str, list["Json"], dict[str, "Json"]]  # noqa: UP007 -- recursive alias, evaluated at import
T = TypeVar("T")

#: Mark of a field (dataclasses.field(metadata=…)) that holds the number of the document's format; its default is the
#: newest that this version knows.
FORMAT: Final = {"canon": "format"}
#: Mark of a field that is not stored, but is given the `digest` of the document the value was decoded from.
DECODED_FROM: Final = {"canon": "decoded from"}
_NEWER: Final = "use the version of remedy that wrote it, or a newer one"


def canonical(value: Json) -> bytes:
    """The canonical UTF-8 bytes of a JSON value (RFC 8785; keys in UTF-16 order, no spaces).

    Raises TypeError on floats and on anything that is not JSON. Lone surrogates are refused
    with UnicodeEncodeError: text from a target is made valid before it gets here.
    """
    if _is_plain(value):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    return _dump(value).encode("utf-8")


def _is_plain(value: Json) -> bool:
    """Whether the standard encoder gives the canonical form: no floats, and keys whose order is that of their bytes."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and k.isascii() and _is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, bool, int))


def digest(value: Json) -> str:
    """SHA-256 of the canonical bytes, lower-case hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _dump(value: Json) -> str:
    if value is None or isinstance(value, (bool, int, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_dump(item) for item in value) + "]"
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            msg = "canonical JSON has only string keys"
            raise TypeError(msg)
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_dump(value[k])}" for k in keys) + "}"
    msg = f"canonical JSON has no {type(value).__name__}"
    raise TypeError(msg)


def encode(value: object) -> Json:
    """A frozen dataclass (or tuple, mapping, scalar of them) as JSON. Fields at their default are kept.

    Those that no caller can give (`init=False`) are left out. Raises TypeError for anything that `decode` could not
    bring back.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    msg = f"cannot store a {type(value).__name__} as JSON"
    raise TypeError(msg)


def decode(kind: type[T], data: Json, *, where: str = "") -> T:
    """Bring a value of dataclass `kind` back from `encode`'s JSON, also from what an older version wrote.

    A missing field takes its default: it was added since. What is unknown is refused and never dropped, for it may be
    what made the document safe. Raises PlanFileError (with the path inside the document) on a format newer than this
    version knows, an unknown key, a missing key without default, or a wrong type.
    """
    return typing.cast("T", _decode(kind, data, where or kind.__name__))


def _decode(kind: object, data: Json, where: str) -> object:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in {Union, types.UnionType}:
        if data is None and type(None) in args:
            return None
        return _decode(next(a for a in args if a is not type(None)), data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise PlanFileError("a list is expected here", where=where)
        if len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004 -- tuple[X, ...]
            return tuple(_decode(args[0], item, f"{where}[{i}]") for i, item in enumerate(data))
        if len(data) != len(args):
            raise PlanFileError(f"{len(args)} items are expected here, not {len(data)}", where=where)
        return tuple(_decode(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(args, data, strict=True)))
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_fields(kind, data, where)
    if isinstance(kind, type) and type(data) is kind:
        return data
    raise PlanFileError(f"{getattr(kind, '__name__', kind)} is expected here, not {type(data).__name__}", where=where)


def _decode_fields(kind: type, data: Json, where: str) -> object:
    if not isinstance(data, dict):
        raise PlanFileError("an object is expected here", where=where)
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    for one in fields.values():
        if one.metadata == FORMAT:
            _refuse_newer(kind, data.get(one.name), one.default, where)
    if unknown := sorted(set(data) - set(fields)):
        raise PlanFileError(f"unknown option {unknown[0]!r}", where=where, hint=f"unless edited by hand: {_NEWER}")
    if missing := sorted(one.name for one in fields.values() if one.name not in data and _is_needed(one)):
        raise PlanFileError(f"{missing[0]!r} is missing", where=where)
    made: object = kind(**{name: _decode(hints[name], item, f"{where}.{name}") for name, item in data.items()})
    for one in dataclasses.fields(kind):
        if one.metadata == DECODED_FROM:
            object.__setattr__(made, one.name, digest(data))
    return made


def _is_needed(field: dataclasses.Field[typing.Any]) -> bool:
    """Whether a document has to say it: without a default, or which format it has."""
    return field.metadata == FORMAT or field.default is field.default_factory is dataclasses.MISSING


def _refuse_newer(kind: type, found: Json, known: object, where: str) -> None:
    """Before anything else is looked at: what a newer format adds would only be called unknown."""
    if type(found) is int and isinstance(known, int) and not 1 <= found <= known:
        text = f"has {kind.__name__.lower()} format {found}, this remedy knows 1 to {known}"
        raise PlanFileError(text, where=where, hint=_NEWER if found > known else "no remedy has written it")
