"""Reads what a bag says of itself, for whoever lists or shows it. Nothing is verified, nothing but small files is read.

Decides that a folder which is hardly a bag still gives an answer, so that a list of bags never fails for one of them.
Leaves to others: whether any of it is true (`verifying`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from remedy.core.errors import UsageError
from remedy.evidence import bag
from remedy.transports.bags import opening

_SMALL: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """What a bag says of itself.

    `sealed` is whether it has a signature and nothing says that it has not; `sha256` that of its tag manifest, ""
    without one; `witnesses` the names of those who signed it too.
    """

    folder: Path
    info: tuple[tuple[str, str], ...]
    sealed: bool
    sha256: str
    witnesses: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read it. Raises UsageError when the folder cannot be read at all."""
        try:
            root = opening.folder(str(folder))
        except OSError as error:
            text = f"no bag can be read here: {error.strerror}"
            raise UsageError(text, where=str(folder), hint="`remedy evidence list` shows the bags here") from error
        try:
            listed = {one.name for one in opening.entries(root)[0] if one.kind == "file"}
            info: tuple[tuple[str, str], ...] = ()
            with contextlib.suppress(ValueError, OSError):
                info = bag.parse_info(opening.small(bag.BAG_INFO, root, _SMALL).decode("utf-8"))
            sha256 = ""
            with contextlib.suppress(ValueError, OSError):
                sha256 = hashlib.sha256(opening.small(bag.TAG_MANIFEST, root, _SMALL)).hexdigest()
        finally:
            os.close(root)
        unsealed = bag.UNSEALED in listed or folder.absolute().name.endswith(bag.UNSEALED_SUFFIX)
        sealed = bag.SIGNATURE in listed and not unsealed
        return cls(folder, info, sealed, sha256, tuple(sorted(filter(None, map(bag.witness_of, listed)))))

    def said(self, label: str) -> str:
        """The first value of a label of bag-info.txt, "" when it does not say."""
        return next((value for name, value in self.info if name == label), "")

    def all_said(self, label: str) -> tuple[str, ...]:
        """Every value of a label."""
        return tuple(value for name, value in self.info if name == label)

    @property
    def id(self) -> str:
        """Its id: as it says, else by its folder."""
        return self.said("External-Identifier") or self.folder.absolute().name.removeprefix("bag-")

    def tags(self) -> bytes:
        """The tag manifest: what signatures are over. Raises UsageError."""
        root = opening.folder(str(self.folder))
        try:
            return opening.small(bag.TAG_MANIFEST, root, _SMALL)
        except (OSError, ValueError) as error:
            raise UsageError(f"has no tag manifest: {error}", where=str(self.folder)) from error
        finally:
            os.close(root)

    def files(self) -> Iterator[tuple[str, int, dict[str, str]]]:
        """Path, size on disk in bytes (-1: not there) and digests of every file that its manifests name, in order.

        Raises UsageError when a manifest is none.
        """
        root = opening.folder(str(self.folder))
        try:
            streams = []
            for digest in bag.DIGESTS:
                with contextlib.suppress(OSError):
                    streams.append((digest, os.fdopen(opening.file(bag.manifest(digest), root), "rb")))
            try:
                while lines := [(digest, file.readline(bag.LONGEST_LINE + 1)) for digest, file in streams]:
                    if not lines[0][1]:
                        return
                    parsed = {digest: bag.parse_line(raw.decode("ascii").rstrip("\n")) for digest, raw in lines}
                    path = next(iter(parsed.values()))[1]
                    yield path, self._size(root, path), {digest: sum_ for digest, (sum_, _) in parsed.items()}
            except ValueError as error:
                hint = f"remedy evidence verify {self.folder}"
                raise UsageError(f"a manifest is damaged: {error}", where=str(self.folder), hint=hint) from error
            finally:
                for _, file in streams:
                    file.close()
        finally:
            os.close(root)

    def _size(self, root: int, path: str) -> int:
        """Without following a link on the way."""
        *above, name = path.split("/")
        within = os.dup(root)
        try:
            for one in above:
                below = opening.folder(one, within)
                os.close(within)
                within = below
            return os.stat(name, dir_fd=within, follow_symlinks=False).st_size
        except OSError:
            return -1
        finally:
            os.close(within)
