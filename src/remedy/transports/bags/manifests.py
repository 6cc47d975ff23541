"""Reads the manifests of a bag side by side, line by line, as long as they may be.

Decides that a manifest counts only as remedy writes it: lines of one form, every path once, sorted by bytes, and the
same paths in all of them. What breaks that is found once, and that manifest is not read further; one that remedy has
signed never breaks it.
Leaves to others: comparing with the disk (`verifying`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from remedy.evidence import bag
from remedy.evidence.findings import Found
from remedy.transports.bags import opening

_PAYLOAD: Final = "data/"


@dataclass(frozen=True, slots=True)
class Listed:
    """One payload file as the manifests name it; `digests` by algorithm, SHA-256 first."""

    path: str
    digests: tuple[tuple[str, str], ...]


class Manifests:
    """The payload manifests of one bag, merged. `next` is the line that comes, None after the last."""

    def __init__(self, root: int, digests: tuple[str, ...], found: Found) -> None:
        """Open those of `digests` below the folder `root`. A manifest that is no file is found, and left out."""
        self._found = found
        self._damaged: set[str] = set()
        self._streams: list[tuple[str, BinaryIO, Iterator[tuple[str, str]]]] = []
        for digest in digests:
            name = bag.manifest(digest)
            try:
                file = os.fdopen(opening.file(name, root), "rb")
            except OSError:
                continue  # whoever checks the tag files says so
            self._streams.append((digest, file, self._lines(digest, file)))
        self.next: Listed | None = None
        self.advance()

    def close(self) -> None:
        """Close the files."""
        for _, file, _ in self._streams:
            file.close()

    def advance(self) -> None:
        """On to the next path. A manifest that is damaged is left out from there on; the others go on."""
        lines = [(digest, next(stream, None)) for digest, _, stream in self._streams]
        lines = [(digest, line) for digest, line in lines if digest not in self._damaged]
        self._drop(self._damaged)
        path = lines[0][1][1] if lines and lines[0][1] else ""
        agreed = []
        for digest, line in lines:
            if line is not None and line[1] == path:
                agreed.append((digest, line[0]))
            elif line is not None or path:
                self._found.add("disagreeing", bag.manifest(digest), "names other files than the manifest before it")
                self._drop({digest})
        self.next = Listed(path, tuple(agreed)) if agreed else None

    def _drop(self, digests: set[str]) -> None:
        """These are not compared from here on."""
        for digest, file, _ in self._streams:
            if digest in digests:
                file.close()
        self._streams = [one for one in self._streams if one[0] not in digests]

    def _lines(self, digest: str, file: BinaryIO) -> Iterator[tuple[str, str]]:
        last, number = "", 0
        while raw := file.readline(bag.LONGEST_LINE + 1):
            number += 1
            try:
                sum_, last = _parsed(raw, last)
            except ValueError as error:
                self._found.add("malformed", bag.manifest(digest), f"line {number}: {error}; not read further")
                self._damaged.add(digest)
                return
            yield sum_, last


def _parsed(raw: bytes, last: str) -> tuple[str, str]:
    """Digest and path of a line that follows the one of path `last`. Raises ValueError."""
    if not raw.endswith(b"\n"):
        raise ValueError("has no end" if len(raw) <= bag.LONGEST_LINE else "is too long")
    digest, path = bag.parse_line(raw[:-1].decode("ascii"))
    if not path.startswith(_PAYLOAD):
        raise ValueError(f"{path} lies outside of {_PAYLOAD}")
    if path <= last:
        raise ValueError(f"{path} is named twice" if path == last else f"{path} is out of order")
    return digest, path
