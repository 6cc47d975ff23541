"""What a host has for an isolated database server, how the live server is set, and how far such an instance has come.

Decides how these are asked and read; one script each, for dash, bash and busybox ash. The live server may be dead: that
is an answer too. Leaves to others: what is needed, and whether it is enough.
"""

from __future__ import annotations

import re
from typing import Final

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text
from remedy.probes.database import CLIENT, quoted

#: Where a run's instance lies: "$base/staging-$run".
FOLDER: Final = "staging-"
#: Its own option file, of the account that may do everything in it; and the mark of a data directory that is whole.
OWN: Final = "own.cnf"
COMPLETE: Final = "data.complete"

_PROGRAMS: Final = (
    "mariadbd mysqld mariadb-install-db mysql_install_db mariadb mysql mariadb-dump mysqldump mariadb-backup mbstream "
    "mariadb-binlog mysqlbinlog setsid setpriv unshare tar"
)
#: MemAvailable and the free space of the nearest folder there is; whether a network namespace can be had is tried.
_HOST: Final = r"""
base=$1
{
  printf 'uid='; id -u
  for t in PROGRAMS; do command -v "$t" >/dev/null 2>&1 && echo "program.$t=yes"; done
  s=$(command -v mariadbd || command -v mysqld) && { printf 'server='; "$s" --no-defaults --version 2>/dev/null; echo; }
  b=$(command -v mariadb-backup) && { printf 'backup='; "$b" --no-defaults --version 2>&1 | head -n 1; }
  id -u mysql >/dev/null 2>&1 && echo account=mysql
  unshare -n true >/dev/null 2>&1 && echo network=own
  d=$base; while [ ! -d "$d" ]; do d=${d%/*}; d=${d:-/}; done
  df -Pk "$d" 2>/dev/null | awk 'NR == 2 {print "free_kib=" $4}'
  awk '/^MemAvailable:/ {print "memory_kib=" $2}' /proc/meminfo
  awk '/^processor/ {n++} END {print "cpus=" n + 0}' /proc/cpuinfo
  a=/sys/kernel/security/apparmor/profiles
  [ -r $a ] && grep -E '(mariadbd|mysqld)[^ ]* \(enforce\)' $a | head -n 1 | sed 's/^/apparmor=/'
  [ "$(cat /sys/fs/selinux/enforce 2>/dev/null)" = 1 ] && echo selinux=enforcing
  for d in "$base"/staging-*; do [ -d "$d" ] && echo "left=${d##*/}"; done
} | tr -d '\000-\011\013-\037\177' | cut -c1-300
""".replace("PROGRAMS", _PROGRAMS)

_SINGLE: Final = ("uid", "server", "backup", "account", "network", "apparmor", "selinux")
_NUMBERS: Final = ("free_kib", "memory_kib", "cpus")


def host(base: str) -> Probe:
    """What host there is for instances below `base`: programs, versions, memory, free space, confinement."""
    return Probe(Command(("sh", "-c", _HOST, "remedy", base)), "instance.host")


def parse_host(reply: Reply) -> Json:
    """Read the script's `key=value` lines.

    Sample::

        uid=0
        program.mariadbd=yes
        server=mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)
        backup=mariadb-backup based on MariaDB server 10.11.6-MariaDB debian-linux-gnu (x86_64)
        account=mysql
        network=own
        free_kib=36489390
        memory_kib=16221234
        cpus=2
        apparmor=/usr/sbin/mysqld (enforce)
        left=staging-R0a1
    """
    found: dict[str, Json] = dict.fromkeys(_SINGLE, "")
    found |= dict.fromkeys(_NUMBERS, 0)
    programs: list[Json] = []
    left: list[Json] = []
    for line in text(reply, "looking for a database server").splitlines():
        key, _, value = line.partition("=")
        if key.startswith("program."):
            programs.append(key[8:])
        elif key == "left":
            left.append(value)
        elif key in _NUMBERS and re.fullmatch(r"\d{1,15}", value):
            found[key] = int(value)
        elif key in _SINGLE:
            found[key] = value
    if not found["uid"] or not found["free_kib"]:
        raise AnswerUnusable("the host's answer about itself makes no sense", hint="nothing was decided from it")
    return {**found, "programs": programs, "left": left}


#: Settings that decide whether the same text makes the same tables, by what their values look like.
SETTINGS: Final = {
    "version": r"[0-9A-Za-z.+~_-]{1,100}",
    "lower_case_table_names": r"[012]",
    "innodb_page_size": r"4096|8192|16384|32768|65536",
    "innodb_default_row_format": r"[a-z]{1,20}",
    "explicit_defaults_for_timestamp": r"ON|OFF",
    "old_mode": r"[A-Z0-9_,]{0,300}",
    "character_set_server": r"[a-z0-9_]{1,32}",
    "collation_server": r"[a-z0-9_]{1,64}",
}
_UNLESS: Final = "FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM mysql.user WHERE CONCAT(user, '@', host)="
_IN_SCHEMA: Final = "FROM information_schema.schemata WHERE schema_name="
_SCHEMA: Final = {"schema_charset": r"[a-z0-9_]{1,32}", "schema_collation": r"[a-z0-9_]{1,64}"}


def live(defaults_file: str, schema: str, definers: tuple[str, ...] = ()) -> Probe:
    """How the live server and the schema on it are set: a map of name to text, null when it does not answer.

    `missing` in it are those of `definers` (such as ``app@%``) that are no accounts there.
    """
    names = ", ".join(f"'{name}'" for name in SETTINGS)
    lines = [f"SELECT 'missing', {quoted(one)} {_UNLESS}{quoted(one)});" for one in definers]
    lines.append(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names});")
    for name, column in (("schema_charset", "character_set"), ("schema_collation", "collation")):
        lines.append(f"SELECT '{name}', default_{column}_name {_IN_SCHEMA}{quoted(schema)};")
    sql = "\n".join(lines) + "\n"
    options = ("--batch", "--raw", "--skip-column-names", "--connect-timeout=5")
    command = Command(("sh", "-c", CLIENT, "remedy", defaults_file, *options), stdin=sql, seconds=30)
    return Probe(command, "instance.live")


def parse_live(reply: Reply) -> Json:
    r"""Read names and values; a value that does not look like one is left out, since all go into an argument vector.

    Sample::

        lower_case_table_names\t0
        missing\tgone@10.%
        old_mode\tUTF8_IS_UTF8MB3
        schema_charset\tutf8mb4
    """
    if reply.status != 0:
        return None
    found: dict[str, Json] = {}
    missing: list[Json] = []
    wanted = {**SETTINGS, **_SCHEMA}
    for line in reply.out.decode("utf-8", "backslashreplace").splitlines():
        name, _, value = line.partition("\t")
        if name == "missing":
            missing.append(value)
        elif name in wanted and re.fullmatch(wanted[name], value):
            found[name] = value
    return {**found, "missing": missing}


_PRESENT: Final = 'd=$2/staging-$1$3; if [ -e "$d" ] || [ -L "$d" ]; then echo present; else echo absent; fi'


def folder(run: str, base: str, below: str = "") -> Probe:
    """Whether the folder of a run's instance is there, or what is called `below` in it: "absent" or "present"."""
    below = f"/{below}" if below else ""
    return Probe(Command(("sh", "-c", _PRESENT, "remedy", run, base, below)), "instance.word")


#: The server that answers there is the one whose data lies there.
_RUNNING: Final = r"""
d=$2/staging-$1; c=$(command -v mariadb || command -v mysql)
if [ -r "$d/own.cnf" ] && [ -n "$c" ]; then
  found=$("$c" "--defaults-file=$d/own.cnf" --connect-timeout=5 -N -B -e 'SELECT @@datadir' 2>/dev/null)
  [ "$found" = "$d/data/" ] && { echo running; exit 0; }
fi
echo stopped
"""


def server(run: str, base: str) -> Probe:
    """Whether a run's instance answers: "stopped" or "running"."""
    return Probe(Command(("sh", "-c", _RUNNING, "remedy", run, base)), "instance.word")


#: Schemas of these names are left in the instance by the steps that are over: they live and die with its data.
_MARKED: Final = r"""
d=$2/staging-$1; c=$(command -v mariadb || command -v mysql)
found=
if [ -r "$d/own.cnf" ] && [ -n "$c" ]; then
  found=$("$c" "--defaults-file=$d/own.cnf" --connect-timeout=5 -N -B \
    -e 'SELECT schema_name FROM information_schema.schemata' 2>/dev/null)
fi
case "
$found
" in *"
$4
"*) echo done;; *"
$3
"*) echo halfway;; *) echo absent;; esac
"""


def marked(run: str, base: str, done: str, begun: str = "-") -> Probe:
    """Whether a run's instance has the mark `done`, or only `begun`: "absent", "halfway", "done"."""
    return Probe(Command(("sh", "-c", _MARKED, "remedy", run, base, begun, done)), "instance.word")


def parse_word(reply: Reply) -> Json:
    """Read one word. Sample: ``running``."""
    word = text(reply, "looking for an isolated instance").strip()
    if word not in {"absent", "present", "stopped", "running", "halfway", "done"}:
        raise AnswerUnusable("the host's answer about an isolated instance makes no sense")
    return word


PARSERS = {"host": parse_host, "live": parse_live, "word": parse_word}
