"""What an earlier bag of a host has, so that a new one can go on where it stopped.

Decides which steps are done and which logs are held in part. The bag has been verified: its files are what was sealed.
What is in them still comes from the host: the tar is unpacked only by `evidence.resuming`, header by header, and its
names never become paths. Leaves to others: verifying, and asking the host for the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remedy.backups.containers import zst
from remedy.backups.ports import Damaged
from remedy.core.errors import UsageError
from remedy.evidence import bag, resuming
from remedy.evidence.resuming import Held
from remedy.evidence.steps import Step
from remedy.transports.bags import opening

#: The file of a bag that says which other one it goes on from.
CONTINUES: Final = "continues.json"
_META: Final = 4 * 1024 * 1024
_TIMELINE: Final = "timeline"
#: A line of the timeline that is longer is passed over.
_LONGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a bag has of one host: steps that need not be asked again, and beginnings of logs by step."""

    done: frozenset[str]
    held: dict[str, tuple[Held, ...]]


def read(folder: Path, host: str, steps: Sequence[Step]) -> Earlier:
    """What the bag in `folder` has of `host`. Raises UsageError when that cannot be read."""
    place = folder / "data" / bag.name_of(host)
    try:
        within = opening.folder(str(place))
        try:
            names = {entry.name for entry in opening.entries(within)[0] if entry.kind == "file"}
            return _read(within, names, steps)
        finally:
            os.close(within)
    except OSError as error:
        hint = "`remedy evidence show` says what it has"
        raise UsageError(f"the bag has nothing of {host}: {error.strerror}", where=str(folder), hint=hint) from error


def _read(within: int, names: set[str], steps: Sequence[Step]) -> Earlier:
    done: set[str] = set()
    if CONTINUES in names:
        done.update(json.loads(opening.small(CONTINUES, within, _META))["done"])
    held: dict[str, tuple[Held, ...]] = {}
    for step in steps:
        number = f"{step.order:04d}-{step.name}"
        if f"{number}.meta.json" not in names:
            continue
        line = json.loads(opening.small(f"{number}.meta.json", within, _META))["line"]
        if line["state"] in {"ok", "absent"}:
            done.add(step.name)
        elif step.appends and f"{number}.tar.zst" in names:
            held[step.name] = _held(within, f"{number}.tar.zst", names)
    return Earlier(frozenset(done), {name: found for name, found in held.items() if found})


def _held(within: int, name: str, names: set[str]) -> tuple[Held, ...]:
    """Files whose beginning a tar has and whose inode the timeline names."""
    timeline = next((one for one in names if one.endswith(f"-{_TIMELINE}.out")), "")
    if not timeline:
        return ()
    descriptor = opening.file(name, within)
    try:
        found = resuming.largest(resuming.members(_opened(descriptor)))
    finally:
        os.close(descriptor)
    descriptor = opening.file(timeline, within)
    try:
        return resuming.inodes(_lines(descriptor), found)
    finally:
        os.close(descriptor)


def _opened(descriptor: int) -> Iterator[bytes]:
    """What is compressed, as far as it goes: a stream that was cut off ends where it was cut."""
    try:
        yield from zst.opened(opening.chunks(descriptor))
    except Damaged:
        return


def _lines(descriptor: int) -> Iterator[bytes]:
    rest = b""
    for chunk in opening.chunks(descriptor):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        rest = rest if len(rest) <= _LONGEST else b""
