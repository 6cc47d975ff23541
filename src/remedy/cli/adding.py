"""`remedy evidence add`: files that an administrator has, sealed into a bag.

Decides how each is named in the bag, what is kept of its true name and times, and that files which cannot be read to
their end, or change meanwhile, leave a bag that says so. Leaves to others: writing, the record (`bags`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.cli import document
from remedy.cli.bags import Bagging, begin, stopping
from remedy.core.canon import Json, canonical
from remedy.core.errors import Interrupted, Partial, RemedyError, UsageError
from remedy.core.text import printable
from remedy.engine.job import Event
from remedy.evidence import bag
from remedy.evidence.bag import Sealed

if TYPE_CHECKING:
    from remedy.cli.screen import Screen
    from remedy.cli.world import World

_CHUNK: Final = 1024 * 1024
_SHORT: Final = 200


def add(
    around: World,
    screen: Screen,
    *,
    incident_id: str,
    files: Sequence[Path],
    title: str,
    targets: Sequence[str],
    bags: str | None,
    tsa: str | None,
    tsa_ca: Path | None,
) -> int:
    """Seal the files into a new bag and say what came of it; the exit code."""
    from remedy.record import incidents  # noqa: PLC0415 -- lazily

    incidents.show(around.record, incident_id)
    for path in files:
        if not path.is_file():
            raise UsageError("is no file", where=str(path), hint="name files; of a folder, make a tar first")
    told = title or _named(files)
    made = begin(around, incident_id, told, bags=bags, tsa=tsa, tsa_ca=tsa_ca, targets=targets, method="added")
    lacking: list[str] = []
    total, done = sum(path.stat().st_size for path in files), 0
    within = bag.name_of(targets[0]) if len(targets) == 1 else "files"
    with stopping(around, screen):
        for number, path in enumerate(files, 1):
            try:
                at = f"data/{within}/{number:04d}-{bag.name_of(path.name)}"
                done = _Adding(made, screen, path, at).copy(done, total)
            except RemedyError as error:
                lacking.append(f"{printable(path.name, _SHORT, one_line=True)}: {error.message}")
            if around.stop.is_set():
                left = len(files) - number
                lacking += [f"interrupted; {left} files more are not in it"] if left else []
                break
        screen.rest("")
        sealed = made.seal(*lacking)
    code = _told(around, screen, made, sealed)
    if around.stop.is_set() and sealed.lacking:
        raise Interrupted("interrupted", hint=f"what came is sealed as {sealed.name}, which says so")
    return code


def _named(files: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in files[:3])
    return f"{names} and {len(files) - 3} more" if len(files) > 3 else names  # noqa: PLR2004 -- a few are named


class _Adding:
    """One file on its way into a bag."""

    def __init__(self, made: Bagging, screen: Screen, path: Path, at: str) -> None:
        self._stop, self._writing, self._screen = made.around.stop, made.writing, screen
        self._path, self._at = path, at

    def copy(self, done: int, total: int) -> int:
        """Copy it, of `total` bytes of which `done` are; how many are then. Raises Partial."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise Partial(f"cannot be read: {error.strerror}", where=str(self._path)) from error
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise Partial("is no longer a file", where=str(self._path))
            with self._writing.file(self._at) as sink:
                while data := self._read(descriptor):
                    sink.write(data)
                    done += len(data)
                    if self._stop.is_set():
                        raise Partial("interrupted", where=str(self._path))
                    text = f"sealing {printable(self._path.name, _SHORT, one_line=True)}"
                    self._screen.event(Event("", "progress", text, done=done, total=max(total, done)))
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        self._writing.put(f"{self._at}.meta.json", canonical(self._facts(before)))
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise Partial("changed while it was read; what was read is kept", where=str(self._path))
        return done

    def _read(self, descriptor: int) -> bytes:
        try:
            return os.read(descriptor, _CHUNK)
        except OSError as error:
            raise Partial(f"cannot be read further: {error.strerror}", where=str(self._path)) from error

    def _facts(self, seen: os.stat_result) -> dict[str, Json]:
        """What is kept beside a file: its true name, and what the file system says of it."""
        written = self._writing.written(self._at)
        times = {"modified": seen.st_mtime, "changed": seen.st_ctime}
        return {
            "name": printable(os.fsencode(self._path.name), 4096, one_line=True),
            "path": printable(os.fsencode(self._path.absolute()), 4096, one_line=True),
            "size": written.size,
            **dict(written.digests),
            "mode": f"{stat.S_IMODE(seen.st_mode):04o}",
            "uid": seen.st_uid,
            "gid": seen.st_gid,
            **{name: f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()},
        }


def _told(around: World, screen: Screen, made: Bagging, sealed: Sealed) -> int:
    """Say what came of it; the exit code."""
    from remedy.cli.progress import size  # noqa: PLC0415 -- lazily

    code = Partial.exit_code if sealed.lacking or sealed.unstamped else 0
    place, key = made.writing.final, made.signer.public.fingerprint
    if around.options.json:
        seen: dict[str, Json] = {"command": "evidence add", "incident": made.writing.info.incident, "exit_code": code}
        seen |= {"bag": sealed.id, "path": str(place), "sha256": sealed.sha256, "size": sealed.size}
        seen |= {"files": sealed.count, "lacking": [*sealed.lacking], "key": key}
        seen |= {"stamped": sealed.stamped or None, "unstamped": sealed.unstamped}
        document.emit(seen, around.redact)
    else:
        screen.say(str(place))
    for text in sealed.lacking:
        screen.say(f"  ✗ {text}", "red", talk=True)
    if sealed.unstamped:
        screen.say(f"  ? it has no time stamp: {sealed.unstamped}", "yellow", talk=True)
    screen.say(f"sealed: {sealed.count} files, {size(sealed.size)}, tag manifest SHA-256 {sealed.sha256}", talk=True)
    screen.say(f"signed by {key}; anybody can verify it: {place}/VERIFY.txt", "dim", talk=True)
    return code
