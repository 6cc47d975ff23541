r"""The session settings that SET statements of a dump make, followed statement by statement.

Decides what a SET statement assigns, and so which settings a definition or a row stands under:

    /*!50003 SET @saved_cs_client      = @@character_set_client */ ;
    /*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' */ ;
    /*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;

What is sent is written anew from values whose form is known, never copied. Leaves to others: SET statements that are
no assignments to variables of the session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_NAMES: Final = re.compile(rb"SET\s+NAMES\s+['\"]?(\w+)['\"]?(?:\s+COLLATE\s+['\"]?(\w+)['\"]?)?\s*", re.IGNORECASE)
_SET: Final = re.compile(rb"SET\s+", re.IGNORECASE)
_ASSIGNMENT: Final = re.compile(
    rb"(?:(?P<word>GLOBAL|SESSION|LOCAL|PERSIST|PERSIST_ONLY)\s+|@@(?:(?P<scope>\w+)\s*\.\s*)?|(?P<user>@))?"
    rb"`?(?P<name>[\w$.]+)`?\s*:?=\s*"
    rb"(?P<value>'(?:[^'\\]++|\\.|'')*+'|\"(?:[^\"\\]++|\\.|\"\")*+\"|@@?[\w$.]+|[-+.\w]+)\s*(?P<more>,\s*)?",
    re.IGNORECASE | re.DOTALL,
)
_FORMS: Final = {
    "character_set_client": re.compile(rb"\w+"),
    "character_set_results": re.compile(rb"\w+"),
    "collation_connection": re.compile(rb"\w+"),
    "sql_mode": re.compile(rb"'[A-Z0-9_,]*'"),
    "time_zone": re.compile(rb"'[-+:/\w]+'"),
    "foreign_key_checks": re.compile(rb"[01]"),
    "unique_checks": re.compile(rb"[01]"),
    "system_versioning_insert_history": re.compile(rb"[01]"),
}
#: Settings that decide what a literal means.
READING: Final = ("character_set_client", "sql_mode", "time_zone")
#: Settings that belong to a definition.
DEFINING: Final = ("character_set_client", "character_set_results", "collation_connection", "sql_mode", "time_zone")
#: Variables that dumpers set and that change nothing of what is loaded.
HARMLESS: Final = frozenset(
    (
        *_FORMS,
        "character_set_connection",
        "autocommit",
        "sql_notes",
        "sql_log_bin",
        "sql_quote_show_create",
        "default_storage_engine",
        "default_table_access_method",
        "innodb_strict_mode",
        "net_write_timeout",
        "net_read_timeout",
        "insert_id",
        "timestamp",
    )
)
#: Dumpers save a dozen variables; more than these are not kept.
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment. `scope` is "session", "user" (a variable with @), or what else the text says, in lower case."""

    scope: str
    name: str
    value: bytes


def assignments(text: bytes) -> tuple[Assignment, ...] | None:
    """What a SET statement assigns; None when it is of another form."""
    if names := _NAMES.fullmatch(text):
        collation = names[2] or b"DEFAULT"
        return (
            Assignment("session", "character_set_client", names[1]),
            Assignment("session", "character_set_results", names[1]),
            Assignment("session", "collation_connection", collation),
        )
    start = _SET.match(text)
    at, found = (start.end() if start else len(text)), []
    while match := _ASSIGNMENT.match(text, at):
        scope = (match["word"] or match["scope"] or b"").decode("ascii", "replace").lower()
        scope = "user" if match["user"] else "session" if scope in ("", "local") else scope
        found.append(Assignment(scope, match["name"].decode("ascii", "replace").lower(), match["value"]))
        at = match.end()
        if not match["more"]:
            return tuple(found) if at == len(text) else None
    return None


class Session:
    """The variables that have been set so far."""

    def __init__(self) -> None:
        """Begin with nothing set."""
        self._variables: dict[str, bytes] = {}
        self._saved: dict[str, bytes | None] = {}

    def apply(self, made: Iterable[Assignment]) -> None:
        """Assign, from left to right."""
        for one in made:
            value = self._value(one.value)
            if one.scope == "user":
                if len(self._saved) < _MOST:
                    self._saved[one.name] = value
            elif value is None or value.upper() == b"DEFAULT":
                self._variables.pop(one.name, None)
            elif one.name in HARMLESS:
                self._variables[one.name] = value

    def _value(self, value: bytes) -> bytes | None:
        if value.startswith(b"@@"):
            return self._variables.get(value[2:].decode("ascii", "replace").lower().rpartition(".")[2])
        if value.startswith(b"@"):
            return self._saved.get(value[1:].decode("ascii", "replace").lower())
        return b"'" + value[1:-1] + b"'" if value.startswith(b'"') else value

    def get(self, name: str) -> bytes | None:
        """The value of a variable as it would be written, None when it was not set or has an unusual form."""
        value = self._variables.get(name)
        if value is None:
            return None
        if name == "sql_mode":
            value = value.upper()
        elif not name.startswith("time") and value.startswith(b"'"):
            value = value[1:-1]
        return value if _FORMS[name].fullmatch(value) else None

    def text(self, name: str) -> str:
        """The value without quotes, "" when not known."""
        return (self.get(name) or b"").strip(b"'").decode("ascii")

    def settings(self, names: Iterable[str]) -> dict[str, bytes]:
        """Those of the named variables that are known, as they would be written."""
        return {name: value for name in names if (value := self.get(name)) is not None}


def written(settings: dict[str, bytes]) -> bytes:
    """One SET statement that makes these settings."""
    return b"SET " + b", ".join(name.encode() + b"=" + value for name, value in settings.items()) + b";\n"


def made(settings: dict[str, bytes]) -> bytes:
    """The statements that make these settings, the client's character set with all that goes with it."""
    rest = {name: value for name, value in settings.items() if name != "character_set_client"}
    charset = settings.get("character_set_client")
    return (b"SET NAMES " + charset + b";\n" if charset else b"") + (written(rest) if rest else b"")


def around(script: bytes, settings: dict[str, bytes]) -> bytes:
    """The script with these settings made before it and taken back after it."""
    if not settings:
        return script
    saved = {f"@remedy_{name}": b"@@" + name.encode() for name in settings}
    back = {name: b"@remedy_" + name.encode() for name in settings}
    return written(saved) + written(settings) + script + written(back)
