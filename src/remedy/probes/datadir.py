"""The data directory of a database server, looked at from outside: for a server that does not answer any more."""

from __future__ import annotations

import re

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text
from remedy.probes.database import CLIENT

_FIND = (
    "d=$( (my_print_defaults --mysqld || my_print_defaults mysqld server mariadb mariadbd) 2>/dev/null "
    "| sed -n 's/^--datadir=//p' | tail -n 1); d=${d:-/var/lib/mysql}; d=${d%/}; "
    'd=$(readlink -f -- "$d") && [ -d "$d" ] || { echo "no data directory" >&2; exit 1; }; '
    'm=no; [ "$(stat -c %d -- "$d")" = "$(stat -c %d -- "$d/..")" ] || m=yes; '
    "i=no; { command -v mariadb-install-db || command -v mysql_install_db; } >/dev/null && i=yes; "
    'printf "%s\\n%s\\n%s\\n%s\\n" "$d" "$m" "$(stat -c %U -- "$d")" "$i"'
)
#: A server that refuses the login, or says that it has too many, is alive: its own errors have numbers from 1000 on.
_ALIVE = (
    "alive() { e=$(run --connect-timeout=10 --batch -N -e 'SELECT 1' 2>&1 >/dev/null) && return 0; "
    'case $e in *"ERROR 1"[0-9][0-9][0-9]" "*) return 0;; esac; return 1; }; '
)
_ANSWERS = 'f=$1; run() { run_client "$f" "$@"; }; ' + _ALIVE + "if alive; then echo yes; else echo no; fi"
_WAIT = (
    'f=$1; shift; run() { run_client "$f" "$@"; }; '
    + _ALIVE
    + '"$@" >&2 || alive || exit 1; n=0; until alive; do n=$((n + 1)); '
    '[ $n -lt 300 ] || { echo "no answer after 60 s; see the server\'s error log" >&2; exit 1; }; sleep 0.2; done'
)
_STATE = (
    'if [ -e "$1/.remedy-$3" ] && [ -d "$2" ]; then echo done; '
    'elif [ ! -e "$2" ] && [ -d "$1" ]; then echo absent; else echo halfway; fi'
)
_CLIENT = "run_client() ( " + CLIENT + " ); "
_PATH = re.compile(r"/[A-Za-z0-9_./-]{1,200}")


def find() -> Probe:
    """Where it is: {"path", "mounted" (it is a file system of its own), "owner", "install" (a new one can be made)}.

    What is no text is "yes" or "no".
    """
    return Probe(Command(("sh", "-c", _FIND)), "datadir.find")


def parse_find(reply: Reply) -> Json:
    """Read four lines.

    Sample::

        /var/lib/mysql
        no
        mysql
        yes
    """
    lines = text(reply, "looking for the data directory").splitlines()
    good = len(lines) == 4 and {lines[1], lines[3]} <= {"yes", "no"}  # noqa: PLR2004 -- as above
    if not good or not _PATH.fullmatch(lines[0]) or ".." in lines[0]:
        raise AnswerUnusable("the answer about the data directory makes no sense", hint="nothing was decided from it")
    return {"path": lines[0], "mounted": lines[1], "owner": lines[2], "install": lines[3]}


def answers(defaults_file: str) -> Probe:
    """Whether there is a server that answers, if only that it refuses this login: "yes" or "no"."""
    return Probe(Command(("sh", "-c", _CLIENT + _ANSWERS, "remedy", defaults_file), seconds=60), "datadir.word")


def state(path: str, aside: str, run: str) -> Probe:
    """Whether the directory was set aside and made anew by a run: "absent", "halfway" or "done"."""
    return Probe(Command(("sh", "-c", _STATE, "remedy", path, aside, run)), "datadir.word")


def started(start: Command, defaults_file: str) -> Command:
    """Start the server and wait, for 60 s at most, until it answers."""
    return Command(("sh", "-c", _CLIENT + _WAIT, "remedy", defaults_file, *start.argv), seconds=180)


def parse_word(reply: Reply) -> Json:
    """Read one word.

    Sample::

        yes
    """
    word = text(reply, "looking at the server").strip()
    if word not in {"yes", "no", "absent", "halfway", "done"}:
        raise AnswerUnusable("the answer about the server makes no sense", hint="nothing was decided from it")
    return word


PARSERS = {"find": parse_find, "word": parse_word}
