"""When a backup was made: the text of its footer in the zone of the clock that wrote it, and positions in replication.

Decides what instant a local time means and which of two backups of one server is the later one. mtime has no say: any
copy or `touch` sets it. Follows PEP 495 for local times, MariaDB's "Global Transaction ID" and MySQL's "GTID Format and
Storage" for positions.

    2026-02-03  2:00:07        mysqldump's footer, without a zone, hours without a leading zero
    2026-02-03 02:00:07        mydumper's metadata, xtrabackup_info
    0-1-4711,1-2-17            a MariaDB position: per domain, how far
    3e11fa47-…:1-77,2b21…:1-5  a MySQL set of transactions
    mariadb-bin.000412:3456    a place in the binary log
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from remedy.backups.values import Facts
from remedy.core.errors import UsageError

_LOCAL: Final = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})[T ] *(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?\s*\Z",
    re.ASCII,
)
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}\Z", re.ASCII)
_OF_THIS_MACHINE: Final = frozenset({"localtime", "posixrules"})
_MARIADB: Final = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,20})\Z", re.ASCII)
_MYSQL: Final = re.compile(r"([0-9a-fA-F-]{36})((?::\d{1,19}(?:-\d{1,19})?)+)\Z", re.ASCII)
_LOG: Final = re.compile(r"(.+)\.(\d{6,10}):(\d{1,20})\Z", re.ASCII)
_LONGEST: Final = 65_536

#: Whose positions can be compared with each other, and how far this one is.
Position = tuple[tuple[str, ...], tuple[int, ...]]


def zone(name: str) -> tzinfo:
    """The IANA time zone of that name. Raises UsageError when there is none, or this machine has no zones at all.

    `localtime` and `posixrules` are none: they say something else on every machine.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name if _ZONE.match(name) and name not in _OF_THIS_MACHINE else "no/zone")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"no time zone is called {name[:80]!r}",
            hint="write an IANA name such as Asia/Shanghai; a machine without any lacks the package tzdata",
        ) from error


def local_time(text: str, zone_name: str) -> int:
    """The instant (seconds since 1970 UTC) that a clock of this zone shows as `text`; 0 when it is no time.

    A time that the clock shows twice (the hour after summer time ends) is the earlier of both, and one that it never
    shows (the hour skipped in spring: then the zone is wrong) is the earlier of its two readings: a backup is never
    taken for newer than it may be. A zone within the text counts before `zone_name`. Raises UsageError on an unknown
    zone.
    """
    match = _LOCAL.match(text[:80])
    where = zone(zone_name)
    if not match:
        return 0
    try:
        naive = datetime(*(int(match[at]) for at in range(1, 7)))  # type: ignore[arg-type]  # noqa: DTZ001 -- just below
        written = match["zone"]
        if written in {"Z", "UTC"}:
            return max(0, int(naive.replace(tzinfo=UTC).timestamp()))
        if written:
            ahead = timedelta(hours=int(written[1:3]), minutes=int(written[-2:]))
            naive = naive - ahead if written[0] == "+" else naive + ahead
            return max(0, int(naive.replace(tzinfo=UTC).timestamp()))
        return max(0, _earlier(naive, where))
    except (ValueError, OverflowError):
        return 0


def _earlier(naive: datetime, where: tzinfo) -> int:
    return min(int(naive.replace(tzinfo=where, fold=fold).timestamp()) for fold in (0, 1))


def daily(now: int, clock: str, zone_name: str, *, days_back: int = 0) -> int:
    """The instant at which a clock of this zone shows `clock` ("HH:MM") on the day that it is there, or days before."""
    where = zone(zone_name)
    day = datetime.fromtimestamp(now, where).date() - timedelta(days=days_back)
    return _earlier(datetime.combine(day, datetime.strptime(clock, "%H:%M").time()), where)  # noqa: DTZ007 -- zone is put in


def shown(instant: int, zone_name: str) -> str:
    """An instant as people of that zone read it, with its distance from UTC; "unknown" for 0."""
    if not instant:
        return "unknown"
    return datetime.fromtimestamp(instant, zone(zone_name)).strftime("%Y-%m-%d %H:%M:%S %z")


def positions(facts: Facts) -> tuple[Position, ...]:
    """Where replication stood in a backup, best comparable first; () when it does not say.

    What a server counts only grows while it is the same server with the same history: RESET MASTER, or a server set up
    anew, begins again. Whoever compares has to bear that in mind.
    """
    return tuple(_positions(facts))


def _positions(facts: Facts) -> Iterator[Position]:
    words = [word.strip() for word in facts.gtid[:_LONGEST].split(",") if word.strip()]
    mariadb = [match for word in words if (match := _MARIADB.match(word))]
    mysql = [match for word in words if (match := _MYSQL.match(word))]
    if words and len(mariadb) == len(words):
        ends = {match[1]: int(match[3]) for match in mariadb}
        # Each domain only counts up, so of two positions in the same domains the later one has the larger sum.
        yield ("mariadb", *sorted(ends)), (sum(ends.values()),)
    elif words and len(mysql) == len(words):
        yield ("mysql", *sorted({match[1].lower() for match in mysql})), (sum(_count(match[2]) for match in mysql),)
    if place := _LOG.match(facts.binlog[:1000]):
        yield ("log", place[1]), (int(place[2]), int(place[3]))


def _count(intervals: str) -> int:
    """How many transactions ":1-77:80" are."""
    total = 0
    for interval in intervals[1:].split(":"):
        first, _, last = interval.partition("-")
        total += int(last or first) - int(first) + 1
    return total
