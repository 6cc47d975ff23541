"""Whether the backups keep what the emergency plans promise: `remedy backup status`.

Decides promise by promise, from the lists of all copies, from what is known of each backup, and from the time that it
is told. Only what was read counts: a file that lies there unread, or whose time of change is new, is no backup yet.

    id          rules                     held when
    daily       BZ-BACKUP                 a good backup was made since the last time one was due
    proven      BZ-DATA-1                 one of the last two days was restored for proof, and no newer one is damaged
    off-site    BZ-BACKUP, BZ-DATA-2      a good backup of the last 31 days lies off site
    copies      PY-DB, XZ-BACKUP          the newest good backup lies in two copies
    places      PY-DB                     … in two buildings
    days        PY-DESTRUCT               good backups of at least three different days exist
    reachable   PY-DB                     every copy can be listed

"Good" is whole, with nothing found that speaks against restoring it. Numbers are those of the inventory's `promises`
where it has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from remedy.backups import naming, times
from remedy.backups.choose import SKEW, WHOLE, Candidate, order
from remedy.backups.findings import NOTES
from remedy.backups.values import Backup, Database, Judgement, reaches
from remedy.core.text import printable

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
#: How long after the due time the daily backup may take before it is missed, in seconds.
GRACE: Final = 2 * HOUR
#: The age that the newest proven backup may have, in seconds. The plans ask for no rhythm of proofs: BZ-DATA-1 restores
#: the newest backup, so that is the one to be known good, and BZ-BACKUP makes one a day. One day it is the newest, and
#: by the time the next is due it has to be proven. Less would be an alarm every night between the backup and the end of
#: its proof, which may take hours; more would let a night without a proof pass unnoticed.
PROVEN: Final = 2 * DAY
#: Of how many days good backups have to exist.
DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Kept:
    """One promise: `id` for scripts, the plans' `rules`, whether it is held, why, and what to do when it is not."""

    id: str
    rules: tuple[str, ...]
    held: bool
    text: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class _Good:
    """A good backup: in which copies it was read and found good, and whether it was restored for proof."""

    backup: Candidate
    places: tuple[str, ...]
    proven: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """The good backups, newest first; what is damaged; what is whole and in doubt; what is unread."""

    good: tuple[_Good, ...]
    damaged: tuple[Candidate, ...]
    doubtful: tuple[Candidate, ...]
    unread: tuple[Candidate, ...]


def promises(
    database: Database,
    backups: Iterable[Backup],
    known: Mapping[Backup, Judgement],
    now: int,
    *,
    unlisted: Mapping[str, str] | None = None,
    zone: str = "UTC",
    accepted: frozenset[str] = frozenset(),
) -> tuple[Kept, ...]:
    """Judge every promise at the instant `now` (seconds since 1970 UTC).

    `known` are the verdicts by backup as listed, `unlisted` the copies that cannot be listed, with the reason. `zone`
    is the database host's, for a database without `timezone`. `accepted` are codes of findings that the operator lives
    with; mere notes need no word.
    """
    clock = database.timezone or zone
    # What restores have put aside is kept for its own sake, and is no backup that anybody waits for.
    backups = [one for one in backups if not naming.before_restore(one.name)]
    known = {one: judgement for one, judgement in known.items() if not naming.before_restore(one.name)}
    judged = {one: judgement.objections(accepted | NOTES) for one, judgement in known.items()}
    good = frozenset(one for one in known if reaches(known[one].level, WHOLE) and not judged[one])
    found = _read(order(backups, known, database, zone=zone).candidates, known, good, now)
    gone = dict(unlisted or {})
    return (
        _daily(database, found, now, clock),
        _proven(database, found, now - PROVEN, clock),
        _off_site(database, found, now, clock),
        _copies(database, found, gone),
        _places(database, found, gone),
        _days(database, found, clock),
        _reachable(database, gone),
    )


def _read(
    candidates: tuple[Candidate, ...], known: Mapping[Backup, Judgement], fine: frozenset[Backup], now: int
) -> _Read:
    """Files that are called like nothing known, and backups of other databases, are nobody's promise."""
    good: list[_Good] = []
    damaged: list[Candidate] = []
    doubtful: list[Candidate] = []
    unread: list[Candidate] = []
    for one in candidates:
        read = [copy for copy in one.copies if copy in known]
        places = [copy for copy in read if copy in fine]
        if places and 0 < one.time <= now + SKEW:
            proven = any(reaches(known[copy].level, "proven") for copy in places)
            good.append(_Good(one, tuple(dict.fromkeys(copy.copy for copy in places)), proven))
        elif not one.copies[0].format or any(_is_foreign(known[copy]) for copy in read):
            continue
        elif read:
            fatal = all(any(finding.fatal for finding in known[copy].findings) for copy in read)
            (damaged if fatal or not one.sha256 else doubtful).append(one)
        elif not any(copy.odd for copy in one.copies):
            unread.append(one)
    return _Read(tuple(good), tuple(damaged), tuple(doubtful), tuple(unread))


def _is_foreign(judgement: Judgement) -> bool:
    return any(finding.code == "wrong-database" for finding in judgement.findings)


def _check(database: Database, more: str = "") -> str:
    return f"remedy backup check {database.name}{more}"


def _named(one: Candidate, clock: str) -> str:
    return f"{printable(one.name, 80, one_line=True)} of {times.shown(one.time, clock)}"


def _daily(database: Database, found: _Read, now: int, clock: str) -> Kept:
    """The last due time that is past its grace counts."""
    due = times.daily(now, database.promises.daily, clock)
    if now < due + GRACE:
        due = times.daily(now, database.promises.daily, clock, days_back=1)
    since = f"since {times.shown(due, clock)}"
    made = next((one.backup for one in found.good if one.backup.time >= due), None)
    if made:
        return Kept("daily", ("BZ-BACKUP",), True, f"made {since}: {_named(made, clock)}")
    unread = [one for one in found.unread if one.bound >= due]
    damaged = [one for one in found.damaged if one.when >= due]
    text = f"no good backup was made {since}"
    take = f"remedy backup take {database.name}"
    if damaged:
        return Kept("daily", ("BZ-BACKUP",), False, f"{text}; {len(damaged)} are damaged", take)
    doubtful = [one for one in found.doubtful if one.when >= due]
    if doubtful:
        text += f" that is beyond doubt; {len(doubtful)} are whole"
        return Kept("daily", ("BZ-BACKUP",), False, text, f"{_check(database)} says what to accept or to mend")
    if unread:
        return Kept("daily", ("BZ-BACKUP",), False, f"{text} and read; {len(unread)} are unread", _check(database))
    return Kept("daily", ("BZ-BACKUP",), False, text, f"see whether the nightly job ran on {database.host}; {take}")


def _proven(database: Database, found: _Read, least: int, clock: str) -> Kept:
    """`least` is the earliest time that the newest proven one may be of."""
    rules = ("BZ-DATA-1",)
    todo = _check(database, " --level proven")
    newest = next((one.backup for one in found.good if one.proven), None)
    if newest is None:
        return Kept("proven", rules, False, "no backup was ever restored for proof", todo)
    text = f"the newest that was restored for proof: {_named(newest, clock)}"
    newer = [one for one in found.damaged if one.when > newest.time]
    if newer:
        text += f"; newer but damaged: {printable(newer[0].name, 80, one_line=True)}"
        return Kept("proven", rules, False, text, f"remedy backup take {database.name}")
    held = newest.time >= least
    return Kept("proven", rules, held, text, "" if held else todo)


def _off_site(database: Database, found: _Read, now: int, clock: str) -> Kept:
    rules = ("BZ-BACKUP", "BZ-DATA-2")
    far = {copy.name for copy in database.copies if copy.off_site}
    if not far:
        text = f"no copy of {database.name} is marked off_site"
        return Kept("off-site", rules, False, text, "add a far copy to remedy_databases, with off_site: true")
    newest = next((one.backup for one in found.good if far & set(one.places)), None)
    days = database.promises.off_site_days
    if newest and newest.time >= now - days * DAY:
        return Kept("off-site", rules, True, f"off site: {_named(newest, clock)}")
    text = f"newest off site: {_named(newest, clock)}" if newest else "no good backup was read off site"
    unread = sum(1 for one in found.unread if far & {copy.copy for copy in one.copies})
    more = f"; {unread} unread there" if unread else ""
    name = next(copy.name for copy in database.copies if copy.off_site)
    todo = _check(database, f" --copy {name}") if unread else f"bring a backup to {name}, then {_check(database)}"
    return Kept("off-site", rules, False, f"{text}{more}; at most {days} days are promised", todo)


def _copies(database: Database, found: _Read, gone: Mapping[str, str]) -> Kept:
    """In how many copies the newest good content was read and found good."""
    rules, wanted = ("PY-DB", "XZ-BACKUP"), database.promises.copies
    where = found.good[0].places if found.good else ()
    text = f"the newest good backup was found good in {len(where)} of {wanted} copies" + _listed(where)
    held = len(where) >= wanted
    return Kept("copies", rules, held, text, "" if held else _missing(database, where, gone))


def _places(database: Database, found: _Read, gone: Mapping[str, str]) -> Kept:
    """Copies without a place count for no building."""
    wanted = database.promises.places
    where = found.good[0].places if found.good else ()
    at = sorted({copy.place for copy in database.copies if copy.name in where and copy.place})
    text = f"the newest good backup was found good in {len(at)} of {wanted} buildings" + _listed(at)
    unsaid = [copy.name for copy in database.copies if not copy.place]
    held = len(at) >= wanted
    todo = _missing(database, where, gone)
    if unsaid:
        todo = f"say where {', '.join(unsaid)} is (place)"
    return Kept("places", ("PY-DB",), held, text, "" if held else todo)


def _listed(names: Iterable[str]) -> str:
    row = ", ".join(names)
    return f": {row}" if row else ""


def _missing(database: Database, where: Iterable[str], gone: Mapping[str, str]) -> str:
    lacking = [copy.name for copy in database.copies if copy.name not in set(where)]
    if not lacking:
        return "add a copy in another building to remedy_databases"
    unreachable = [name for name in lacking if name in gone]
    if unreachable:
        return f"make {unreachable[0]} reachable: {printable(gone[unreachable[0]], 200, one_line=True)}"
    return f"copy it to {lacking[0]}, then {_check(database, f' --copy {lacking[0]}')}"


def _days(database: Database, found: _Read, clock: str) -> Kept:
    """Damage is noticed late: days back there has to be something good."""
    where = times.zone(clock)
    days = {datetime.fromtimestamp(one.backup.time, where).date() for one in found.good}
    oldest = f", the oldest {_named(found.good[-1].backup, clock)}" if found.good else ""
    held = len(days) >= DAYS
    todo = "" if held else f"keep backups longer, and {_check(database)}"
    return Kept("days", ("PY-DESTRUCT",), held, f"good backups of {len(days)} days{oldest}; {DAYS} are wanted", todo)


def _reachable(database: Database, gone: Mapping[str, str]) -> Kept:
    if not gone:
        return Kept("reachable", ("PY-DB",), True, f"all {len(database.copies)} copies can be listed")
    reasons = "; ".join(f"{name}: {printable(reason, 200, one_line=True)}" for name, reason in gone.items())
    return Kept("reachable", ("PY-DB",), False, f"cannot be listed: {reasons}", "make them reachable")
