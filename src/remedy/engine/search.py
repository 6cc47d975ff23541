"""The search for the newest valid backup: list every copy, read what must be read, record why others are passed over.

Decides what is done between two steps of `backups.fallback`: which verdicts count (the record's, those just reached,
and what other copies of the same bytes show), what is odd about a backup beside the live database and the last good
one, and how a copy that cannot be listed or read is passed over without stopping the search. Copies and their bytes
come through ports. Leaves to others: order and fallback (`backups.choose`, `backups.fallback`), reading and proving.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.backups import catalog, fallback
from remedy.backups.catalog import BinaryLogs
from remedy.backups.choose import Candidate, Order
from remedy.backups.fallback import Failure, Rejection, Search
from remedy.backups.findings import NOTES
from remedy.backups.plausible import Live
from remedy.backups.ports import Shelf
from remedy.backups.values import Backup, Copy, Database, File, Judgement, reaches
from remedy.core.errors import (
    ApprovalNeeded,
    Interrupted,
    NoValidBackup,
    RecordBroken,
    RecordUnavailable,
    Refused,
    RemedyError,
    Unreachable,
    UsageError,
)
from remedy.core.ports import Journal, Tell
from remedy.engine import fleet, joining, verdicts
from remedy.engine.doubts import Doubts

#: Reads all of a backup and judges it. Raises Unreachable, Refused; damage is a finding.
Read = Callable[[Copy, Backup, Tell], Judgement]
#: Restores a whole backup somewhere safe and says what came of it, in its judgement.
Prove = Callable[[Copy, Backup, Judgement, Tell], Judgement]

PROVEN: Final = "proven"
WHOLE: Final = "whole"
#: What another copy of the same bytes disproves: that nothing shows what was written.
UNVERIFIABLE: Final = "unverifiable"
#: Findings that may not be the backup's: they are gone when a key is put right, or on a better day of the way to the
#: copy, so the record does not keep them.
PASSING: Final = frozenset({"wrong-key", "short", "changed"})
#: A copy that failed so often in a row while it was read is left alone.
_ENOUGH: Final = 2
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """What the copies of a database hold, and what the record knows of it.

    `unlisted` are the copies that could not be listed, `files` what the others list, `logs` their binary logs, by the
    copies' names. `open_shelf` opens a copy for whoever puts a backup together.
    """

    database: Database
    backups: tuple[Backup, ...] = ()
    known: Mapping[Backup, Judgement] = field(default_factory=dict)
    record: verdicts.Known = field(default_factory=verdicts.Known)
    unlisted: Mapping[str, RemedyError] = field(default_factory=dict)
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)
    logs: Mapping[str, tuple[BinaryLogs, ...]] = field(default_factory=dict)
    open_shelf: Callable[[Copy], Shelf] | None = None

    @property
    def asked(self) -> frozenset[str]:
        """The copies that were asked for; of others nothing is known, not even that they lack a backup."""
        return frozenset((*self.files, *self.unlisted, *(one.copy for one in self.backups)))

    def copy(self, name: str) -> Copy:
        """The copy of that name, or the joint one of those names. Raises UsageError."""
        return joining.joint(name.split(joining.JOINT)) if joining.JOINT in name else copy_of(self.database, name)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a search came to: `chosen` is to be taken from `copy` as `backup`; None of the four when nothing is valid.

    `rejections` say what was passed over for it, `unread` what did not have to be read, `order` how all stand by time.
    """

    database: Database
    wanted: str
    order: Order
    chosen: Candidate | None = None
    copy: Copy | None = None
    backup: Backup | None = None
    judgement: Judgement | None = None
    rejections: tuple[Rejection, ...] = ()
    unread: tuple[Backup, ...] = ()


def copy_of(database: Database, name: str) -> Copy:
    """The copy of that name. Raises UsageError with those that there are."""
    for copy in database.copies:
        if copy.name == name:
            return copy
    names = ", ".join(copy.name for copy in database.copies)
    raise UsageError(f"{database.name} has no copy {name!r}", hint=f"has: {names or 'none'}")


def listing(database: Database, open_shelf: Callable[[Copy], Shelf], journal: Journal, *, only: str = "") -> Listing:
    """List all copies at once, or the `only` one. One that cannot be listed is told, and stops nothing.

    Raises UsageError when the inventory names no copy, or none of that name.
    """
    copies = (copy_of(database, only),) if only else database.copies
    if not copies:
        raise UsageError(
            f"no copy of the backups of {database.name} is named", hint="`copies` in the inventory says where they are"
        )
    listed = fleet.each(copies, lambda copy: open_shelf(copy).list())
    files = {c.name: found for c, found in zip(copies, listed, strict=True) if not isinstance(found, RemedyError)}
    unlisted = {c.name: found for c, found in zip(copies, listed, strict=True) if isinstance(found, RemedyError)}
    backups = tuple(
        backup for copy in copies if copy.name in files for backup in catalog.backups(copy, files[copy.name])
    )
    prints = {verdicts.fingerprint(copy_of(database, backup.copy), backup) for backup in backups}
    record = verdicts.known(journal, database, prints)
    remembered = {backup: record.of(copy_of(database, backup.copy), backup) for backup in backups}
    return Listing(
        database,
        backups,
        corroborated({backup: one for backup, one in remembered.items() if one is not None}),
        record,
        unlisted,
        files,
        {name: catalog.binary_logs(found) for name, found in files.items()},
        open_shelf,
    )


def corroborated(known: Mapping[Backup, Judgement]) -> dict[Backup, Judgement]:
    """The same verdicts, less the finding that nothing shows what was written where another copy has the same bytes."""
    places: dict[str, set[str]] = defaultdict(set)
    for backup, judgement in known.items():
        if joining.JOINT not in backup.copy:  # what is put together is no witness of its own parts
            places[judgement.sha256].add(backup.copy)
    return {
        backup: replace(one, findings=tuple(f for f in one.findings if f.code != UNVERIFIABLE))
        if one.sha256 and len(places[one.sha256]) > 1
        else one
        for backup, one in known.items()
    }


def _damaged(judgement: Judgement) -> bool:
    """Whether reading it showed that it is no use. A proof that failed is no such thing: it may be tried again."""
    return any(finding.fatal and finding.code not in verdicts.OF_PROOFS for finding in judgement.findings)


@dataclass(slots=True)
class Judging:
    """Reads backups of a listing, remembers the verdicts, and knows what is known so far."""

    found: Listing
    journal: Journal
    read: Read
    tell: Tell
    prove: Prove | None = None
    incident: str = ""
    known: dict[Backup, Judgement] = field(default_factory=dict)
    failed: dict[Backup, Failure] = field(default_factory=dict)
    _broken: dict[str, int] = field(default_factory=dict)
    _restored: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin with what the record knows."""
        self.known = dict(self.found.known)

    def judge(self, backup: Backup, level: str = WHOLE) -> Judgement | None:
        """Read a backup, prove it when that is asked for and not done yet, and remember the verdict.

        None when it could not be read; `failed` then says why. Raises RecordUnavailable, RecordBroken, Interrupted.
        """
        copy = self.found.copy(backup.copy)
        judgement = self.known.get(backup)
        if judgement is None or not (level == PROVEN and reaches(judgement.level, WHOLE)):
            judgement = self._guarded(backup, lambda: self._read(copy, backup))
        if judgement and level == PROVEN and judgement.level == WHOLE and not _damaged(judgement):
            whole = judgement
            if whole.sha256 in self._restored:  # what the copy before this one has shown holds for the same bytes
                judgement = self.found.record.with_proof(whole)
            else:
                judgement = self._guarded(backup, lambda: self._prove(copy, backup, whole), proof=True)
        if judgement is None:
            return None
        self.known = corroborated({**self.known, backup: judgement})
        return self.known[backup]

    def _guarded(self, backup: Backup, work: Callable[[], Judgement], *, proof: bool = False) -> Judgement | None:
        """What stops the reading of one backup does not stop the search."""
        try:
            done = work()
        except (Interrupted, ApprovalNeeded, RecordUnavailable, RecordBroken):
            raise
        except RemedyError as error:
            if isinstance(error, Unreachable) and not proof:
                self._lost(backup, error)
            else:
                kind = "proof" if proof else "refused" if isinstance(error, Refused) else "unfit"
                self.failed[backup] = Failure(kind, str(error))
            return None
        self._broken[backup.copy] = 0
        return done

    def _read(self, copy: Copy, backup: Backup) -> Judgement:
        last = ""

        def tell(what: str, done: int, total: int) -> None:
            nonlocal last
            last = f"{what} from {copy.name}"
            self.tell(last, done, total)

        database = self.found.database
        judgement = self.read(copy, backup, tell)
        self.tell(last or f"read {backup.name} from {copy.name}", backup.size, backup.size)
        if {finding.code for finding in judgement.findings} & PASSING:
            return judgement
        entry = verdicts.remember(self.journal, database, copy, backup, judgement, incident=self.incident)
        self.found.record.add(entry.body)
        kept = self.found.record.of(copy, backup)
        # The record does not keep the text of definitions; whoever restores it now need not read it again for them.
        return replace(kept, contents=judgement.contents) if kept else judgement

    def _prove(self, copy: Copy, backup: Backup, judgement: Judgement) -> Judgement:
        if self.prove is None:
            raise UsageError(f"{backup.name} was never restored, and nothing here can do that")
        proven = self.prove(copy, backup, judgement, self.tell)
        database = self.found.database
        entry = verdicts.remember(self.journal, database, copy, backup, proven, proof=True, incident=self.incident)
        self.found.record.add(entry.body)
        self._restored.add(judgement.sha256)
        return proven

    def _lost(self, backup: Backup, error: Unreachable) -> None:
        """The way to a copy broke. When that goes on, what else is there is not tried either."""
        self.failed[backup] = Failure("unreachable", str(error))
        self._broken[backup.copy] = self._broken.get(backup.copy, 0) + 1
        if self._broken[backup.copy] >= _ENOUGH:
            others = (other for other in self.found.backups if other.copy == backup.copy)
            self.failed = {**{other: Failure("unreachable", str(error)) for other in others}, **self.failed}


def newest_valid(
    judging: Judging,
    *,
    wanted: str = WHOLE,
    live: Live | None = None,
    at: int = 0,
    accepted: Iterable[str] = (),
    reading: bool = True,
    zone: str = "UTC",
    assemble: bool = False,
) -> Choice:
    """Read what has to be read, from the newest on, until the newest valid backup is known or none is left.

    `live` is what the server shows, None when it says nothing. `at` (seconds since 1970 UTC) takes the newest that was
    made before. With `reading` off nothing is read: what is chosen is the newest that is known to be valid, and
    `unread` says what may be newer. `zone` is that of the database host. With `assemble` a backup
    of several files that no copy has whole is put together from several; `Choice.copy` is then a joint one (`joining`).
    Every rejection is recorded.

    Raises RecordUnavailable, RecordBroken, Interrupted.
    """
    doubts, passed, tried = (
        Doubts(judging.found.database.schema, judging.found.record, live),
        frozenset(accepted) | NOTES,
        set[str](),
    )
    while True:
        found = judging.found
        search = Search(
            found.database,
            _readable(found.backups, judging, reading=reading),
            doubts.added(judging.known),
            wanted,
            judging.failed,
            {name: str(error) for name, error in found.unlisted.items()},
            passed,
            at,
            only=found.asked,
            zone=zone,
        )
        decision = fallback.decide(search)
        if decision.read is not None:
            judging.judge(decision.read.backup, decision.read.level)
        elif not (assemble and reading and _put_together(judging, decision.rejections, tried)):
            break
    source = decision.source
    for rejection in decision.rejections:
        verdicts.reject(
            judging.journal,
            found.database,
            copy=rejection.copy,
            backup=rejection.backup,
            level=rejection.level,
            reason=rejection.reason,
            minutes=rejection.costs(decision.chosen),
            incident=judging.incident,
        )
    return Choice(
        found.database,
        wanted,
        decision.order,
        decision.chosen,
        found.copy(source.copy) if source else None,
        source,
        search.known.get(source) if source else None,
        decision.rejections,
        tuple(one for one in found.backups if one not in judging.known and one not in judging.failed and not one.odd),
    )


def _put_together(judging: Judging, rejections: Sequence[Rejection], tried: set[str]) -> bool:
    """Whether one of the rejected ones, newest first, could be put together from several copies: it is listed then."""
    found = judging.found
    if found.open_shelf is None:
        return False
    open_shelf = found.open_shelf
    for name in dict.fromkeys(one.backup for one in rejections if one.kind in {"odd", "corrupt", "unreachable"}):
        parts = [one for one in found.backups if one.name == name and joining.JOINT not in one.copy]
        if name in tried or all(len(one.files) == 1 and not one.odd for one in parts):
            continue
        tried.add(name)
        made = joining.assembled(parts, lambda copy: open_shelf(found.copy(copy)), judging.tell)
        if made is not None:
            judging.found = replace(found, backups=(*found.backups, made))
            copy = judging.found.copy(made.copy)
            prints = (verdicts.fingerprint(copy, made),)
            known = verdicts.known(judging.journal, found.database, prints).of(copy, made)
            judging.known |= {made: known} if known else {}
            return True
    return False


def newest_of_copy(judging: Judging, copy: str) -> Backup | None:
    """Read the backups of one copy, from the newest on, until none that was not read can be newer; the newest then.

    What is damaged has no time of its own: it counts as new as its bytes can be. Raises as `judge`.
    """
    left = [one for one in judging.found.backups if one.copy == copy and not one.odd]
    now: set[Backup] = set()
    while left:
        newest = max(left, key=lambda one: (_when(one, judging.known.get(one)), one.changed, one.name))
        if newest in now:
            return newest
        now.add(newest)
        judging.judge(newest)
    return None


def _when(backup: Backup, judgement: Judgement | None) -> int:
    """When it was made, or the latest that it can have been made."""
    if judgement and reaches(judgement.level, WHOLE) and judgement.contents.facts.time:
        return min(judgement.contents.facts.time, backup.changed)
    return backup.changed


def _readable(backups: Sequence[Backup], judging: Judging, *, reading: bool) -> tuple[Backup, ...]:
    """What the search goes by; when nothing may be read, only what is known or could not be used anyway."""
    return tuple(one for one in backups if reading or one in judging.known or one in judging.failed or one.odd)


def none_valid(choice: Choice, acceptable: Sequence[str] = (), *, reading: bool = True) -> NoValidBackup:
    """What is said when nothing is valid: how much was looked at, what could still be done, whom to ask (PY-DB).

    `acceptable` are the findings, by their codes, that a person may accept; `reading` as in `newest_valid`.
    """
    name, unread = choice.database.name, len(choice.unread)
    if unread and not reading:
        return NoValidBackup(
            f"no backup of {name} is known to be {choice.wanted}, and {unread} were not read; nothing was touched",
            hint=f"let them be read: leave out --no-check, or `remedy backup check {name} --all`",
        )
    rejected = [one for one in choice.rejections if one.backup and one.kind != "absent"]
    unreachable = sorted({one.copy for one in choice.rejections if one.kind == "unreachable"})
    copies = len({one.copy for one in choice.rejections})
    ways = []
    if unreachable:
        ways.append(f"bring {', '.join(unreachable[:_NAMED])} back and repeat")
    if acceptable:
        ways.append(f"accept what you can explain: {' '.join(f'--accept {code}' for code in acceptable)}")
    ways.append("ask the database's vendor for emergency support, with the reasons above at hand")
    ways.append("let nobody upload meanwhile")
    looked = f"{len(rejected)} rejected, {copies} copies looked at"
    if not choice.rejections:
        looked = "none is of the time that was asked for" if unread else "no copy lists any"
    return NoValidBackup(f"no backup of {name} is {choice.wanted}: {looked}; nothing was touched", hint="; ".join(ways))
