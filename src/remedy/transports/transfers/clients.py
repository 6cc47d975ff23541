"""The native client on a database's host: how it is called, what its end means, and single questions.

Decides its options: a sandboxed, binary-safe, single session that never reconnects and stops at the first error. An
option file that is named is the last that is read, or a `~/.my.cnf` of root's would log in as somebody else. What a
client prints goes to nobody but for lines that begin with ERROR: before those it echoes rows. Leaves to others: feeding
it for hours (`crew`).
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from remedy.core.errors import ChangeFailed, RemedyError
from remedy.core.text import printable
from remedy.core.values import Command
from remedy.probes.database import SESSION


class Running(AbstractContextManager["Running"], Protocol):
    """A program on a host, with its standard streams; leaving its context ends it."""

    def write(self, data: bytes, /) -> None:
        """To its standard input. Raises a RemedyError when it no longer reads."""
        ...

    def close_input(self) -> None:
        """It has got everything."""
        ...

    def read(self, size: int = ..., /) -> bytes:
        """From its standard output, b"" at the end."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Its standard output in chunks."""
        ...

    def finish(self) -> tuple[int, bytes]:
        """Wait for its end: status, and the end of its standard error. Raises Unreachable."""
        ...

    def kill(self) -> None:
        """End it now; may be called again, and after its end."""
        ...


class Bulk(Protocol):
    """Starts programs that stream, on an inventory host or the controller."""

    def start(self, command: Command, *, at: str, short: bool = False) -> Running:
        """Start one; `short` ones may share a connection. Raises Unreachable."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach the server behind host `at`: an option file there ("" is root by socket), and its socket."""

    at: str
    defaults_file: str = ""
    socket: str = ""


#: Runs the first program of "$2" (names separated by spaces) that is there. "$1" is an option file or "": it is read
#: last, with no other user's home, and nothing of the environment decides who logs in where. "$3" are options that
#: older versions do not know, added where --help names them.
PROGRAM: Final = """
f=$1 names=$2 newer=$3; shift 3; p=
for n in $names; do if command -v "$n" >/dev/null 2>&1; then p=$n; break; fi; done
if [ -z "$p" ]; then echo "ERROR: none of these programs is installed: $names" >&2; exit 127; fi
unset MYSQL_HOME MYSQL_GROUP_SUFFIX MYSQL_HOST MYSQL_PWD MYSQL_TCP_PORT MYSQL_UNIX_PORT
help=$("$p" --no-defaults --help 2>/dev/null)
for o in $newer; do case $help in *"${o%%=*}"*) set -- "$o" "$@";; esac; done
if [ -n "$f" ]; then HOME=/nonexistent; export HOME; set -- "--defaults-extra-file=$f" "$@"; fi
exec "$p" "$@"
"""
_CLIENT: Final = (
    "--no-auto-rehash",
    "--batch",
    "--skip-column-names",
    "--unbuffered",
    "--binary-mode",
    "--comments",
    "--skip-force",
    "--skip-reconnect",
    "--local-infile=0",
    "--max-allowed-packet=1G",
    "--connect-timeout=10",
)
#: A stream may take a day; its parts have time-outs of their own.
LONG: Final = 7 * 24 * 3600

#: Options that dump programs before MariaDB 10.11 do not know: whatever they stand for is not there either.
_NEWER: Final = frozenset(("--dump-history",))
#: Seconds that a dump waits for a table that somebody has locked.
LOCKED: Final = 10
#: The server's error when it waited in vain (MariaDB error codes).
LOCK_WAIT: Final = 1205

_CHARSET: Final = re.compile(r"[a-z0-9_]{1,32}")
#: What a client says when it has failed.
ERROR: Final = re.compile(rb"^ERROR[^\r\n]*", re.MULTILINE)
#: What it says when it does not even begin.
START: Final = re.compile(
    rb"^(?:Could not open required defaults file|\S*(?:mariadb|mysql)[\w-]*): [^\r\n]*", re.MULTILINE
)
_NUMBER: Final = re.compile(rb"^ERROR (\d+) \(\w+\)(?: at line (\d+))?")
_HINTS: Final = {
    1021: "the disk of the database server is full: make room, then start again",
    1044: "the login lacks privileges on this schema",
    1045: "the login is not accepted: see the option file",
    1114: "a disk or tablespace of the database server is full: make room, then start again",
    1115: "made by a newer server or another brand",
    1142: "the login lacks privileges on this schema",
    1153: "raise max_allowed_packet on the server",
    1205: "something else holds a lock on the schema",
    1213: "something else works on the schema",
    1227: "the login lacks privileges for this statement",
    1273: "made by a newer server or another brand",
    2002: "is the database server running?",
    2006: "the database server went away: see its error log; a row larger than max_allowed_packet looks like this too",
    2013: "the database server went away: see its error log",
}
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_LITERAL: Final = {b"n": b"\n", b"t": b"\t", b"0": b"\0"}


class ServerRefused(ChangeFailed):
    """A client ended with an error of its server's (or of its own). `number` is that error's, 0 when it has none."""

    def __init__(self, message: str, *, where: str, hint: str = "", number: int = 0) -> None:
        """Keep the number, which says whether another try makes sense."""
        super().__init__(message, where=where, hint=hint)
        self.number = number


def client(login: Login, schema: str, charset: str = "") -> Command:
    """The client, its session in `schema`. `charset` is that of the text it is fed, as a backup calls it."""
    charset = charset if _CHARSET.fullmatch(charset) else "utf8mb4"
    options = (*_CLIENT, f"--default-character-set={charset}", *_socket(login), f"--database={schema}")
    argv = ("sh", "-c", PROGRAM, "remedy", login.defaults_file, "mariadb mysql", "--sandbox", *options)
    return Command(argv, seconds=LONG)


def dumper(login: Login, options: Sequence[str], schema: str, tables: Sequence[str] = ()) -> Command:
    """mariadb-dump of one schema, or of some of its tables."""
    # MySQL's own, without which a dump sets the position of the whole server. And a table that somebody has locked is
    # waited for, but not for a day, as is usual: whoever restores has to hear of it. (Without spaces: they separate.)
    newer = f"--set-gtid-purged=OFF --init-command=SET@@lock_wait_timeout={LOCKED}"
    newer = " ".join((newer, *(option for option in options if option in _NEWER)))
    options = tuple(option for option in options if option not in _NEWER)
    fixed = ("--max-allowed-packet=1G", *_socket(login))
    argv = ("sh", "-c", PROGRAM, "remedy", login.defaults_file, "mariadb-dump mysqldump", newer)
    return Command((*argv, *fixed, *options, "--", schema, *tables), seconds=LONG)


def system_dumper(login: Login) -> Command:
    """mariadb-dump of the server's accounts (MariaDB 10.2.37, 10.5.9 and later), past one that it cannot show."""
    argv = ("sh", "-c", PROGRAM, "remedy", login.defaults_file, "mariadb-dump mysqldump", "--set-gtid-purged=OFF")
    return Command((*argv, *_socket(login), "--force", "--system=users"), seconds=60)


def _socket(login: Login) -> tuple[str, ...]:
    return ("--protocol=socket", f"--socket={login.socket}") if login.socket else ()


def complaint(
    status: int, said: bytes, *, where: str, doing: str, table: Callable[[int], str] | None = None
) -> ServerRefused:
    """What a client's end says, in one sentence. `table` tells what stood at a line of its input."""
    lines = ERROR.findall(said) or START.findall(said)
    if not lines:
        return ServerRefused(f"{doing}: the client ended with status {status} and no word of why", where=where)
    number = _NUMBER.match(lines[-1])
    code = int(number[1]) if number else 0
    at = f" (table {table(int(number[2]))})" if number and number[2] and table else ""
    hint = _HINTS.get(code, "")
    if b"errno: 28" in lines[-1] or b"No space left" in lines[-1]:
        hint = _HINTS[1021]
    return ServerRefused(
        f"{doing}{at}: {printable(lines[-1], 300, one_line=True)}", where=where, hint=hint, number=code
    )


def ask(bulk: Bulk, login: Login, schema: str, sql: str, *, cap: int = 64 << 20) -> list[tuple[str, ...]]:
    r"""The rows that a query answers, as text (bytes that are no UTF-8 as ``\xNN``, NULL as "NULL").

    Raises ServerRefused, Unreachable.
    """
    mark = secrets.token_hex(16)
    with bulk.start(client(login, schema), at=login.at, short=True) as running:
        with contextlib.suppress(OSError, RemedyError):  # it has ended: its status says why
            running.write(f"{SESSION};\n{sql};\nSELECT '{mark}';\n".encode())
            running.close_input()
        out = b""
        while (chunk := running.read(1 << 16)) and len(out) <= cap:
            out += chunk
        if chunk:
            raise ChangeFailed("the answer has no end", where=login.at)
        status, said = running.finish()
    lines = out.split(b"\n")
    if status or ERROR.search(said) or lines[-2:] != [mark.encode(), b""]:
        raise complaint(status, said, where=login.at, doing="the server was asked")
    return [tuple(map(_unescaped, line.split(b"\t"))) for line in lines[:-2]]


def _unescaped(value: bytes) -> str:
    """A value as `--batch` prints it, without its escapes."""
    raw = _ESCAPED.sub(lambda match: _LITERAL.get(match[1], match[1]), value)
    return raw.decode("utf-8", "backslashreplace")
