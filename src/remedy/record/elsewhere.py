"""What of a record is kept at each place elsewhere, and what is not yet.

Decides what is sent: every signed checkpoint and every end of a key, each as one object whose name carries the hash of
its content, so that sending it again is harmless and two records that grew apart take no name from each other:

    6d0f…/00000042-9f86d081884c7d65.txt     checkpoint 42: body, empty line, SSHSIG
    6d0f…/key-00000017-60ad5f1c0b3a2d44.txt the end of a key, from entry 17

The queue is the record itself: what is signed and above what a place has acknowledged. That is remembered in one small
file for each place, `record.db.offsite/NAME.json`; a crash or its loss only means that some objects are sent again. The
newest checkpoint goes first, since it covers all the others.
Leaves to others: how something gets to a place (transports), when it is tried (cli), looking there (verify).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, unquote

from remedy.core.errors import RecordUnavailable, RemedyError
from remedy.core.text import printable
from remedy.record import endings
from remedy.record.chain import stamp
from remedy.record.checkpoints import Signed
from remedy.record.files import sync_directory
from remedy.record.journal import Record

_SUFFIX: Final = ".json"
_DIGITS: Final = 16


class Receipt(Protocol):
    """What a place says of an object that it keeps: locked until when, and whether that was read back."""

    @property
    def until(self) -> datetime:
        """Until when nobody can take it away."""
        ...

    @property
    def seen(self) -> bool:
        """Whether the lock was looked at."""
        ...


#: Has an object kept at a place: its name and content. Called again with the same for what may have been lost on the
#: way; returning means: it is there and locked. Raises RemedyError.
Keep = Callable[[str, bytes], Receipt]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a place has come. Numbers are of checkpoints, `endings` is of an entry; times are UTC, "" for never.

    Every checkpoint up to `through` is there, and `newest`, the newest. `tried` and `error` are of the last attempt
    that failed and are empty after one that did not. `lost` is the newest one that was sent and that the record no
    longer had when more was to be sent: then it was put back to an older state.
    """

    place: str
    through: int = 0
    newest: int = 0
    endings: int = 0
    kept: str = ""
    until: str = ""
    seen: bool = False
    tried: str = ""
    error: str = ""
    lost: int = 0

    def missing(self, newest: int) -> int:
        """How many checkpoints are not there, of `newest`."""
        return max(newest - self.through - (self.newest > self.through), 0)


def folder(record: Path) -> Path:
    """Where it is remembered what has been sent."""
    return record.with_name(f"{record.name}.offsite")


def standings(record: Path) -> tuple[Standing, ...]:
    """The places that something was ever sent to from here, by name."""
    try:
        names = sorted(path.name for path in folder(record).glob(f"*{_SUFFIX}"))
    except OSError:
        names = []
    return tuple(standing(record, unquote(name.removesuffix(_SUFFIX))) for name in names)


def standing(record: Path, place: str) -> Standing:
    """How far a place has come; as if nothing had been sent when that cannot be read."""
    try:
        said = json.loads(_path(record, place).read_text(encoding="utf-8"))
        known = {field.name: type(field.default) for field in fields(Standing) if field.name != "place"}
        return Standing(place, **{name: said[name] for name, kind in known.items() if type(said[name]) is kind})
    except (OSError, ValueError, KeyError, TypeError):
        return Standing(place)


def failed(record: Record, place: str, error: str) -> None:
    """Remember an attempt that came to no end. Raises RecordUnavailable."""
    with _alone(record.path, place):
        now = replace(standing(record.path, place), tried=stamp(record.clock()), error=error)
        _remember(record.path, now)


def send(record: Record, place: str, keep: Keep, *, stop: Callable[[], bool] = lambda: False) -> Standing:
    """Send what a place does not have yet, until that is done, something fails or `stop` says so.

    What fails is in the standing, and never raised: what was done stays done. Another process that sends to the same
    place at the same time is left to it. Raises RecordUnavailable when nothing can be remembered beside the record.
    """
    with _alone(record.path, place) as mine:
        found = standing(record.path, place)
        if not mine:
            return found
        if found.newest > record.newest_checkpoint():  # what is signed from here on is to be seen there too
            found = Standing(place, lost=max(found.newest, found.lost))
        sending = _Sending(record, found, keep)
        try:
            for _ in sending.steps():
                if stop():
                    break
            else:
                sending.now = replace(sending.now, tried="", error="")
        except RemedyError as error:
            if stop():  # nobody waits for it any more, and the record may be closed
                return sending.now
            text = printable(str(error), 500, one_line=True)
            sending.now = replace(sending.now, tried=stamp(record.clock()), error=text)
        if sending.now != standing(record.path, place):
            _remember(record.path, sending.now)
        return sending.now


class _Sending:
    """One attempt at one place."""

    def __init__(self, record: Record, found: Standing, keep: Keep) -> None:
        self._record, self.now, self._keep = record, found, keep
        self._id = record.identity()

    def steps(self) -> Iterator[None]:
        """One object after the other: ends of keys, the newest checkpoint, then what was left out, oldest first."""
        for entry in self._record.entries(kinds=[endings.KIND], after=self.now.endings):
            text = str(json.loads(entry.body).get("statement"))
            self._give(f"key-{entry.seq:08d}", text)
            self._remember(endings=entry.seq)
            yield
        newest = self._record.newest_checkpoint()
        if newest > self.now.newest:
            for signed in self._record.checkpoints(after=newest - 1):
                receipt = self._one(signed)
                kept, until = stamp(self._record.clock()), stamp(receipt.until)
                self._remember(newest=signed.number, kept=kept, until=until, seen=receipt.seen)
                yield
        for signed in self._record.checkpoints(after=self.now.through):
            if signed.number > self.now.newest:
                return  # signed meanwhile: the next attempt begins with it
            if signed.number < self.now.newest:
                self._one(signed)
            self._remember(through=signed.number)
            yield

    def _one(self, signed: Signed) -> Receipt:
        return self._give(f"{signed.number:08d}", signed.text)

    def _give(self, name: str, text: str) -> Receipt:
        data = text.encode()
        return self._keep(f"{self._id}/{name}-{hashlib.sha256(data).hexdigest()[:_DIGITS]}.txt", data)

    def _remember(self, **fresh: object) -> None:
        self.now = replace(self.now, **fresh)  # type: ignore[arg-type]
        _remember(self._record.path, self.now)


def _remember(record: Path, now: Standing) -> None:
    """Write down how far a place has come, whole or not at all. Raises RecordUnavailable."""
    path = _path(record, now.place)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    said = {name: value for name, value in asdict(now).items() if name != "place"}
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def _alone(record: Path, place: str) -> Iterator[bool]:
    """Whether this process alone sends to the place."""
    path = _path(record, place).with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = True
    except BlockingIOError:
        mine = False
    try:
        yield mine
    finally:
        os.close(descriptor)


def _path(record: Path, place: str) -> Path:
    return folder(record) / f"{quote(place, safe='')}{_SUFFIX}"


def _unwritable(path: Path, error: OSError) -> RecordUnavailable:
    text = f"what was sent elsewhere cannot be remembered: {error.strerror}"
    return RecordUnavailable(text, where=str(path), hint="check free space and owner")
