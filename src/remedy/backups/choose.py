"""Which backups there are across all copies, newest first: what is one content, and when it was made.

Decides order alone; what speaks against each, and what has to be read before one can be named, is `fallback`'s.

A backup's time is the one inside it. No listing can make it newer than the moment its bytes were last written
(`File.changed`: ctime or Last-Modified, which unlike mtime nobody sets), so that moment bounds the time of a backup
that nobody has read, and caps the time that a backup claims. An old dump that is touched or copied is thus read before
anything is named, and then falls to its place. Where the server's own position (GTID, binary log) is inside two
backups, it tells which is later even when a clock or a zone is wrong. It gives way to time where no wrong zone explains
the difference, or where the bytes of the one already lay there before the other claims to be made: then the count was
begun anew (RESET MASTER, a new server). Contradictions are told.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from remedy.backups import naming, times
from remedy.backups.times import Position
from remedy.backups.values import LEVELS, Backup, Database, Judgement, reaches

#: How far clocks of two machines may differ, in seconds, before it is called a contradiction.
SKEW: Final = 300
#: What a clock in the wrong zone can be off, in seconds: from UTC-12 to UTC+14.
ZONES: Final = 26 * 3600
_TOLD: Final = 3
#: The level from which on a content is known, unless less is asked for.
WHOLE: Final = "whole"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One content, or what is taken for one while it is unread: `copies` of it, nearest first.

    `time` is when it was made, 0 while that is not known; it was not made after `bound`. `sha256` is that of the
    nearest copy that was read as whole, "" while none was; one that is encrypted has another. `sure` says of each of
    `copies` whether it was read and is this content.
    """

    name: str
    copies: tuple[Backup, ...]
    time: int = 0
    bound: int = 0
    sha256: str = ""
    sure: tuple[bool, ...] = ()
    positions: tuple[Position, ...] = ()
    level: str = "listed"

    @property
    def when(self) -> int:
        """The time, or what it is bounded by."""
        return self.time or self.bound


@dataclass(frozen=True, slots=True)
class Order:
    """All candidates, newest first, and what about their times cannot all be true."""

    candidates: tuple[Candidate, ...] = ()
    contradictions: tuple[str, ...] = ()


def is_read(judgement: Judgement | None) -> bool:
    """Whether a backup was read far enough to be judged: to a whole, or to what is wrong with it."""
    return judgement is not None and (reaches(judgement.level, WHOLE) or bool(judgement.findings))


def _is_content(judgement: Judgement | None, least: str) -> bool:
    return judgement is not None and reaches(judgement.level, least)


def order(
    backups: Iterable[Backup],
    known: Mapping[Backup, Judgement],
    database: Database,
    *,
    zone: str = "UTC",
    least: str = WHOLE,
) -> Order:
    """Group the backups of all copies by content and sort them, newest first.

    `known` are the verdicts on those that were read. `zone` is the database host's, for a database without `timezone`.
    `least` is the level from which on what was read counts as a content.
    Those that are read and hold a time come in its order; those that are not stand where they would be if they were
    as new as they can be; those that were read and hold no time come last.
    """
    near = {copy.name: at for at, copy in enumerate(database.copies)}
    said: list[str] = []
    made: list[Candidate] = []
    for name, row in _by_name(backups).items():
        made += _contents(name, sorted(row, key=lambda one: _distance(one, near)), known, least)
    clock = database.timezone or zone
    merged = [_timed(one, known, clock, said) for one in _merged(made, near)]
    timed = sorted((one for one in merged if one.time), key=lambda one: _key(one, near))
    unread = sorted((one for one in merged if not one.time and not one.sha256), key=lambda one: (-one.bound, one.name))
    undated = sorted((one for one in merged if not one.time and one.sha256), key=lambda one: (-one.bound, one.name))
    said += [*_disagreeing(merged), *_begun_anew(timed)]
    candidates = (*_interleaved(_placed(timed, said), unread), *undated)
    return Order(candidates, tuple(dict.fromkeys(said)))


def _key(one: Candidate, near: Mapping[str, int]) -> tuple[int, int, tuple[int, int, str], str]:
    return -one.time, -LEVELS.index(one.level), _distance(one.copies[0], near), one.name


def _distance(backup: Backup, near: Mapping[str, int]) -> tuple[int, int, str]:
    """Nearer copies first; within a copy newer versions first."""
    return near.get(backup.copy, len(near)), -backup.changed, backup.files[0].name if backup.files else ""


def _by_name(backups: Iterable[Backup]) -> dict[str, list[Backup]]:
    """Backups that are taken for the same one until they are read: those with one dated name.

    A name without a date is used again every night, so it says nothing about another copy. Nor does a dated one that
    one copy holds in several folders: then the folder counts with it.
    """
    folders: dict[tuple[str, str], set[str]] = defaultdict(set)
    every = list(backups)
    for one in every:
        folders[one.copy, one.name].add(_folder(one))
    ambiguous = {name for (_, name), found in folders.items() if len(found) > 1}
    groups: dict[str, list[Backup]] = defaultdict(list)
    for at, one in enumerate(every):
        if one.odd or not naming.dated(one.name):
            groups[f"{one.name}\0{at}"].append(one)
        else:
            groups[f"{_folder(one)}/{one.name}" if one.name in ambiguous else one.name].append(one)
    return groups


def _folder(backup: Backup) -> str:
    path = backup.files[0].name if backup.files else ""
    above = naming.split_path(path)[0]
    return naming.split_path(above)[1] if above else ""


def _contents(key: str, row: Sequence[Backup], known: Mapping[Backup, Judgement], least: str) -> list[Candidate]:
    """One candidate per content that was read whole under a name; what is of its size and unread is taken for it."""
    name = key.partition("\0")[0]
    whole = {one: known[one] for one in row if _is_content(known.get(one), least)}
    if not whole:
        return [Candidate(name, tuple(row), sure=(False,) * len(row))]
    firsts: list[Backup] = []
    members: dict[Backup, list[Backup]] = {}
    for one, judgement in whole.items():
        first = next((first for first in firsts if _is_same(whole[first], judgement)), None)
        if first is None:
            firsts.append(one)
        members.setdefault(first or one, []).append(one)
    left = []
    for one in row:
        if one in whole:
            continue
        if len(firsts) == 1 and (is_read(known.get(one)) or _may_be_same(one, firsts[0])):
            members[firsts[0]].append(one)
        else:
            left.append(Candidate(name, (one,), sure=(False,)))
    place = {one: at for at, one in enumerate(row)}
    made = []
    for first, copies in members.items():
        level = max((whole[one].level for one in copies if one in whole), key=LEVELS.index)
        ordered = tuple(sorted(copies, key=place.__getitem__))
        sure = tuple(one in whole for one in ordered)
        made.append(Candidate(name, ordered, sha256=whole[first].sha256, sure=sure, level=level))
    return [*made, *left]


def _is_same(one: Judgement, other: Judgement) -> bool:
    """Whether both are one content: the same bytes, or the same text within them, compressed or encrypted otherwise."""
    if one.sha256 == other.sha256:
        return True
    here, there = one.contents, other.contents
    return bool(here.tables) and (here.facts, here.tables) == (there.facts, there.tables)


def _may_be_same(one: Backup, other: Backup) -> bool:
    """Whether an unread backup is taken for another one of its name: one of its size, or stored in another way."""
    stored = [naming.split_path(backup.files[0].name)[1] for backup in (one, other)]
    return one.size == other.size or stored[0] != stored[1]


def _merged(made: Sequence[Candidate], near: Mapping[str, int]) -> list[Candidate]:
    """Candidates with one content under several names are one."""
    by_content: dict[str, list[Candidate]] = defaultdict(list)
    for at, one in enumerate(made):
        by_content[one.sha256 or f"unread {at}"].append(one)
    found = []
    for row in by_content.values():
        pairs = sorted(
            ((backup, sure) for one in row for backup, sure in zip(one.copies, one.sure, strict=True)),
            key=lambda pair: _distance(pair[0], near),
        )
        names = sorted({one.name for one in row}, key=lambda name: (not naming.dated(name), name))
        level = max((one.level for one in row), key=LEVELS.index)
        copies, sure = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
        found.append(Candidate(names[0], copies, sha256=row[0].sha256, sure=sure, level=level))
    return found


def _timed(one: Candidate, known: Mapping[Backup, Judgement], clock: str, said: list[str]) -> Candidate:
    """The candidate with its time and bound."""
    sure = [backup for backup, is_sure in zip(one.copies, one.sure, strict=True) if is_sure]
    if not sure:
        unread = [backup for backup in one.copies if not is_read(known.get(backup)) and not backup.odd]
        rows = unread or list(one.copies)
        alike = [backup for backup in rows if _may_be_same(backup, rows[0])]
        # What is taken for one content is bounded by the earliest of its copies.
        bound = max(min(backup.changed for backup in alike), *(row.changed for row in rows if row not in alike), 0)
        return Candidate(one.name, one.copies, bound=bound, sure=one.sure, level=one.level)
    # Each of them is the same content, so the earliest bounds it.
    bound = min(backup.changed for backup in sure)
    facts = known[sure[0]].contents.facts
    claimed = facts.time or times.local_time(facts.time_text, clock)
    if claimed > bound + SKEW:
        said.append(
            f"{one.name} says it was made at {times.shown(claimed, clock)}, but its bytes were last written at "
            f"{times.shown(bound, clock)}: is {clock} the zone of the clock that made it?"
        )
    return Candidate(
        one.name,
        one.copies,
        time=min(claimed, bound),
        bound=bound,
        sha256=one.sha256,
        sure=one.sure,
        positions=times.positions(facts),
        level=one.level,
    )


def _disagreeing(merged: Sequence[Candidate]) -> list[str]:
    """Copies of one name and size that hold different bytes: one of them is not what was written."""
    seen: dict[tuple[str, int], Candidate] = {}
    said = []
    for one in merged:
        if not one.sha256 or not naming.dated(one.name):
            continue
        other = seen.setdefault((one.name, one.copies[0].size), one)
        if other is not one:
            places = f"{other.copies[0].copy} and {one.copies[0].copy}"
            said.append(f"{one.name} is of the same size in {places}, but its bytes differ: one of them was altered")
    return said


def _placed(timed: Sequence[Candidate], said: list[str]) -> list[Candidate]:
    """Candidates in the order of their times, put right by position where that can be.

    The newest is the one with the latest time, unless another one of the same server has a later position and may have
    been made after it (`_latest`). So an older backup never changes which is the newest.
    """
    coming = sorted(range(len(timed)), key=lambda at: _latest(timed[at]))
    told: list[str] = []
    # Those that may have been made after the one in hand, furthest position first, per lineage.
    able: dict[tuple[str, ...], list[tuple[tuple[int, ...], int]]] = defaultdict(list)
    placed: dict[int, None] = {}
    for now, first in enumerate(timed):
        while now not in placed:
            while coming and _latest(timed[coming[-1]]) >= first.time:
                at = coming.pop()
                for lineage, far in timed[at].positions:
                    heapq.heappush(able[lineage], (tuple(-part for part in far), at))
            best = now
            for lineage, _ in first.positions:
                row = able[lineage]
                while row and row[0][1] in placed:
                    heapq.heappop(row)
                if row and _is_later(timed[row[0][1]], first):
                    best = row[0][1]
                    told.append(
                        f"by the server's position {timed[best].name} was made after {first.name}, by the clock before "
                        "it: a clock or a zone was wrong, and the position counts"
                    )
                    break
            placed[best] = None
    said += told[:_TOLD]
    if len(told) > _TOLD:
        said.append(f"so were {len(told) - _TOLD} more")
    return [timed[at] for at in placed]


def _latest(one: Candidate) -> int:
    """The latest moment at which it can have been made, were its clock in the wrong zone."""
    return min(one.bound, one.time + ZONES)


def _begun_anew(timed: Sequence[Candidate]) -> list[str]:
    """Where a server's positions fell back: everything before was counted by another history."""
    rows: dict[tuple[str, ...], list[tuple[Candidate, tuple[int, ...]]]] = defaultdict(list)
    for one in timed:
        for lineage, far in one.positions:
            rows[lineage].append((one, far))
    said = []
    for (newest, last), *older in rows.values():
        before = next((one for one, far in older if far > last and _latest(one) < newest.time), None)
        if before:
            said.append(
                f"by the server's position {before.name} was made after {newest.name}, but it is older than "
                "any wrong clock explains: the count was begun anew between them, and the time counts"
            )
    return said


def _is_later(one: Candidate, other: Candidate) -> bool:
    """Whether the server's position says that `one` was made after `other`."""
    there = dict(other.positions)
    return next((far > there[lineage] for lineage, far in one.positions if lineage in there), False)


def _interleaved(timed: Sequence[Candidate], unread: Sequence[Candidate]) -> list[Candidate]:
    """Both rows in one: an unread one stands before what it may be newer than."""
    found: list[Candidate] = []
    waiting = list(unread)[::-1]
    for one in timed:
        while waiting and waiting[-1].bound > one.time:
            found.append(waiting.pop())
        found.append(one)
    return found + waiting[::-1]
