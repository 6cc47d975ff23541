"""Writes a bag: streams in, files out, hashed on the way, sealed at the end or left saying that it is not.

Decides how a bag gets onto the disk. Files are new ones (nothing is overwritten), readable by the owner only, hashed
while they are written and flushed when they end. Until it is sealed the folder is called `bag-ID.partial` and holds
`PARTIAL.txt`, which needs no room when the disk is full; a reserve set aside at the beginning is given up for the
manifests, so that what came until then can still be sealed. Sealing writes manifests, has them stamped, signs and
renames, in this order. Several threads may write files of one bag at once.

    bag = Writing.begin(folder, info)
    with bag.file("data/web01/0003-processes.out") as sink:
        sink.write(chunk)
    sealed = bag.seal(sign)

Leaves to others: what is collected, the key (`sign`), the time stamp authority (`stamping`), recording it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from remedy.core.errors import Partial, Refused, RemedyError
from remedy.evidence import bag, instructions
from remedy.evidence.bag import Info, Sealed, Sign, Written
from remedy.transports.bags.sums import CHUNK, Sums, available

__all__ = ["Sink", "Stamp", "Token", "Writing", "add_file"]

_RESERVE: Final = ".reserve"
_RESERVED: Final = 256 * 1024
_SPACE: Final = "free some space or name another folder with --bags"


@dataclass(frozen=True, slots=True)
class Token:
    """A time stamp token that was verified: the response as it came (DER), and its time in UTC."""

    der: bytes
    time: str


#: Asks an authority for a token over these bytes and verifies it. Raises RemedyError.
Stamp = Callable[[bytes], Token]


def add_file(folder: Path, name: str, data: bytes) -> None:
    """Put a new file beside those of a sealed bag: a witness's signature. Raises Refused when it is there, Partial."""
    try:
        _write_new(folder / name, data)
        _sync(folder)
    except FileExistsError as error:
        raise Refused("is there already", where=str(folder / name), hint="nothing in a bag is replaced") from error
    except OSError as error:
        raise Partial(f"cannot be written: {error.strerror}", where=str(folder / name), hint=_SPACE) from error


def _write_new(path: Path, data: bytes) -> None:
    """A new file, flushed; on a failure there is none. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink()
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Sink:
    """One payload file being written. Used by one thread at a time. What was hashed is what the disk took."""

    def __init__(self, descriptor: int, path: str, digests: tuple[str, ...]) -> None:
        """`descriptor` is open for reading and writing; it is closed by whoever opened it."""
        self.path, self.size = path, 0
        self._descriptor, self._digests, self._sums = descriptor, digests, Sums()
        self._sums.begin(digests)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises Partial when the disk does not take it all; what it took is counted and hashed."""
        left = memoryview(data).cast("B")
        while left:
            try:
                done = os.write(self._descriptor, left)
            except OSError as error:
                raise Partial(f"cannot be written: {error.strerror}", where=self.path, hint=_SPACE) from error
            self._sums.update(left[:done])
            self.size += done
            left = left[done:]

    def count_anew(self) -> None:
        """Hash what is on disk: an interruption may have come between the disk and the hashes. Raises OSError."""
        self._sums.begin(self._digests)
        self.size = 0
        while data := os.pread(self._descriptor, CHUNK, self.size):
            self._sums.update(data)
            self.size += len(data)

    def flush(self) -> None:
        """Onto the disk. Raises Partial when it does not take it."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise Partial(f"cannot be written: {error.strerror}", where=self.path, hint=_SPACE) from error

    def written(self, cut: str = "") -> Written:
        """What is there now; nothing more comes."""
        self._sums.close()
        return Written(self.path, self.size, tuple(self._sums.ended().items()), cut)


class Writing:
    """A bag that is not sealed yet. Use `begin`."""

    def __init__(self, folder: Path, final: Path, info: Info, digests: tuple[str, ...], now: Callable[[], str]) -> None:
        """Use `begin`."""
        self.folder, self.final, self.info, self.digests = folder, final, info, digests
        self._now = now
        self._lock = threading.Lock()
        self._files: dict[str, Written] = {}
        self._open: set[str] = set()
        self._ended = False

    @classmethod
    def begin(
        cls,
        folder: Path,
        info: Info,
        *,
        digests: tuple[str, ...] = bag.DIGESTS,
        now: Callable[[], str] = lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    ) -> Self:
        """Make `bag-ID.partial` in `folder`, which is made (0700) with all above it.

        SM3 is left out where this Python's OpenSSL has none; bag-info.txt then says so. Raises Refused when it cannot
        be made or the name is taken, UsageError when the id cannot name a folder.
        """
        final = folder / bag.folder_name(info.id)
        made = final.with_name(final.name + bag.UNSEALED_SUFFIX)
        try:
            for above in (*reversed(folder.parents), folder):
                above.mkdir(mode=0o700, exist_ok=True)
            if final.exists():
                raise FileExistsError(17, "it is there already", str(final))
            made.mkdir(mode=0o700)
            _sync(folder)
            writing = cls(made, final, info, available(digests), now)
            writing._put(bag.UNSEALED, instructions.unsealed(info).encode())
            writing._reserve()
        except OSError as error:
            raise Refused(f"no bag can be made: {error.strerror}", where=str(made), hint=_SPACE) from error
        return writing

    @contextlib.contextmanager
    def file(self, path: str) -> Iterator[Sink]:
        """A new payload file, on disk and flushed when the block ends.

        Left by an exception, what came stays in the bag, marked as cut short, and the bag is partial. Raises UsageError
        on a path that a bag cannot have, Refused when it is taken or the bag is sealed, Partial when the disk refuses.
        """
        bag.checked_path(path)
        with self._lock:
            if self._ended or path in self._files or path in self._open:
                raise Refused("the bag is sealed" if self._ended else "is in the bag already", where=path)
            if len(self._files) + len(self._open) >= bag.MOST_FILES:
                raise Refused(f"the bag has {bag.MOST_FILES} files already", where=path, hint="begin another one")
            self._open.add(path)
        try:
            yield from self._filled(path)
        finally:
            with self._lock:
                self._open.discard(path)

    def _filled(self, path: str) -> Iterator[Sink]:
        place = self.folder / path
        try:
            self._folder(place.parent)
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Partial(f"cannot be made: {error.strerror}", where=path, hint=_SPACE) from error
        sink, cut = Sink(descriptor, path, self.digests), "broken off"
        try:
            yield sink
            sink.flush()
            cut = ""
        except RemedyError as error:
            cut = error.message
            raise
        except BaseException:
            sink.count_anew()
            raise
        finally:
            os.close(descriptor)
            with self._lock:
                self._files[path] = sink.written(cut)

    def put(self, path: str, data: bytes) -> Written:
        """A small payload file in one go; raises as `file`."""
        with self.file(path) as sink:
            sink.write(data)
        return self.written(path)

    def written(self, path: str) -> Written:
        """What is known of a file that has ended."""
        with self._lock:
            return self._files[path]

    @property
    def size(self) -> int:
        """Bytes of payload in files that have ended."""
        with self._lock:
            return sum(one.size for one in self._files.values())

    def seal(self, sign: Sign, stamp: Stamp | None = None, *, lacking: tuple[str, ...] = ()) -> Sealed:
        """Close the bag: manifests, signature, token, name. Returning means: flushed, under its final name.

        `lacking` says what it has not; files that were cut short are added. An authority that gives no token is told
        (`Sealed.unstamped`) and does not keep the bag open. Raises Partial when the disk refuses: the bag then stays
        `.partial`; Refused when a file is still being written, or it is sealed already; what `sign` raises.
        """
        with self._lock:
            if self._ended or self._open:
                raise Refused("is sealed already" if self._ended else "a file is still being written", where=self.name)
            self._ended = True
        cut = (f"{one.path} was cut short: {one.cut}" for one in self._sorted() if one.cut)
        try:
            return self._sealed(sign, stamp, (*lacking, *cut))
        except OSError as error:
            text = f"the bag cannot be sealed: {error.strerror}"
            raise Partial(text, where=str(self.folder), hint=f"{_SPACE}; what came is in this folder") from error

    def abandon(self, why: str, sign: Sign, stamp: Stamp | None = None) -> Sealed:
        """Seal what came as partial, with the reason; as `seal`."""
        return self.seal(sign, stamp, lacking=(why,))

    def discard(self) -> None:
        """Remove a bag to which nothing came. Raises Refused when something did."""
        with self._lock:
            if self._ended or self._open or self._files:
                raise Refused("something is in the bag", where=self.name)
            self._ended = True
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def name(self) -> str:
        """What the bag is called when it is sealed."""
        return self.final.name

    def _sorted(self) -> list[Written]:
        return sorted(self._files.values(), key=lambda one: one.path.encode())

    def _sealed(self, sign: Sign, stamp: Stamp | None, lacking: tuple[str, ...]) -> Sealed:
        files = self._sorted()
        size = sum(one.size for one in files)
        (self.folder / _RESERVE).unlink(missing_ok=True)
        self._folder(self.folder / "data")
        sums = {}
        for name in self.digests:
            lines = "".join(bag.line(one.digest(name), one.path) for one in files)
            sums[name] = self._put(bag.manifest(name), lines.encode())
        told = self.info.text(sealed=self._now(), manifests=sums, size=size, count=len(files), lacking=lacking).encode()
        token, unstamped = self._stamped(stamp, told)
        tags = {
            bag.BAGIT: bag.DECLARATION.encode(),
            bag.BAG_INFO: told,
            bag.SIGNERS: self.info.signer.encode(),
            bag.INSTRUCTIONS: instructions.verify(self.info, self.digests, stamped=token is not None).encode(),
        }
        if token:
            tags |= {bag.TOKEN: token.der, bag.AUTHORITY: self.info.authority_ca.encode()}
        names = {bag.manifest(name): sha256 for name, sha256 in sums.items()}
        names |= {name: self._put(name, data) for name, data in tags.items()}
        sealed = "".join(bag.line(sha256, name) for name, sha256 in sorted(names.items())).encode()
        sha256 = self._put(bag.TAG_MANIFEST, sealed)
        self._put(bag.SIGNATURE, sign(sealed).encode())
        for folder in sorted({(self.folder / one.path).parent for one in files} | {self.folder / "data", self.folder}):
            _sync(folder)
        (self.folder / bag.UNSEALED).unlink()
        _sync(self.folder)
        if self.final.exists():
            raise FileExistsError(17, "its name was taken meanwhile", str(self.final))
        self.folder.rename(self.final)
        _sync(self.final.parent)
        stamped = token.time if token else ""
        return Sealed(self.info.id, self.final.name, sha256, size, len(files), lacking, stamped, unstamped)

    def _stamped(self, stamp: Stamp | None, told: bytes) -> tuple[Token | None, str]:
        if stamp is None:
            return None, "no authority was asked" if self.info.authority else ""
        try:
            return stamp(told), ""
        except RemedyError as error:
            return None, str(error)

    def _folder(self, place: Path) -> None:
        """Make a folder below the bag's, and those above it, for the owner only. Raises OSError."""
        for one in (*reversed(place.relative_to(self.folder).parents), place.relative_to(self.folder)):
            with contextlib.suppress(FileExistsError):
                (self.folder / one).mkdir(mode=0o700)

    def _put(self, name: str, data: bytes) -> str:
        """Write a new tag file and flush it; its SHA-256. Raises OSError."""
        _write_new(self.folder / name, data)
        return hashlib.sha256(data).hexdigest()

    def _reserve(self) -> None:
        """Room for the manifests, given up when they are written. Raises OSError."""
        descriptor = os.open(self.folder / _RESERVE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _RESERVED)
        finally:
            os.close(descriptor)
