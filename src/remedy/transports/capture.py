"""One step of a collection: what a host answers, kept in a file of a bag as it comes.

Decides when to stop listening to a host that is not believed: after silence, after too long, after too many bytes, when
we are asked to stop. Whatever came until then is in the file. Also decides how a stream is packed: what is no text is
kept as zstd, compressed by the host if it has zstd (a fifth of the bytes on the wire) and else here. A host's stream is
never unpacked to be looked at; at most the first four bytes of it are read. Leaves to others: which steps
(`collecting`), what their end is called (`evidence.ledger`), hashing and flushing (`bags.writing`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import zstandard

from remedy.core.errors import ElevationFailed, Partial, RemedyError, TimedOut, Unreachable
from remedy.core.values import Command
from remedy.evidence import steps
from remedy.evidence.ledger import End
from remedy.evidence.steps import Step
from remedy.transports.bags.writing import Sink, Writing
from remedy.transports.bulk import Bulk
from remedy.transports.running import Running

#: Seconds between two looks at whether we were asked to stop, and two signs of life.
TICK: Final = 0.1
#: The first bytes of what zstd wrote (RFC 8878, section 3.1.1).
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
# As zstd's own fastest level that is worth its time.
_LEVEL: Final = 1
_READ: Final = 1024 * 1024
# Left on our disk for what is written last.
_SPARE: Final = 8 * 2**20
# For an output that somebody still holds open after the program's end.
_LINGER: Final = 0.5


class Listener(Protocol):
    """Looks at an output while it comes in."""

    def feed(self, data: bytes) -> None:
        """Take some bytes."""
        ...


@dataclass(slots=True)
class Taken:
    """What one stream came to. `end` is to be judged; `sha256` is that of what came, where it is not what is kept.

    `packed` says who compressed it: "host", "here" or "". `began` and `ended` are seconds since 1970, `ran` the time
    between them by a clock that is not set meanwhile. `errors` counts the bytes of standard error, of which `end` has
    the last. `script`, `fence` and `arguments` are what was run, but for the prelude.
    """

    end: End
    script: str = ""
    fence: str = ""
    arguments: tuple[str, ...] = ()
    file: str = ""
    kept: int = 0
    sha256: str = ""
    packed: str = ""
    began: float = 0.0
    ended: float = 0.0
    ran: float = 0.0
    errors: int = 0


@dataclass(slots=True)
class Capture:
    """Takes streams from one host into one bag. `progress` hears of the bytes that came, and gets a sign of life."""

    bulk: Bulk
    host: str
    bag: Writing
    root: bool
    stop: threading.Event
    progress: Callable[[int], None]
    now: Callable[[], float] = time.time

    def take(
        self, step: Step, file: str, fence: str, arguments: tuple[str, ...], listeners: tuple[Listener, ...] = ()
    ) -> Taken:
        """Run a step's script and keep its output in `file`, which is not made when nothing came.

        What goes wrong with the host or with this machine's disk is in the `End`, with the bytes that came before.
        """
        seen = _Seen(listeners)
        return self._run(step.run, arguments, fence, seen, lambda run: self._keep(step, run, file, seen))

    def numbers(self, step: Step, fence: str) -> tuple[Taken, tuple[str, ...]]:
        """The numbers that a step's `expand` prints: digits and nothing else, the first of them."""
        said = _Numbers()
        seen = _Seen((said,))
        taken = self._run(step.expand, (), fence, seen, lambda run: self._listen(step, run, seen))
        return taken, said.found()

    def _run(
        self, script: str, arguments: tuple[str, ...], fence: str, seen: _Seen, listen: Callable[[Running], str]
    ) -> Taken:
        command = Command(("sh", "-c", f"{steps.prelude()}\n{script}", "remedy", *arguments), root=self.root)
        taken = Taken(End(None, 0), script, fence, arguments, began=self.now())
        clock = time.monotonic()
        try:
            with self.bulk.start(command, at=self.host, short=True) as run:
                with contextlib.suppress(RemedyError):  # it has ended already: its status says why
                    run.write(f"{fence}\n".encode())
                taken.end = self._ended(run, seen, listen)
                _, taken.errors = run.said
        except RemedyError as error:
            taken.end = End(None, seen.received, b"", _cause(error), error.message, self.root)
        taken.file, taken.kept, taken.packed = seen.file, seen.kept, seen.packed
        taken.sha256 = seen.hash.hexdigest() if seen.packed == "here" else ""
        taken.ended, taken.ran = self.now(), time.monotonic() - clock
        return taken

    def _ended(self, run: Running, seen: _Seen, listen: Callable[[Running], str]) -> End:
        try:
            cause = listen(run)
            if not cause:
                status, errors = run.finish()
                return End(status, seen.received, errors, root=self.root)
            said = ""
        except RemedyError as error:
            cause, said = "disk" if isinstance(error, Partial) else "lost", error.message
        return End(None, seen.received, run.said[0], cause, said, self.root)

    def _keep(self, step: Step, run: Running, file: str, seen: _Seen) -> str:
        """Listen, and write what comes; the file is opened by the first byte."""
        with contextlib.ExitStack() as open_:
            sink: Sink | None = None
            pack: zstandard.ZstdCompressionObj | None = None
            cause = ""
            for data in self._chunks(step, run, seen):
                if isinstance(data, str):
                    cause = data
                    break
                if sink is None:
                    sink = open_.enter_context(self.bag.file(file))
                    seen.file = file
                    if step.kind != "text":
                        seen.packed = "host" if data[:4] == _ZSTD else "here"
                    if seen.packed == "here":
                        pack = zstandard.ZstdCompressor(_LEVEL, write_checksum=True).compressobj()
                if pack is not None:
                    seen.hash.update(data)
                if packed := pack.compress(data) if pack is not None else data:
                    self._make_sure_of_room(len(packed))
                    sink.write(packed)
                    seen.kept = sink.size
            if sink is not None and pack is not None:
                sink.write(pack.flush())
                seen.kept = sink.size
        return cause

    def _make_sure_of_room(self, size: int) -> None:
        """Leave enough of the disk for the ledger, the manifests and the record. Raises Partial."""
        disk = os.statvfs(self.bag.folder)
        if disk.f_bavail * disk.f_frsize < size + _SPARE:
            raise Partial(
                f"the disk is full but for {_SPARE // 2**20} MiB, which the rest of the bag needs",
                where=str(self.bag.folder),
                hint="make room, or name another folder with --bags; then --resume",
            )

    def _listen(self, step: Step, run: Running, seen: _Seen) -> str:
        for data in self._chunks(step, run, seen):
            if isinstance(data, str):
                return data
        return ""

    def _chunks(self, step: Step, run: Running, seen: _Seen) -> Iterator[bytes | str]:
        """What comes, within the step's limits; at last the cause when one of them was reached."""
        began = heard = time.monotonic()
        over = 0.0
        while True:
            now = time.monotonic()
            self.progress(seen.received)
            if self.stop.is_set():
                yield "stopped"
                return
            if now - began > step.seconds or now - heard > step.idle:
                yield "total" if now - began > step.seconds else "idle"
                return
            if not run.ready(TICK):
                over = over or (0.0 if run.alive else now)
                if over and now - over > _LINGER:
                    return
                continue
            data = run.read(_READ)
            if not data:
                return
            heard = time.monotonic()
            room = step.cap - seen.received
            part = data if len(data) <= room else data[:room]
            seen.received += len(part)
            for listener in seen.listeners:
                listener.feed(part)
            if part:
                yield part
            if len(data) > room:
                yield "cap"
                return


@dataclass(slots=True)
class _Seen:
    """What came of one stream so far."""

    listeners: tuple[Listener, ...]
    received: int = 0
    file: str = ""
    kept: int = 0
    packed: str = ""
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)


class _Numbers:
    """Lines of digits, the first of many; anything else is passed over."""

    def __init__(self) -> None:
        self._said = b""

    def feed(self, data: bytes) -> None:
        if len(self._said) < _READ:
            self._said += data

    def found(self) -> tuple[str, ...]:
        lines = (line for line in self._said.split(b"\n") if line.isdigit() and len(line) <= 10)  # noqa: PLR2004
        return tuple(line.decode("ascii") for line in lines)


def _cause(error: RemedyError) -> str:
    """Whether the way broke, or the host's shell does not do what it was asked."""
    if isinstance(error, Unreachable) and not isinstance(error, TimedOut | ElevationFailed):
        return "lost"
    return "shell"
