"""One stream into several copies at once, each written by a thread of its own.

Decides that a copy that fails or lags does not stop the others; that no copy gives the file its final name before the
stream is known to be good; and that manifest and checksum are there before the data is. Leaves to others: whether the
stream is good, and how a copy stores a file whole or not at all (Store).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from remedy.backups import manifest as manifests
from remedy.backups.manifest import Manifest
from remedy.backups.ports import Store
from remedy.backups.values import Copy, File
from remedy.core.errors import ChangeFailed, RemedyError
from remedy.core.text import printable
from remedy.transports.transfers.flow import Flow, Stopped, in_thread, together, wait

#: Bytes that may wait for each copy.
_QUEUE: Final = 8 << 20
VERIFIED: Final = "verified"
_WRITTEN: Final = "written"
_BEHIND: Final = "left behind"


class Writer:
    """One copy and what becomes of the file there."""

    def __init__(
        self, copy: Copy, open_store: Callable[[Copy], Store], name: str, condition: threading.Condition
    ) -> None:
        """Begin to write `name`.sql.zst into it."""
        self.copy = copy
        self.state = ""
        self.waited = 0.0
        self.flow: Flow[bytes] = Flow(_QUEUE, condition)
        self.ended = False
        self._open_store = open_store
        self._name = name
        self._store: Store | None = None
        self._file: File | None = None
        self._manifest: Manifest | None = None
        in_thread(lambda: self._write(self.flow), f"copy {copy.name[:40]}")

    def leave_behind(self) -> None:
        """Wait for it no longer: what it has is given up, and it gets the file afterwards."""
        self.state = _BEHIND
        self.flow.close(Stopped())
        self.flow.stop()

    def finish(self, manifest: Manifest) -> None:
        """The stream was good: `manifest` says what it was."""
        self._manifest = manifest
        self.flow.close()

    def give_up(self) -> None:
        """The stream was not good: nothing stays."""
        self.flow.close(Stopped())

    def again(self, manifest: Manifest, other: Writer) -> None:
        """Write the file from a copy that has it. In the calling thread."""
        self._manifest, self.state, self.ended = manifest, "", False
        if other._store is None or other._file is None:
            raise AssertionError("only a copy that has it can give it")
        try:
            with other._store.read(other._file) as chunks:
                self._write(chunks)
        except RemedyError as error:
            self.state = _failed(error)

    def verify(self) -> None:
        """Read it back. In the calling thread."""
        if self.state != _WRITTEN or self._store is None or self._file is None or self._manifest is None:
            return
        found = hashlib.sha256()
        try:
            with self._store.read(self._file) as chunks:
                for chunk in chunks:
                    found.update(chunk)
        except RemedyError as error:
            self.state = _failed(error)
            return
        same = found.hexdigest() == self._manifest.sha256
        self.state = VERIFIED if same else "failed: it gives back other bytes than it was given"

    def _write(self, chunks: Iterable[bytes]) -> None:
        beside: list[File] = []
        try:
            self._store = store = self._open_store(self.copy)
            self._file = store.write(f"{self._name}.sql.zst", self._with_beside(chunks, store, beside))
            self.state = _WRITTEN
        except Stopped:
            self.state = self.state or "failed: given up"
        except RemedyError as error:
            self.state = self.state or _failed(error)
        except Exception as error:  # noqa: BLE001 -- of one copy; the others go on
            self.state = self.state or f"failed: {type(error).__name__}"
        finally:
            self.flow.stop()
            if self.state != _WRITTEN and self._store is not None:
                for file in beside:
                    with contextlib.suppress(RemedyError):
                        self._store.remove(file)
            with self.flow.condition:
                self.ended = True
                self.flow.condition.notify_all()

    def _with_beside(self, chunks: Iterable[bytes], store: Store, beside: list[File]) -> Iterator[bytes]:
        """The data; before its end, which gives it its final name, what belongs beside it is written."""
        size = 0
        for chunk in chunks:
            size += len(chunk)
            yield chunk
        # A stream that was given up can look like one that has ended.
        if self._manifest is None or size != self._manifest.size:
            raise Stopped
        line = manifests.checksum_line(f"{self._name}.sql.zst", self._manifest.sha256)
        beside.append(store.write(f"{self._name}.sql.zst.sha256", [line]))
        beside.append(store.write(f"{self._name}.manifest.json", [manifests.encoded(self._manifest)]))


def _failed(error: RemedyError) -> str:
    return f"failed: {printable(str(error), 300, one_line=True)}"


class Copies:
    """All copies that one stream goes to."""

    def __init__(
        self, copies: tuple[Copy, ...], open_store: Callable[[Copy], Store], name: str, patience: float
    ) -> None:
        """Begin to write `name`. For copies that lag the stream waits `patience` seconds each, in all."""
        self._condition = threading.Condition()
        self._patience = patience
        self.writers = [Writer(copy, open_store, name, self._condition) for copy in copies]

    @property
    def states(self) -> dict[str, str]:
        """What became of it, by the copies' names."""
        return {writer.copy.name: writer.state for writer in self.writers}

    def put(self, chunk: bytes) -> None:
        """Hand a chunk to all that still take it. Raises ChangeFailed when none does."""
        for writer in self._with_room(len(chunk)):
            with contextlib.suppress(Stopped):
                writer.flow.put(chunk, len(chunk))

    def _with_room(self, size: int) -> list[Writer]:
        with self._condition:
            while True:
                alive = [writer for writer in self.writers if not writer.flow.stopped]
                if not alive and all(writer.ended for writer in self.writers):
                    reasons = "; ".join(f"{name} {state}" for name, state in self.states.items())
                    raise ChangeFailed(f"no copy takes the backup: {reasons}", hint="mend one of them, then try again")
                slow = [writer for writer in alive if not writer.flow.room(size)]
                if alive and not slow:
                    return alive
                begun = time.monotonic()
                wait(self._condition, _nothing)
                if len(slow) < len(alive):
                    self._waited(slow, time.monotonic() - begun)

    def _waited(self, slow: list[Writer], seconds: float) -> None:
        for writer in slow:
            writer.waited += seconds
            if writer.waited > self._patience:
                writer.leave_behind()

    def finish(self, manifest: Manifest, tick: Callable[[], None]) -> None:
        """The stream was good: give it its name everywhere, bring it to those left behind, read it back from all."""
        for writer in self.writers:
            writer.finish(manifest)
        self._wait(tick)
        self._verify(self.writers, tick)
        behind = [writer for writer in self.writers if writer.state == _BEHIND]
        holder = next((writer for writer in self.writers if writer.state == VERIFIED), None)
        if behind and holder is not None:
            found = holder

            def bring() -> None:
                for writer in behind:
                    writer.again(manifest, found)

            together(1, bring, tick, self.give_up)
            self._verify(behind, tick)

    def give_up(self) -> None:
        """The stream was not good, or nobody waits any more: no copy keeps anything of it that has no name yet."""
        for writer in self.writers:
            writer.give_up()
        deadline = time.monotonic() + 10
        with self._condition:
            while not all(writer.ended for writer in self.writers) and time.monotonic() < deadline:
                self._condition.wait(0.1)
        for writer in self.writers:
            writer.flow.stop()

    def _wait(self, tick: Callable[[], None]) -> None:
        with self._condition:
            while not all(writer.ended for writer in self.writers):
                wait(self._condition, tick)

    def _verify(self, writers: list[Writer], tick: Callable[[], None]) -> None:
        left = iter(writers)
        lock = threading.Lock()

        def work() -> None:
            while True:
                with lock:
                    writer = next(left, None)
                if writer is None:
                    return
                writer.verify()

        together(len(writers), work, tick, _nothing)


def _nothing() -> None:
    """Called while the stream waits: it is the thread that scans that tells how far it is."""
