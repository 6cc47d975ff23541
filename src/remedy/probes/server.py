"""Who else works on a database server, whom it follows, and where its configuration can be added to.

Asked through the client on its own host, as in `database`. Decides no more than what was answered.
"""

from __future__ import annotations

import re
from typing import Final

from remedy.core.canon import Json
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text
from remedy.probes.database import CLIENT, asking, lines_of, row_of

_SECONDS: Final = 60
_SHAPES: Final[dict[str, dict[str, type]]] = {
    "session": {"user": str, "host": str, "db": str, "command": str, "seconds": int},
    "transaction": {"seconds": int, "rows": int},
    "powerful": {"account": str},
}


def around(defaults_file: str) -> Probe:
    """Who else works on the server: sessions, replication, powerful accounts; a list of maps with `is`."""
    sql = """
SELECT JSON_OBJECT('is','session','user',user,'host',SUBSTRING_INDEX(IFNULL(host,''),':',1),'db',IFNULL(db,''),
 'command',command,'seconds',IFNULL(time,0)) FROM information_schema.processlist WHERE id<>CONNECTION_ID()
 ORDER BY id;
SELECT JSON_OBJECT('is','transaction','seconds',TIMESTAMPDIFF(SECOND,trx_started,NOW()),'rows',trx_rows_modified)
 FROM information_schema.innodb_trx WHERE TIMESTAMPDIFF(SECOND,trx_started,NOW())>5 ORDER BY trx_id;
SELECT JSON_OBJECT('is','powerful','account',grantee) FROM information_schema.user_privileges
 WHERE privilege_type IN ('SUPER','READ ONLY ADMIN','READ_ONLY ADMIN','CONNECTION_ADMIN') GROUP BY grantee
 ORDER BY grantee;
"""
    return asking(defaults_file, sql, "server.rows")


def parse_rows(reply: Reply) -> Json:
    """Read one JSON object per line.

    Sample::

        {"is": "session", "user": "site", "host": "198.18.1.11", "db": "site", "command": "Sleep", "seconds": 3}
    """
    rows: list[Json] = []
    rows += [row_of(line, _SHAPES) for line in lines_of(reply)]
    return rows


def replica(defaults_file: str) -> Probe:
    """Whether the server replicates from another one: "yes" or "no". MySQL 8.4 knows only the new word for it."""
    argv = ("sh", "-c", _REPLICA, "remedy", defaults_file, "--batch", "--skip-column-names")
    return Probe(Command(argv, seconds=_SECONDS), "server.replica")


_REPLICA: Final = (
    "run() ( " + CLIENT + ' ); run "$@" -e "SHOW REPLICA STATUS" 2>/dev/null || run "$@" -e "SHOW SLAVE STATUS"'
)


def parse_replica(reply: Reply) -> Json:
    """Any row means that it does."""
    return "yes" if lines_of(reply) else "no"


def option_folder() -> Probe:
    """The last folder that the server's option file includes (where an option file wins), "" when there is none."""
    return Probe(Command(("sh", "-c", _FOLDER), seconds=20), "server.folder")


#: Option files in the order in which a server reads them (MariaDB manual, Configuring MariaDB with Option Files).
_FOLDER: Final = (
    "for f in /etc/my.cnf /etc/mysql/my.cnf; do if [ -r $f ]; then "
    """sed -n 's/^ *!includedir  *\\([^ ]*\\).*/\\1/p' $f; fi; done | while read -r d; do """
    'if [ -d "$d" ] && [ -w "$d" ]; then printf "%s\\n" "${d%/}"; fi; done | tail -n 1'
)
_PLAIN: Final = re.compile(r"/[A-Za-z0-9_./-]{1,200}")


def parse_folder(reply: Reply) -> Json:
    """Read one path.

    Sample::

        /etc/mysql/mariadb.conf.d
    """
    path = text(reply, "looking for a folder of option files").strip()
    return path if _PLAIN.fullmatch(path) and ".." not in path else ""


PARSERS = {"rows": parse_rows, "replica": parse_replica, "folder": parse_folder}
