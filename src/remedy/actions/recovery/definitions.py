r"""What definitions need in order to be created by an account of our own: a definer, rights elsewhere, their time.

A dump can come without DEFINER clauses (mydumper --skip-definer, or somebody's sed). The server then writes in whoever
creates the definition, which here is an account that is gone a moment later: a view would be left that nobody can open.
Decides where the clause stands (MariaDB manual, CREATE VIEW, CREATE TRIGGER …): after CREATE, OR REPLACE and ALGORITHM.

    CREATE PROCEDURE `p`() …                   CREATE DEFINER=`root`@`localhost` PROCEDURE `p`() …
    /*!50003 CREATE*/ /*!50003 TRIGGER `t` …   /*!50003 CREATE DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `t` …
    CREATE DEFINER=CURRENT_USER VIEW `v` …     CREATE DEFINER=`root`@`localhost` VIEW `v` …
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from remedy.backups.values import Object
from remedy.core.canon import Json
from remedy.core.errors import Refused
from remedy.core.text import printable
from remedy.probes.database import named

#: Whoever loads a dump by hand is written in by the server; on a host that is root.
DEFINER: Final = "root@localhost"
_ACCOUNT: Final = "`root`@`localhost`"

_VERSION: Final = r"(?:/\*M?!\d{5,6}\s*)?"
#: Ends and beginnings of version comments, empty ones too: sed leaves those where a definer was.
_BETWEEN: Final = r"(?:\s|\*/|/\*M?!\d{5,6})*"
_CREATE: Final = re.compile(rf"^{_VERSION}CREATE\b", re.IGNORECASE | re.MULTILINE)
_HEAD: Final = re.compile(
    rf"{_VERSION}CREATE(?:{_BETWEEN}OR\s+REPLACE\b)?(?:{_BETWEEN}ALGORITHM\s*=\s*\w+)?", re.IGNORECASE
)
_WHOEVER: Final = re.compile(rf"({_BETWEEN}DEFINER\s*=\s*)CURRENT_(?:USER|ROLE)\b(?:\s*\(\s*\))?", re.IGNORECASE)
_NEXT: Final = re.compile(
    rf"{_BETWEEN}(?:SQL\s+SECURITY|AGGREGATE|VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE)\b", re.IGNORECASE
)


#: The end of an event: a moment, or the last one of many; when it has passed the server drops the event.
_ENDS: Final = re.compile(r"\bON\s+SCHEDULE\s+AT\b|\bENDS\s+'", re.IGNORECASE)
_NAMED: Final = re.compile(r"`((?:[^`]|``)+)`\s*\.")
_SYSTEM: Final = frozenset({"information_schema", "mysql", "performance_schema", "sys"})


def passing(made: Iterable[Object]) -> tuple[str, ...]:
    """Names of events that may be over: the server then drops them as soon as they are created."""
    return tuple(o.name for o in made if o.kind == "event" and _ENDS.search(o.sql))


def unchanged(new: Iterable[Object], old: Iterable[Object]) -> tuple[Object, ...]:
    """What is in both, word for word, and can stay where it is while the tables beneath it change places.

    Triggers go with their tables; a package and its body go together.
    """
    known = {(o.kind, o.name, o.digest, o.definer) for o in old if o.digest}
    stays = (o for o in new if (o.kind, o.name, o.digest, o.definer) in known)
    return tuple(o for o in stays if o.kind not in {"trigger", "package", "package body"})


def read_elsewhere(made: Iterable[Object], schemas: Iterable[str], own: str) -> tuple[str, ...]:
    """Those of `schemas` that views name beside their `own`. What runs by a definer's rights needs them at no creation.

    The server's own schemas are no part of it: an account that may create definitions must not read those.
    """
    named = {m.replace("``", "`") for o in made if o.kind == "view" for m in _NAMED.findall(o.sql)}
    return tuple(sorted((named & {*schemas}) - _SYSTEM - {own}))


def without_definer(made: Object) -> bool:
    """Whether a definition leaves open by whose rights it runs. A sequence has none."""
    return made.kind != "sequence" and made.definer.upper() in {"", "CURRENT_USER", "CURRENT_ROLE"}


def with_definer(made: Object) -> Object:
    """The same definition, run by the rights of `DEFINER` if it does not say by whose.

    Raises Refused for a text that is not understood; nothing is sent then.
    """
    if not without_definer(made):
        return made
    start = _CREATE.search(made.sql)
    head = _HEAD.match(made.sql, start.start()) if start else None
    if head is not None:
        before, after = made.sql[: head.end()], made.sql[head.end() :]
        if whoever := _WHOEVER.match(after):
            after, clause = after[whoever.end() :], f"{whoever[1]}{_ACCOUNT}"
        else:
            clause = f" DEFINER={_ACCOUNT}"
        if _NEXT.match(after):
            return replace(made, sql=before + clause + after, definer=DEFINER)
    raise Refused(
        f"{made.kind} {printable(made.name, 80, one_line=True)} names no definer, and where one would go is not clear",
        hint="take a backup that keeps its DEFINER clauses",
    )


def stored_view(row: Mapping[str, Json]) -> Object:
    """A view that the dump program cannot write, from what `probes.database.views` says of it."""
    user, _, host = str(row["definer"]).rpartition("@")
    by = f"{named(user)}@{named(host)}"
    check = str(row["check"])
    tail = f" WITH {check} CHECK OPTION" if check in {"LOCAL", "CASCADED"} else ""
    security = "INVOKER" if row["security"] == "INVOKER" else "DEFINER"
    name = str(row["name"])
    sql = f"CREATE DEFINER={by} SQL SECURITY {security} VIEW {named(name)} AS {row['definition']}{tail};"
    return Object("view", name, "", str(row["definer"]), sql)
