"""What is done inside an isolated server: its schema, the site's own questions, marks of how far it has come.

Decides that a schema is made anew until it was loaded and compared (a mark in the server says so: it lives and dies
with the data), and what an answer to a question is worth. Leaves to others: the server itself (`instance`), streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from remedy.actions.recovery.instance import Instance
from remedy.actions.recovery.staging import everything_in
from remedy.backups.values import Question
from remedy.core.text import printable
from remedy.core.values import Change, Command, Probe, wanted
from remedy.probes import instance as asked
from remedy.probes.database import named

_QUESTION_SECONDS: Final = 600
#: A client echoes the statement that failed, with its rows: of what it says only its errors go to anybody.
CLIENT: Final = r"""
f=$1; shift; said=${f%/*}/said; umask 077
c=$(command -v mariadb || command -v mysql) || { echo 'no mariadb or mysql client' >&2; exit 127; }
refused() { grep -a '^ERROR' "$said" | head -n 3 | cut -c1-300 >&2; exit 1; }
"""
_SQL: Final = CLIENT + '"$c" "--defaults-file=$f" "$@" >/dev/null 2>"$said" || refused\n'
_ASK: Final = (
    CLIENT
    + r"""
least=$1; shift
out=$("$c" "--defaults-file=$f" "$@" 2>"$said") || refused
case $out in ''|*[!0-9]*) echo "it does not give one whole number" >&2; exit 1;; esac
[ "$out" -ge "$least" ] || { echo "it gives $out, not at least $least" >&2; exit 1; }
"""
)
#: Marks in the instance (`probes.instance.marked`): what was loaded is what the backup holds; binary logs were begun to
#: be applied to it, and were applied.
COMPARED: Final = "remedy__compared"
APPLYING: Final = "remedy__applying"
APPLIED: Final = "remedy__applied"


def schema(one: Instance, name: str, live: Mapping[str, str], definers: Iterable[str]) -> Change:
    """The empty schema, as the live one is set, and the accounts by whose rights its views and routines run.

    `definers` are such as ``app@%``. Begun anew whatever an interrupted load has left. Leaves nothing behind but what
    goes with the folder.
    """
    charset, collation = live.get("schema_charset"), live.get("schema_collation")
    suffix = f" CHARACTER SET {charset} COLLATE {collation}" if charset and collation else ""
    lines = [
        f"DROP DATABASE IF EXISTS {named(name)};",
        *(f"DROP DATABASE IF EXISTS {named(mark)};" for mark in (COMPARED, APPLYING, APPLIED)),
        f"CREATE DATABASE {named(name)}{suffix};",
        f"GRANT ALL PRIVILEGES ON {everything_in(name)} TO 'remedy_load'@'localhost';",
    ]
    for account in sorted({account for definer in definers if (account := _account(definer))}):
        lines.append(f"CREATE USER IF NOT EXISTS {account};")
        lines.append(f"GRANT ALL PRIVILEGES ON {everything_in(name)} TO {account};")
    return Change(
        why=f"make the empty schema {printable(name, 64, one_line=True)} in it",
        at=one.at,
        do=_sql(one, "\n".join(lines) + "\n"),
        seen=compared(one),
        before=wanted("absent"),
        after=wanted("done"),
        layer="database",
    )


def compared(one: Instance) -> Probe:
    """Whether the schema was loaded and compared: until it was, it is made anew by whoever goes on."""
    return asked.marked(one.run, one.base, COMPARED)


def mark(one: Instance) -> Change:
    """Note in the instance that what was loaded is what the backup holds."""
    return Change(
        why="note that it is what the backup holds",
        at=one.at,
        do=_sql(one, f"CREATE DATABASE IF NOT EXISTS {named(COMPARED)};\n"),
        seen=compared(one),
        before=wanted("absent"),
        after=wanted("done"),
        layer="database",
    )


def ask(one: Instance, name: str, question: Question) -> Change:
    """A question of the site's own, asked of the restored schema; any other answer than a large enough number fails."""
    client = ("--batch", "--raw", "--skip-column-names", "--binary-mode", "--default-character-set=utf8mb4")
    argv = ("sh", "-c", _ASK, "remedy-ask", one.own, str(question.at_least), *client, f"--database={name}")
    shown = printable(question.sql, 120, one_line=True)
    return Change(
        why=f"the site's own question gives at least {question.at_least}: {shown}",
        at=one.at,
        do=Command(argv, stdin=f"{question.sql.rstrip().rstrip(';')};\n", seconds=_QUESTION_SECONDS),
        layer="database",
    )


def _sql(one: Instance, sql: str, seconds: int = 120) -> Command:
    argv = ("sh", "-c", _SQL, "remedy-sql", one.own, "--batch", "--binary-mode", "--default-character-set=utf8mb4")
    return Command(argv, stdin=sql, seconds=seconds)


def _account(definer: str) -> str:
    """A definer such as ``app@%`` as CREATE USER wants it; "" for none, and for a role, which has no host."""
    name, at, host = definer.rpartition("@")
    return f"{_quoted(name)}@{_quoted(host)}" if at and host else ""


def _quoted(text: str) -> str:
    """A name in backticks, which sql_mode does not change (MariaDB, CREATE USER: account names)."""
    return "`" + "".join(c for c in text if c >= " ").replace("`", "``") + "`"
