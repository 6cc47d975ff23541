"""Checks a whole record, reading only.

Decides what counts as damage: every entry is computed again, the chain and the Merkle tree are rebuilt in one pass, and
compared with the checkpoints in the database, in the files next to it, in copies held elsewhere, and with anchors.
What it cannot see: a tail cut off, or a record rebuilt from nothing, when nothing from outside is compared with.
Leaves to others: what to do about it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from remedy.core.errors import RecordBroken
from remedy.record import endings, sshsig
from remedy.record.anchors import DIGITS, Anchor
from remedy.record.chain import COLUMNS, ZERO, Link
from remedy.record.merkle import Frontier
from remedy.record.report import OPEN, Doubt, Findings, Report
from remedy.record.schema import expected
from remedy.record.signing import KEY_KIND
from remedy.record.store import ATTEMPTS, reading, stamp, untorn
from remedy.record.witness import Held, Witness

_REMEMBERED: Final = 4096  # hashes looked back at, to say where a moved entry came from
_NEIGHBOURS: Final = 8  # numbers tried on both sides, for the same
_ALL: Final = f"SELECT {COLUMNS} FROM entry ORDER BY seq"  # noqa: S608 -- a constant


def verify(
    path: Path, *, trusted: Collection[str] = (), held: Iterable[Held] = (), anchors: Iterable[Anchor] = ()
) -> Report:
    """Check the record at `path`; nothing is written, read-only media work. Time grows with the entries, memory not.

    `trusted` are fingerprints of the keys that may sign; without any, the first key that the record announces is
    trusted and every other is a finding, but for those that follow a trusted one which retired. `held` are checkpoints
    and ends of keys that were kept elsewhere, `anchors` what was found in things that remedy has left behind.
    Raises RecordUnavailable when there is no record at `path`, or one of another format.
    """
    copies, named = tuple(held), tuple(anchors)
    for attempt in range(ATTEMPTS):
        before = stamp(path)
        report = _Check(path, trusted, copies, named).run()
        if report.ok or stamp(path) == before or attempt == ATTEMPTS - 1:
            break  # else somebody wrote meanwhile, and a snapshot without locks may have been torn
    return report


def numbers_of(path: Path, incident: str) -> list[int]:
    """The numbers of an incident's entries, in order; reads only. Raises RecordUnavailable, RecordBroken."""
    query = "SELECT seq FROM entry WHERE incident = ? AND incident != '' ORDER BY seq"
    return untorn(path, lambda db: [row[0] for row in db.execute(query, (incident,))])


class _Check:
    """One pass over one record."""

    def __init__(
        self, path: Path, trusted: Collection[str], held: tuple[Held, ...], anchors: tuple[Anchor, ...]
    ) -> None:
        self.path, self.trusted, self.held, self.anchors = path, tuple(trusted), held, anchors
        self.starts = {anchor.digits[:DIGITS] for anchor in anchors}
        self.named: dict[str, int] = {ZERO: 0} if ZERO[:DIGITS] in self.starts else {}  # hash -> number, where asked
        self.runs: dict[str, int] = {anchor.run: 0 for anchor in anchors if anchor.run}  # first entry of each
        self.found = Findings()
        self.entries, self.head, self.time = 0, ZERO, ""
        self.tree = Frontier()
        self.expected = 1  # the number the next entry ought to have
        self.recent: OrderedDict[str, int] = OrderedDict()  # hash -> number the entry was written with
        self.suspect = False  # the entry before has a finding of its own: its link says nothing more
        self.moved = False  # the entry before was renumbered
        self.doubts: dict[str, dict[str, Doubt]] = {}  # by run, then by target
        self.keys: dict[str, int] = {}  # fingerprint -> number of the entry that announced it

    def run(self) -> Report:
        witness = Witness(self.path, self.found, self.held)
        try:
            with reading(self.path) as db:
                self._read(db, witness)
        except RecordBroken as error:
            self.found.add("unreadable", 0, 0, error.message)
        signed = witness.finish(self.entries, keys=self.keys, trusted=self.trusted)
        anchored = tuple((anchor, self._anchored(anchor, signed)) for anchor in self.anchors)
        if signed < self.entries:
            self.found.add("unsigned", signed + 1, self.entries, "not covered by a checkpoint")
        return Report(
            self.path,
            self.entries,
            self.head,
            witness.count,
            signed,
            witness.fingerprints,
            self.found.all(),
            tuple(sorted((one for run in self.doubts.values() for one in run.values()), key=lambda doubt: doubt.seq)),
            anchored,
        )

    def _read(self, db: sqlite3.Connection, witness: Witness) -> None:
        """Everything that is in the database, as far as it can be read."""
        db.text_factory = _text
        try:
            self._schema(db)
            witness.load(db)
            for row in db.execute(_ALL):
                self._entry(Link(row[0], *(str(value) for value in row[1:])), witness)
                witness.compare(self.entries, self.tree, self.head, consistent=self.expected == self.entries + 1)
            self._duplicates(db)
            self._frontier(db)
        except sqlite3.Error as error:
            self.found.add("unreadable", 0, 0, f"after entry {self.expected - 1} the file cannot be read: {error}")
        with contextlib.suppress(sqlite3.Error):  # said already
            witness.drain()

    def _schema(self, db: sqlite3.Connection) -> None:
        """Compare tables, indexes and triggers with the record's own, then let SQLite check its pages."""
        there = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        wanted = expected()
        for name in sorted(set(there) | set(wanted)):
            if there.get(name) != wanted.get(name):
                what = "missing" if name not in there else "altered" if name in wanted else "not the record's"
                self.found.add("schema", 0, 0, f"in the database, {name!r} is {what}")
        for (line,) in db.execute("PRAGMA integrity_check(10)"):
            if line != "ok":
                self.found.add("unreadable", 0, 0, f"SQLite's integrity check says: {line}")

    def _entry(self, link: Link, witness: Witness) -> None:
        """One entry, against its own hashes and against the one before."""
        if link.seq > self.expected:
            self.found.add("missing", self.expected, link.seq - 1, "gone from the record")
            self.suspect = True
        suspect = self._self_check(link)
        if link.prev != self.head and not (suspect or self.suspect):
            text = "does not follow the entry before it: one of the two was replaced, or one between them removed"
            self.found.add("broken-link", link.seq, link.seq, text)
        if self.time and link.time < self.time:
            self.found.add("clock-back", link.seq, link.seq, f"the clock went back from {self.time} to {link.time}")
        self.suspect, self.time = suspect, link.time
        self.entries += 1
        self.expected = link.seq + 1
        self.head = link.hash
        self.tree = self.tree.add(_leaf(link))
        self.recent.setdefault(link.hash, link.seq)
        if len(self.recent) > _REMEMBERED:
            self.recent.popitem(last=False)
        if link.hash[:DIGITS] in self.starts:
            self.named[link.hash] = link.seq
        if self.runs.get(link.run) == 0:
            self.runs[link.run] = link.seq
        if not suspect:
            self._meaning(link, witness)

    def _self_check(self, link: Link) -> bool:
        """Report an entry that is not what its hashes say; True when there was something."""
        moved, bad = False, False
        if _computed(link) != link.hash:
            bad = True
            written = self._written_as(link)
            moved = written is not None
            if written is None:
                self.found.add("edited", link.seq, link.seq, "the header is not what its hash says")
            else:
                self.found.add("renumbered", link.seq, link.seq, f"written as entry {written}, now {link.seq}")
                if written < link.seq and not self.moved:
                    self.found.add("inserted", written, link.seq - 1, "put between the entries around it")
                self.recent[link.hash] = written
        if _bound(link) != link.body_sha256:
            bad = True
            self.found.add("body-edited", link.seq, link.seq, "the body is not what the header binds")
        self.moved = moved
        return bad

    def _written_as(self, link: Link) -> int | None:
        """The number with which the entry's hash is right, when it can be found."""
        candidates = [*range(max(link.seq - _NEIGHBOURS, 1), link.seq + _NEIGHBOURS + 1)]
        if link.prev in self.recent:
            candidates.insert(0, self.recent[link.prev] + 1)
        found = (n for n in candidates if n != link.seq and _computed(replace(link, seq=n)) == link.hash)
        return next(found, None)

    def _meaning(self, link: Link, witness: Witness) -> None:
        """Keep book of intents in doubt, of announced keys, and of those that have ended."""
        if link.kind == endings.KIND:
            witness.ended(link.body, link.seq)
        if link.kind not in {"intent", "outcome", KEY_KIND}:
            return
        try:
            body = json.loads(link.body)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            self.found.add("edited", link.seq, link.seq, "the body is no JSON object: remedy has not written it")
            return
        if link.kind == KEY_KIND:
            with contextlib.suppress(RecordBroken):  # no key in it: then its checkpoints are unannounced
                self.keys.setdefault(sshsig.parse_line(str(body.get("public"))).fingerprint, link.seq)
            return
        target = str(body.get("target", ""))
        if link.kind == "intent":
            doubt = Doubt(link.seq, link.incident, link.run, target, link.time)
            self.doubts.setdefault(link.run, {})[target] = doubt
            return
        if target in self.doubts.get(link.run, ()):
            del self.doubts[link.run][target]
        if not (target and self.doubts.get(link.run)):
            self.doubts.pop(link.run, None)

    def _anchored(self, anchor: Anchor, signed: int) -> int:
        """The number of the entry that an anchor names; -1 when there is none, which is then a finding."""
        found = next((seq for name, seq in self.named.items() if name.startswith(anchor.digits)), -1)
        if found >= 0:
            return found
        begun = self.runs.get(anchor.run, 0)
        if begun:
            first, last = 1 + max((seq for seq in self.named.values() if seq < begun), default=0), begun - 1
            last = max(first, last)
            text = f"rewritten: run {anchor.run} began after an entry {anchor.digits[:DIGITS]} ({anchor.source})"
        else:
            first, last = self.expected, OPEN
            text = f"gone: none is {anchor.digits[:DIGITS]}, which {anchor.source} names; the record ends before it"
            if signed < self.entries:
                text += f", or entries after {signed}, which nothing signs, were rewritten"
        self.found.add("anchor-missing", first, last, text)
        return -1

    def _duplicates(self, db: sqlite3.Connection) -> None:
        query = "SELECT key, min(seq), max(seq) FROM entry WHERE key != '' GROUP BY key HAVING count(*) > 1"
        for key, first, last in db.execute(query):
            self.found.add("duplicate-key", last, last, f"has the key {key!r} of entry {first}")

    def _frontier(self, db: sqlite3.Connection) -> None:
        rows = db.execute("SELECT size, nodes FROM frontier").fetchall()
        if rows != [(self.tree.size, self.tree.pack())]:
            self.found.add("frontier", 0, 0, "the stored tree does not fit the entries: some were cut off or altered")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")  # bytes that are no UTF-8 shall be a finding, not an end


def _computed(link: Link) -> str:
    try:
        return link.computed()
    except UnicodeEncodeError:  # text that the record would never have stored
        return ""


def _bound(link: Link) -> str:
    try:
        return hashlib.sha256(link.content()).hexdigest()
    except UnicodeEncodeError:
        return ""


def _leaf(link: Link) -> bytes:
    try:
        return bytes.fromhex(link.hash)
    except ValueError:  # no hash at all: any other leaf is as wrong
        return link.hash.encode("utf-8", "replace")
