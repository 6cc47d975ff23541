"""The search for the newest valid backup: what to read or prove next, what is chosen, why the others were not.

Decides one step at a time, from what is known so far; whoever reads backups asks again after each reading. The order
is `choose`'s: newest first, every copy of it by distance, then the next older one. A backup that was never read is read
before anything older is named, because it may be the newest; nothing is read that cannot be newer than what is found.

    while (step := decide(search)).read:
        …judge step.read.backup to step.read.level, or put it into `failed`…
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from remedy.backups import naming, plausible
from remedy.backups.choose import WHOLE, Candidate, Order, order
from remedy.backups.findings import NOTES
from remedy.backups.values import LEVELS, Backup, Database, Judgement, reaches
from remedy.core.text import printable

_MINUTE: Final = 60
_DAY: Final = 86_400
_SHOWN: Final = 5
#: Objections that hold for every copy of the same bytes, so that no other copy need be read for them.
_OF_CONTENT: Final = frozenset(plausible.CODES)


@dataclass(frozen=True, slots=True)
class Failure:
    """A backup that could not be read at all. `kind` is "unreachable", "absent" (gone since listed) or another word."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """One backup of one copy that was passed over.

    `kind` tells "unreachable" (no way to the copy), "absent" (the copy does not have it), "odd" (a link, a gap),
    "corrupt" (its bytes or its structure are damaged) and "unfit" (whole, and something speaks against restoring it)
    apart. `level` is what it reached. `minutes` of data are lost with it beyond what is lost with the newest backup
    there is, -1 where a time is not known; `when` is its time, or the latest it can have.
    """

    copy: str
    backup: str
    kind: str
    level: str
    reason: str
    minutes: int = -1
    when: int = 0

    def costs(self, chosen: Candidate | None) -> int:
        """Minutes of data lost because this one was passed over for the chosen one; 0 for another copy, -1 unknown."""
        if chosen is None or not self.when or not chosen.time:
            return -1
        return max(0, self.when - chosen.time) // _MINUTE


@dataclass(frozen=True, slots=True)
class Need:
    """What is to be read next, and to which level."""

    backup: Backup
    level: str
    why: str


@dataclass(frozen=True, slots=True)
class Search:
    """What the search goes by.

    `known` are verdicts by backup as listed. `wanted` is the level that a backup must reach to be chosen. `failed` are
    those whose reading failed for reasons that are not theirs, `unlisted` the copies that could not be listed (copy
    name to reason). `accepted` are findings that the operator accepts; mere notes need not be. With `at` (seconds since
    1970 UTC) only backups made before it count, with `only` only these copies. `zone` is the database host's time zone.
    """

    database: Database
    backups: tuple[Backup, ...]
    known: Mapping[Backup, Judgement] = field(default_factory=dict)
    wanted: str = "proven"
    failed: Mapping[Backup, Failure] = field(default_factory=dict)
    unlisted: Mapping[str, str] = field(default_factory=dict)
    accepted: frozenset[str] = frozenset()
    at: int = 0
    only: frozenset[str] = frozenset()
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of the search: something to `read`, or `chosen` (from `source`), or neither: none is valid.

    `skipped` are names that were not read because they are of a day after the time asked for.
    """

    order: Order
    read: Need | None = None
    chosen: Candidate | None = None
    source: Backup | None = None
    rejections: tuple[Rejection, ...] = ()
    skipped: tuple[str, ...] = ()


def decide(search: Search) -> Decision:
    """The next step. A judgement that stops below what was asked has to carry a finding, or be put into `failed`."""
    rows = [one for one in search.backups if not search.only or one.copy in search.only]
    least = search.wanted if reaches(WHOLE, search.wanted) else WHOLE
    ordered = order(rows, search.known, search.database, zone=search.zone, least=least)
    early, skipped = _early(ordered.candidates, search.at)
    ordered = Order(tuple(early), ordered.contradictions)
    newest = max((one.when for one in early), default=0)
    rejected = [
        Rejection(name, "", "unreachable", LEVELS[0], reason)
        for name, reason in search.unlisted.items()
        if not search.only or name in search.only
    ]
    have: dict[str, set[str]] = defaultdict(set)
    for one in ordered.candidates:
        have[one.name].update(copy.copy for copy in one.copies)
    for one in early:
        states = [(copy, _state(copy, search)) for copy in one.copies]
        source = next((copy for copy, state in states if state == "good"), None)
        need = None if source else _need(one, states, search)
        if source:
            nearer = one.copies[: one.copies.index(source)]
            passed = [copy for copy, state in states if copy in nearer and state not in {"unread", "short"}]
            rejected += [_rejection(copy, one, search, newest) for copy in passed]
        if source or need:
            chosen = one if source else None
            return Decision(ordered, need, chosen, source, tuple(rejected), skipped)
        rejected += _rejections(one, search, newest, have[one.name])
    return Decision(ordered, rejections=tuple(rejected), skipped=skipped)


def _early(candidates: tuple[Candidate, ...], at: int) -> tuple[list[Candidate], tuple[str, ...]]:
    """Those made before `at`, and the names of those that were left out unread because their names are of a later day.

    An unread backup whose bytes were written after `at` may be an older one that was copied since, so it is read first,
    unless its own name says otherwise.
    """
    if not at:
        return list(candidates), ()
    fitting = [one for one in candidates if (one.time and one.time <= at) or (not one.time and one.bound <= at)]
    maybe = [one for one in candidates if not one.time and not one.sha256 and one.bound > at]
    later = {one.name for one in maybe if naming.day(one.name) > at + _DAY}
    return [*(one for one in reversed(maybe) if one.name not in later), *fitting], tuple(sorted(later))


def _need(one: Candidate, states: list[tuple[Backup, str]], search: Search) -> Need | None:
    """What has to be read of a candidate to find a copy that can be restored; None when all are rejected."""
    for copy, state in states:
        if state == "short":
            return Need(copy, search.wanted, f"nothing is newer: it has to be {search.wanted}")
    if one.sha256 and any(state == "content" for _, state in states):
        return None
    for copy, state in states:
        if state == "unread":
            another = any(other in {"rejected", "failed", "odd"} for _, other in states)
            return Need(copy, WHOLE, "another copy of it is rejected" if another else "it may be the newest")
    return None


def _state(copy: Backup, search: Search) -> str:
    """What is known of one copy of a backup, in one word."""
    judgement = search.known.get(copy)
    if copy.odd or copy in search.failed:
        return "odd" if copy.odd else "failed"
    if judgement is None:
        return "unread"
    objections = judgement.objections(search.accepted | NOTES)
    if objections:
        return "content" if all(finding.code in _OF_CONTENT for finding in objections) else "rejected"
    if reaches(judgement.level, search.wanted):
        return "good"
    if reaches(judgement.level, WHOLE):
        return "short"
    # What is accepted does not raise the level: reading it again would tell the same.
    return "rejected" if judgement.findings else "unread"


def _rejections(one: Candidate, search: Search, newest: int, have: set[str]) -> list[Rejection]:
    """Why each copy of a candidate was passed over, copies that do not have it included."""
    made = [_rejection(copy, one, search, newest) for copy in one.copies]
    for copy in search.database.copies if naming.dated(one.name) else ():
        asked = copy.name not in search.unlisted and (not search.only or copy.name in search.only)
        if asked and copy.name not in have:
            reason = "this copy does not have it"
            have.add(copy.name)
            made.append(Rejection(copy.name, one.name, "absent", LEVELS[0], reason, _minutes(one, newest), one.when))
    return made


def _minutes(one: Candidate, newest: int) -> int:
    return (newest - one.when) // _MINUTE if one.when and newest else -1


def _rejection(copy: Backup, one: Candidate, search: Search, newest: int) -> Rejection:
    level, judgement = LEVELS[0], search.known.get(copy)
    if copy.odd:
        kind, reason = "odd", copy.odd
    elif copy in search.failed:
        kind, reason = search.failed[copy].kind, search.failed[copy].reason
    elif judgement is None:
        kind, reason = "unfit", "not read: of the name and size of another copy, whose content was rejected"
    else:
        level = judgement.level
        objections = judgement.objections(search.accepted | NOTES)
        reason = "; ".join(printable(finding.text, 300, one_line=True) for finding in objections[:_SHOWN])
        reason = reason or f"no more than {level} is known of it, {search.wanted} is asked for"
        kind = "unfit" if reaches(level, WHOLE) else "corrupt"
    return Rejection(copy.copy, copy.name, kind, level, reason, _minutes(one, newest), one.when)
