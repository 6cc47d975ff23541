"""A server started on a physical backup, and binary logs applied to an isolated server: steps of the staging host.

Decides how files that arrived are made ready: that none of them is a link or points out of its folder, that only
settings which describe the files are taken from the backup, that `mariadb-backup --prepare` and the server read them
with the rights of the server's account. Leaves to others: bringing the files (`backups.transfers.Fetch`), the server
(`instance`), and what is in it (`backups.transfers.Survey`): "completed OK!" says nothing of that.
"""

from __future__ import annotations

from typing import Final

from remedy.actions.recovery.inside import APPLIED, APPLYING, CLIENT
from remedy.actions.recovery.instance import ENDING, Instance, Programs
from remedy.backups import binlog, transfers
from remedy.backups.binlog import Stretch
from remedy.backups.transfers import Fetch
from remedy.backups.values import Backup, Copy, Database
from remedy.core.errors import UsageError
from remedy.core.text import printable
from remedy.core.values import Change, Command, wanted
from remedy.probes import instance as asked

#: Seconds: reading all files of a large server once, applying the logs of a month.
_PREPARE_SECONDS: Final = 6 * 3600
_APPLY_SECONDS: Final = 24 * 3600

#: Of `backup-my.cnf` what describes the files; a file name in it is one of the folder. The tools read it as their own
#: option file, and whoever made the backup could name other folders, or libraries to load.
_PREPARE: Final = (
    ENDING
    + r"""
run=$1 base=$2 account=$3; root=$base/staging-$run; umask 077
fail() {
  echo "$1" >&2
  [ -f run/prepare.log ] && grep -aiE 'error|failed|cannot' run/prepare.log | tail -n 3 | cut -c1-300 >&2
  exit 1
}
end_all || exit 1
cd "$root" || exit 1
[ -d fetched ] || fail 'the files of the backup did not arrive'
strange=$(find fetched ! -type f ! -type d | head -n 1)
[ -z "$strange" ] || fail "the backup holds something that is no file: $strange"
remote=$(find fetched -name '*.isl' | head -n 1)
[ -z "$remote" ] || fail "a table lies outside of the data directory: $remote"
packed=$(find fetched \( -name '*.qp' -o -name '*.xbcrypt' \) | head -n 1)
[ -z "$packed" ] || fail "the backup was made with --compress or --encrypt: $packed"
if [ -f fetched/backup-my.cnf ]; then
  { echo '[mysqld]'; sed -n \
    -e '/^innodb_page_size=[0-9]*$/p' -e '/^innodb_undo_tablespaces=[0-9]*$/p' \
    -e '/^innodb_data_file_path=[A-Za-z0-9_.:;]*$/p' fetched/backup-my.cnf; } > settings
  mv settings fetched/backup-my.cnf
fi
rm -rf data data.complete run tmp; mkdir run tmp || exit 1
mv fetched data && chown -R "$account" data run tmp || fail "there is no account $account for the server"
pool=$(awk '/^MemAvailable:/ {print int($2 / 4096)}' /proc/meminfo); pool=${pool:-0}
[ "$pool" -ge 128 ] || pool=128; [ "$pool" -le 2048 ] || pool=2048
setpriv "--reuid=$account" "--regid=$(id -g "$account")" --clear-groups \
  sh -c 'cd "$1" && exec mariadb-backup --no-defaults --prepare "--target-dir=$1" "--tmpdir=$2" "--use-memory=$3" \
    > "$4" 2>&1 </dev/null' prepare "$root/data" "$root/tmp" "${pool}M" "$root/run/prepare.log" \
  || fail 'mariadb-backup cannot prepare it'
: > data.complete
"""
)
#: The mark comes first: what was begun is not begun again. Both ends of the pipe have to end well.
_APPLY: Final = (
    CLIENT
    + r"""
begun=$1 done=$2; shift 3
b=$(command -v mariadb-binlog || command -v mysqlbinlog) || { echo 'no mariadb-binlog' >&2; exit 127; }
"$c" "--defaults-file=$f" --batch -e "CREATE DATABASE $begun" >/dev/null 2>"$said" || {
  echo 'the logs were begun to be applied before: begin anew' >&2; exit 1
}
s=; case $("$c" --no-defaults --help 2>/dev/null) in *--sandbox*) s=--sandbox;; esac
ends=$({ { "$b" "$@" 2>"$said.log" 3>&-; echo "log=$?." >&3; } | { "$c" "--defaults-file=$f" $s --batch --binary-mode \
  --max-allowed-packet=1G --default-character-set=utf8mb4 2>"$said" 3>&- >/dev/null; echo "client=$?." >&3; }; } 3>&1)
case $ends in *client=0.*) ;; *) echo 'the server refuses a change that the logs hold' >&2; refused;; esac
case $ends in *log=0.*) ;; *) echo 'the logs cannot be read to where they should end' >&2; exit 1;; esac
"$c" "--defaults-file=$f" --batch -e "CREATE DATABASE $done" >/dev/null 2>"$said" || refused
"""
)


def fetch(one: Instance, database: Database, copy: Copy, backup: Backup, sha256: str) -> Change:
    """Bring the files of a physical backup to the staging host; begun anew until they have been made ready."""
    shown = printable(backup.name, 80, one_line=True)
    return Change(
        why=f"bring {shown} from {copy.name} to {one.at}, hashing what is read",
        at=one.at,
        do=Command(("sh", "-c", f"copy the files of {shown} to {one.fetched}")),
        seen=asked.folder(one.run, one.base, asked.COMPLETE),
        before=wanted("absent"),
        after=wanted("present"),
        transfer=transfers.transfer(Fetch(database, copy, backup, sha256, one.fetched)),
        layer="database",
    )


def prepare(one: Instance, programs: Programs) -> Change:
    """Make the files that arrived a data directory."""
    argv = ("sh", "-c", _PREPARE, "remedy-prepare", one.run, one.base, programs.account)
    return Change(
        why="make them a data directory: mariadb-backup --prepare, as the server's account",
        at=one.at,
        do=Command(argv, seconds=_PREPARE_SECONDS),
        seen=asked.folder(one.run, one.base, asked.COMPLETE),
        before=wanted("absent"),
        after=wanted("present"),
        layer="database",
    )


def fetch_logs(one: Instance, database: Database, copy: Copy, stretch: Stretch) -> Change:
    """Bring binary logs to the staging host, decompressed."""
    name = f"{len(stretch.files)} binary logs"
    logs = Backup(name, copy.name, transfers.LOGS, stretch.files)
    into = f"{one.root}/{transfers.LOGS}"
    return Change(
        why=f"bring {name} from {copy.name} to {one.at}",
        at=one.at,
        do=Command(("sh", "-c", f"copy {name} to {into}")),
        transfer=transfers.transfer(Fetch(database, copy, logs, "", into)),
        layer="database",
    )


def apply_logs(one: Instance, schema: str, stretch: Stretch) -> Change:
    """Apply them to the isolated server up to where they stop; never twice to the same data."""
    if "->" in schema or any(ord(c) < ord(" ") for c in schema):
        raise UsageError(
            f"mariadb-binlog cannot be told to look for {printable(schema, 64, one_line=True)!r}",
            hint="recover it by hand",
        )
    paths = [f"{one.root}/{transfers.LOGS}/{name}" for _, name in binlog.logs(stretch)]
    argv = binlog.command("mariadb-binlog", stretch, schema, paths)
    end = f"position {stretch.stop} of {paths[-1].rsplit('/', 1)[-1]}" if stretch.stop else "their end"
    return Change(
        why=f"apply {stretch.transactions} transactions from the binary logs, to {printable(end, 100, one_line=True)}",
        at=one.at,
        do=Command(("sh", "-c", _APPLY, "remedy-apply", one.own, APPLYING, APPLIED, *argv), seconds=_APPLY_SECONDS),
        seen=asked.marked(one.run, one.base, APPLIED, APPLYING),
        before=wanted("absent"),
        after=wanted("done"),
        halfway=wanted("halfway"),
        layer="database",
    )
