"""What a backup would have to fit: the server, its accounts and collations, the tables and definitions that are live.

One round trip through the native client (`database`). Decides no more than what was answered: `backups.plausible` does.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text
from remedy.probes.database import client, quoted

_SECONDS: Final = 60
_LISTS: Final = ("table", "object", "account", "powerful", "collation")


def server(defaults_file: str, schema: str) -> Probe:
    """The server and what of it a backup of `schema` meets: a map, see `parse_server`."""
    live = quoted(schema)
    sql = f"""
SELECT JSON_OBJECT('is','server','version',@@version,'packet',@@max_allowed_packet,'datadir',@@datadir);
SELECT JSON_OBJECT('is','schema','charset',default_character_set_name) FROM information_schema.schemata
 WHERE schema_name={live};
SELECT JSON_OBJECT('is','table','name',table_name,'rows',IFNULL(table_rows,0),
 'bytes',IFNULL(data_length+index_length,0)) FROM information_schema.tables
 WHERE table_schema={live} AND table_type='BASE TABLE' ORDER BY table_name;
SELECT JSON_OBJECT('is','object','kind','view','name',table_name,'definer',definer) FROM information_schema.views
 WHERE table_schema={live};
SELECT JSON_OBJECT('is','object','kind','trigger','name',trigger_name,'definer',definer)
 FROM information_schema.triggers WHERE trigger_schema={live};
SELECT JSON_OBJECT('is','object','kind',LOWER(routine_type),'name',routine_name,'definer',definer)
 FROM information_schema.routines WHERE routine_schema={live};
SELECT JSON_OBJECT('is','object','kind','event','name',event_name,'definer',definer) FROM information_schema.events
 WHERE event_schema={live};
SELECT JSON_OBJECT('is','account','name',grantee) FROM information_schema.user_privileges GROUP BY grantee;
SELECT JSON_OBJECT('is','powerful','name',grantee) FROM information_schema.user_privileges
 WHERE privilege_type IN ('SUPER','SET USER','SET_USER_ID','SET_ANY_DEFINER') GROUP BY grantee;
SELECT JSON_OBJECT('is','collation','name',collation_name) FROM information_schema.collations;
"""  # noqa: S608 -- `live` is a hexadecimal literal
    return Probe(
        client(defaults_file, "--batch", "--raw", "--skip-column-names", sql=sql, seconds=_SECONDS), "fit.server"
    )


def parse_server(reply: Reply) -> Json:
    """Read one JSON object per line: maps under `server` and `schema`, lists under the other words of `is`.

    Sample::

        {"is": "server", "version": "10.11.6-MariaDB-log", "packet": 16777216, "datadir": "/var/lib/mysql/"}
        {"is": "schema", "charset": "utf8mb4"}
        {"is": "table", "name": "notice", "rows": 5, "bytes": 16384}
        {"is": "object", "kind": "view", "name": "latest", "definer": "root@localhost"}
        {"is": "powerful", "name": "'root'@'localhost'"}
    """
    found: dict[str, Any] = {"server": {}, "schema": {}, **{name: [] for name in _LISTS}}
    # Not splitlines: a table may be called by what Python takes for the end of a line.
    for line in text(reply, "asking the server what a backup has to fit").split("\n"):
        if not line:
            continue
        try:
            row = json.loads(line, parse_float=str)
        except (ValueError, RecursionError) as error:
            raise AnswerUnusable(f"the server's answer is no JSON: {printable(line, 80, one_line=True)}") from error
        kind = str(row.pop("is", "")) if isinstance(row, dict) else ""
        if kind in _LISTS:
            found[kind].append(row)
        elif kind in {"server", "schema"}:
            found[kind] = row
        else:
            raise AnswerUnusable(f"the server's answer makes no sense: {printable(line, 80, one_line=True)}")
    return cast("Json", found)


def zone() -> Probe:
    """The name of the host's time zone, "" when it does not say."""
    return Probe(
        Command(("sh", "-c", "readlink -f /etc/localtime; cat /etc/timezone 2>/dev/null"), root=False), "fit.zone"
    )


def parse_zone(reply: Reply) -> Json:
    """Read where /etc/localtime leads to, else the name in /etc/timezone (tzset(3), Debian's tzdata).

    Sample::

        /usr/share/zoneinfo/Asia/Shanghai
        Asia/Shanghai
    """
    lines = reply.out.decode("utf-8", "replace").split("\n")
    _, found, name = lines[0].partition("/zoneinfo/")
    name = name if found else next((line for line in lines[1:] if line), "")
    name = name.removeprefix("posix/").removeprefix("right/")
    return {"Etc/UTC": "UTC"}.get(name, name)


PARSERS = {"server": parse_server, "zone": parse_zone}
