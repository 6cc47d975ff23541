"""The accounts of a server, as statements that make them again: kept in a backup's manifest, used by a rebuilt server.

Decides which statements of `mariadb-dump --system=users` are kept: those that make an account or a role and grant it
something, one by one, and none about the accounts that every server has of its own. Passwords are in them as the
server keeps them, hashed. Leaves to others: running them.

    CREATE USER `site`@`198.18.1.%` IDENTIFIED BY PASSWORD '*64E2…';
    GRANT SELECT, INSERT ON `site`.* TO `site`@`198.18.1.%`;
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from remedy.backups.sql import Splitter, Statement

#: Every server makes these itself; root comes back with the socket it is let in by.
OWN: Final = frozenset(
    {"root", "mariadb.sys", "mysql", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint"}
)
_HELPER: Final = "mariadb_dump_import_role"
_KIND: Final = re.compile(r"(CREATE (?:USER|ROLE) |GRANT |/\*M!100005 SET DEFAULT ROLE )")
_TO: Final = re.compile(
    r"(?:CREATE (?:USER|ROLE)(?: IF NOT EXISTS)? |GRANT .* TO |/\*M!100005 SET DEFAULT ROLE .* FOR )"
    r"(?P<quote>[`'])(?P<name>(?:(?!(?P=quote)).)*)(?P=quote)(?:@(?P<q2>[`'])(?P<host>(?:(?!(?P=q2)).)*)(?P=q2))?",
    re.DOTALL,
)
_ALL: Final = re.compile(r"GRANT (?:ALL PRIVILEGES|[^;]*\bSUPER\b)[^;]* ON \*\.\* TO ")
#: On everything, on a whole schema, of a role, to act as another.
_WIDE: Final = re.compile(r"GRANT (?:(?:(?! ON ).)* ON (?:\*|`(?:[^`]|``)*`)\.\* TO |PROXY |`[^`]*`(?:@`[^`]*`)? TO )")
_LONGEST: Final = 100_000


def kept(text: bytes) -> tuple[str, ...]:
    """The statements worth keeping, in order. What is not understood is left out: it is never run."""
    splitter = Splitter()
    found = []
    for token in (*splitter.feed(text), *splitter.end()):
        if not isinstance(token, Statement) or len(token.text) > _LONGEST:
            continue
        sql = token.text.decode("utf-8", "backslashreplace").strip().rstrip(";").strip()
        if _KIND.match(sql) and name(sql) and name(sql).partition("@")[0] not in OWN and _HELPER not in sql:
            found.append(sql)
    return tuple(found)


def name(statement: str) -> str:
    """Whose statement it is: "user@host", a role's name, "" when that cannot be told."""
    found = _TO.match(statement)
    if not found:
        return ""
    return f"{found['name']}@{found['host']}" if found["host"] is not None else found["name"]


def names(statements: Iterable[str]) -> tuple[str, ...]:
    """Every account and role, once, in order."""
    return tuple(dict.fromkeys(name(one) for one in statements))


def on_objects(statements: Iterable[str]) -> tuple[str, ...]:
    """The grants on single tables and routines: a server takes them only once those are there."""
    return tuple(one for one in statements if one.startswith("GRANT ") and not _WIDE.match(one))


def powerful(statements: Iterable[str]) -> tuple[str, ...]:
    """Those with everything, or SUPER, on the whole server: to be looked at twice."""
    return tuple(dict.fromkeys(name(one) for one in statements if _ALL.match(one)))


def again(statements: Iterable[str]) -> str:
    """A script that makes them, one statement a line; what is there already is left as it is."""
    made = (re.sub(r"\A(CREATE (?:USER|ROLE)) (?!IF NOT EXISTS)", r"\1 IF NOT EXISTS ", one) for one in statements)
    return "".join(f"{one};\n" for one in made)
