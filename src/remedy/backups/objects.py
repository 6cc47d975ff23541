"""Views, triggers, routines, events, packages and sequences of a backup: digests, scripts, order.

Decides what belongs to such a definition (its text and the settings that the server keeps with it) and in which order
definitions can be made. Leaves to others: reading CREATE statements (`definitions`), sending.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from remedy.backups import session
from remedy.backups.definitions import ObjectText
from remedy.backups.names import unquoted
from remedy.backups.ports import Damaged
from remedy.backups.session import Session
from remedy.backups.sql import Splitter, Statement
from remedy.backups.values import Object

#: Definitions are kept in memory until the end; no database has more.
_LIMIT: Final = 64 << 20
#: Order in which definitions can be made: what others are made of comes first.
_ORDER: Final = ("sequence", "function", "procedure", "package", "package body", "view", "trigger", "event")
_QUOTED: Final = re.compile(rb"`((?:[^`]|``)++)`")
_COLLATION: Final = re.compile(r"collation_connection=(\w+)")
_DELIMITERS: Final = (b";;", b"//", b"$$", b"%%", b"@@@", b"^^^")

_CHARSETS: Final = ("character_set_client", "collation_connection")
#: What the server keeps with a definition, and shows with it.
_KEPT: Final = {"view": _CHARSETS, "event": (*_CHARSETS, "sql_mode", "time_zone")}
_KEPT_ELSE: Final = (*_CHARSETS, "sql_mode")


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence: what follows its name in CREATE SEQUENCE, and its next value."""

    ident: bytes
    options: bytes
    value: bytes = b""

    @property
    def sql(self) -> bytes:
        """Makes it where it is not there yet, and sets it to its value."""
        made = b"CREATE SEQUENCE IF NOT EXISTS " + self.ident + self.options + b";\n"
        return made + (b"DO SETVAL(" + self.ident + b", " + self.value + b", 0);\n" if self.value else b"")


class Objects:
    """Collects the definitions of one backup."""

    def __init__(self) -> None:
        """Begin with none."""
        self._made: list[Object] = []
        self._views: dict[str, tuple[str, ...]] = {}
        self._bytes = 0
        #: Whether some definition is no UTF-8; its `sql` then has surrogate escapes (PEP 383) for those bytes.
        self.binary = False
        #: Whether some definition that has a sql_mode stands there without one.
        self.without_mode = False

    def add(self, made: ObjectText, name: str, text: bytes, delimiter: bytes, settings: Session) -> bytes | None:
        """Take the definition of `name` with the settings it stands under; returns the script that makes it.

        None when a client would not take the text for one statement. Raises Damaged("too-big").
        """
        if delimiter == b";" and made.kind != "view":  # mydumper writes no DELIMITER lines
            delimiter = next((one for one in _DELIMITERS if one not in text), b"$remedy$")
            if not _is_one(text, delimiter, b"NO_BACKSLASH_ESCAPES" not in (settings.get("sql_mode") or b"")):
                return None
        kept = settings.settings(_KEPT.get(made.kind, _KEPT_ELSE))
        around = settings.settings(session.DEFINING if made.kind == "event" else session.DEFINING[:-1])
        script = session.around(_script(made.kind, text, delimiter), around)
        self._bytes += len(script)
        if self._bytes > _LIMIT:
            raise Damaged("too-big", f"more than {_LIMIT >> 20} MiB of views, triggers, routines and events")
        self.binary |= not _is_text(script)
        self.without_mode |= made.kind != "view" and "sql_mode" not in kept
        key = (made.kind.encode(), made.normal, *(one.encode() + b"=" + kept[one] for one in sorted(kept)))
        digest = hashlib.sha256(b"\0".join(key)).hexdigest()
        self._made.append(Object(made.kind, name, digest, made.definer, script.decode("utf-8", "surrogateescape")))
        if made.kind == "view":
            mentioned = set(_QUOTED.findall(made.normal))
            self._views[name] = tuple(unquoted(b"`" + one + b"`").decode("utf-8", "replace") for one in mentioned)
        return script

    def names(self, kind: str) -> set[str]:
        """Names of the definitions of one kind."""
        return {found.name for found in self._made if found.kind == kind}

    def collations(self) -> set[str]:
        """Collations that scripts set."""
        return {name for found in self._made for name in _COLLATION.findall(found.sql)}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._made)

    def ordered(self, sequences: dict[str, Sequence]) -> tuple[Object, ...]:
        """All of them, in an order in which they can be made; views after the views that they read."""
        made = [_sequence(name, sequence) for name, sequence in sequences.items()]
        for kind in _ORDER:
            of_kind = [found for found in self._made if found.kind == kind]
            made.extend(self._in_order(of_kind) if kind == "view" else of_kind)
        return tuple(made)

    def _in_order(self, views: list[Object]) -> list[Object]:
        """Views, each after those whose names it mentions. Without recursion: a chain of views may be long."""
        by_name = {view.name: view for view in views}
        ordered: list[Object] = []
        begun: set[str] = set()
        for first in by_name:
            stack = [] if first in begun else [(first, iter(self._views[first]))]
            begun.add(first)
            while stack:
                name, others = stack[-1]
                other = next((one for one in others if one in by_name and one not in begun), None)
                if other is None:
                    ordered.append(by_name[name])
                    stack.pop()
                else:
                    begun.add(other)
                    stack.append((other, iter(self._views[other])))
        return ordered


def _sequence(name: str, sequence: Sequence) -> Object:
    options = b" ".join(sequence.options.split())
    key = b"\0".join((b"sequence", name.encode("utf-8", "replace"), options, sequence.value))
    sql = sequence.sql.decode("utf-8", "surrogateescape")
    return Object("sequence", name, hashlib.sha256(key).hexdigest(), sql=sql)


def _script(kind: str, text: bytes, delimiter: bytes) -> bytes:
    if kind == "view":
        return text + b";\n"
    return b"DELIMITER " + delimiter + b"\n" + text + b"\n" + delimiter + b"\nDELIMITER ;\n"


def _is_one(text: bytes, delimiter: bytes, escapes: bool) -> bool:  # noqa: FBT001 -- an attribute of the splitter
    splitter = Splitter()
    splitter.escapes = escapes
    splitter.delimiter = delimiter
    tokens = [*splitter.feed(text + b"\n" + delimiter + b"\n"), *splitter.end()]
    return len(tokens) == 1 and isinstance(tokens[0], Statement)


def _is_text(script: bytes) -> bool:
    try:
        script.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
