"""What a device keeps: the running configuration is the face's; here are the files that outlive a reboot.

Files are kept in a folder when one is given, so that a device whose process ends starts again with its startup
configuration, and only with that; else in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Stores"]


class Stores:
    """The files of a device by name, without the drive (`flash:/`)."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is made when it is not there; what it holds already are the files."""
        self.folder = folder
        self._files: dict[str, str] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    self._files[path.name] = path.read_text(encoding="utf-8")

    @staticmethod
    def name(path: str) -> str:
        """A file's name without its drive: `flash:/startup.cfg` is `startup.cfg`. Raises KeyError for a bad one."""
        name = re.sub(r"^[A-Za-z0-9]+:/?", "", path)
        if not re.fullmatch(r"[\w-][\w.-]{0,63}", name):
            raise KeyError(path)
        return name

    def read(self, path: str) -> str | None:
        """A file's text; None when there is none."""
        try:
            return self._files.get(self.name(path))
        except KeyError:
            return None

    def write(self, path: str, text: str) -> None:
        """Keep a file. Raises KeyError for a bad name, OSError when the folder takes no more."""
        name = self.name(path)
        if self.folder is not None:
            fresh = self.folder / f".{name}.new"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.folder / name)
        self._files[name] = text

    def remove(self, path: str) -> bool:
        """Delete a file; false when there was none."""
        try:
            name = self.name(path)
        except KeyError:
            return False
        if self.folder is not None:
            (self.folder / name).unlink(missing_ok=True)
        return self._files.pop(name, None) is not None

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Name and size in bytes of each, by name."""
        return iter(sorted((name, len(text.encode())) for name, text in self._files.items()))
