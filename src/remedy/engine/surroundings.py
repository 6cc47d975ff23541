"""What a backup of a database is compared with: what its server shows now, and the clock of its host.

Decides what is asked, and that a server which is broken or out of reach stops nothing: less is compared then, and that
is told. Leaves to others: the comparison (`backups.plausible`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from remedy.backups import times
from remedy.backups.plausible import Live, LiveTable
from remedy.backups.values import Database
from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable, RemedyError, UsageError
from remedy.core.ports import Reader
from remedy.core.values import Probe
from remedy.probes import database as asked
from remedy.probes import fit


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found out. `live` is None when the server said nothing, `zone` is that of the database's clock.

    `missing` says what is not known, and what follows from it.
    """

    live: Live | None = None
    zone: str = "UTC"
    missing: tuple[str, ...] = ()


def look(database: Database, reader: Reader) -> Surroundings:
    """Ask the host of a database. Raises UsageError when the inventory names a time zone that there is not."""
    zone, unknown = clock(database, reader)
    missing = (unknown,) if unknown else ()
    try:
        return Surroundings(_live(database, reader), zone, missing)
    except UsageError:
        raise
    except RemedyError as error:
        return Surroundings(None, zone, (*missing, f"backups are not compared with the live database: {_short(error)}"))


def clock(database: Database, reader: Reader) -> tuple[str, str]:
    """The time zone of a database's clock, and what is to be said when it is not known. Raises UsageError as `look`."""
    zone = database.timezone
    if zone:
        times.zone(zone)
        return zone, ""
    try:
        zone = str(_ask(reader, database, fit.zone()))
        times.zone(zone)
    except RemedyError as error:
        text = f"the time zone of {database.host} is not known: times in backups are read as UTC; `timezone` in the "
        return "UTC", f"{text}inventory says it ({_short(error)})"
    return zone, ""


def _live(database: Database, reader: Reader) -> Live:
    found = cast("dict[str, Any]", _ask(reader, database, fit.server(database.defaults_file, database.schema)))
    try:
        folder = str(found["server"].get("datadir") or "/")
        return Live(
            server=str(found["server"].get("version", "")),
            tables=tuple(LiveTable(str(t["name"]), int(t["rows"]), int(t["bytes"])) for t in found["table"]),
            objects=tuple((str(o["kind"]), str(o["name"]), str(o["definer"])) for o in found["object"]),
            accounts=tuple(str(a["name"]) for a in found["account"]),
            powerful=tuple(str(a["name"]) for a in found["powerful"]),
            max_packet=int(found["server"].get("packet", 0)),
            free=_free(database, reader, folder),
            collations=tuple(str(c["name"]) for c in found["collation"] if c["name"]),
            charset=str(found["schema"].get("charset", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnswerUnusable("the server's answer makes no sense", where=database.host) from error


def _free(database: Database, reader: Reader, folder: str) -> int:
    """Bytes free where the server keeps its data, -1 when nobody says."""
    try:
        return int(cast("dict[str, int]", _ask(reader, database, asked.space(folder)))["free"])
    except RemedyError:
        return -1


def _ask(reader: Reader, database: Database, probe: Probe) -> Json:
    return reader.ask([probe], at=database.host)[0]


def _short(error: RemedyError) -> str:
    return f"{error.where}: {error.message}" if error.where else error.message
