"""The staging schema beside the live one, the account that may touch nothing else, and how far a restore has come.

Decides names (`<db>__in`, `<db>__undo`), the mark a restore leaves (the table `remedy__kept`, whose comment names run
and stage), and what each stage looks like to somebody who was not there. Leaves to others: loading, the cut-over.

The account is the wall between a backup that an intruder may have planted and the server: it has rights on the staging
schema alone, so `USE`, `DROP DATABASE`, `GRANT`, `LOAD DATA INFILE` and `SET GLOBAL` are refused by the server itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from remedy.actions.recovery import statements
from remedy.actions.recovery.statements import KEPT
from remedy.backups.values import Database, Object
from remedy.core.errors import Refused
from remedy.core.values import Change, Command, Probe, wanted
from remedy.probes import database as asked
from remedy.probes.database import CLIENT, client, named, quoted, within

IN: Final = "__in"
UNDO: Final = "__undo"
_LONGEST: Final = 64

#: Shell: makes a password `p` and `make_login USER FILE`, an option file for an account on the server that "$f" leads
#: to; `h` is where the server sees us come from. All but user and password is as in "$f", read by the client itself:
#: socket, address, TLS. (~/.my.cnf is what is read without one.)
LOGIN_FILE: Final = r"""
p=aA1.$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
[ ${#p} -eq 52 ] || { echo 'no password could be made' >&2; exit 3; }
h=$(echo 'SELECT SUBSTRING_INDEX(USER(), 0x40, -1);' | run_client "$f" --batch --raw --skip-column-names) || exit 3
case $h in ''|*[!A-Za-z0-9.:_-]*) echo 'the server sees this login come from nowhere' >&2; exit 3;; esac
make_login() (
  umask 077; i=$f; [ -n "$i" ] || i=${HOME:-/root}/.my.cnf
  { [ ! -r "$i" ] || printf '!include %s\n' "$i"; printf '[client]\nuser=%s\npassword=%s\n' "$1" "$p"; } > "$2"
)
"""
_ACCOUNT: Final = (
    "set -eu; f=$1; run=$2; login=$3; run_client() ( "
    + CLIENT
    + " );"
    + LOGIN_FILE
    + '(umask 077; mkdir -p "${login%/*}")\n'
    'e=$(sed "s/@PASSWORD@/$p/g; s/@HOST@/$h/g" | '
    'run_client "$f" --batch --binary-mode --default-character-set=utf8mb4 2>&1 >/dev/null) || '
    '{ printf "%s\\n" "$e" | grep "^ERROR" | sed "s/$p/…/g" >&2; exit 4; }\n'
    'make_login "remedy_$run" "$login"'
)
#: What a cut-over that was killed has left of its texts goes too; one that is still at work (`script`) holds the lock.
_GONE: Final = (
    "set -u; f=$1; login=$2; run=$3; run_client() ( "
    + CLIENT
    + ' ); run_client "$f" --batch --binary-mode --default-character-set=utf8mb4 && rm -f "$login" || exit; '
    "command -v flock > /dev/null && [ -e /run/remedy-swap.lock ] && exec 9>> /run/remedy-swap.lock && flock -n 9 && "
    'rm -rf "/run/remedy-swap.$run".*; exit 0'
)


def schemas(schema: str) -> tuple[str, str]:
    """The names beside a schema: what comes in, what is kept. Raises Refused when they would be too long."""
    if len(schema) + len(UNDO) > _LONGEST:
        raise Refused(
            f"the schema's name is too long: {schema}{UNDO} has more than {_LONGEST} characters",
            hint="restore it under a shorter name by hand",
        )
    return schema + IN, schema + UNDO


def create_account(name: str, grants: Iterable[str]) -> str:
    """SQL that makes an account, or gives it a new password; the script that is sent it knows the words in @s."""
    user = f"'{name}'@'@HOST@'"
    made = "\n".join(
        f"{words} {user} IDENTIFIED BY '@PASSWORD@';" for words in ("CREATE USER IF NOT EXISTS", "ALTER USER")
    )
    return _in_time("\n".join([made, *(f"GRANT {grant} TO {user};" for grant in grants)]))


def _in_time(sql: str) -> str:
    """Statements about accounts wait for somebody else's global lock whatever lock_wait_timeout says."""
    return f"/*M!100101 SET SESSION max_statement_time=3 */;\n{sql}\n/*M!100101 SET SESSION max_statement_time=0 */;"


def drop_account(name: str) -> str:
    """SQL that removes an account, from wherever it may log in."""
    return _in_time(
        "SELECT IFNULL(CONCAT('DROP USER ', GROUP_CONCAT(QUOTE(user), '@', QUOTE(host))), 'DO 0') INTO @account "
        f"FROM mysql.user WHERE user='{name}';\nPREPARE gone FROM @account;\nEXECUTE gone;"
    )


def login(run: str) -> str:
    """The option file with the account's password, on the database host; made there, readable by root alone."""
    return f"/run/remedy/{run}.cnf"


def everything_in(schema: str) -> str:
    """A schema as GRANT wants it: a backtick-quoted pattern with its wildcards escaped (MariaDB, GRANT)."""
    return named(schema.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")) + ".*"


def make(database: Database, run: str, charset: str) -> Change:
    """An empty staging schema and the account that may load it; begun anew whatever a broken-off load has left.

    The account, whose name is this run's alone, is there before the schema and goes after it: a schema of that name
    without it is somebody else's and is never dropped. Nor is what was live until an undo, which its mark says.
    """
    incoming, _ = schemas(database.schema)
    user, tables = f"remedy_{run}", within("table_schema", incoming)
    mine = (
        f"SELECT EXISTS(SELECT 1 FROM mysql.user WHERE user='{user}') AND (EXISTS(SELECT 1 FROM mysql.db WHERE "
        f"user='{user}') OR NOT EXISTS(SELECT 1 FROM information_schema.tables WHERE {tables})) AND NOT EXISTS("
        f"SELECT 1 FROM information_schema.tables WHERE {tables} AND table_name='{KEPT}' AND table_comment LIKE "
        "'% undone') INTO @mine;\n"
        f"SET @drop = IF(@mine, CONCAT('DROP DATABASE IF EXISTS ', {quoted(named(incoming))}), 'DO 0');\n"
        "PREPARE gone FROM @drop;\nEXECUTE gone;\n"
    )
    create = f"CREATE DATABASE {named(incoming)} CHARACTER SET {charset}"
    # Fails, before anything is made, where the schema is there and somebody else's.
    refuse = (
        f"SET @there = EXISTS(SELECT 1 FROM information_schema.schemata WHERE {within('schema_name', incoming)});\n"
        f"SET @refuse = IF(@there, {quoted(create)}, 'DO 0');\nPREPARE refuse FROM @refuse;\nEXECUTE refuse;\n"
    )
    made = create_account(user, ())
    grant = f"GRANT ALL PRIVILEGES ON {everything_in(incoming)} TO '{user}'@'@HOST@';\n"
    argv = ("sh", "-c", _ACCOUNT, "remedy", database.defaults_file, run, login(run))
    back = f"{mine}{drop_account(user)}\n"
    return Change(
        why=f"make the empty schema {incoming} and an account that can touch nothing else",
        at=database.host,
        do=Command(argv, stdin=f"{mine}{refuse}{made}\n{create};\n{grant}", seconds=300),
        undo=Command(("sh", "-c", _GONE, "remedy", database.defaults_file, login(run), run), stdin=back, seconds=300),
        seen=step(database, run, "account"),
        before=wanted("absent"),
        after=wanted("done"),
        halfway=wanted("halfway"),
        layer="database",
    )


def remove_account(database: Database, run: str) -> Change:
    """The loading account goes once the data is in place."""
    sql = f"{drop_account(f'remedy_{run}')}\n"
    return Change(
        why="remove the loading account",
        at=database.host,
        do=Command(("sh", "-c", _GONE, "remedy", database.defaults_file, login(run), run), stdin=sql, seconds=60),
        seen=step(database, run, "account-gone"),
        before=wanted("absent"),
        after=wanted("done"),
        layer="database",
    )


def keep(database: Database, run: str, old: tuple[Object, ...]) -> Change:
    """Mark the staging schema as proven, and keep in it the definitions that a rename leaves behind."""
    incoming, _ = schemas(database.schema)
    sql = statements.keep(incoming, run, old)
    return Change(
        why=f"mark {incoming} as proven, and keep the definitions of {len(old)} live views, triggers, routines, events",
        at=database.host,
        do=client(database.defaults_file, "--batch", "--binary-mode", sql=sql, seconds=120),
        seen=step(database, run, "prove"),
        before=wanted("absent"),
        after=wanted("done"),
        layer="database",
    )


_STEP: Final = (
    "f=$1; hold=$2; login=$3; shift 3; run_client() ( "
    + CLIENT
    + ' ); run_client "$f" "$@" || exit 1; [ -n "$hold" ] && [ -e "$hold" ] && echo held; '
    '[ -e "$login" ] && echo login; exit 0'
)


def step(database: Database, run: str, name: str, hold: str = "") -> Probe:
    """How far step `name` of a run has come: "absent", "halfway" or "done"."""
    beside = schemas(database.schema)
    sql = (
        f"SELECT JSON_OBJECT('is','step','name','{name}','run','{run}','in',{quoted(beside[0])},"
        f"'undo',{quoted(beside[1])});\n"
        f"SELECT JSON_OBJECT('is','account','name',user) FROM mysql.user WHERE user IN "
        f"('remedy_{run}','remedy_swap_{run}');\n"
        "SELECT JSON_OBJECT('is','read_only','on',IF(CONCAT(@@GLOBAL.read_only) IN ('0','OFF'),0,1));\n"
    )
    for schema in beside:
        tables = f"information_schema.tables WHERE {within('table_schema', schema)}"
        sql += (
            f"SELECT JSON_OBJECT('is','mark','schema',table_schema,'comment',table_comment) FROM {tables} "
            f"AND table_name='{KEPT}';\n"
            f"SELECT JSON_OBJECT('is','schema','schema',schema_name,'tables',(SELECT COUNT(*) FROM {tables})) "
            f"FROM information_schema.schemata WHERE {within('schema_name', schema)};\n"
        )
    options = ("--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4")
    argv = ("sh", "-c", _STEP, "remedy", database.defaults_file, hold, login(run), *options)
    return Probe(Command(argv, stdin=sql, seconds=60), "recovery.step")


def question(database: Database, sql: str, at_least: int) -> Probe:
    """A question of the site's own, asked of the live schema."""
    return asked.number(database.defaults_file, database.schema, sql, at_least)
