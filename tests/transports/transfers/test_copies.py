"""Claims about one stream into several copies: whole or nothing in each, and no copy holds up another."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remedy.backups.manifest import Manifest, checksums, decoded
from remedy.backups.values import File
from remedy.core.errors import ChangeFailed, ConnectionLost, Interrupted
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.transfers.copies import VERIFIED, Copies

from .conftest import folder

CHUNK = b"x" * (1 << 20)
NUMBER = 24


def nothing() -> None:
    """Nobody waits."""


def manifest() -> Manifest:
    """Of `NUMBER` chunks."""
    digest = hashlib.sha256(CHUNK * NUMBER).hexdigest()
    return Manifest("site", "web", "db01", "10.11", 1, digest, len(CHUNK) * NUMBER)


def folders(bulk: Bulk, tmp_path: Path, *names: str) -> dict[str, FolderShelf]:
    """Empty copies."""
    return {name: folder(bulk, tmp_path / name) for name in names}


def within(store: FolderShelf) -> list[str]:
    """The names of all that lies in a copy, unfinished files too."""
    return sorted(path.name for path in Path(store.copy.path).iterdir())


def content(store: FolderShelf, name: str) -> bytes:
    """The bytes of a file in a copy."""
    return (Path(store.copy.path) / name).read_bytes()


class Bad(FolderShelf):
    """A copy that fails where it is told to."""

    def __init__(
        self,
        shelf: FolderShelf,
        bulk: Bulk,
        *,
        takes: int = 10**9,
        blocked: threading.Event | None = None,
        gives: bytes = b"",
        refuses: str = "",
    ) -> None:
        """In the place of `shelf`."""
        super().__init__(shelf.copy, bulk)
        self.takes, self.blocked, self.gives, self.refuses = takes, blocked, gives, refuses
        self.tries = 0

    def write(self, name: str, chunks: Iterable[bytes]) -> File:
        """As the port, but for what it is told."""
        self.tries += 1
        if self.refuses and name.endswith(self.refuses):
            raise ConnectionLost("the way broke", where="far")
        return super().write(name, self._passed(chunks))

    def _passed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        taken = 0
        for chunk in chunks:
            if self.blocked is not None and self.tries == 1:
                self.blocked.wait(30)
            taken += len(chunk)
            if taken > self.takes:
                raise ConnectionLost("the way broke", where="far")
            yield chunk

    @contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As the port, or other bytes."""
        if self.gives:
            yield iter([self.gives])
            return
        with super().read(file, start=start, length=length) as chunks:
            yield chunks


def feed(copies: Copies) -> None:
    """The whole stream."""
    for _ in range(NUMBER):
        copies.put(CHUNK)


def run(stores: dict[str, FolderShelf], patience: float = 10) -> dict[str, str]:
    """Bring the stream into all of them."""
    copies = Copies(tuple(store.copy for store in stores.values()), lambda copy: stores[copy.name], "b", patience)
    feed(copies)
    copies.finish(manifest(), nothing)
    return copies.states


def test_every_copy_has_data_checksum_and_manifest(bulk: Bulk, tmp_path: Path) -> None:
    """Three files in each, the checksum and the manifest saying what the data is."""
    stores = folders(bulk, tmp_path, "near", "far")
    assert run(stores) == {"near": VERIFIED, "far": VERIFIED}
    for store in stores.values():
        assert [file.name for file in store.list()] == ["b.manifest.json", "b.sql.zst", "b.sql.zst.sha256"]
        assert content(store, "b.sql.zst") == CHUNK * NUMBER
        assert decoded(content(store, "b.manifest.json")) == manifest()
        assert checksums(content(store, "b.sql.zst.sha256")) == ((manifest().sha256, "b.sql.zst"),)


@pytest.mark.parametrize("bad", [{"takes": 3 << 20}, {"refuses": ".zst"}, {"refuses": ".manifest.json"}])
def test_a_copy_that_fails_has_nothing_and_stops_nobody(bad: dict[str, Any], bulk: Bulk, tmp_path: Path) -> None:
    """Broken at once, in the middle or at the manifest: no file stays there, the others are verified."""
    stores = folders(bulk, tmp_path, "near", "far")
    stores["far"] = Bad(stores["far"], bulk, **bad)
    assert run(stores) == {"near": VERIFIED, "far": "failed: far: the way broke"}
    assert within(stores["far"]) == []


def test_a_copy_that_gives_back_other_bytes_is_not_verified(bulk: Bulk, tmp_path: Path) -> None:
    """What is read back decides, not that writing went well."""
    stores = folders(bulk, tmp_path, "near", "far")
    stores["far"] = Bad(stores["far"], bulk, gives=b"other")
    assert run(stores) == {"near": VERIFIED, "far": "failed: it gives back other bytes than it was given"}


def test_a_copy_that_lags_gets_it_from_another(bulk: Bulk, tmp_path: Path) -> None:
    """The stream does not wait for a copy that takes nothing; it gets the whole backup afterwards."""
    stores = folders(bulk, tmp_path, "near", "far")
    free = threading.Event()
    far = stores["far"] = Bad(stores["far"], bulk, blocked=free)
    copies = Copies((stores["near"].copy, far.copy), lambda copy: stores[copy.name], "b", 0.2)
    feed(copies)
    assert copies.states["far"] == "left behind"
    free.set()
    copies.finish(manifest(), nothing)
    assert copies.states == {"near": VERIFIED, "far": VERIFIED}
    assert content(far, "b.sql.zst") == CHUNK * NUMBER


def test_the_only_copy_may_be_as_slow_as_it_is(bulk: Bulk, tmp_path: Path) -> None:
    """Without another that is faster, the stream waits."""
    stores = folders(bulk, tmp_path, "far")
    free = threading.Event()
    stores["far"] = Bad(stores["far"], bulk, blocked=free)
    threading.Timer(0.5, free.set).start()
    assert run(stores, patience=0.1) == {"far": VERIFIED}


def test_what_is_given_up_is_nowhere(bulk: Bulk, tmp_path: Path) -> None:
    """A stream that turns out to be no good leaves no file in any copy."""
    stores = folders(bulk, tmp_path, "near", "far")
    copies = Copies(tuple(store.copy for store in stores.values()), lambda copy: stores[copy.name], "b", 10)
    copies.put(CHUNK)
    copies.give_up()
    assert [within(store) for store in stores.values()] == [[], []]


def test_nothing_is_written_over(bulk: Bulk, tmp_path: Path) -> None:
    """A name that is taken stays what it was, and nothing lies beside it afterwards."""
    stores = folders(bulk, tmp_path, "near")
    (tmp_path / "near" / "b.sql.zst").write_bytes(b"older")
    assert "something of that name" in run(stores)["near"]
    assert within(stores["near"]) == ["b.sql.zst"]
    assert content(stores["near"], "b.sql.zst") == b"older"


def test_no_copy_left_is_said_at_once(bulk: Bulk, tmp_path: Path) -> None:
    """When no copy takes the stream, whoever feeds it is told, with the reasons."""
    stores = folders(bulk, tmp_path, "far")
    stores["far"] = Bad(stores["far"], bulk, takes=0)
    copies = Copies((stores["far"].copy,), lambda copy: stores[copy.name], "b", 10)
    with pytest.raises(ChangeFailed, match="no copy takes the backup: far failed: far: the way broke"):
        feed(copies)
    copies.give_up()


def test_ctrl_c_while_copies_are_written_leaves_nothing_half(bulk: Bulk, tmp_path: Path) -> None:
    """What `tick` raises comes out at once; a copy that was still busy then has the whole backup or nothing."""
    stores = folders(bulk, tmp_path, "near", "far")
    free = threading.Event()
    stores["far"] = Bad(stores["far"], bulk, blocked=free)
    copies = Copies(tuple(store.copy for store in stores.values()), lambda copy: stores[copy.name], "b", 10)
    copies.put(CHUNK)

    def interrupt() -> None:
        raise Interrupted("Ctrl-C")

    whole = replace(manifest(), size=len(CHUNK))
    with pytest.raises(Interrupted):
        copies.finish(whole, interrupt)
    threading.Timer(0.1, free.set).start()
    copies.give_up()
    assert within(stores["far"]) == [
        "b.manifest.json",
        "b.sql.zst",
        "b.sql.zst.sha256",
    ]
    assert content(stores["far"], "b.sql.zst") == CHUNK


def test_a_stream_cut_off_after_it_was_called_good_gets_no_name(bulk: Bulk, tmp_path: Path) -> None:
    """Fewer bytes than the manifest says are never given the final name."""
    stores = folders(bulk, tmp_path, "near")
    copies = Copies((stores["near"].copy,), lambda copy: stores[copy.name], "b", 10)
    copies.put(CHUNK)
    copies.finish(manifest(), nothing)
    assert copies.states == {"near": "failed: given up"}
    assert within(stores["near"]) == []
