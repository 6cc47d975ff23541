"""One pass over one backup: the stored bytes hashed, unsealed, decompressed, read by its format, judged.

Decides the level a content reaches and why no higher one. The level says how far the reading came: "readable" when it
could be unpacked to the end, "whole" when the format found nothing fatal besides. Whether these are the bytes that were
written is shown by a checksum or manifest beside them, or by a container that checks itself; where nothing shows it,
the finding "unverifiable" stands in the way until somebody accepts it. "intact" is the level of bytes that are as they
were written and still cannot be unpacked.

Three threads and two short queues: reading and hashing, unpacking, scanning. The libraries under the first two give the
interpreter's lock back, so that two cores work, and memory does not grow with the backup. Leaves to others: where bytes
come from (a Shelf), opening seals, what is done with the pieces.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from remedy.backups import containers, formats, naming, times
from remedy.backups import manifest as manifests
from remedy.backups.formats import Piece
from remedy.backups.manifest import Manifest
from remedy.backups.ports import Damaged, Shelf
from remedy.backups.values import Backup, Contents, Database, Facts, File, Finding, Judgement, Keys
from remedy.core.errors import RemedyError, Unreachable
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.transports.transfers.flow import Flow, Progress, Stopped, in_thread

#: Opens what is encrypted: the seal's name ("" for none), whether it proves its bytes, and the bytes inside.
OpenSealed = Callable[[Iterable[bytes], Keys], tuple[str, bool, Iterator[bytes]]]

#: Bytes between two threads.
_STORED: Final = 4 << 20
_PLAIN: Final = 8 << 20
#: Unpacked bytes handed on at once: few hand-overs, and the scan gets long runs.
_RUN: Final = 2 << 20
#: A checksum file for the parts of a large set.
_SIDECAR: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Begin:
    """A stream begins (instead of a chunk, between two threads)."""

    name: str


_END: Final = _Begin("")
_Item = _Begin | bytes


def read_backup(  # noqa: PLR0917 -- six things without which nothing is read
    shelf_of: Callable[[str], Shelf],
    database: Database,
    backup: Backup,
    open_sealed: OpenSealed,
    on_piece: Callable[[Piece], None],
    tell: Tell,
    *,
    now: Callable[[], float] = time.time,
) -> Judgement:
    """Read all of `backup` and say what is known of it afterwards.

    `on_piece` gets every piece in order, in the calling thread; what it raises ends the reading. `tell` hears of stored
    bytes, of `backup.size`. Damage is a finding of the judgement. `sha256` is "" when not all bytes could be read.
    Raises Unreachable or Refused when the copy cannot be read, UsageError for an unknown format or time zone.
    """
    begun = time.monotonic()
    shelf = shelf_of(backup.copy)
    beside = _Beside.of(shelf, backup)
    source = _Source(shelf, backup)
    reading = formats.named(backup.format).reading(database.schema)
    unpacked = _Unpacked(source, database.keys, open_sealed)
    progress = Progress(tell)
    what = f"read {printable(backup.name, 80, one_line=True)}"
    damage: Damaged | None = None

    def look() -> None:
        progress.at(what, source.done, backup.size)

    try:
        look()
        for item in unpacked.flow.take(look):
            if damage is None:
                try:
                    for piece in _fed(reading, item):
                        on_piece(piece)
                except Damaged as error:
                    damage = error  # and the rest is unpacked and hashed all the same
            look()
    finally:
        source.flow.stop()
        unpacked.flow.stop()
        # A silent source is left behind: it may not hold up Ctrl-C.
        for thread in (source.thread, unpacked.thread):
            thread.join(1)
    for failure in (source.error, unpacked.error):
        if failure is not None and not isinstance(failure, Damaged):
            raise failure
    contents = reading.close()
    findings = [Finding(e.code, str(e)) for e in (source.error or unpacked.error, damage) if isinstance(e, Damaged)]
    readable = not (source.error or unpacked.error)
    # A stream of mariadb-backup has checksums of its own, which are the format's to know.
    checked = unpacked.checked or bool(getattr(reading, "proves", False))
    verified, said = beside.compared(source, readable=readable and checked)
    whole = readable and not damage and not any(f.fatal for f in contents.findings)
    level = "whole" if whole else "readable" if readable else "intact" if verified else "listed"
    if readable and not verified and not checked and not said:
        said = (_UNVERIFIABLE,)
    return Judgement(
        sha256=source.sha256,
        size=backup.size,
        level=level,
        contents=replace(contents, facts=_dated(contents, database, beside.manifest if verified else None)),
        findings=(*findings, *said, *beside.findings, *contents.findings),
        at=int(now()),
        seconds=round(time.monotonic() - begun),
        read=unpacked.read,
        container=unpacked.name,
    )


_UNVERIFIABLE: Final = Finding(
    "unverifiable",
    "nothing shows that these are the bytes that were written: no checksum beside it, and none inside",
    fatal=False,
)


def _fed(reading: formats.Reading, item: _Item) -> Iterator[Piece]:
    if isinstance(item, bytes):
        return reading.feed(item)
    if item is _END:
        return reading.end()
    reading.begin(item.name)
    return iter(())


class _Source:
    """The stored bytes of all files in order, read and hashed by a thread of its own."""

    def __init__(self, shelf: Shelf, backup: Backup) -> None:
        self.flow: Flow[_Item] = Flow(_STORED)
        self.error: BaseException | None = None
        self.done = 0
        self.sha256 = ""
        self.files: dict[str, str] = {}
        self.folder = formats.named(backup.format).span == "tree"
        self._shelf = shelf
        self._streams = formats.named(backup.format).streams(backup.files)
        self._one = len(backup.files) == 1
        self.thread = in_thread(self._work, f"read {backup.name[:40]}")

    def _work(self) -> None:
        total = hashlib.sha256()
        try:
            for files in self._streams:
                # What a file of a folder is, its path says; its bytes are what they are, whatever they begin with.
                self.flow.put(_Begin(files[0].name if self.folder else _stream_name(files)), 0)
                for file in files:
                    # What is beside the parts of a set names the parts.
                    single = total if self._one else hashlib.sha256()
                    with self._shelf.read(file) as chunks:
                        for chunk in chunks:
                            single.update(chunk)
                            if single is not total:
                                total.update(chunk)
                            self.done += len(chunk)
                            self.flow.put(chunk, len(chunk))
                    self.files[file.name] = single.hexdigest()
                self.flow.put(_END, 0)
            self.sha256 = total.hexdigest()
            self.flow.close()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 -- raised again by the thread that asked for the bytes
            self.error = error
            self.flow.close(error)


class _Unpacked:
    """The bytes inside, unsealed and decompressed by a thread of its own."""

    def __init__(self, source: _Source, keys: Keys, open_sealed: OpenSealed) -> None:
        self.flow: Flow[_Item] = Flow(_PLAIN)
        self.error: BaseException | None = None
        self.checked = True
        self.name = ""
        self.read = 0
        self._source = source
        self._keys = keys
        self._open_sealed = open_sealed
        self.thread = in_thread(self._work, "unpack")

    def _work(self) -> None:
        items = self._source.flow.take()
        try:
            for item in items:
                # Between two streams there is nothing but the beginning of the next.
                self.flow.put(item, 0)
                self._one(items)
                self.flow.put(_END, 0)
            self.flow.close()
        except Stopped:
            self._source.flow.stop()
        except BaseException as error:  # noqa: BLE001 -- raised again, or made a finding, by the thread that scans
            self.error = error if error is not self._source.error else None
            try:
                for _ in items:
                    pass  # the verdict is bound to the hash of all bytes, so they are read to the end
            except BaseException as other:  # noqa: BLE001 -- the source keeps its own error
                self.error = self.error or (None if other is self._source.error else other)
            self.flow.close()

    def _one(self, items: Iterator[_Item]) -> None:
        """Unpack one stream; what its container leaves unread is read all the same."""
        stored = _until_end(items)
        seal, proves, unsealed = self._open_sealed(stored, self._keys)
        try:
            container, checks, plain = containers.opened(unsealed)
            self.checked = self.checked and (proves or checks)
            self.name = "+".join(part for part in (seal, container) if part)
            for run in _in_runs(plain):
                self.read += len(run)
                self.flow.put(run, len(run))
        finally:
            if isinstance(unsealed, Generator):
                unsealed.close()  # ends the program behind it
        for _ in stored:
            pass


def _until_end(items: Iterator[_Item]) -> Iterator[bytes]:
    for item in items:
        if isinstance(item, _Begin):
            return
        yield item


def _in_runs(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in runs of about `_RUN`."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        if not held and len(chunk) >= _RUN:
            yield chunk
            continue
        held.append(chunk)
        size += len(chunk)
        if size >= _RUN:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


@dataclass(frozen=True, slots=True)
class _Beside:
    """What lies beside a backup and says what it should be; findings when that cannot be read."""

    backup: Backup
    sums: tuple[tuple[str, str], ...] = ()
    manifest: Manifest | None = None
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, shelf: Shelf, backup: Backup) -> _Beside:
        """Read them. Raises Unreachable."""
        findings: list[Finding] = []
        sums: tuple[tuple[str, str], ...] = ()
        manifest: Manifest | None = None
        if backup.checksum:
            try:
                sums = manifests.checksums(_small(shelf, backup.checksum, _SIDECAR))
            except Damaged as error:
                findings.append(Finding("checksum", str(error), fatal=False))
        if backup.manifest:
            try:
                manifest = manifests.decoded(_small(shelf, backup.manifest, manifests.LARGEST))
            except Damaged as error:
                findings.append(Finding("manifest", str(error), fatal=False))
        return cls(backup, sums, manifest, tuple(findings))

    def compared(self, source: _Source, *, readable: bool) -> tuple[bool, tuple[Finding, ...]]:
        """Whether the bytes are as written by what lies beside them, and what speaks against it.

        A wrong checksum beside a container that checks itself may be an old one and can be accepted; else nothing else
        is known of the bytes, and it cannot.
        """
        if not source.sha256:
            return False, ()
        findings: list[Finding] = []
        agreed = False
        if self.sums and (agrees := _agree(self.sums, source)) is not None:
            agreed = agrees
            if not agrees:
                text = f"its bytes are not those that {_shown(self.backup.checksum)} was made of"
                findings.append(Finding("checksum", text, fatal=not readable))
        if self.manifest:
            same = self.manifest.sha256 == source.sha256
            agreed = agreed or same
            if not same:
                text = f"its bytes are not those that {_shown(self.backup.manifest)} was made of"
                findings.append(Finding("checksum", text, fatal=not readable))
        return agreed and not findings, tuple(findings)


def _agree(sums: tuple[tuple[str, str], ...], source: _Source) -> bool | None:
    """Whether the sums are those of the files they name, or of all files joined; None when they tell of others."""
    # By name without folders: the file was often made elsewhere and moved.
    said = {naming.split_path(name)[1]: value for value, name in sums}
    found = {naming.split_path(name)[1]: value for name, value in source.files.items()}
    about = said.keys() & found.keys()
    if about and not (len(sums) == 1 and len(found) > 1):
        return about == found.keys() and all(said[name] == found[name] for name in about)
    if source.sha256 in said.values():
        return True
    return False if len(sums) == 1 else None


def _small(shelf: Shelf, file: File, cap: int) -> bytes:
    """A file that is read whole. Raises Damaged when it is larger than anything that would be one."""
    if file.size > cap:
        raise Damaged("large", f"{_shown(file)} is too large to be what it is called")
    try:
        with shelf.read(file) as chunks:
            return b"".join(chunks)[: cap + 1]
    except (Damaged, Unreachable):
        raise
    except RemedyError as error:
        raise Damaged("unread", str(error)) from error


def _shown(file: File | None) -> str:
    return printable(file.name if file else "", 120, one_line=True)


def _stream_name(files: tuple[File, ...]) -> str:
    """The name of a stream without folder, part, encryption and compression."""
    name = naming.split_path(files[0].name)[1]
    part = naming.part(name) if len(files) > 1 else None
    return naming.bare(part.whole if part else name)


def _dated(contents: Contents, database: Database, manifest: Manifest | None) -> Facts:
    """When it was completed: by the manifest, else by its own words read with the database's time zone."""
    facts = contents.facts
    if manifest is not None and manifest.time:
        return replace(facts, time=manifest.time)
    return replace(facts, time=facts.time or times.local_time(facts.time_text, database.timezone or "UTC"))
