"""Configurations of devices, kept whole beside the record: evidence, secrets and all, readable by the owner only.

Decides names and places: `configurations/DEVICE-TIME-SHA256.cfg` next to the record's database, the device's name
percent-encoded, the time in UTC. Content that is kept already for a device is not kept twice. Leaves to others: what is
recorded of it (an entry with hash, size and file name, never the content), and comparing.

    configurations/fw01-20261120T140623Z-5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8.cfg
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from remedy.core.errors import RecordBroken, RecordUnavailable, UsageError
from remedy.core.text import printable
from remedy.record.files import put_new

__all__ = ["Configurations", "Kept"]

_NAME: Final = re.compile(r"(?P<device>[^/]+)-(?P<time>\d{8}T\d{6}Z)-(?P<sha256>[0-9a-f]{64})\.cfg\Z")
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_SHORT: Final = 6


@dataclass(frozen=True, slots=True, order=True)
class Kept:
    """One kept configuration. `time` is when the content was first read, UTC; `size` is in bytes."""

    time: datetime
    device: str
    sha256: str
    size: int
    file: Path


class Configurations:
    """The kept configurations beside one record."""

    def __init__(self, record: Path, clock: Callable[[], datetime]) -> None:
        """Nothing is read or made yet. `clock` gives times with a zone."""
        self.folder = record.parent / "configurations"
        self._clock = clock

    def keep(self, device: str, text: str) -> tuple[Kept, bool]:
        """Keep a configuration, whole and flushed to disk, and say whether it is new. Raises RecordUnavailable."""
        data = text.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        there = next((one for one in self.of(device) if one.sha256 == sha256), None)
        if there is not None and self.read(there) == text:
            return there, False
        now = self._clock().astimezone(UTC).replace(microsecond=0)
        path = self.folder / f"{quote(device, safe='')}-{now.strftime(_STAMP)}-{sha256}.cfg"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = put_new(path, data)
        except OSError as error:
            raise RecordUnavailable(
                f"the configuration of {device} cannot be kept: {error.strerror}",
                where=str(self.folder),
                hint="check free space and owner",
            ) from error
        return Kept(now, device, sha256, len(data), path), fresh

    def of(self, device: str) -> tuple[Kept, ...]:
        """What is kept of a device, oldest first. Raises RecordUnavailable."""
        found = []
        try:
            for path in self.folder.iterdir() if self.folder.is_dir() else ():
                match = _NAME.match(path.name)
                if match and unquote(match["device"]) == device:
                    time = datetime.strptime(match["time"], _STAMP).replace(tzinfo=UTC)
                    found.append(Kept(time, device, match["sha256"], path.stat().st_size, path))
        except OSError as error:
            raise RecordUnavailable(
                f"kept configurations cannot be read: {error.strerror}", where=str(self.folder)
            ) from error
        except ValueError as error:
            raise RecordBroken("a kept configuration has no time in its name", where=str(self.folder)) from error
        return tuple(sorted(found))

    def named(self, device: str, name: str) -> Kept:
        """The one with this file name, or whose SHA-256 begins so (at least 6 digits). Raises UsageError."""
        fit = [
            one
            for one in self.of(device)
            if one.file.name == Path(name).name or (len(name) >= _SHORT and one.sha256.startswith(name.lower()))
        ]
        if len(fit) != 1:
            what = "several kept configurations are" if fit else "no kept configuration is"
            raise UsageError(
                f"{what} called {printable(name, 80, one_line=True)!r}",
                where=device,
                hint=f"ls {self.folder}; the beginning of a SHA-256 is enough",
            )
        return fit[0]

    def read(self, kept: Kept) -> str:
        """Its text. Raises RecordBroken when it is not what was kept, RecordUnavailable when it cannot be read."""
        try:
            data = kept.file.read_bytes()
        except OSError as error:
            raise RecordUnavailable(
                f"a kept configuration cannot be read: {error.strerror}", where=str(kept.file)
            ) from error
        if hashlib.sha256(data).hexdigest() != kept.sha256:
            raise RecordBroken(
                "this kept configuration has been changed since: its SHA-256 is another",
                where=str(kept.file),
                hint="take another one, or one from a backup; move this one away",
            )
        return data.decode()
