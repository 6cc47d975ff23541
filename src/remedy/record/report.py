"""What a verification found: values only.

Decides which findings are damage and which are remarks. Leaves to others: finding them (verify), showing them (cli).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remedy.core.errors import RecordBroken
from remedy.record.anchors import Anchor

#: Every kind of damage, and what it means.
DAMAGE: Final[dict[str, str]] = {
    "unreadable": "the file cannot be read to its end",
    "schema": "tables, indexes or triggers are not the record's own",
    "edited": "a header is not what its hash says",
    "body-edited": "a body or its salt is not what the header binds",
    "renumbered": "an entry carries another number than it was written with",
    "missing": "entries are gone from the middle",
    "inserted": "an entry was put between others",
    "broken-link": "an entry does not follow the one before it",
    "duplicate-key": "two entries have the same idempotency key",
    "root-mismatch": "the entries are not those a checkpoint signed",
    "cut-off": "a checkpoint covers more entries than there are",
    "bad-signature": "a checkpoint is malformed or its signature wrong",
    "foreign-checkpoint": "a checkpoint belongs to another record",
    "checkpoint-missing": "a checkpoint is gone",
    "checkpoint-edited": "a checkpoint and its copy differ",
    "key-changed": "a key signed that is not the trusted one",
    "key-unannounced": "a key signed that no earlier entry names",
    "key-ended": "a key signed more entries than there were when it ended",
    "ending-missing": "a key has ended, as it says itself elsewhere, and the record does not know it",
    "anchor-missing": "something outside names an entry that the record does not have",
    "frontier": "the stored tree does not fit the entries: the next append will refuse",
}
#: Every kind of remark.
REMARKS: Final[dict[str, str]] = {
    "clock-back": "an entry's time is before that of the entry before it",
    "unsigned": "entries newer than the last checkpoint, which nothing protects against a rebuild",
    "file-missing": "a checkpoint is in the database but its file is not next to it",
    "key-stolen": "a key was stolen: of what it signed, only copies that were elsewhere before prove anything",
    "late": "a checkpoint came elsewhere long after, or before, the time that it states",
}
#: The last entry of a range that goes on to an end nobody knows.
OPEN: Final = -1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, about entries `first` to `last` (both included; 0 when it is about none in particular).

    A range whose end nobody knows has `OPEN` as its last.
    """

    kind: str
    first: int
    last: int
    text: str

    @property
    def is_damage(self) -> bool:
        """False for mere remarks."""
        return self.kind in DAMAGE

    def __str__(self) -> str:
        """`entries 5-7: …`."""
        if not self.first:
            return self.text
        if self.last == OPEN:
            return f"entries from {self.first} on: {self.text}"
        span = f"entry {self.first}" if self.first == self.last else f"entries {self.first}-{self.last}"
        return f"{span}: {self.text}"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An intent without an outcome: whether it happened is unknown. `remedy resume` settles it. No damage."""

    seq: int
    incident: str
    run: str
    target: str
    time: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result. `entries` were read; `signed` is the size the newest good checkpoint covers (0: none)."""

    path: Path
    entries: int
    head: str
    checkpoints: int
    signed: int
    fingerprints: tuple[str, ...]
    findings: tuple[Finding, ...]
    in_doubt: tuple[Doubt, ...]
    #: Number of the entry that each anchor names, in the order given; -1 when the record has none.
    anchored: tuple[tuple[Anchor, int], ...] = ()

    @property
    def damage(self) -> tuple[Finding, ...]:
        """The findings that are damage."""
        return tuple(finding for finding in self.findings if finding.is_damage)

    @property
    def ok(self) -> bool:
        """No damage. Remarks and doubts do not count."""
        return not self.damage

    def require(self) -> None:
        """Raise RecordBroken with the first damage when there is any."""
        if damage := self.damage:
            more = f", and {len(damage) - 1} more findings" if len(damage) > 1 else ""
            raise RecordBroken(
                f"{damage[0]}{more}",
                where=str(self.path),
                hint="keep the file as it is; compare with exports and checkpoints held elsewhere",
            )


class Findings:
    """Collects findings; neighbours of the same kind become one range."""

    def __init__(self) -> None:
        """Empty."""
        self._found: list[Finding] = []

    def add(self, kind: str, first: int, last: int, text: str) -> None:
        """Add one, or stretch the newest one of its kind when that ends right before `first`.

        The text of a range is that of its first entry.
        """
        for at in range(len(self._found) - 1, max(len(self._found) - 6, -1), -1):
            near = self._found[at]
            if near.kind == kind and first and last != OPEN and near.last in {first - 1, first}:
                self._found[at] = Finding(kind, near.first, max(near.last, last), near.text)
                return
        self._found.append(Finding(kind, first, last, text))

    def all(self) -> tuple[Finding, ...]:
        """Damage first, each in the order of the entries."""
        return tuple(sorted(self._found, key=lambda found: (not found.is_damage, found.first)))
