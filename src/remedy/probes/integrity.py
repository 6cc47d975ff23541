"""Whether the rows of a schema fit together, and who may touch them: foreign keys, rights, roles."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.core.values import Probe, Reply
from remedy.probes import text
from remedy.probes.database import client, named, quoted, within

_OPTIONS: Final = ("--batch", "--raw", "--skip-column-names")


def keys(defaults_file: str, schema: str) -> Probe:
    """The foreign keys of a schema: a list of {"name", "table", "to", "columns": [[own, other], …]}.

    `to` is [schema, table] of the table referred to.
    """
    sql = f"""
SELECT JSON_OBJECT('name',constraint_name,'table',table_name,'own',column_name,'schema',referenced_table_schema,
 'to',referenced_table_name,'other',referenced_column_name) FROM information_schema.key_column_usage
 WHERE {within("table_schema", schema)} AND referenced_table_name IS NOT NULL
 ORDER BY table_name, constraint_name, ordinal_position;
"""
    return Probe(client(defaults_file, *_OPTIONS, sql=sql), "integrity.keys")


def parse_keys(reply: Reply) -> Json:
    """Read one JSON object per column of a key.

    Sample::

        {"name": "fk_order", "table": "item", "own": "order_id", "schema": "site", "to": "orders", "other": "id"}
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in text(reply, "listing the foreign keys").splitlines():
        try:
            row = {key: str(value) for key, value in json.loads(line).items()}
            key = (row["table"], row["name"])
            made = found.setdefault(
                key, {"name": row["name"], "table": row["table"], "to": [row["schema"], row["to"]], "columns": []}
            )
            made["columns"].append([row["own"], row["other"]])
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            said = printable(line, 80, one_line=True)
            raise AnswerUnusable(f"the list of foreign keys makes no sense: {said}") from error
    return list(found.values())


def there(defaults_file: str, found: list[dict[str, Any]]) -> Probe:
    """For each of these keys, whether the table that it refers to exists: a list of 0 and 1. It may be dropped."""
    sql = "".join(
        f"SELECT COUNT(*) FROM information_schema.tables "
        f"WHERE {within('table_schema', key['to'][0])} AND {within('table_name', key['to'][1])};\n"
        for key in found
    )
    return Probe(client(defaults_file, *_OPTIONS, sql=sql), "integrity.numbers")


def orphans(defaults_file: str, schema: str, found: list[dict[str, Any]], present: Sequence[int] = ()) -> Probe:
    """For each of these keys, how many rows refer to nothing: a list of numbers.

    `present` is what `there` answers: where the other table is gone, every row that refers to it does.
    """
    lines = []
    for number, key in enumerate(found):
        own, other = f"{named(schema)}.{named(key['table'])}", f"{named(key['to'][0])}.{named(key['to'][1])}"
        joined = " AND ".join(f"o.{named(b)} = c.{named(a)}" for a, b in key["columns"])
        refers = " AND ".join(f"c.{named(a)} IS NOT NULL" for a, _ in key["columns"])
        if present and not present[number]:
            lines.append(f"SELECT COUNT(*) FROM {own} c WHERE {refers};")
            continue
        lines.append(
            f"SELECT COUNT(*) FROM {own} c LEFT JOIN {other} o ON {joined} "
            f"WHERE {refers} AND o.{named(key['columns'][0][1])} IS NULL;"
        )
    return Probe(client(defaults_file, *_OPTIONS, sql="\n".join(lines) + "\n", seconds=3600), "integrity.numbers")


def parse_numbers(reply: Reply) -> Json:
    """Read one number per line.

    Sample::

        0
        17
    """
    lines = text(reply, "looking for rows that refer to nothing").split()
    if not all(line.isascii() and line.isdigit() for line in lines):
        raise AnswerUnusable("the numbers make no sense", hint="nothing was decided from them")
    return [int(line[:18]) for line in lines]


def rights_sql(schema: str) -> str:
    """One SELECT per level; one right per row, no password in any."""
    where = f"table_schema={quoted(schema)}"
    return f"""
SELECT CONCAT(grantee, ' ', privilege_type, ' on *.*', IF(is_grantable='YES',' with grant option',''))
 FROM information_schema.user_privileges WHERE privilege_type <> 'USAGE' AND grantee NOT LIKE '\\'remedy\\_%';
SELECT CONCAT(grantee, ' ', privilege_type, ' on ', table_schema, '.*', IF(is_grantable='YES',' with grant option',''))
 FROM information_schema.schema_privileges WHERE ({where} OR {quoted(schema)} LIKE table_schema)
 AND grantee NOT LIKE '\\'remedy\\_%';
SELECT CONCAT(grantee, ' ', privilege_type, ' on ', table_schema, '.', table_name,
 IF(is_grantable='YES',' with grant option','')) FROM information_schema.table_privileges WHERE {where};
SELECT CONCAT(grantee, ' ', privilege_type, ' (', column_name, ') on ', table_schema, '.', table_name)
 FROM information_schema.column_privileges WHERE {where};
"""


def rights(defaults_file: str, schema: str) -> Probe:
    """Who may do what in a schema: a sorted list such as "'app'@'%' SELECT on site.*"."""
    return Probe(client(defaults_file, *_OPTIONS, sql=rights_sql(schema)), "integrity.rights")


def parse_rights(reply: Reply) -> Json:
    """Read one right per line.

    Sample::

        'site'@'198.18.1.%' SELECT on site.*
    """
    lines: list[Json] = []
    said = text(reply, "asking who may do what").splitlines()
    lines += sorted({printable(line, 400, one_line=True) for line in said})
    return lines


#: Rights that information_schema does not tell: kind, how each reads, where they are. Of two places of a kind a server
#: has one. MariaDB manual: mysql.procs_priv, roles_mapping, user, proxies_priv; MySQL: mysql.role_edges, default_roles.
#: Root administers every role that it has made, which is no right of its own.
_WHO: Final = "QUOTE(user), '@', QUOTE(host)"
_HELD: Final = (
    (
        "rights on routines",
        f"CONCAT({_WHO}, ' ', proc_priv, ' on ', LOWER(routine_type), ' ', db, '.', routine_name)",
        "mysql.procs_priv WHERE BINARY db={schema} AND user NOT LIKE 'remedy\\_%'",
    ),
    (
        "roles",
        (
            f"CONCAT(IF(host='', QUOTE(user), CONCAT({_WHO})), ' has role ', role, "
            "IF(admin_option='Y', ' with admin option', ''))"
        ),
        "mysql.roles_mapping WHERE NOT (user='root' AND host='localhost')",
    ),
    (
        "roles",
        (
            "CONCAT(QUOTE(to_user), '@', QUOTE(to_host), ' has role ', from_user, "
            "IF(with_admin_option='Y', ' with admin option', ''))"
        ),
        "mysql.role_edges",
    ),
    ("default roles", f"CONCAT({_WHO}, ' begins with role ', default_role)", "mysql.user WHERE default_role<>''"),
    ("default roles", f"CONCAT({_WHO}, ' begins with role ', default_role_user)", "mysql.default_roles"),
    (
        "proxies",
        (
            f"CONCAT({_WHO}, ' may act as ', QUOTE(proxied_user), '@', QUOTE(proxied_host), "
            "IF(with_grant, ' with grant option', ''))"
        ),
        "mysql.proxies_priv WHERE user<>'root'",
    ),
)
#: The kinds of such rights.
HELD: Final = tuple(dict.fromkeys(kind for kind, _, _ in _HELD))


def held_sql(schema: str) -> tuple[str, ...]:
    """Questions for such rights, answered in lines of JSON: [kind], so that none is an answer, then [kind, right]."""
    return tuple(
        f"SELECT JSON_ARRAY({quoted(kind)}) UNION ALL SELECT JSON_ARRAY({quoted(kind)}, {said}) "
        f"FROM {place.format(schema=quoted(schema))}"
        for kind, said, place in _HELD
    )


def held(defaults_file: str, schema: str) -> Probe:
    """Who may call which routine of a schema, who has which role, who may act as whom: lists by kind (`HELD`).

    A kind that the login may not read, or the server does not know, is not among them: its question is passed over.
    """
    sql = "".join(f"{one};\n" for one in (*held_sql(schema), "SELECT JSON_ARRAY()"))
    return Probe(client(defaults_file, *_OPTIONS, "--force", sql=sql), "integrity.held")


def parse_held(reply: Reply) -> Json:
    """Read one JSON array per line, an empty one at the end. The status says only that a question was passed over.

    Sample::

        ["roles"]
        ["roles", "'app'@'%' has role reader"]
        []
    """
    lines = reply.out.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n")
    if lines[-1] != "[]":
        said = printable((reply.err or reply.out).strip(), 200, one_line=True)
        raise AnswerUnusable(f"asking who may do what: {said}", hint="nothing was decided from it")
    return {kind: [*rights] for kind, rights in held_of(lines[:-1]).items()}


def held_of(lines: Iterable[str]) -> dict[str, list[str]]:
    """The lists by kind. Raises AnswerUnusable for a line that answers none of `held_sql`."""
    found: dict[str, set[str]] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, list) or not 1 <= len(row) <= 2 or row[0] not in HELD:  # noqa: PLR2004 -- kind, right
            raise AnswerUnusable(f"the list of rights makes no sense: {printable(line, 80, one_line=True)}")
        found.setdefault(row[0], set()).update(printable(str(one), 400, one_line=True) for one in row[1:])
    return {kind: sorted(rights) for kind, rights in found.items()}


PARSERS = {"held": parse_held, "keys": parse_keys, "numbers": parse_numbers, "rights": parse_rights}
