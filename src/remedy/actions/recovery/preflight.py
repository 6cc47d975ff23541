"""What has to hold before a restore begins, and what has to be said: asked once, judged here.

Decides from the server's own words whether a restore may begin at all, and what the operator must know of it.
Refusals name what is in the way and the next step; nothing has been changed by then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, cast

from remedy.actions.recovery import sequences, statements
from remedy.actions.recovery.staging import schemas
from remedy.actions.recovery.statements import KEPT
from remedy.backups.values import Contents, Database
from remedy.core.errors import AnswerUnusable, Refused, TargetUnfit
from remedy.core.ports import Reader
from remedy.core.text import printable
from remedy.probes import database as asked
from remedy.probes import server as standing

_LONG_TRANSACTION: Final = 30
_ATOMIC: Final = {"mariadb": (10, 6), "mysql": (8, 0)}
#: More than any table has.
_ROWS: Final = 10**12
_ON: Final = frozenset({"ON", "1", "YES"})


@dataclass(frozen=True, slots=True)
class Server:
    """What the server said. `version` is (major, minor), `flavour` "mariadb" or "mysql".

    `tables` are the live schema's with its sequences, `has_rows` says whether any of them can hold rows. `definitions`
    are its views, triggers, routines and events as "view latest", `broken` the views that cannot be opened (and so not
    be created), `schemas` all there are on the server.
    """

    text: str
    flavour: str
    version: tuple[int, int]
    datadir: str
    log_bin: bool
    max_packet: int
    trust: str
    privileges: str
    scheduler: bool
    option_folder: str
    fingerprint: str
    structure: str
    tables: tuple[str, ...]
    has_rows: bool
    rows: int
    bytes: int
    exists: bool
    free: int
    charset: str
    definitions: tuple[str, ...]
    broken: tuple[str, ...]
    schemas: tuple[str, ...]
    said: tuple[str, ...] = ()

    @property
    def definer_rights(self) -> str:
        """The rights needed to name another account as definer while writes are held."""
        if self.flavour == "mariadb":
            return "SET USER, READ_ONLY ADMIN" if self.version >= (10, 5) else "SUPER"
        if self.version >= (8, 2):
            return "SET_ANY_DEFINER, CONNECTION_ADMIN"
        return "SET_USER_ID, CONNECTION_ADMIN" if self.version >= (8, 0) else "SUPER"


def look(database: Database, reader: Reader, accept: frozenset[str], need: int, contents: Contents) -> Server:
    """Ask the server, and refuse what cannot or must not be restored. `need` are the bytes that the load takes on disk.

    `contents` are the backup's.

    Raises TargetUnfit, Refused, Unreachable, AnswerUnusable.
    """
    file, live = database.defaults_file, database.schema
    incoming, undo = schemas(live)
    answers = reader.ask(
        [
            asked.variables(file),
            asked.schemas(file, live, incoming, undo),
            standing.around(file),
            standing.replica(file),
            standing.option_folder(),
            asked.fingerprint(file, statements.fingerprint(live)),
            asked.existing(file),
        ],
        at=database.host,
    )
    settings = cast("dict[str, str]", answers[0])
    found = cast("dict[str, list[dict[str, Any]]]", answers[1])
    people = cast("list[dict[str, Any]]", answers[2])
    _refuse_case(database, settings)
    exists = any(row["schema"] == live for row in found["schema"])
    structure = reader.ask([asked.structure(file, live)], at=database.host)[0] if exists else ""
    space = cast("dict[str, int]", reader.ask([asked.space(settings.get("datadir", "/"))], at=database.host)[0])
    _refuse_server(database, settings, replica=answers[3] == "yes")
    _refuse_leftovers(database, found)
    _refuse_inbound(database, found, accept)
    _refuse_sequences(database, str(structure), contents, accept)
    flavour, version = read_version(settings.get("version", ""), settings.get("version_comment", ""))
    here = [t for t in found["table"] if t["schema"] == live]
    tables = [t for t in here if t["type"] != "VIEW"]
    log_bin = settings.get("log_bin", "").upper() in _ON
    server = Server(
        text=settings.get("version", "unknown"),
        flavour=flavour,
        version=version,
        datadir=settings.get("datadir", "/"),
        log_bin=log_bin,
        max_packet=_number(settings, "max_allowed_packet"),
        trust=_switch(settings, "log_bin_trust_function_creators"),
        privileges=_switch(settings, "automatic_sp_privileges"),
        scheduler=settings.get("event_scheduler", "").upper() in _ON,
        option_folder=str(answers[4]),
        fingerprint=str(answers[5]),
        structure=str(structure),
        tables=tuple(sorted(t["name"] for t in tables)),
        has_rows=any(t["type"] in {"BASE TABLE", "SYSTEM VERSIONED"} for t in tables),
        rows=sum(t["rows"] for t in tables),
        bytes=sum(t["bytes"] for t in tables),
        exists=exists,
        free=space["free"],
        charset=_charset(settings),
        definitions=_definitions(here, found),
        # What cannot be opened says why in place of its comment.
        broken=tuple(sorted(t["name"] for t in here if t["type"] == "VIEW" and t["comment"] != "VIEW")),
        schemas=tuple(str(name).removeprefix("schema ") for name in cast("list[str]", answers[6])),
        said=tuple(_said(database, people, flavour, version, str(answers[4]))),
    )
    wanted = need * 2 if log_bin else need  # the binary log grows by about as much
    if wanted > server.free:
        raise TargetUnfit(
            f"{server.datadir} has {_mib(server.free)} MiB free; loading beside the live data needs about "
            f"{_mib(wanted)} MiB",
            where=database.host,
            hint="make room or add a disk, then try again; nothing was changed",
        )
    return server


def read_version(text: str, comment: str) -> tuple[str, tuple[int, int]]:
    """The flavour and (major, minor) of a server's version text such as "10.11.6-MariaDB-0+deb12u1-log"."""
    flavour = "mariadb" if "mariadb" in f"{text} {comment}".lower() else "mysql"
    match = re.search(r"(\d+)\.(\d+)\.\d+(?=-mariadb)", text, re.IGNORECASE) or re.match(r"(\d+)\.(\d+)", text)
    return flavour, (int(match[1]), int(match[2])) if match else (0, 0)


def _number(settings: dict[str, str], name: str) -> int:
    value = settings.get(name, "0")
    if not re.fullmatch(r"[0-9]{1,20}", value):
        raise AnswerUnusable(f"the server's {name} is no number", hint="nothing was decided from it")
    return int(value)


def _switch(settings: dict[str, str], name: str) -> str:
    return "1" if settings.get(name, "").upper() in _ON else "0"


def _definitions(here: list[dict[str, Any]], found: dict[str, list[dict[str, Any]]]) -> tuple[str, ...]:
    names = [f"view {t['name']}" for t in here if t["type"] == "VIEW"]
    names += [f"trigger {row['name']}" for row in found["trigger"]]
    names += [f"{row['type'].lower()} {row['name']}" for row in found["routine"]]
    return tuple(sorted(names + [f"event {row['name']}" for row in found["event"]]))


def _refuse_case(database: Database, settings: dict[str, str]) -> None:
    lower = database.schema.lower()
    if settings.get("lower_case_table_names", "0") != "0" and database.schema != lower:
        raise Refused(
            f"the server keeps names in lower case: what the inventory calls {database.schema} is {lower} there",
            where=database.host,
            hint=f"write `schema: {lower}` in the inventory",
        )


def _charset(settings: dict[str, str]) -> str:
    """The character set for the staging schema; tables bring their own."""
    name = settings.get("character_set_server", "")
    return name if re.fullmatch(r"[a-z0-9_]{1,32}", name) else "utf8mb4"


def _refuse_server(database: Database, settings: dict[str, str], *, replica: bool) -> None:
    if settings.get("wsrep_on", "").upper() in _ON:
        raise TargetUnfit(
            "the server is a Galera node: its cluster would follow in ways that are not known here",
            where=database.host,
            hint="take the node out of the cluster first",
        )
    if replica:
        raise Refused(
            "the server replicates from another one; what is restored here is overwritten or breaks replication",
            where=database.host,
            hint="restore on the primary, or stop replication first (STOP SLAVE; RESET SLAVE ALL)",
        )
    if 0 < _number(settings, "sql_select_limit") < _ROWS:
        raise Refused(
            f"the server gives no more than {settings['sql_select_limit']} rows to any question (sql_select_limit): "
            "dumps of it are not whole",
            where=database.host,
            hint="SET GLOBAL sql_select_limit=DEFAULT",
        )
    if settings.get("read_only", "").upper() in _ON:
        raise Refused(
            "the server is read-only",
            where=database.host,
            hint="`remedy resume` if a cut-over was interrupted; else SET GLOBAL read_only=0 when you know why it is",
        )


def _refuse_leftovers(database: Database, found: dict[str, list[dict[str, Any]]]) -> None:
    for beside in schemas(database.schema):
        if not any(row["schema"] == beside for row in found["schema"]):
            continue
        marks = [t for t in found["table"] if t["schema"] == beside and t["name"] == KEPT]
        run, _, stage = marks[0]["comment"].partition(" ") if marks else ("", "", "")
        if stage in {"swapped", "undone"}:
            kept = "the data before" if stage == "swapped" else "the data that was live until the undo of"
            raise Refused(
                f"{beside} still keeps {kept} run {run}",
                where=database.host,
                hint=f"`remedy release {database.name}` drops it for good"
                + (f", `remedy undo {run}` makes it live again" if stage == "swapped" else ""),
            )
        raise Refused(
            f"the schema {beside} is there already" + (f", from run {run}" if run else ""),
            where=database.host,
            hint="`remedy resume` or `remedy undo` ends an interrupted restore; drop it by hand if it is not remedy's",
        )


def _refuse_inbound(database: Database, found: dict[str, list[dict[str, Any]]], accept: frozenset[str]) -> None:
    if found["inbound"] and "inbound-keys" not in accept:
        names = sorted({f"{row['schema']}.{row['name']} (to {row['to']})" for row in found["inbound"]})
        raise Refused(
            f"foreign keys of other schemas point here and would follow the old tables: {', '.join(names[:5])}",
            where=database.host,
            hint="drop and add these keys around the restore, or --accept inbound-keys",
        )


def _refuse_sequences(database: Database, structure: str, contents: Contents, accept: frozenset[str]) -> None:
    """Those of the backup's tables count that do so live: of its own no more is known than that it has both."""
    inside = {table.name for table in contents.tables}
    known = {item.name for item in contents.objects if item.kind == "sequence"}
    asking = {
        f"{table} ({sequence})"
        for table, sequence in sequences.asked(structure).items()
        if table in inside and sequence.removeprefix(f"{database.schema}.") in known
    }
    if asking and "sequence-default" not in accept:
        raise Refused(
            "tables that take a default from a sequence cannot be loaded beside the live data: "
            + printable(", ".join(sorted(asking)[:5]), 300, one_line=True),
            where=database.host,
            hint="restore it by hand as root; or --accept sequence-default when the backup's tables have none",
        )


def _said(
    database: Database, people: list[dict[str, Any]], flavour: str, version: tuple[int, int], folder: str
) -> list[str]:
    """What the operator should know; changes from moment to moment, so it is no part of what is approved."""
    notes = []
    sessions = [p for p in people if p["is"] == "session" and p["db"] == database.schema]
    if sessions:
        by = sorted({f"{p['user']} from {p['host'] or 'here'}" for p in sessions})
        notes.append(f"{len(sessions)} sessions use it now and will be ended: {', '.join(by[:5])}")
    long = [p for p in people if p["is"] == "transaction" and int(p["seconds"]) > _LONG_TRANSACTION]
    notes += [f"a transaction is open for {p['seconds']} s ({p['rows']} rows): it will be rolled back" for p in long]
    replicas = [p for p in people if p["is"] == "session" and str(p["command"]).startswith("Binlog Dump")]
    if replicas:
        notes.append(f"{len(replicas)} replicas follow this server and will follow the restore")
    powerful = {str(p["account"]).partition("@")[0].strip("'") for p in people if p["is"] == "powerful"}
    busy = sorted({str(p["user"]) for p in sessions if p["user"] in powerful})
    if busy:
        notes.append(f"read-only does not stop {', '.join(busy)} (SUPER): stop that application first")
    if version < _ATOMIC[flavour]:
        notes.append(f"{flavour} {version[0]}.{version[1]} does not rename several tables atomically in a power cut")
    if not folder:
        notes.append("no folder for option files: a power cut inside the cut-over would not keep writes held")
    return notes


def _mib(count: int) -> int:
    return count // (1024 * 1024)
