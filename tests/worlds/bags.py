"""Bags for tests: made of real files with a real key, attacked, and put back."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from remedy.evidence import bag
from remedy.evidence.bag import Info, Sealed
from remedy.evidence.findings import Findings
from remedy.record import sealing, signers
from remedy.record.sealing import Signer
from remedy.record.signers import Signers
from remedy.transports.bags.verifying import verify
from remedy.transports.bags.writing import Stamp, Writing

SEALED_AT: Final = "2026-11-20T06:32:59Z"
NOW: Final = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
#: What a bag of these tests holds: an empty file, a name that sorts before a folder's, a deep one, one of some size.
FILES: Final = {
    "data/web01/0001-clock.out": b"1763620379\n",
    "data/web01/0002-empty.err": b"",
    "data/web01/tree-a.tar": bytes(range(256)) * 40,
    "data/web01/tree/deep/x.out": b"uid=0(root)\n",
    "data/zeta.out": b"last",
}


def signer(folder: Path) -> Signer:
    """The key in a folder, made if there is none."""
    return sealing.of_record(folder)


def believing(*known: Signer, revoked: tuple[Signer, ...] = ()) -> Signers:
    """Whose keys count."""
    allowed = signers.of_lines([one.public.line for one in known], "remedy-evidence")
    return Signers(NOW, allowed, frozenset(one.public.blob for one in revoked))


@dataclass
class Made:
    """A sealed bag, the key that sealed it, and what came of sealing it."""

    folder: Path
    signer: Signer
    sealed: Sealed

    def verify(self, judged: Signers | None = None, *, roots: str = "") -> Findings:
        """Verify it, by default with the right key."""
        return verify(self.folder, (judged or believing(self.signer)).judge, roots=roots)

    def paths(self) -> list[str]:
        """Every file in it, sorted."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    @contextlib.contextmanager
    def changed(self, name: str) -> Iterator[bytearray]:
        """The bytes of a file, to be changed with `write`; put back at the end."""
        path = self.folder / name
        before = path.read_bytes()
        try:
            yield bytearray(before)
        finally:
            path.write_bytes(before)

    def resign(self) -> None:
        """What somebody with the key could do: the tag manifest and its signature anew, over what is there now."""
        names = [line.split("  ")[1] for line in (self.folder / bag.TAG_MANIFEST).read_text().splitlines()]
        sums = ((hashlib.sha256((self.folder / name).read_bytes()).hexdigest(), name) for name in names)
        tags = "".join(bag.line(digest, name) for digest, name in sums).encode()
        (self.folder / bag.TAG_MANIFEST).write_bytes(tags)
        (self.folder / bag.SIGNATURE).write_text(self.signer.sign(tags))


def info(key: Signer, **given: object) -> Info:
    """What a bag of these tests says of itself."""
    made = Info(
        "E0000001",
        "INC-20261120-1",
        "web01 after the defacement",
        "ann@adm1",
        "2026-11-20T06:30:00Z",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        key.line,
        key.public.fingerprint,
        "remedy 0.1.0",
        ("web01",),
    )
    return replace(made, **given)  # type: ignore[arg-type]


def begin(folder: Path, key: Signer, *, digests: tuple[str, ...] = bag.DIGESTS, **given: object) -> Writing:
    """A bag that is begun."""
    return Writing.begin(folder, info(key, **given), digests=digests, now=lambda: SEALED_AT)


def make(
    folder: Path,
    files: dict[str, bytes] | None = None,
    *,
    stamp: Stamp | None = None,
    digests: tuple[str, ...] = bag.DIGESTS,
    **given: object,
) -> Made:
    """A sealed bag in `folder`, its key beside it."""
    key = signer(folder / "keys")
    writing = begin(folder / "INC-20261120-1", key, digests=digests, **given)
    for path, data in (FILES if files is None else files).items():
        writing.put(path, data)
    sealed = writing.seal(key.sign, stamp)
    return Made(folder / "INC-20261120-1" / sealed.name, key, sealed)
