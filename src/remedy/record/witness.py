"""Compares a record, while it is being read, with what checkpoints say about it.

Decides whether the checkpoints of one record (in the database, in files, held elsewhere) are genuine, complete, and
agree with the entries, and whether the keys that signed them were allowed to. Checkpoints are read as the entries they
cover go by, so memory stays the same however many there are. Leaves to others: the entries themselves (verify).
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from remedy.core.errors import RecordBroken
from remedy.record import checkpoints, elsewhere, endings
from remedy.record.checkpoints import Checkpoint, Signed
from remedy.record.endings import Ending
from remedy.record.merkle import Frontier
from remedy.record.report import Findings

#: How far the time that a checkpoint states may be from its arrival elsewhere before that is remarked.
LATE: Final = timedelta(hours=1)
#: Numbers whatever stands there: somebody may have put another table in place of the record's.
_SIZES: Final = (
    "SELECT coalesce(CAST(size AS INTEGER), 0), coalesce(CAST(number AS INTEGER), 0) FROM checkpoint ORDER BY 1, 2"
)
_NUMBERS: Final = "SELECT coalesce(CAST(number AS INTEGER), 0) FROM checkpoint ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Held:
    """A signed text kept elsewhere: a checkpoint, or the end of a key. `arrived` is the time of whoever kept it."""

    text: str
    source: str = "held elsewhere"
    arrived: datetime | None = None


@dataclass(slots=True)
class _Signer:
    """What one key signed: its first checkpoint, and the one of the most entries."""

    first: Checkpoint
    last: Checkpoint


@dataclass(order=True, slots=True)
class _Said:
    """A checkpoint that waits for the entries it covers."""

    size: int
    order: int
    checkpoint: Checkpoint = field(compare=False)
    name: str = field(compare=False)


class Witness:
    """The checkpoints of one record. `load`, then `compare` after every entry, then `finish`."""

    def __init__(self, path: Path, found: Findings, held: tuple[Held, ...]) -> None:
        """Note which files there are: before the database is read, so that each of them must be in it."""
        self._path, self._found, self._held = path, found, held
        self._files = checkpoints.file_numbers(path)
        self._pending: list[_Said] = []  # a heap: what is said about sizes not reached yet
        self._order = itertools.count()
        self._agreed = 0  # the largest size some checkpoint was found right at
        self._signers: dict[str, _Signer] = {}
        self._endings: dict[str, Ending] = {}  # said in the record or elsewhere
        self._ended_here: set[str] = set()
        self._record = self._origin = ""
        self._numbers: frozenset[int] = frozenset(self._files)
        self._rows: Iterator[tuple[int, int]] = iter(())
        self._row: tuple[int, int] | None = None
        self.count = 0

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of the keys that signed, in the order in which they did."""
        return tuple(self._signers)

    def load(self, db: sqlite3.Connection) -> None:
        """Check which checkpoints there are, and read those that are held elsewhere."""
        row = db.execute("SELECT id FROM identity").fetchone()
        self._record = str(row[0]) if row else ""
        self._origin = checkpoints.origin(self._record)
        self.count = int(db.execute("SELECT count(*) FROM checkpoint").fetchone()[0])
        self._db = db
        # Sizes never go down while numbers go up, but for a table that somebody has changed.
        self._rows = iter(db.execute(_SIZES))
        self._row = next(self._rows, None)
        self._gaps()
        for held in self._held:
            self._copy(held)
        newest = int(db.execute("SELECT coalesce(max(CAST(number AS INTEGER)), 0) FROM checkpoint").fetchone()[0])
        for standing in elsewhere.standings(self._path):
            if (sent := max(standing.newest, standing.lost)) > newest:
                text = f"checkpoint {sent} was sent to {standing.place}: the record was put back to before it"
                self._found.add("checkpoint-missing", 0, 0, text)

    def compare(self, size: int, tree: Frontier, head: str, *, consistent: bool) -> None:
        """Hold what is said about `size` against the tree of that many entries and the hash of the newest.

        `consistent` is False when numbers were missing: then sizes and entry numbers differ.
        """
        while self._row is not None and self._row[0] <= size:
            self._draw(*self._row)
            self._row = next(self._rows, None)
        while self._pending and self._pending[0].size <= size:
            said = heapq.heappop(self._pending)
            checkpoint = said.checkpoint
            if checkpoint.size == size and checkpoint.root == tree.root() and checkpoint.head == head:
                self._agreed = size if consistent else self._agreed
            elif checkpoint.size == size:
                first = min(self._agreed + 1, checkpoint.size)
                text = f"not the ones that {said.name} signed"
                self._found.add("root-mismatch", max(first, 1), checkpoint.size, text)

    def drain(self) -> None:
        """Read the checkpoints of sizes that the entries did not reach. Raises sqlite3.Error."""
        while self._row is not None:
            self._draw(*self._row)
            self._row = next(self._rows, None)

    def ended(self, body: str, seq: int) -> None:
        """An entry says that a key has ended."""
        try:
            ending = endings.of_entry(body)
        except RecordBroken as error:
            self._found.add("bad-signature", seq, seq, error.message)
            return
        self._ended_here.add(ending.fingerprint)
        self._end(ending, f"entry {seq}")

    def finish(self, entries: int, *, keys: Mapping[str, int], trusted: Collection[str]) -> int:
        """Judge what is left over and the keys. Returns the largest size a good checkpoint covers.

        `keys` maps the fingerprint of each announced key to the number of the announcing entry.
        """
        for said in sorted(said for said in self._pending if said.size > entries):
            text = f"gone: {said.name} covers {said.checkpoint.size} entries, the record has {entries}"
            self._found.add("cut-off", entries + 1, said.checkpoint.size, text)
        accepted = self._accepted(keys, trusted)
        for fingerprint, signer in self._signers.items():
            self._judge(fingerprint, signer, keys.get(fingerprint, 0), accepted)
        for fingerprint in self._endings.keys() - self._ended_here:
            text = f"{fingerprint} has ended: a statement held elsewhere says so, signed by that key"
            self._found.add("ending-missing", 0, 0, text)
        return self._agreed

    def _accepted(self, keys: Mapping[str, int], trusted: Collection[str]) -> set[str]:
        """The keys that may sign: those trusted, whom a retired one of them named to follow, and who came before them.

        A key before them may have signed nothing beyond what they sign themselves: who adds entries and a key of his
        own, which names ours to follow, gains nothing.
        """
        retired = [one for one in self._endings.values() if one.why == endings.RETIRED]
        accepted = _closed(
            set(trusted) or set(list(keys)[:1]), [(one.fingerprint, one.follower.fingerprint) for one in retired]
        )
        covered = max((self._signers[name].last.size for name in accepted if name in self._signers), default=0)
        before = _closed(accepted, [(one.follower.fingerprint, one.fingerprint) for one in self._endings.values()])
        return {
            name
            for name in before
            if name in accepted or name not in self._signers or self._signers[name].last.size <= covered
        }

    def _judge(self, fingerprint: str, signer: _Signer, announced: int, accepted: Collection[str]) -> None:
        first, last = signer.first, signer.last
        if accepted and fingerprint not in accepted:
            text = f"checkpoint {first.number} is signed by {fingerprint}, not by {', '.join(sorted(accepted))}"
            self._found.add("key-changed", 0, 0, text)
        if not 0 < announced <= first.size:
            text = f"checkpoint {first.number} is signed by {fingerprint}, which no entry before it announces"
            self._found.add("key-unannounced", 0, 0, text)
        ending = self._endings.get(fingerprint)
        if ending and last.size > ending.ends:
            text = f"checkpoint {last.number} is signed by {fingerprint}, which was {ending.why} at entry {ending.ends}"
            self._found.add("key-ended", ending.ends + 1, last.size, text)
        if ending and ending.why == endings.STOLEN:
            text = (
                f"{fingerprint} was stolen: only copies that were elsewhere before {ending.time} prove what it signed"
            )
            self._found.add("key-stolen", 0, 0, text)

    def _draw(self, size: int, number: int) -> None:
        """Read a checkpoint of the database, which its row says is of that size, and its file.

        What comes too late to be compared, because the row or the file say something else, is damage already.
        """
        signed = _stored(self._db, number)
        if signed is None:  # a number that is none
            return
        checkpoint = self._open(signed, f"checkpoint {number}")
        if checkpoint and checkpoint.size != size:
            text = f"checkpoint {number} is of {checkpoint.size} entries, and its row says {size}"
            self._found.add("checkpoint-edited", 0, 0, text)
        if number in self._numbers:
            self._file(number, signed)

    def _open(self, signed: Signed, name: str) -> Checkpoint | None:
        try:
            checkpoint, key = checkpoints.opened(signed)
        except RecordBroken as error:
            self._found.add("bad-signature", 0, 0, f"{name}: {error.message}")
            return None
        if checkpoint.origin != self._origin:
            text = f"{name} is of {checkpoint.origin}, this record is {self._origin}"
            self._found.add("foreign-checkpoint", 0, 0, text)
            return None
        if checkpoint.number != signed.number:
            text = f"{name} was written as checkpoint {checkpoint.number}"
            self._found.add("checkpoint-edited", 0, 0, text)
        signer = self._signers.setdefault(key.fingerprint, _Signer(checkpoint, checkpoint))
        signer.first = min(signer.first, checkpoint, key=lambda one: one.size)
        signer.last = max(signer.last, checkpoint, key=lambda one: one.size)
        heapq.heappush(self._pending, _Said(checkpoint.size, next(self._order), checkpoint, name))
        return checkpoint

    def _end(self, ending: Ending, source: str) -> None:
        if ending.record != self._record:
            text = f"the end of {ending.fingerprint}, {source}, is of another record"
            self._found.add("foreign-checkpoint", 0, 0, text)
            return
        before = self._endings.setdefault(ending.fingerprint, ending)
        if before != ending:
            text = f"{ending.fingerprint} has two ends: after {before.ends} entries, and after {ending.ends} ({source})"
            self._found.add("key-ended", 0, 0, text)
            if ending.ends < before.ends or ending.why == endings.STOLEN:
                self._endings[ending.fingerprint] = ending

    def _gaps(self) -> None:
        """Numbers that are gone from the database, from the files, or from both; each range once."""
        stored = (int(row[0]) for row in self._db.execute(_NUMBERS))
        before, unfiled = 0, 0  # the first of those in a row that have no file
        for number, alone in _merged(stored, self._files):
            if number > before + 1:
                text = f"checkpoint {before + 1} and all before {number} are gone, database and files"
                self._found.add("checkpoint-missing", 0, 0, text)
            if alone == "file":
                text = f"checkpoint {number} is gone from the database, its file is there"
                self._found.add("checkpoint-missing", 0, 0, text)
                self._file(number, None)
            if alone == "row":
                unfiled = unfiled or number
            else:
                self._without_files(unfiled, before)
                unfiled = 0
            before = number
        self._without_files(unfiled, before)

    def _without_files(self, first: int, last: int) -> None:
        if first:
            span = f"checkpoint {first} has" if first == last else f"checkpoints {first} to {last} have"
            self._found.add("file-missing", 0, 0, f"{span} no file in {checkpoints.folder(self._path)}")

    def _file(self, number: int, stored: Signed | None) -> None:
        try:
            signed = checkpoints.read_file(self._path, number)
        except RecordBroken as error:
            self._found.add("bad-signature", 0, 0, str(error))
            return
        if stored == signed:
            return
        if stored is not None:
            text = f"checkpoint {number} in the database and its file differ"
            self._found.add("checkpoint-edited", 0, 0, text)
        self._open(signed, f"checkpoint file {number}")

    def _copy(self, held: Held) -> None:
        if endings.is_one(held.text):
            try:
                self._end(endings.opened(held.text), held.source)
            except RecordBroken as error:
                self._found.add("bad-signature", 0, 0, f"{held.source}: {error.message}")
            return
        try:
            signed = checkpoints.parse_signed(held.text)
        except RecordBroken as error:
            self._found.add("bad-signature", 0, 0, f"a checkpoint, {held.source}: {error.message}")
            return
        name = f"checkpoint {signed.number}, {held.source},"
        checkpoint = self._open(signed, name)
        if checkpoint is None:
            return
        stored = _stored(self._db, signed.number)
        if stored is None:
            self._found.add("checkpoint-missing", 0, 0, f"{name} is gone from the database")
        elif stored.body != signed.body:
            self._found.add("checkpoint-edited", 0, 0, f"{name} and the one in the database differ")
        if held.arrived is not None:
            self._late(checkpoint, name, held.arrived)

    def _late(self, checkpoint: Checkpoint, name: str, arrived: datetime) -> None:
        try:
            apart = abs(arrived - datetime.fromisoformat(checkpoint.time))
        except (ValueError, TypeError):  # no time, or one without a zone: its signature is good, and nothing follows
            return
        if apart > LATE:
            text = f"{name} states {checkpoint.time} and came there at {arrived:%Y-%m-%dT%H:%M:%SZ}"
            self._found.add("late", 0, 0, text)


def _closed(names: set[str], steps: Sequence[tuple[str, str]]) -> set[str]:
    """The names, and whatever is reached from them by the steps."""
    while more := {to for here, to in steps if here in names} - names:
        names = names | more
    return names


def _stored(db: sqlite3.Connection, number: int) -> Signed | None:
    found = checkpoints.stored(db, after=number - 1, most=1)
    return found[0] if found and found[0].number == number else None


def _merged(rows: Iterator[int], files: list[int]) -> Iterator[tuple[int, str]]:
    """Every number that is in the database or among the files, in order, and in which of them it is alone."""
    both = heapq.merge(((number, "row") for number in rows), ((number, "file") for number in files))
    for number, group in itertools.groupby(both, key=lambda pair: pair[0]):
        places = [place for _, place in group]
        yield number, places[0] if len(places) == 1 else ""
