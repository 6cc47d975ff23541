"""A cheap look at backups: what is found, and how little is asked for."""

from __future__ import annotations

import bz2
import lzma
import random

import pytest
import zstandard
from tests.worlds.shelves import Shelf, dump, packed

from remedy.backups import catalog
from remedy.backups.values import Backup, Copy, Database
from remedy.engine.glance import HEAD, TAIL, Glance, glance

COPY = Copy("local", host="db01", path="/var/backups")
SITE = Database("site", "site", "db01", (COPY,), timezone="Asia/Shanghai")
TEXT = dump("2026-11-19  2:00:07", rows=20_000)
#: 02:00:07 in Shanghai.
MADE = 1_795_024_807


def looked(name: str, data: bytes) -> tuple[Glance, Shelf, Backup]:
    """A look at the only file of a copy."""
    shelf = Shelf(COPY)
    shelf.put(name, data, 1_795_100_000)
    [backup] = catalog.backups(COPY, shelf.list())
    return glance(shelf, backup, SITE), shelf, backup


def test_beginning_and_end_of_a_plain_dump() -> None:
    """Tool and server come from the first bytes, the time from the last ones, by the database's clock."""
    seen, shelf, backup = looked("site.sql", TEXT)
    assert seen.facts.time == MADE
    assert seen.facts.tool.startswith("MariaDB dump 10.19")
    assert seen.facts.server.startswith("10.11.19-MariaDB")
    assert seen.facts.database == "site"
    assert (seen.container, seen.sealed) == ("", "")
    assert shelf.asked <= HEAD + TAIL < backup.size


@pytest.mark.parametrize(
    ("ending", "name", "pack"),
    [
        (".gz", "gz", packed),
        (".zst", "zst", lambda data: zstandard.ZstdCompressor().compress(data)),
        (".xz", "xz", lzma.compress),
        (".bz2", "bz2", bz2.compress),
    ],
)
def test_beginning_of_a_compressed_dump(ending: str, name: str, pack: object) -> None:
    """Of a compressed dump the beginning is unpacked, however large it is, and no more is fetched."""
    assert callable(pack)
    noise = random.Random(7).randbytes(400_000).hex().encode()  # noqa: S311 -- what does not compress away
    stored = pack(TEXT.replace(b"-- Dump completed", b"-- " + noise + b"\n-- Dump completed"))
    seen, shelf, _ = looked(f"site.sql{ending}", stored)
    assert seen.container == name
    assert shelf.asked <= HEAD < len(stored)
    if ending != ".bz2":  # whose first block is longer than what was fetched
        assert seen.facts.server.startswith("10.11.19-MariaDB")
    assert seen.facts.time == 0


def test_a_small_one_is_seen_whole() -> None:
    """A backup that fits into the look is read to its end, so its time is there whatever its compression."""
    seen, _, _ = looked("site.sql.gz", packed(dump("2026-11-19  2:00:07", rows=5)))
    assert seen.facts.time == MADE


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8b", packed(TEXT)[:40], b"\x00" * 5000, b"\xff\xfe" + b"x" * 5000, b"(" * 70_000, TEXT[:30_000]],
)
def test_damage_is_no_error(data: bytes) -> None:
    """Whatever lies there, a look says what it can and no more."""
    seen, _, _ = looked("site.sql.gz" if data[:1] == b"\x1f" else "site.sql", data)
    assert seen.facts.time == 0


def test_encrypted() -> None:
    """Of what is encrypted the look tells with what, and what its name says of the inside."""
    seen, shelf, _ = looked("site.sql.zst.enc", b"Salted__" + bytes(100_000))
    assert (seen.sealed, seen.container) == ("openssl", "zst")
    assert shelf.asked <= HEAD


def test_nothing_recognises_it() -> None:
    """What is no known kind of backup is not unpacked."""
    seen, _, _ = looked("photos.gz", packed(b"x" * 100))
    assert seen == Glance(container="gz")
