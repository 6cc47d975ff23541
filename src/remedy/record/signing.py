"""Signs the head of a record, and passes the right to sign from one key to the next.

Decides that a key is announced by an entry before it signs, that a key which has ended signs nothing any more (whoever
puts its file back is refused), and which checkpoint files a crash has left unwritten. All of it happens inside a write
transaction of the record, so that several processes agree on who signs.
Leaves to others: transactions (journal), the texts (checkpoints, endings), the key's file (keys).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.core.canon import Json
from remedy.core.errors import RecordBroken, RecordUnavailable
from remedy.core.values import Entry
from remedy.record import checkpoints, endings, keys, sshsig
from remedy.record.appending import Tail
from remedy.record.chain import DAMAGED, stamp
from remedy.record.checkpoints import Checkpoint, Signed
from remedy.record.endings import Ending

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: The kind of the entry that announces a signing key.
KEY_KIND: Final = "signing-key"

#: Puts an entry into the transaction: kind, body, idempotency key.
Put = Callable[[str, Mapping[str, Json], str], Entry]


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs for one record. `db` below is always a connection inside a write transaction, `tail` its end."""

    path: Path
    key_dir: Path
    clock: Callable[[], datetime]
    entropy: Callable[[int], bytes]

    def checkpoint(self, db: sqlite3.Connection, tail: Tail, put: Put) -> Signed:
        """Sign the end, and store the checkpoint; the newest one again when it is of this very head.

        Raises RecordUnavailable when there is no key that may sign.
        """
        key = self._current(db)
        self._announce(sshsig.public_key(key), put)
        last = checkpoints.newest(db)
        if last and checkpoints.parse(last.body, where=str(self.path)).head == tail.hash:
            return last
        number = last.number + 1 if last else 1
        origin = checkpoints.origin(identity(db, self.path))
        made = Checkpoint(origin, tail.seq, tail.frontier.root(), number, tail.hash, stamp(self.clock()))
        signed = checkpoints.sign(made, key)
        row = (signed.number, tail.seq, signed.body, signed.signature)
        db.execute("INSERT INTO checkpoint (number, size, body, signature) VALUES (?,?,?,?)", row)
        return signed

    def end(self, db: sqlite3.Connection, tail: Tail, put: Put, *, why: str, reason: str) -> str:
        """End the key that signs now, announce the next, which lies ready; returns the next one's fingerprint.

        `why` is one of `endings`, `reason` a person's words. The next key takes its place after the commit.
        """
        key = self._current(db)
        old = sshsig.public_key(key)
        follower = sshsig.public_key(keys.prepare_next(self.key_dir, entropy=self.entropy))
        tail_was = tail.seq
        ending = Ending(identity(db, self.path), old.fingerprint, tail_was, why, follower, stamp(self.clock()))
        body: dict[str, Json] = {"fingerprint": old.fingerprint, "why": why, "reason": reason}
        body |= {"next": follower.fingerprint, "statement": endings.sign(ending, key)}
        if put(endings.KIND, body, _ended(old.fingerprint)).seq <= tail_was:
            raise RecordBroken("another entry has taken the place of the key's end", where=str(self.path), hint=DAMAGED)
        self._announce(follower, put)
        return follower.fingerprint

    def write_missing(self, signed: Signed, stored: Callable[[int], list[Signed]]) -> None:
        """Write a checkpoint's files, and those of the ones before it that a crash left unwritten.

        `stored` gives the checkpoints after a number. Raises RecordUnavailable.
        """
        before = signed.number - 1
        while before and not checkpoints.is_written(self.path, before):
            before -= 1
        for each in stored(before) or [signed]:
            checkpoints.write_files(self.path, each)

    def refuse_cut(self, db: sqlite3.Connection, seq: int) -> None:
        """Refuse to continue a record of `seq` entries that lost what its checkpoints still show. `db` only reads."""
        last = checkpoints.newest(db)
        size, known = (checkpoints.parse(last.body, where=str(self.path)).size, last.number) if last else (0, 0)
        newest = known
        while checkpoints.is_written(self.path, newest + 1):
            newest += 1
        if newest > known or size > seq:
            kept = checkpoints.folder(self.path)
            raise RecordBroken(
                f"entries were cut off: checkpoint {newest} is there, "
                f"but the record has {known} checkpoints and {seq} entries",
                where=str(self.path),
                hint=f"`remedy incident verify` shows the extent; to start anew, move the folder {kept} away",
            )

    def _current(self, db: sqlite3.Connection) -> Ed25519PrivateKey:
        key = keys.load_or_make(self.key_dir, entropy=self.entropy)
        fingerprint = sshsig.public_key(key).fingerprint
        ending = self._ending(db, fingerprint)
        if ending is None:
            return key
        if keys.take_next(self.key_dir, ending.follower.fingerprint):  # a crash came between
            return keys.load_or_make(self.key_dir, entropy=self.entropy)
        raise RecordUnavailable(
            f"the signing key {fingerprint} has ended ({ending.why}): the record says so",
            where=str(self.key_dir / keys.KEY_NAME),
            hint=f"put {ending.follower.fingerprint} back, which follows it; or move this one away and one is made",
        )

    def _ending(self, db: sqlite3.Connection, fingerprint: str) -> Ending | None:
        """How the record says that a key ended; what nobody has signed with that key says nothing."""
        row = db.execute("SELECT body FROM entry WHERE key = ? AND key != ''", (_ended(fingerprint),)).fetchone()
        with contextlib.suppress(RecordBroken):
            return endings.of_entry(row[0]) if row else None
        return None

    def _announce(self, public: sshsig.PublicKey, put: Put) -> None:
        body: dict[str, Json] = {"fingerprint": public.fingerprint, "public": public.line}
        put(KEY_KIND, body, f"{KEY_KIND}:{public.fingerprint}")


def identity(db: sqlite3.Connection, path: Path) -> str:
    """The record's random id. Raises RecordBroken when it has lost it."""
    rows = db.execute("SELECT id FROM identity").fetchall()
    if len(rows) != 1:
        raise RecordBroken("the record has lost its name", where=str(path), hint=DAMAGED)
    return str(rows[0][0])


def _ended(fingerprint: str) -> str:
    return f"{endings.KIND}:{fingerprint}"
