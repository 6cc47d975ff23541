"""What a MariaDB or MySQL server says of itself and of one schema, asked through the client on its own host.

One round trip each, no open database port, no password on the way: the client logs in as root by socket, or with an
option file of the host's. Needs JSON_OBJECT (MariaDB 10.2.3, MySQL 5.7.8). Decides no more than what was answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text

#: What a session begins with, so that nothing a server or an option file sets by default changes what our SQL means:
#: quotes, limits, and how long it waits for somebody else's lock (by default a day, while others queue behind it).
SESSION: Final = (
    "SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO', autocommit=1, lock_wait_timeout=10, "
    "sql_select_limit=18446744073709551615 /*M!100101 , max_statement_time=0 */"
)
#: A named option file is the last that is read: ~/.my.cnf, which comes after it, would log in as somebody else.
_LOGIN: Final = (
    "unset MYSQL_HOME MYSQL_GROUP_SUFFIX MYSQL_HOST MYSQL_PWD MYSQL_TCP_PORT MYSQL_UNIX_PORT; "
    'if [ -n "$f" ]; then HOME=/nonexistent; export HOME; set -- "--defaults-extra-file=$f" "$@"; fi; exec "$c" "$@"'
)
#: Runs the native client whatever it is called; "$1" is an option file or "", the rest are its options.
CLIENT: Final = (
    'f=$1; shift; c=$(command -v mariadb || command -v mysql) || { echo "no mariadb or mysql client" >&2; exit 127; }; '
    f'set -- --skip-safe-updates "--init-command={SESSION}" "$@"; {_LOGIN}'
)
_DUMP: Final = (
    "f=$1; shift; c=$(command -v mariadb-dump || command -v mysqldump) || "
    f'{{ echo "no mariadb-dump or mysqldump" >&2; exit 127; }}; {_LOGIN}'
)
_VARIABLES: Final = (
    "version",
    "version_comment",
    "datadir",
    "read_only",
    "log_bin",
    "max_allowed_packet",
    "lower_case_table_names",
    "character_set_server",
    "event_scheduler",
    "wsrep_on",
    "innodb_page_size",
    "system_time_zone",
    "log_bin_trust_function_creators",
    "automatic_sp_privileges",
    "sql_select_limit",
)
_LONG: Final = 60


def quoted(text: str) -> str:
    """An SQL string literal, whatever the sql_mode: the bytes in hexadecimal (MySQL manual, Hexadecimal Literals)."""
    return f"CONVERT(0x{text.encode().hex()} USING utf8mb4)" if text else "''"


def named(name: str) -> str:
    """A quoted identifier (MySQL manual, Schema Object Names)."""
    return "`" + name.replace("`", "``") + "`"


def within(column: str, schema: str) -> str:
    """A condition on a column of information_schema: exactly this schema.

    The columns compare without regard to case and accents, so `Site` and `site` are told apart by their bytes. The
    first half is what the server looks a schema up by; without it every table of the server would be opened.
    """
    name = f"_utf8mb3 0x{schema.encode().hex()}"
    return f"({column}={name} AND BINARY {column}={name})"


def other_than(column: str, names: Sequence[str], *, among: bool = False) -> str:
    """What is added to a condition to leave out rows of exactly these names; with `among`, all others."""
    word = "IN" if among else "NOT IN"
    return f" AND BINARY {column} {word} ({', '.join(map(quoted, names))})" if names else ""


def client(defaults_file: str, *options: str, sql: str = "", seconds: int = 60) -> Command:
    """The native client with these options and `sql`, in UTF-8, on its standard input."""
    argv = ("sh", "-c", CLIENT, "remedy", defaults_file, "--default-character-set=utf8mb4", *options)
    return Command(argv, stdin=sql, seconds=seconds)


def asking(defaults_file: str, sql: str, parser: str, seconds: int = _LONG) -> Probe:
    """A question in SQL, its answer without headings and without escapes."""
    return Probe(client(defaults_file, "--batch", "--raw", "--skip-column-names", sql=sql, seconds=seconds), parser)


def variables(defaults_file: str = "") -> Probe:
    """The server's version and what of its settings matters: a map of name to text, absent ones left out."""
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    return asking(defaults_file, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names});\n", "database.variables")


def parse_variables(reply: Reply) -> Json:
    r"""Read `SHOW GLOBAL VARIABLES`.

    Sample::

        datadir\t/var/lib/mysql/
        version\t10.11.6-MariaDB-0+deb12u1-log
    """
    found: dict[str, Json] = {}
    for line in lines_of(reply):
        name, tab, value = line.partition("\t")
        if not tab or name not in _VARIABLES:
            raise AnswerUnusable(f"the server's settings make no sense: {printable(line, 80, one_line=True)}")
        found[name] = value
    return found


def schemas(defaults_file: str, *names: str) -> Probe:
    """Everything in these schemas, and what stands around the first of them: a map, see `parse_schemas`."""
    live = names[0]
    listed = " OR ".join(within("schema_name", name) for name in names)
    tables = " UNION ALL ".join(
        "SELECT table_schema s, table_name n, JSON_OBJECT('is','table','schema',table_schema,'name',table_name,'type',"
        "table_type,'engine',IFNULL(engine,''),'rows',IFNULL(table_rows,0),'bytes',IFNULL(data_length+index_length,0),"
        f"'comment',IFNULL(table_comment,'')) j FROM information_schema.tables WHERE {within('table_schema', name)}"
        for name in names
    )
    sql = f"""
SELECT JSON_OBJECT('is','schema','schema',schema_name) FROM information_schema.schemata WHERE {listed};
SELECT j FROM ({tables}) q ORDER BY s, n;
SELECT JSON_OBJECT('is','trigger','name',trigger_name,'table',event_object_table) FROM information_schema.triggers
 WHERE {within("trigger_schema", live)} ORDER BY trigger_name;
SELECT JSON_OBJECT('is','routine','name',routine_name,'type',routine_type) FROM information_schema.routines
 WHERE {within("routine_schema", live)} ORDER BY routine_type, routine_name;
SELECT JSON_OBJECT('is','event','name',event_name) FROM information_schema.events
 WHERE {within("event_schema", live)} ORDER BY event_name;
SELECT DISTINCT JSON_OBJECT('is','inbound','schema',table_schema,'name',table_name,'to',referenced_table_name)
 FROM information_schema.key_column_usage WHERE {within("referenced_table_schema", live)}
 AND BINARY table_schema<>_utf8mb3 0x{live.encode().hex()};
"""
    return asking(defaults_file, sql, "database.schemas")


#: What each kind of row has to say, and of what type.
_SHAPES: Final[dict[str, dict[str, type]]] = {
    "schema": {"schema": str},
    "table": {"schema": str, "name": str, "type": str, "engine": str, "rows": int, "bytes": int, "comment": str},
    "trigger": {"name": str, "table": str},
    "routine": {"name": str, "type": str},
    "event": {"name": str},
    "inbound": {"schema": str, "name": str, "to": str},
}
_VIEW: Final[dict[str, dict[str, type]]] = {
    "view": {"name": str, "definer": str, "security": str, "check": str, "definition": str}
}
_NAMED: Final[dict[str, dict[str, type]]] = {"named": {"kind": str, "name": str}}


def parse_schemas(reply: Reply) -> Json:
    """Read one JSON object per line into a map of lists by kind: schema, table, trigger, routine, event, inbound.

    Sample::

        {"is": "schema", "schema": "site"}
        {"is": "table", "schema": "site", "name": "notice", "type": "BASE TABLE", "engine": "InnoDB", "rows": 5, …}
        {"is": "trigger", "name": "notice_bi", "table": "notice"}
    """
    lists: dict[str, list[Json]] = {kind: [] for kind in _SHAPES}
    for line in lines_of(reply):
        row = row_of(line, _SHAPES)
        lists[str(row.pop("is"))].append(row)
    return {**lists}


def structure(defaults_file: str, schema: str) -> Probe:
    """The definitions of a schema, as the dump program writes them: text."""
    options = ("--no-data", "--routines", "--events", "--triggers", "--single-transaction", "--skip-lock-tables")
    argv = ("sh", "-c", _DUMP, "remedy", defaults_file, *options, "--no-tablespaces", "--force", "--", schema)
    return Probe(Command(argv, seconds=120), "database.text")


def parse_text(reply: Reply) -> Json:
    """The text as it is. A view that cannot be shown is left out by the dump program (--force): status 2 is no end."""
    if reply.status not in {0, 2}:
        said = printable(reply.err.strip(), 200, one_line=True)
        raise AnswerUnusable(f"the definitions cannot be read (status {reply.status}): {said}")
    return reply.out.decode("utf-8", "backslashreplace")


def existing(defaults_file: str) -> Probe:
    """The schemas of the server: a sorted list such as "schema site"."""
    sql = "SELECT JSON_OBJECT('is','named','kind','schema','name',schema_name) FROM information_schema.schemata;\n"
    return asking(defaults_file, sql, "database.names")


def names(defaults_file: str, schema: str, most: int = 1_000_000, without_events: Sequence[str] = ()) -> Probe:
    """What a schema holds: a sorted list such as "table notice", "view latest", "trigger notice_bi".

    With `most` only so many of each kind are named; events in `without_events` are not.
    """
    kind = "CASE table_type WHEN 'VIEW' THEN 'view' WHEN 'SEQUENCE' THEN 'sequence' ELSE 'table' END"
    parts = (
        (kind, "table_name", "tables", "table_schema"),
        ("'trigger'", "trigger_name", "triggers", "trigger_schema"),
        ("LOWER(routine_type)", "routine_name", "routines", "routine_schema"),
        ("'event'", "event_name", "events", "event_schema"),
    )
    sql = "".join(
        f"SELECT JSON_OBJECT('is','named','kind',{kind},'name',{name}) FROM information_schema.{table} "
        f"WHERE {within(column, schema)}{other_than(name, without_events) if table == 'events' else ''} LIMIT {most};\n"
        for kind, name, table, column in parts
    )
    return asking(defaults_file, sql, "database.names")


def parse_names(reply: Reply) -> Json:
    """Read one JSON object per line.

    Sample::

        {"is": "named", "kind": "table", "name": "notice"}
        {"is": "named", "kind": "view", "name": "latest"}
    """
    rows = [row_of(line, _NAMED) for line in lines_of(reply)]
    found: list[Json] = []
    found += sorted(f"{row['kind']} {row['name']}" for row in rows)
    return found


def fingerprint(defaults_file: str, sql: str) -> Probe:
    """One SELECT that gives one short text."""
    return asking(defaults_file, sql + "\n", "database.line")


def parse_line(reply: Reply) -> Json:
    """Read exactly one line, "" when there is none."""
    lines = lines_of(reply)
    if len(lines) > 1:
        raise AnswerUnusable("the server gave several lines where one was asked for")
    return lines[0] if lines else ""


def views(defaults_file: str, schema: str) -> Probe:
    """The views of a schema as the server has them stored, whether or not what they read is still there.

    A list of maps with name, definer, security, check and definition (MariaDB manual, Information Schema VIEWS Table).
    """
    sql = (
        "SELECT JSON_OBJECT('is','view','name',table_name,'definer',definer,'security',security_type,'check',"
        f"check_option,'definition',view_definition) FROM information_schema.views WHERE "
        f"{within('table_schema', schema)} ORDER BY table_name;\n"
    )
    return asking(defaults_file, sql, "database.views")


def parse_views(reply: Reply) -> Json:
    """Read one JSON object per line.

    Sample::

        {"is": "view", "name": "latest", "definer": "root@localhost", "security": "DEFINER", "check": "NONE", …}
    """
    rows: list[Json] = []
    rows += [row_of(line, _VIEW) for line in lines_of(reply)]
    return rows


def space(folder: str) -> Probe:
    """Bytes free and in all on the file system that holds `folder`: {"free", "size"}."""
    return Probe(Command(("df", "-Pk", "--", folder)), "database.space")


_SPACE: Final = re.compile(r" (\d{1,15}) +\d{1,15} +(\d{1,15}) +(?:\d{1,3}%|-) /")


def parse_space(reply: Reply) -> Json:
    """Read POSIX `df -P`.

    Sample::

        Filesystem     1024-blocks     Used Available Capacity Mounted on
        /dev/vda1         51475068 12345678  36489390      26% /
    """
    lines = [line for line in lines_of(reply) if line]
    found = _SPACE.search(lines[-1]) if lines else None
    if found is None:
        raise AnswerUnusable("df tells nothing about the free space", hint="nothing was decided from it")
    return {"free": int(found[2]) * 1024, "size": int(found[1]) * 1024}


def number(defaults_file: str, schema: str, sql: str, at_least: int) -> Probe:
    """Whether a question that gives one number gives at least so much: "yes", or what came instead.

    It is asked in a read-only transaction: a question that changes something is no question.
    """
    asked = f"USE {named(schema)};\nSET SESSION TRANSACTION READ ONLY;\n{sql.rstrip().rstrip(';')};\n"
    options = ("--batch", "--raw", "--skip-column-names", "--binary-mode", "--default-character-set=utf8mb4")
    argv = ("sh", "-c", _NUMBER, "remedy", str(at_least), defaults_file, *options)
    return Probe(Command(argv, stdin=asked, seconds=300), "database.word")


_NUMBER: Final = (
    "least=$1; shift; run() ( " + CLIENT + ' ); out=$(run "$@" 2>&1) || { printf "%s" "$out"; exit 0; }; '
    'n=${out%%.*}; case "$n" in ""|*[!0-9-]*) printf "no number: %s" "$out";; '
    '*) if [ "$n" -ge "$least" ]; then printf yes; else printf "%s" "$n"; fi;; esac'
)


def parse_word(reply: Reply) -> Json:
    """One short answer."""
    return printable(text(reply, "asking the site's question").strip(), 200, one_line=True)


def lines_of(reply: Reply) -> list[str]:
    """The lines of an answer, or AnswerUnusable when the server gave none."""
    if reply.status != 0:
        said = printable((reply.err or reply.out).strip(), 300, one_line=True)
        raise AnswerUnusable(
            f"the database does not answer (status {reply.status}): {said}",
            hint="is the server running, and may this login read it? nothing was decided",
        )
    # Not splitlines: a name may hold characters that Python takes for the end of a line.
    return reply.out.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n") if reply.out else []


def row_of(line: str, shapes: Mapping[str, Mapping[str, type]]) -> dict[str, Json]:
    """One JSON object that says what it `is`, of exactly the shape that such a row has: names and types of fields."""
    try:
        row = json.loads(line, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise AnswerUnusable(f"the server's answer is no JSON: {printable(line, 80, one_line=True)}") from error
    kind = row.get("is") if isinstance(row, dict) else None
    shape = shapes.get(kind, {}) if isinstance(kind, str) else {}
    if not shape or row.keys() != {"is", *shape} or any(type(row[key]) is not shape[key] for key in shape):
        raise AnswerUnusable(f"the server's answer makes no sense: {printable(line, 80, one_line=True)}")
    return {key: value if isinstance(value, int) else _text(value) for key, value in row.items()}


def _text(value: str) -> str:
    """JSON can spell halves of characters, which no other text can hold."""
    return value.encode("utf-8", "backslashreplace").decode()


PARSERS = {
    "views": parse_views,
    "variables": parse_variables,
    "schemas": parse_schemas,
    "text": parse_text,
    "space": parse_space,
    "word": parse_word,
    "names": parse_names,
    "line": parse_line,
}
