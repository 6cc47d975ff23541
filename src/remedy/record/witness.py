"""Compares a record, while it is being read, with what checkpoints say about it.

Decides whether the checkpoints of one record (in the database, in files, held elsewhere) are genuine, complete, and
agree with the entries. Leaves to others: the entries themselves (verify).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path

from remedy.core.errors import RecordBroken
from remedy.record import checkpoints
from remedy.record.checkpoints import Checkpoint, Signed
from remedy.record.merkle import Frontier
from remedy.record.report import Findings


class Witness:
    """The checkpoints of one record. `load`, then `compare` after every entry, then `finish`."""

    def __init__(self, path: Path, found: Findings, held: tuple[str, ...]) -> None:
        """Note which files there are: before the database is read, so that each of them must be in it."""
        self._path, self._found, self._held = path, found, held
        self._files = frozenset(checkpoints.file_numbers(path))
        self._pending: list[tuple[Checkpoint, str]] = []  # what is said about a size not reached yet, smallest last
        self._agreed = 0  # the largest size some checkpoint was found right at
        self._signers: dict[str, Checkpoint] = {}  # fingerprint -> the first checkpoint it signed
        self.count = 0

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of the keys that signed, in the order in which they did."""
        return tuple(self._signers)

    def load(self, db: sqlite3.Connection) -> None:
        """Read and check every checkpoint there is."""
        row = db.execute("SELECT id FROM identity").fetchone()
        origin = checkpoints.origin(str(row[0]) if row else "")
        stored = {signed.number: signed for signed in checkpoints.stored(db)}
        self.count = len(stored)
        said: list[tuple[Checkpoint, str]] = []
        for number, signed in stored.items():
            said += self._open(signed, f"checkpoint {number}", origin)
        self._gaps(stored)
        for number in sorted(self._files):
            said += self._file(number, stored, origin)
        for text in self._held:
            said += self._copy(text, stored, origin)
        self._pending = sorted(said, key=lambda pair: pair[0].size, reverse=True)

    def compare(self, size: int, tree: Frontier, head: str, *, consistent: bool) -> None:
        """Hold what is said about `size` against the tree of that many entries and the hash of the newest.

        `consistent` is False when numbers were missing: then sizes and entry numbers differ.
        """
        while self._pending and self._pending[-1][0].size <= size:
            checkpoint, name = self._pending.pop()
            if checkpoint.size == size and checkpoint.root == tree.root() and checkpoint.head == head:
                self._agreed = size if consistent else self._agreed
            else:
                first = min(self._agreed + 1, checkpoint.size)
                self._found.add("root-mismatch", max(first, 1), checkpoint.size, f"not the ones that {name} signed")

    def finish(self, entries: int, *, keys: Mapping[str, int], trusted: Collection[str]) -> int:
        """Judge what is left over and the keys. Returns the largest size a good checkpoint covers.

        `keys` maps the fingerprint of each announced key to the number of the announcing entry.
        """
        for checkpoint, name in reversed(self._pending):
            text = f"gone: {name} covers {checkpoint.size} entries, the record has {entries}"
            self._found.add("cut-off", entries + 1, checkpoint.size, text)
        accepted = set(trusted) or set(list(keys)[:1])
        for fingerprint, checkpoint in self._signers.items():
            if accepted and fingerprint not in accepted:
                text = (
                    f"checkpoint {checkpoint.number} is signed by {fingerprint}, not by {', '.join(sorted(accepted))}"
                )
                self._found.add("key-changed", 0, 0, text)
            if not 0 < keys.get(fingerprint, 0) <= checkpoint.size:
                text = f"checkpoint {checkpoint.number} is signed by {fingerprint}, which no entry before it announces"
                self._found.add("key-unannounced", 0, 0, text)
        return self._agreed

    def _open(self, signed: Signed, name: str, origin: str) -> list[tuple[Checkpoint, str]]:
        try:
            checkpoint, key = checkpoints.opened(signed)
        except RecordBroken as error:
            self._found.add("bad-signature", 0, 0, f"{name}: {error.message}")
            return []
        if checkpoint.origin != origin:
            self._found.add("foreign-checkpoint", 0, 0, f"{name} is of {checkpoint.origin}, this record is {origin}")
            return []
        if checkpoint.number != signed.number:
            text = f"{name} was written as checkpoint {checkpoint.number}"
            self._found.add("checkpoint-edited", 0, 0, text)
        self._signers.setdefault(key.fingerprint, checkpoint)
        return [(checkpoint, name)]

    def _gaps(self, stored: Mapping[int, Signed]) -> None:
        before = 0
        for number in sorted({*stored, *self._files}):
            if number > before + 1:
                text = f"checkpoint {before + 1} and all before {number} are gone, database and files"
                self._found.add("checkpoint-missing", 0, 0, text)
            if number not in stored:
                text = f"checkpoint {number} is gone from the database, its file is there"
                self._found.add("checkpoint-missing", 0, 0, text)
            elif number not in self._files:
                text = f"checkpoint {number} has no file in {checkpoints.folder(self._path)}"
                self._found.add("file-missing", 0, 0, text)
            before = number

    def _file(self, number: int, stored: Mapping[int, Signed], origin: str) -> list[tuple[Checkpoint, str]]:
        try:
            signed = checkpoints.read_file(self._path, number)
        except RecordBroken as error:
            self._found.add("bad-signature", 0, 0, str(error))
            return []
        if stored.get(number) == signed:
            return []
        if number in stored:
            text = f"checkpoint {number} in the database and its file differ"
            self._found.add("checkpoint-edited", 0, 0, text)
        return self._open(signed, f"checkpoint file {number}", origin)

    def _copy(self, text: str, stored: Mapping[int, Signed], origin: str) -> list[tuple[Checkpoint, str]]:
        try:
            signed = checkpoints.parse_signed(text)
        except RecordBroken as error:
            self._found.add("bad-signature", 0, 0, f"a checkpoint held elsewhere: {error.message}")
            return []
        name = f"checkpoint {signed.number} held elsewhere"
        if signed.number not in stored:
            self._found.add("checkpoint-missing", 0, 0, f"{name} is gone from the database")
        elif stored[signed.number].body != signed.body:
            self._found.add("checkpoint-edited", 0, 0, f"{name} and the one in the database differ")
        return self._open(signed, name, origin)
