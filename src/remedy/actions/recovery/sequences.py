r"""Tables whose columns take their default from a sequence, which cannot be loaded beside the live data.

A server writes such a default with the sequence's schema, whatever schema the table is dumped from (MariaDB 10.11):

    CREATE TABLE `ticket` (
      `id` int(11) NOT NULL DEFAULT nextval(`site`.`number`),

Making the table in the staging schema takes SELECT and INSERT on the live sequence (error 1142), or fails where there
is none (1146). The loading account must not have them: with INSERT on it whatever a backup says could be done to the
live numbers. Decides which tables do so, from their definitions. Leaves to others: refusing.
"""

from __future__ import annotations

import re
from typing import Final

_IDENT: Final = r"`(?:[^`]|``)+`"
_TABLE: Final = re.compile(rf"^CREATE TABLE (?:IF NOT EXISTS )?(?P<name>{_IDENT}) \($", re.MULTILINE)
_END: Final = re.compile(r"^\)", re.MULTILINE)
_STRING: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_ASKED: Final = re.compile(rf"\b(?:nextval|lastval|setval)\(\s*({_IDENT})\.({_IDENT})", re.IGNORECASE)


def asked(definitions: str) -> dict[str, str]:
    """The tables of a dump that ask a sequence for a default: "schema.sequence" by the table's name."""
    found: dict[str, str] = {}
    for table in _TABLE.finditer(definitions):
        end = _END.search(definitions, table.end())
        columns = definitions[table.end() : end.start() if end else len(definitions)]
        # What stands in a string, a comment of a column say, asks nothing.
        if sequence := _ASKED.search(_STRING.sub("''", columns)):
            found[_bare(table["name"])] = f"{_bare(sequence[1])}.{_bare(sequence[2])}"
    return found


def _bare(ident: str) -> str:
    return ident[1:-1].replace("``", "`")
