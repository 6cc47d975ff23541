"""What an intruder does to the site's database: tables dropped, rows held to ransom, the server broken.

Decides the words sent as root on db01. Leaves to others: putting it back (`Estate.reset_database`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from remedy.core.errors import RemedyError, UsageError
from remedy.lab.services import STOPPED

__all__ = ["KINDS", "MARK", "RANSOM", "ruin"]

Exec = Callable[..., tuple[int, bytes, bytes]]

KINDS: Final = ("tables", "rows", "server")
#: A file on a host whose database was ruined.
MARK: Final = "/etc/remedy-lab/ruined"
#: Found in every row an intruder has overwritten.
RANSOM: Final = "你的数据已被加密, 联系我们付款"
_TABLES: Final = """\
SELECT concat('DROP TABLE `site`.`', replace(table_name, '`', '``'), '`;') FROM information_schema.tables
WHERE table_schema = 'site' AND table_type <> 'VIEW'"""
_ROWS: Final = f"""\
SET NAMES utf8mb4, foreign_key_checks = 0;
UPDATE `site`.`notice` SET `title` = '{RANSOM}', `body` = '{RANSOM}';
UPDATE `site`.`article` SET `title` = '{RANSOM}', `summary` = NULL, `body` = '{RANSOM}';
UPDATE `site`.`customer` SET `name` = left('{RANSOM}', 8), `nick` = NULL, `likes` = NULL;
UPDATE `site`.`attachment` SET `content` = '{RANSOM}';
UPDATE `site`.`setting` SET `value` = '{RANSOM}';
"""  # noqa: S608 -- own text
#: The service is kept from coming back only while the files are damaged: then it tries again and again, in vain.
_SERVER: Final = f"""\
mkdir -p {STOPPED} && : >{STOPPED}/mysql
kill -9 "$(cat /run/lab-service/mysql)"
while pgrep -x mariadbd >/dev/null; do sleep 0.05; done
dd if=/dev/urandom of=/var/lib/mysql/ibdata1 bs=16k count=64 conv=notrunc status=none || exit 1
dd if=/dev/urandom of=/var/lib/mysql/ib_logfile0 bs=4k count=4 conv=notrunc status=none || exit 1
rm {STOPPED}/mysql
kill -USR1 "$(cat /run/lab-service/mysql.keeper)"
"""
_PATIENCE: Final = 300.0


def ruin(run: Exec, host: str, kind: str) -> None:
    """Ruin the database of `host` and return when it is done. Raises UsageError, RemedyError."""
    if kind not in KINDS:
        raise UsageError(f"no ruin is called {kind!r}", hint=f"there are {', '.join(KINDS)}")
    if run(host, ("test", "-e", "/etc/remedy-lab/site.sql"))[0] != 0:
        raise UsageError(f"{host} has no database", hint="db01 has")
    _do(run, host, ("touch", MARK))
    if kind == "tables":
        drops = _do(run, host, ("mariadb", "--batch", "--skip-column-names", "--raw", "--execute", _TABLES))
        _do(run, host, ("mariadb", "--init-command=SET foreign_key_checks = 0"), drops)
    elif kind == "rows":
        _do(run, host, ("mariadb",), _ROWS.encode())
    else:
        _do(run, host, ("/bin/sh", "-c", _SERVER))


def _do(run: Exec, host: str, argv: tuple[str, ...], stdin: bytes = b"") -> bytes:
    code, out, err = run(host, argv, stdin, _PATIENCE)
    if code != 0:
        said = err.decode("utf-8", "replace").strip()[-300:]
        raise RemedyError(f"{argv[0]} ended with {code}: {said}", where=host)
    return out
