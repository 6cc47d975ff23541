"""What a record is compared with when it is verified: whatever is elsewhere, in any of the forms it has there.

Decides what `--against` names, how much of a bucket is looked at, and that what nobody signed is passed over and told.
Leaves to others: judging (`record.verify`), requests (`transports.offsite`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.cli import offsite
from remedy.core.errors import RecordBroken, UsageError

if TYPE_CHECKING:
    from remedy.cli.world import World
    from remedy.core.offsite import Offsite
    from remedy.record.anchors import Anchor
    from remedy.record.witness import Held
    from remedy.transports.offsite import OffsiteStore, Stored

#: How many of the newest checkpoints and ends of keys there are compared with; a checkpoint covers all before it.
COMPARED: Final = 20
#: How many objects are read to find them.
LOOKED_AT: Final = 500
#: Bytes of the longest text that is one of ours, generously.
LONGEST: Final = 16 * 1024
_LARGEST: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Against:
    """What a record is compared with. `junk` names objects of a bucket that nobody signed: put there by somebody."""

    held: tuple[Held, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    junk: tuple[str, ...] = ()

    def __add__(self, other: Against) -> Against:
        """Both."""
        return Against(self.held + other.held, self.anchors + other.anchors, self.junk + other.junk)


def gather(around: World, what: str) -> Against:
    """What `--against` names: a file, a folder, `-`, an anchor, a place of the inventory, an address in S3.

    Raises UsageError when it is none of them or there is nothing in it to compare with; Unreachable, Refused.
    """
    from remedy.record import anchors  # noqa: PLC0415 -- lazily

    if anchor := anchors.alone(what, "--against"):
        return Against(anchors=(anchor,))
    if what == "-":
        return _text(sys.stdin.buffer.read(_LARGEST).decode("utf-8", "replace"), "standard input")
    if what.startswith("s3://"):
        return _bucket(around, what)
    path = Path(what)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    for place in offsite.places(around):
        if place.name == what:
            return _place(around, place, f"{_record_id(around)}/")
    hint = "a file, a folder (bag, export, checkpoints), -, 16 digits, s3://BUCKET/…, or a place of remedy_offsite"
    raise UsageError("there is nothing of that name to compare with", where=what, hint=hint)


def _file(path: Path) -> Against:
    """A signed text in one file, or NUMBER.txt beside NUMBER.txt.sig; else whatever anchors are in it."""
    beside = path.with_name(path.name + ".sig")
    text = read(path)
    return _text(f"{text.rstrip()}\n\n{read(beside)}" if beside.exists() else text, str(path))


def _text(text: str, source: str) -> Against:
    from remedy.record import anchors, checkpoints, endings  # noqa: PLC0415 -- lazily
    from remedy.record.witness import Held  # noqa: PLC0415

    if endings.is_one(text) or checkpoints.is_one(text):
        if not _is_signed(text):
            raise UsageError("this is no signed checkpoint, or was changed", where=source, hint="take another copy")
        return Against(held=(Held(text, source),))
    found = anchors.found(text, source)
    if not found:
        hint = "name the .txt file of a checkpoint with its .sig beside it, or a text with anchor=…"
        raise UsageError("there is neither a checkpoint nor an anchor in it", where=source, hint=hint)
    return Against(anchors=found)


def _folder(path: Path) -> Against:
    """A bag of evidence, an export, or a copy of the folder of checkpoints."""
    if (path / "bag-info.txt").is_file():
        return _text(read(path / "bag-info.txt"), str(path / "bag-info.txt"))
    files = sorted(one for one in path.glob("*.txt") if one.with_name(one.name + ".sig").is_file())
    named = [one for one in files if one.name == "checkpoint.txt" or one.stem.isdigit()][-COMPARED:]
    if not named:
        hint = "a bag has bag-info.txt, an export checkpoint.txt, a folder of checkpoints 00000001.txt and .sig"
        raise UsageError("there is nothing in this folder to compare with", where=str(path), hint=hint)
    found = Against()
    for one in named:
        found += _file(one)
    return found


def _bucket(around: World, address: str) -> Against:
    """An object or what is below a prefix of a bucket, of the inventory or one that the environment's keys open."""
    from remedy.core.offsite import Offsite  # noqa: PLC0415 -- lazily

    bucket, _, rest = address.removeprefix("s3://").partition("/")
    for place in offsite.places(around):
        prefix = f"{place.prefix.strip('/')}/" if place.prefix.strip("/") else ""
        if place.bucket == bucket and rest.startswith(prefix):
            return _place(around, place, rest.removeprefix(prefix))
    return _place(around, Offsite(bucket, bucket), rest)


def _place(around: World, place: Offsite, below: str) -> Against:
    """The newest checkpoints and ends of keys there."""
    store = offsite.store(around, place)
    try:
        there = [one for one in store.list(below) if one.name.endswith(".txt")]
        ends = [one for one in there if _last(one.name).startswith("key-")]
        rest = [one for one in there if not _last(one.name).startswith("key-")]
        found = _newest(place, store, ends) + _newest(place, store, rest)
    finally:
        store.close()
    if not found.held:
        hint = "nothing was sent there, the prefix is another, or somebody has begun another record"
        raise UsageError("there is no checkpoint of this record there", where=f"s3://{place.bucket}/{below}", hint=hint)
    return found


def _newest(place: Offsite, store: OffsiteStore, there: Sequence[Stored]) -> Against:
    """The newest ones that somebody signed: what was put there besides does not keep them out."""
    from remedy.record.witness import Held  # noqa: PLC0415 -- lazily

    held: list[Held] = []
    junk: list[str] = []
    for one in reversed(there[-LOOKED_AT:]):
        source = f"from s3://{place.bucket}/{one.name}"
        text = store.read(one).decode("utf-8", "replace") if one.size <= LONGEST else ""
        if _is_signed(text):
            held.append(Held(text, source, one.arrived))
        else:
            junk.append(source)
        if len(held) == COMPARED:
            break
    return Against(held=tuple(held), junk=tuple(junk))


def _is_signed(text: str) -> bool:
    """Whether it is a checkpoint or the end of a key, with a signature that fits, whoever signed it."""
    from remedy.record import checkpoints, endings  # noqa: PLC0415 -- lazily

    try:
        if endings.is_one(text):
            endings.opened(text)
        else:
            checkpoints.opened(checkpoints.parse_signed(text))
    except RecordBroken:
        return False
    return True


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _record_id(around: World) -> str:
    from remedy.record import signing  # noqa: PLC0415 -- lazily
    from remedy.record.store import untorn  # noqa: PLC0415

    path = around.record_path()
    identity: Callable[..., str] = lambda db: signing.identity(db, path)  # noqa: E731
    return untorn(path, identity)


def read(path: Path) -> str:
    """The text of a file, of 64 MiB at most. Raises UsageError."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", where=str(path)) from error
    if len(data) > _LARGEST:
        raise UsageError("it is too long to compare with", where=str(path))
    return data.decode("utf-8", "replace")
