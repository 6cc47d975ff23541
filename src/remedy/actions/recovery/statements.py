"""The SQL of a cut-over that the server itself writes: what is moved, dropped and counted is asked when it counts.

Decides how one question about a schema becomes the statements that move or empty it, so that no plan has to know which
tables there will be. Follows the MariaDB manual (RENAME TABLE, Information Schema). Leaves to others: when what is run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from remedy.backups.values import Object
from remedy.probes.database import named, other_than, quoted, within

#: The table that marks a schema as remedy's and keeps the definitions of what a rename cannot move.
KEPT: Final = "remedy__kept"
#: While writes are held nobody's lock is waited for longer.
BRIEFLY: Final = "SET SESSION lock_wait_timeout=1;"
_TABLES: Final = "('BASE TABLE','SYSTEM VERSIONED','SEQUENCE')"
#: Word, column of the name, table of information_schema, column of the schema.
_DEFINITIONS: Final = (
    ("'VIEW'", "table_name", "views", "table_schema"),
    ("'TRIGGER'", "trigger_name", "triggers", "trigger_schema"),
    ("routine_type", "routine_name", "routines", "routine_schema"),
    ("'EVENT'", "event_name", "events", "event_schema"),
)


def fingerprint(schema: str) -> str:
    """One SELECT whose answer changes whenever a view, trigger, routine or event of a schema does."""
    return (
        "SELECT CONCAT(COUNT(*), ':', IFNULL(SUM(CRC32(x)), 0)) FROM (SELECT CONCAT_WS('|', 'v', table_name, "
        "view_definition, definer, security_type) x FROM information_schema.views WHERE "
        f"{within('table_schema', schema)} UNION ALL "
        "SELECT CONCAT_WS('|', 't', trigger_name, event_object_table, action_timing, event_manipulation, "
        "action_statement, definer, sql_mode) FROM information_schema.triggers WHERE "
        f"{within('trigger_schema', schema)} UNION ALL "
        "SELECT CONCAT_WS('|', 'r', routine_type, routine_name, dtd_identifier, routine_definition, definer, sql_mode) "
        f"FROM information_schema.routines WHERE {within('routine_schema', schema)} UNION ALL "
        "SELECT CONCAT_WS('|', 'e', event_name, event_definition, definer, status, interval_value, interval_field) "
        f"FROM information_schema.events WHERE {within('event_schema', schema)}) q;"
    )


def _name(column: str) -> str:
    return f"CONCAT('`', REPLACE({column}, '`', '``'), '`')"


def _literal(text: str) -> str:
    return quoted(named(text))


def move(live: str, source: str, aside: str) -> str:
    """SQL that writes the SQL that moves: triggers dropped, then one RENAME: `live` goes `aside`, `source` live."""
    mine, others = within("table_schema", live), within("table_schema", source)
    return (
        f"SET SESSION group_concat_max_len=1073741824;\nSELECT '{BRIEFLY}';\n"
        f"SELECT CONCAT('DROP TRIGGER ', {_literal(live)}, '.', {_name('trigger_name')}, ';') FROM "
        f"information_schema.triggers WHERE {within('trigger_schema', live)};\n"
        f"SELECT CONCAT('CREATE DATABASE IF NOT EXISTS ', {_literal(aside)}, ';');\n"
        f"SELECT CONCAT('CREATE DATABASE IF NOT EXISTS ', {_literal(live)}, ';');\n"
        "SELECT CONCAT('RENAME TABLE ', GROUP_CONCAT(x ORDER BY place, x SEPARATOR ', '), ';') FROM ("
        f"SELECT 1 place, CONCAT({_literal(live)}, '.', {_name('table_name')}, ' TO ', {_literal(aside)}, '.', "
        f"{_name('table_name')}) x FROM information_schema.tables WHERE {mine} AND table_type IN {_TABLES} "
        f"UNION ALL SELECT 2, CONCAT({_literal(source)}, '.', {_name('table_name')}, ' TO ', "
        f"IF(table_name='{KEPT}', {_literal(aside)}, {_literal(live)}), '.', {_name('table_name')}) FROM "
        f"information_schema.tables WHERE {others} AND table_type IN {_TABLES}) q HAVING COUNT(*) > 0;"
    )


def kept(schema: str) -> str:
    """The SELECT that gives back the definitions kept beside moved tables, in the order in which they can be made."""
    return f"SELECT definition FROM {named(schema)}.{named(KEPT)} WHERE kind <> 'cut-over' ORDER BY number;"


def held(schema: str) -> str:
    """One SELECT: the milliseconds for which writes were held by the cut-over whose mark is in a schema."""
    return (
        f"SELECT definition FROM {named(schema)}.{named(KEPT)} WHERE kind='cut-over' AND name='swapped' "
        "ORDER BY number DESC LIMIT 1;"
    )


def keep(schema: str, run: str, old: tuple[Object, ...]) -> str:
    """The table that is mark and keeper of definitions; its comment, which says that it is complete, comes last."""
    table = f"{named(schema)}.{named(KEPT)}"
    made = (
        f"CREATE TABLE {table} (number INT NOT NULL AUTO_INCREMENT PRIMARY KEY, kind VARCHAR(40) NOT NULL, "
        "name VARCHAR(200) NOT NULL, definition LONGTEXT NOT NULL, kept_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP) "
        "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n"
    )
    rows = (f"({quoted(o.kind)}, {quoted(o.name)}, {quoted(o.sql)})" for o in old)
    made += "".join(f"INSERT INTO {table} (kind, name, definition) VALUES {row};\n" for row in rows)
    return f"{made}{mark(schema, f'{run} proven')}\n"


def drop(live: str, unchanged: Iterable[Object] = ()) -> str:
    """SQL that writes the SQL that drops every view, trigger, routine and event but the unchanged ones.

    PACKAGE is a word in Oracle's mode alone (MariaDB manual, DROP PACKAGE).
    """
    stay: dict[str, list[str]] = {}
    for one in unchanged:
        stay.setdefault(one.kind, []).append(one.name)
    # A function and a procedure may have the same name.
    conditions = {
        "routines": "".join(
            f" AND NOT (routine_type='{kind.upper()}'{other_than('routine_name', stay[kind], among=True)})"
            for kind in ("function", "procedure")
            if kind in stay
        ),
        "views": other_than("table_name", stay.get("view", ())),
        "events": other_than("event_name", stay.get("event", ())),
    }
    return f"SELECT '{BRIEFLY}';\n" + "\n".join(
        f"SELECT CONCAT(IF({word} LIKE 'PACKAGE%', 'SET sql_mode=ORACLE; ', ''), 'DROP ', {word}, ' IF EXISTS ', "
        f"{_literal(live)}, '.', {_name(name)}, IF({word} LIKE 'PACKAGE%', '; SET sql_mode=DEFAULT;', ';')) FROM "
        f"information_schema.{table} WHERE {within(schema, live)}{conditions.get(table, '')};"
        for word, name, table, schema in _DEFINITIONS
    )


def count(live: str, without_events: tuple[str, ...] = ()) -> str:
    """One SELECT: how many views, triggers, routines and events there are, the named events left out."""
    counts = (
        f"(SELECT COUNT(*) FROM information_schema.{table} WHERE {within(schema, live)}"
        f"{other_than(name, without_events) if table == 'events' else ''})"
        for _, name, table, schema in _DEFINITIONS
    )
    return f"SELECT {' + '.join(counts)};"


def marked(schema: str, condition: str) -> str:
    """One SELECT: 1 when the mark is in a schema and its comment (`table_comment`) is as the condition says, else 0."""
    return (
        f"SELECT COUNT(*) FROM information_schema.tables WHERE {within('table_schema', schema)} AND "
        f"table_name='{KEPT}' AND {condition};"
    )


def mark(schema: str, text: str) -> str:
    """Write into the mark."""
    return f"ALTER TABLE {named(schema)}.{named(KEPT)} COMMENT='{text}';"


def drop_if_empty(schema: str) -> str:
    """Drop a schema that has no tables or views left."""
    return (
        f"SELECT COUNT(*) INTO @left FROM information_schema.tables WHERE {within('table_schema', schema)};\n"
        f"SET @drop = IF(@left, 'DO 0', CONCAT('DROP DATABASE IF EXISTS ', {_literal(schema)}));\n"
        "PREPARE gone FROM @drop;\nEXECUTE gone;"
    )
