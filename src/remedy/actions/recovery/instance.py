"""An isolated database server of one run on a staging host: made, started, removed.

Decides where it lies (`<folder>/staging-<run>`), what it can reach, and that it goes away whatever happens. It listens
on one socket in a folder that only its account and root can enter, in a network namespace of its own where the host
gives one; events do not run, files outside of it are not read or written by SQL, the kernel takes it first when memory
runs out. Its folder belongs to root, only what is below belongs to the server's account: who has that account cannot
turn root's own writing there astray. Two logins: one may do everything in it, one nothing but fill the schema.

A watchman on the host ends and removes it after some hours, should nobody else. A power cut leaves the folder: the next
plan names it. Everything may be done twice. Options: MariaDB, Server System Variables; those that only some versions
know have the prefix `--loose-` (mysqld does not start on an option it does not know). For MySQL's servers the commands
follow its manual (Initializing the Data Directory); they were not run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from remedy.core.errors import UsageError
from remedy.core.text import printable
from remedy.core.values import Change, Command, Expect, wanted
from remedy.probes import instance as asked

BASE: Final = "/var/lib/remedy"
#: How long the watchman waits, and how long a start may take (the recovery of a large data directory included).
HOURS: Final = 12
_START_SECONDS: Final = 900
_PLAIN: Final = re.compile(r"/[A-Za-z0-9_./-]{0,80}[A-Za-z0-9_-]")

#: `find_all` sets `pids` to the processes of run $run below $base: its server, its watchman, whatever uses its files.
#: The brackets keep the question from finding itself. Whoever leads a session is ended with all that it started.
ENDING: Final = r"""
find_all() {
  pids=
  for f in $(grep -ls "$base/staging-$run[/:]" /proc/[0-9]*/cmdline 2>/dev/null); do
    p=${f#/proc/}; p=${p%/cmdline}
    [ "$p" = "$$" ] || pids="$pids $p"
  done
}
end_all() {
  n=0; find_all
  while [ -n "$pids" ]; do
    [ $n -lt 100 ] || { echo "these processes do not end:$pids" >&2; return 1; }
    for p in $pids; do kill -KILL "-$p" 2>/dev/null || kill -KILL "$p" 2>/dev/null; done
    n=$((n + 1)); sleep 0.1 2>/dev/null || sleep 1
    find_all
  done
}
"""
_MAKE: Final = r"""
run=$1 base=$2; umask 022
[ -d "$base" ] || mkdir -p "$base" || exit 1
exec mkdir -m 711 "$base/staging-$run"
"""
#: "$3": seconds to wait first, as the watchman does.
_REMOVE: Final = (
    ENDING
    + r"""
run=$1 base=$2; root=$base/staging-$run
[ -z "$3" ] || sleep "$3"
end_all || exit 1
rm -rf "$root"
if [ -e "$root" ] || [ -L "$root" ]; then echo "$root is still there" >&2; exit 1; fi
"""
)
_STOP: Final = ENDING + "run=$1 base=$2; end_all\n"
#: 1. End what an interrupted start has left. 2. Folders, passwords, option files. 3. System tables, unless a backup
#: brought them; never with the live server's folder for temporary files, which a starting server empties of its kind of
#: files. 4. The watchman, then the server, both detached: under systemd in scopes of their own, because logind
#: may kill what a session leaves behind (logind.conf(5): KillUserProcesses). 5. Wait until it answers as itself.
_START: Final = (
    ENDING
    + r"""
run=$1 base=$2 account=$3 server=$4 install=$5 first=$6 network=$7 last=$8 patience=$9; shift 9; watchman=$1; shift
root=$base/staging-$run; umask 077; sql=$(cat)
fail() {
  echo "$1" >&2
  for f in run/error.log start.log install.log; do
    [ -f $f ] && grep -aiE '^[^ ]*error|\[error\]' $f | tail -n 3 | cut -c1-300 >&2
  done
  end_all; exit 1
}
end_all || exit 1
cd "$root" || exit 1
rm -rf run none tmp; mkdir run none tmp || exit 1
word() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
own() { printf '[client]\nuser=%s\npassword=%s\nsocket=%s\nprotocol=socket\n' "$1" "$2" "$root/run/sock"; }
p=aA1.$(word) q=aA1.$(word)
own remedy "$p" > own.cnf; own remedy_load "$q" > login.cnf
printf '%s\n' "$sql" | sed "s/@OWN@/$p/; s/@LOAD@/$q/" > run/init.sql
chown -R "$account" run none tmp || fail "there is no account $account for the server"
if [ ! -e data.complete ]; then
  rm -rf data
  places="--datadir=$root/data --user=$account --tmpdir=$root/tmp"
  if [ -n "$install" ]; then
    "$install" --no-defaults $places --auth-root-authentication-method=normal --skip-test-db $first
  else
    "$server" --no-defaults --initialize-insecure $places $first
  fi > install.log 2>&1 </dev/null || fail 'its system tables cannot be made'
  : > data.complete
fi
for o in $(sed -n 's/^\(innodb_[a-z_]*=[A-Za-z0-9:;_.]*\)$/--\1/p' data/backup-my.cnf 2>/dev/null); do
  set -- "$@" "$o"
done
pool=$(awk '/^MemAvailable:/ {print int($2 / 4096)}' /proc/meminfo); pool=${pool:-0}
[ "$pool" -ge 128 ] || pool=128; [ "$pool" -le 4096 ] || pool=4096
set -- "$server" --no-defaults "--user=$account" "--datadir=$root/data" "--socket=$root/run/sock" \
  "--pid-file=$root/run/pid" "--log-error=$root/run/error.log" "--tmpdir=$root/tmp" "--secure-file-priv=$root/none" \
  "--init-file=$root/run/init.sql" "--innodb-buffer-pool-size=${pool}M" "$@"
[ -z "$network" ] || set -- unshare -n "$@"
scope=
if [ -d /run/systemd/system ] && systemd-run --quiet --collect --scope true 2>/dev/null; then
  scope='systemd-run --quiet --collect --scope'
fi
( exec $scope setsid sh -c "$watchman" "$root:" "$run" "$base" "$last" ) \
  </dev/null >/dev/null 2>&1 &
( echo 1000 > /proc/self/oom_score_adj; exec $scope setsid "$@" ) </dev/null >start.log 2>&1 &
server=$!
client=$(command -v mariadb || command -v mysql)
n=0
until [ "$("$client" "--defaults-file=$root/own.cnf" --connect-timeout=5 -N -B -e 'SELECT @@datadir' 2>/dev/null)" \
  = "$root/data/" ]
do
  kill -0 $server 2>/dev/null || fail 'it ended instead of starting'
  n=$((n + 1)); [ $n -lt "$patience" ] || fail "it does not answer"
  sleep 0.1 2>/dev/null || sleep 1
done
rm -f run/init.sql
"""
)
#: Each account of its own name and password; `IF EXISTS` because a backup's system tables may have them.
_ACCOUNTS: Final = """\
DROP USER IF EXISTS 'remedy'@'localhost';
DROP USER IF EXISTS 'remedy_load'@'localhost';
CREATE USER 'remedy'@'localhost' IDENTIFIED BY '@OWN@';
GRANT ALL PRIVILEGES ON *.* TO 'remedy'@'localhost' WITH GRANT OPTION;
CREATE USER 'remedy_load'@'localhost' IDENTIFIED BY '@LOAD@';
"""
#: What makes it isolated and disposable, and takes what a dump may hold.
_OPTIONS: Final = (
    "--skip-networking",
    "--skip-log-bin",
    "--event-scheduler=OFF",
    "--skip-symbolic-links",
    "--local-infile=OFF",
    "--sql-mode=",
    "--max-allowed-packet=1G",
    "--max-connections=100",
    "--performance-schema=OFF",
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-innodb-doublewrite",
    "--loose-skip-slave-start",
    "--loose-innodb-strict-mode=OFF",
    "--loose-innodb-buffer-pool-dump-at-shutdown=OFF",
    "--loose-simple-password-check=OFF",
    "--loose-cracklib-password-check=OFF",
    "--loose-mysqlx=OFF",
)
#: Settings that are taken from the live server: without them the same text can make other tables.
_AS_LIVE: Final = ("explicit_defaults_for_timestamp", "innodb_default_row_format", "old_mode")
_AS_LIVE_NAMES: Final = ("character_set_server", "collation_server")
#: Those that have to be known when the system tables are made.
_FIRST: Final = ("lower_case_table_names", "innodb_page_size")


@dataclass(frozen=True, slots=True)
class Instance:
    """The instance of run `run` on host `at`, below `base`. Raises UsageError for a folder that is no plain path."""

    at: str
    run: str
    base: str = BASE

    def __post_init__(self) -> None:
        """Refuse what could be read as anything but one absolute path."""
        if not _PLAIN.fullmatch(self.base) or ".." in self.base or "//" in self.base:
            shown = printable(self.base, 120, one_line=True)
            raise UsageError(
                f"{shown!r} is no folder for an isolated instance", hint=f"an absolute path, as {BASE}; no dots"
            )

    @property
    def root(self) -> str:
        """Its folder."""
        return f"{self.base}/{asked.FOLDER}{self.run}"

    @property
    def socket(self) -> str:
        """Where it listens."""
        return f"{self.root}/run/sock"

    @property
    def own(self) -> str:
        """The option file of the account that may do everything in it."""
        return f"{self.root}/{asked.OWN}"

    @property
    def login(self) -> str:
        """The option file of the account that may fill the schema, and nothing else."""
        return f"{self.root}/login.cnf"

    @property
    def fetched(self) -> str:
        """Where files of a backup arrive: root's alone."""
        return f"{self.root}/fetched"

    @property
    def data(self) -> str:
        """Its data directory."""
        return f"{self.root}/data"


@dataclass(frozen=True, slots=True)
class Programs:
    """What runs it: `server` mariadbd or mysqld, `install` the program that makes system tables ("": the server).

    `account` is whom the server runs as. `own_network` says whether the host gives a network namespace.
    """

    server: str = "mariadbd"
    install: str = "mariadb-install-db"
    account: str = "mysql"
    own_network: bool = True


def make(one: Instance) -> Change:
    """Its empty folder; taken back, nothing of the run is left on the host."""
    return Change(
        why=f"make {one.root} for an isolated instance",
        at=one.at,
        do=Command(("sh", "-c", _MAKE, "remedy-make", one.run, one.base)),
        undo=removal(one),
        seen=asked.folder(one.run, one.base),
        before=wanted("absent"),
        after=wanted("present"),
        layer="database",
    )


def start(one: Instance, programs: Programs, live: Mapping[str, str], seconds: int = HOURS * 3600) -> Change:
    """Start it on its data directory, which is made unless a backup has brought one; `live` are the live settings.

    After `seconds` it ends and removes itself.
    """
    first = " ".join(f"--{name.replace('_', '-')}={live[name]}" for name in _FIRST if name in live)
    network = "own" if programs.own_network else ""
    head = (one.run, one.base, programs.account, programs.server, programs.install, first, network, str(seconds))
    argv = ("sh", "-c", _START, "remedy-start", *head, str((_START_SECONDS - 120) * 10), _REMOVE)
    return Change(
        why="start an isolated server there: no network, no events, away by itself after "
        f"{seconds / 3600:g} h ({programs.server} as {programs.account})",
        at=one.at,
        do=Command((*argv, *options(live)), stdin=_ACCOUNTS, seconds=_START_SECONDS),
        undo=Command(("sh", "-c", _STOP, "remedy-stop", one.run, one.base), seconds=60),
        seen=asked.server(one.run, one.base),
        before=wanted("stopped"),
        after=wanted("running"),
        layer="database",
    )


def options(live: Mapping[str, str]) -> tuple[str, ...]:
    """The server's options but for its places; `live` are checked settings (`probes.instance.SETTINGS`)."""
    taken = [name for name in _FIRST if name in live]
    taken += [name for name in _AS_LIVE if live.get(name)]
    if all(name in live for name in _AS_LIVE_NAMES):
        taken += _AS_LIVE_NAMES
    return (*_OPTIONS, *(f"--loose-{name.replace('_', '-')}={live[name]}" for name in taken))


def remove(one: Instance) -> Change:
    """End it and remove its folder, whatever there is of it."""
    return Change(
        why=f"end the isolated server and remove {one.root}",
        at=one.at,
        do=removal(one),
        layer="database",
    )


def clear(one: Instance) -> Change:
    """The same as a step that is left out when it is gone: of the run that comes after the one that made it."""
    return replace(remove(one), seen=asked.folder(one.run, one.base), before=wanted("present"), after=wanted("absent"))


def is_removal(change: Change) -> bool:
    """Whether a step ends an isolated server: taking the run back wants that as much as the run did."""
    return _REMOVE in change.do.argv and change.undo is None


def gone(one: Instance) -> Expect:
    """That nothing of it is left."""
    why = f"nothing is left in {one.root}"
    return Expect(why, one.at, asked.folder(one.run, one.base), wanted("absent"), layer="database")


def answers(one: Instance) -> Expect:
    """That it is there for what follows; when nothing does, because a run was resumed, it says how it goes away."""
    why = f"the isolated server below {one.root} answers, until `remedy undo {one.run}` or its time is over"
    return Expect(why, one.at, asked.server(one.run, one.base), wanted("running"), layer="database")


def removal(one: Instance) -> Command:
    """The command that ends and removes it; fails only when something does not go."""
    return Command(("sh", "-c", _REMOVE, "remedy-remove", one.run, one.base, ""), seconds=600)


def card(one: Instance) -> tuple[str, ...]:
    """What an administrator types to be rid of it."""
    return (
        f"# on the console of {one.at}, as root:",
        f"for f in $(grep -ls '{one.root}[/:]' /proc/[0-9]*/cmdline); do kill -9 $(echo $f | cut -d/ -f3); done",
        f"rm -rf {one.root}",
    )
