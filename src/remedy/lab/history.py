"""What db01 has been through before the lab begins: its database, and a backup of each of the last three nights.

Decides when what happened, and that it is made once a day and kept beside the disk image. Leaves to others: what is in
the database (database.py, site_rows.py) and putting the copies on other hosts (layers.py, offsite.py).

Nothing is made up: a real mariadbd runs over the image, statements carry the clock of their day into its binary log,
and each backup is the work of the very program cron runs on db01, under a clock that shows two in the morning of that
day (libfaketime). The result is a layer of db01's disk, which costs the lab's start nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from remedy.core.errors import RemedyError
from remedy.lab import database, site_rows, site_schema, site_words
from remedy.lab.image import CACHE

__all__ = ["BACKUPS", "NIGHTS", "PLACE", "backups", "ensure_history", "last_night", "link"]

#: What a lab calls its link to the layer in its state folder.
PLACE: Final = "past"
#: Where db01 keeps its own copy.
BACKUPS: Final = "var/backups/mariadb"
NIGHTS: Final = 3
_HOUR: Final = 2
_SIZE: Final = 600_000
_DATABASE: Final = "site"

#: MariaDB as it runs on db01. The buffer pool and the log are small for the sake of a quick start in little memory.
_SETTINGS: Final = """\
[mysqld]
bind-address = *
skip-name-resolve
character_set_server = utf8mb4
innodb_buffer_pool_size = 128M
innodb_log_file_size = 32M
performance_schema = OFF
event_scheduler = ON
server_id = 21
log_bin = /var/lib/mysql/binlog
binlog_format = ROW
expire_logs_days = 30
"""

_BACKUP: Final = """\
#!/bin/bash
# site-backup: one dump of the site, as cron runs it every night at two.
set -euo pipefail
umask 027
mkdir -p /var/backups/mariadb
cd /var/backups/mariadb
name=site-$(date +%F).sql.zst
trap 'rm -f "$name.part"' EXIT
mariadb-dump --single-transaction --routines --events --triggers --master-data=2 \\
  --default-character-set=utf8mb4 site | zstd --quiet --force -o "$name.part"
mv "$name.part" "$name"
sha256sum "$name" >"$name.sha256"
"""

_CRON: Final = "0 2 * * * root /usr/local/sbin/site-backup\n"

#: Run in a mount namespace of its own: a disk in memory over the image, and inside it the life of a database server.
_STAGE: Final = """\
set -eu
image=$1 made=$2
mkdir "$made/stage"
mount -t tmpfs -o size=2g tmpfs "$made/stage"
cd "$made/stage"
mkdir upper work root
mount -t overlay -o "lowerdir=$image,upperdir=$PWD/upper,workdir=$PWD/work" overlay root
cp -a "$made/files/." root/
mount -t proc proc root/proc
mount --rbind /dev root/dev
mount -t tmpfs -o mode=755 tmpfs root/run
mount -t tmpfs -o mode=1777 tmpfs root/tmp
cp -a "$made/input" root/run/input
chroot root /bin/bash /run/input/life
cp -a upper "$made/layer"
"""

_LIFE: Final = """\
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TZ=UTC
clock=$(ls /usr/lib/*/faketime/libfaketime.so.1)
install -d -o mysql -g mysql /run/mysqld
mariadbd --user=mysql --skip-networking >/run/mysqld/log 2>&1 &
server=$!
until mariadb-admin --silent ping 2>/run/ping; do
  kill -0 $server || { cat /run/mysqld/log >&2; exit 1; }
  sleep 0.05
done
mariadb -e "CREATE DATABASE site CHARACTER SET utf8mb4"
mariadb --comments --default-character-set=utf8mb4 site <"/run/input/begin.sql"
while read -r day time work; do
  mariadb --comments --default-character-set=utf8mb4 site <"/run/input/$work"
  LD_PRELOAD=$clock FAKETIME="@$day $time" /usr/local/sbin/site-backup
  touch --date="$day $time" "/var/backups/mariadb/site-$day.sql.zst"*
done </run/input/nights
mariadb --comments --default-character-set=utf8mb4 site <"/run/input/today.sql"
mariadb-admin shutdown
wait $server
rm -rf /var/log/mysql
"""


def last_night(now: datetime) -> datetime:
    """The last two o'clock in the morning (UTC, the hosts' time zone) before `now`."""
    night = now.astimezone(UTC).replace(hour=_HOUR, minute=0, second=0, microsecond=0)
    return night if night <= now else night - timedelta(days=1)


def backups(history: Path) -> list[Path]:
    """The files of db01's own copy, oldest night first, each followed by its checksum."""
    return sorted((history / BACKUPS).iterdir())


def ensure_history(
    image: Path, progress: Callable[[str], None], cache: Path = CACHE, now: datetime | None = None
) -> Path:
    """Return the layer of db01's disk for the night before `now`, making it first if need be (two seconds, 50 MB).

    `progress` receives a line when it is made. Raises RemedyError with what the database server said when it fails.
    """
    night = last_night(now or datetime.now(UTC))
    history = cache / f"history-{_digest(image)}-{night:%Y-%m-%d}"
    if history.is_dir():
        return history
    progress("writing db01's last days: its database and the backups of three nights, once a day")
    unfinished = cache / f"{history.name}.unfinished-{os.getpid()}"
    try:
        _write_input(unfinished / "input", night)
        _write_files(unfinished / "files")
        argv = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        argv += ["sh", "-c", _STAGE, "history", str(image), str(unfinished)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
            raise RemedyError(
                f"db01's database could not be made: {' | '.join(said)[:1000]}",
                where=str(history),
                hint="remove the image beside it and try again",
            )
        try:
            (unfinished / "layer").rename(history)
        except OSError:
            if not history.is_dir():  # unless another lab was quicker
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for old in cache.glob("history-*"):
        if old != history and ".unfinished-" not in old.name:
            shutil.rmtree(old, ignore_errors=True)
    return history


def link(history: Path, place: Path) -> None:
    """Give a lab its own `place` for the layer, so that it outlives the cache.

    A copy: the time of change of a hard link would be that of whatever lab came or went last. Raises RemedyError.
    """
    done = subprocess.run(["cp", "-a", "--reflink=auto", str(history), str(place)], capture_output=True, check=False)
    if done.returncode == 0:
        return
    shutil.rmtree(place, ignore_errors=True)
    raise RemedyError(done.stderr.decode("utf-8", "replace").strip(), where=str(place))


def _digest(image: Path) -> str:
    """Of everything the layer is made from but the day."""
    sources = [Path(module.__file__ or "").read_bytes() for module in (database, site_rows, site_schema, site_words)]
    sources += [Path(__file__).read_bytes(), image.name.encode()]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()[:16]


def _write_input(folder: Path, night: datetime) -> None:
    """The statements of each day, and the list of nights in the words of _LIFE."""
    folder.mkdir(parents=True)
    nights = [night - timedelta(days=back) for back in reversed(range(NIGHTS))]
    begin = nights[0] - timedelta(days=1)
    # Begun anew under the old clock, the binary log's first events are old too; they would end a replay by time.
    clock = b"SET timestamp = %d;\nRESET MASTER;\n" % begin.timestamp()
    _write(folder / "begin.sql", [clock, *database.script(_SIZE, schema=_DATABASE, until=begin)])
    for number, moment in enumerate(nights):
        _write(folder / f"{number}.sql", site_rows.a_day(moment - timedelta(hours=18)))
    _write(folder / "today.sql", site_rows.a_day(night + timedelta(minutes=1), timedelta(seconds=5), orders=4))
    lines = [f"{moment:%Y-%m-%d %H:%M:%S} {number}.sql\n" for number, moment in enumerate(nights)]
    (folder / "nights").write_text("".join(lines), encoding="ascii")
    (folder / "life").write_text(_LIFE, encoding="utf-8")


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(pieces)


def _write_files(folder: Path) -> None:
    """The configuration of the server and the nightly program, which are part of the layer."""
    for name, text, mode in (
        ("etc/mysql/mariadb.conf.d/90-lab.cnf", _SETTINGS, 0o644),
        ("usr/local/sbin/site-backup", _BACKUP, 0o755),
        ("etc/cron.d/site-backup", _CRON, 0o644),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
