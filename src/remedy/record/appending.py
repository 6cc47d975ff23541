"""Puts entries at the end of the chain, inside a transaction that somebody else opened.

Decides the next entry from the last one, refuses to continue a damaged end, keeps the Merkle frontier.
Leaves to others: transactions, threads and waiting (journal), reading a whole record (verify).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from remedy.core.errors import RecordBroken
from remedy.core.values import Entry
from remedy.record.chain import COLUMNS, DAMAGED, SALT_BYTES, ZERO, Link, forge, linked, stamp
from remedy.record.merkle import Frontier, unpack

_INSERT: Final = f"INSERT INTO entry ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 -- a constant
_LAST: Final = f"SELECT {COLUMNS} FROM entry ORDER BY seq DESC LIMIT 1"  # noqa: S608
_BY_KEY: Final = f"SELECT {COLUMNS} FROM entry WHERE key = ? AND key != ''"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be appended. `body` is canonical JSON, redacted; an empty `key` means none."""

    kind: str
    incident: str
    run: str
    key: str
    body: str


class Tail:
    """The end of the chain within one write transaction. `seq` and `hash` are those of the newest entry."""

    def __init__(
        self,
        db: sqlite3.Connection,
        *,
        where: str,
        actor: str,
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        trusted: tuple[int, str] = (0, ZERO),
    ) -> None:
        """Read the end. `trusted` is the head this process last saw or wrote: it is not computed again.

        Raises RecordBroken when the newest entry is not what its hash says or the frontier belongs to another size.
        """
        self._db, self._where, self._actor, self._clock, self._entropy = db, where, actor, clock, entropy
        row = db.execute(_LAST).fetchone()
        self.seq: int = row[0] if row else 0
        self.hash: str = row[1] if row else ZERO
        if row and (self.seq, self.hash) != trusted and linked(row, where=where).computed() != self.hash:
            raise RecordBroken(f"entry {self.seq}, the newest, is not what its hash says", where=where, hint=DAMAGED)
        state = db.execute("SELECT size, nodes FROM frontier").fetchall()
        if len(state) != 1 or state[0][0] != self.seq:
            sizes = ", ".join(str(size) for size, _ in state) or "nothing"
            raise RecordBroken(
                f"the newest entry is {self.seq}, but the tree was grown to {sizes}: entries were cut off or planted",
                where=where,
                hint=DAMAGED,
            )
        try:
            self.frontier: Frontier = unpack(*state[0])
        except (TypeError, ValueError) as error:
            raise RecordBroken(f"the tree's frontier is damaged: {error}", where=where, hint=DAMAGED) from error
        self._grown_from = self.seq

    def put(self, draft: Draft) -> Entry:
        """Append one entry, or return the one that already has the draft's key."""
        if draft.key and (row := self._db.execute(_BY_KEY, (draft.key,)).fetchone()):
            return linked(row, where=self._where).entry()
        link = forge(
            seq=self.seq + 1,
            prev=self.hash,
            time=stamp(self._clock()),
            kind=draft.kind,
            incident=draft.incident,
            run=draft.run,
            key=draft.key,
            actor=self._actor,
            salt=self._entropy(SALT_BYTES).hex(),
            body=draft.body,
        )
        self._db.execute(_INSERT, _row(link))
        self.seq, self.hash = link.seq, link.hash
        self.frontier = self.frontier.add(bytes.fromhex(link.hash))
        return link.entry()

    def finish(self) -> None:
        """Store the frontier: the last thing before the commit."""
        if self.seq != self._grown_from:
            self._db.execute("UPDATE frontier SET size = ?, nodes = ?", (self.seq, self.frontier.pack()))


def _row(link: Link) -> tuple[int | str, ...]:
    return (
        link.seq,
        link.hash,
        link.prev,
        link.time,
        link.kind,
        link.incident,
        link.run,
        link.key,
        link.actor,
        link.body_sha256,
        link.salt,
        link.body,
    )
