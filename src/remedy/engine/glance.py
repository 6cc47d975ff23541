"""A cheap look at a backup that was never read: what it says of itself at its beginning and, if plain, at its end.

Decides how few bytes are asked for. What is found is what the backup claims: it is shown to people, and nothing is
chosen by it. Copies come through ports. Leaves to others: reading all of it (transports), what formats make of bytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.backups import containers, formats, naming, seals, times
from remedy.backups.formats import Reading
from remedy.backups.ports import Damaged, Shelf
from remedy.backups.values import Backup, Database, Facts, File
from remedy.core.errors import UsageError

#: Bytes of the beginning, stored and unpacked, and of the end.
HEAD: Final = 64 << 10
TAIL: Final = 4 << 10


@dataclass(frozen=True, slots=True)
class Glance:
    """What was seen: `facts` as the backup claims them, compression and encryption."""

    facts: Facts = field(default_factory=Facts)
    container: str = ""
    sealed: str = ""


def glance(shelf: Shelf, backup: Backup, database: Database, *, zone: str = "UTC") -> Glance:
    """Look at it. What is damaged or encrypted says little, which is no error. Raises Unreachable, Refused."""
    if not backup.files or backup.odd:
        return Glance()
    with shelf.read(backup.files[0], length=min(HEAD, backup.files[0].size)) as chunks:
        head = b"".join(chunks)
    if sealed := seals.recognise(head):
        return Glance(container=_compression(backup), sealed=sealed)
    try:
        kind = formats.named(backup.format)
    except UsageError:
        return Glance(container=_compression(backup))
    streams = kind.streams(backup.files)
    reading = kind.reading(database.schema)
    container, left = "", HEAD
    for files in streams:
        at_hand = head if files[0] == backup.files[0] else None
        name, taken = _begun(shelf, reading, files, left, at_hand)
        container, left = container or name, left - taken
        if left <= 0:
            break
    facts = _closed(reading)
    if not container and len(streams) == 1 and backup.size > HEAD:
        facts = _ended(shelf, backup, database, facts)
    clock = database.timezone or zone
    return Glance(replace(facts, time=facts.time or times.local_time(facts.time_text, clock)), container)


def _compression(backup: Backup) -> str:
    """The compression that the name of a backup's file tells, "" for none."""
    return containers.without_suffix(seals.without_suffix(backup.files[0].name)[0])[1]


def _begun(
    shelf: Shelf, reading: Reading, files: tuple[File, ...], most: int, at_hand: bytes | None
) -> tuple[str, int]:
    """Feed the beginning of a stream; its container, and how many stored bytes it took."""
    file, stored = files[0], at_hand
    if stored is None:
        with shelf.read(file, length=min(most, file.size)) as chunks:
            stored = b"".join(chunks)
    container, _, inside = containers.opened([stored])
    whole = len(files) == 1 and len(stored) == file.size
    reading.begin(naming.bare(naming.split_path(file.name)[1]))
    with contextlib.suppress(Damaged):
        for chunk in _at_most(inside, HEAD):
            for _ in reading.feed(chunk):
                pass
        if whole:
            for _ in reading.end():
                pass
    return container, len(stored)


def _ended(shelf: Shelf, backup: Backup, database: Database, facts: Facts) -> Facts:
    """The facts with those that stand at the end of a plain file: when it was completed."""
    file = backup.files[-1]
    with shelf.read(file, start=-min(TAIL, file.size)) as chunks:
        tail = b"".join(chunks)
    reading = formats.named(backup.format).reading(database.schema)
    reading.begin(naming.bare(file.name))
    with contextlib.suppress(Damaged):
        for _ in reading.feed(tail.partition(b"\n")[2]):
            pass
        for _ in reading.end():
            pass
    found = _closed(reading)
    return replace(facts, time=found.time or facts.time, time_text=found.time_text or facts.time_text)


def _closed(reading: Reading) -> Facts:
    return reading.close().facts


def _at_most(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The first bytes; what is cut off by it is not missed."""
    for chunk in chunks:
        yield chunk[:most]
        most -= len(chunk)
        if most <= 0:
            return
