"""Containers: what real compressors write comes out as it went in, damage is named, and memory stays flat."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import subprocess
from collections.abc import Callable, Iterator
from typing import Final

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from remedy.backups import containers
from remedy.backups.ports import Damaged

TEXT: Final = "".join(f"({n},'王小明 {n * 7919}'),\n" for n in range(6000)).encode()
SMALL: Final = TEXT[:1500]


def zstd(data: bytes, *, checked: bool = True) -> bytes:
    """One Zstandard frame."""
    return zstandard.ZstdCompressor(write_checksum=checked, write_content_size=False).compress(data)


PACK: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}
#: Programs and the container that they write.
PROGRAMS: Final = {
    "gzip -9": "gz",
    "gzip -1": "gz",
    "bzip2": "bz2",
    "xz -T2": "xz",
    "xz -9 --check=sha256": "xz",
    "zstd -19": "zst",
    "zstd -T2 --long=27": "zst",
    "zstd --fast=5 --no-check": "zst",
    "pzstd -p 2": "zst",
}


def sliced(data: bytes, size: int) -> Iterator[bytes]:
    """The data in chunks of that size."""
    return (data[at : at + size] for at in range(0, len(data), size))


def unpacked(data: bytes, size: int = 1 << 16) -> bytes:
    """What is inside."""
    return b"".join(containers.opened(sliced(data, size))[2])


def code_of(data: bytes, size: int = 1 << 16) -> str:
    """The code of the damage, "" when there is none."""
    try:
        unpacked(data, size)
    except Damaged as error:
        return error.code
    return ""


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_programs_write_comes_out_as_it_went_in(program: str) -> None:
    """Every compressor's output is recognised by its first bytes and read to the end."""
    packed = subprocess.run([*program.split(), "-c"], input=TEXT * 8, capture_output=True, check=True).stdout
    name, _, inside = containers.opened(sliced(packed, 4096))
    assert name == PROGRAMS[program]
    assert b"".join(inside) == TEXT * 8


@pytest.mark.parametrize("name", PACK)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=30), members=st.integers(1, 3))
def test_chunks_and_members_do_not_matter(name: str, sizes: list[int], members: int) -> None:
    """Several members are one stream, and chunks of any size give the same bytes."""
    packed = PACK[name](SMALL) * members
    chunks, at, number = [], 0, 0
    while at < len(packed):
        size = sizes[number % len(sizes)]
        chunks.append(packed[at : at + size])
        at, number = at + size, number + 1
    assert b"".join(containers.opened(chunks)[2]) == SMALL * members


@pytest.mark.parametrize("name", PACK)
def test_a_cut_is_found_wherever_it_is(name: str) -> None:
    """A stream cut anywhere is "truncated", also within its second member; never a shorter text without a word."""
    packed = PACK[name](SMALL)
    for end in range(6, len(packed)):
        assert code_of(packed[:end]) == "truncated", end
    both = packed + packed
    for end in range(len(packed) + 1, len(both)):
        assert code_of(both[:end]) in ("truncated", "trailing"), end
    assert code_of(both) == ""


@pytest.mark.parametrize("name", PACK)
def test_a_turned_bit_is_found(name: str) -> None:
    """A container with a checksum finds every one of 300 random bit errors, or gives the same text all the same."""
    packed = bytearray(PACK[name](SMALL))
    chance = random.Random(3)  # noqa: S311 -- no secret
    for _ in range(300):
        at, bit = chance.randrange(4, len(packed)), 1 << chance.randrange(8)
        packed[at] ^= bit
        # Bits of a gzip header (time, name) say nothing of the text.
        found = code_of(bytes(packed)) or unpacked(bytes(packed))
        assert found in ("truncated", "corrupt", "trailing", "memory", SMALL), at
        packed[at] ^= bit


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("junk", [b"x", b"\0", b"rsync: connection reset\n", b"\x1f", b"\x28\xb5"])
def test_something_else_behind_it_is_trailing(name: str, junk: bytes) -> None:
    """What follows the last member and is no further one is named, and not taken for text."""
    assert code_of(PACK[name](SMALL) + junk, 64) in ("trailing", "truncated")
    assert code_of(PACK[name](SMALL) + b"some text that is no member", 64) == "trailing"


def test_xz_may_be_padded() -> None:
    """NUL bytes in fours between and behind xz streams are padding; in threes they are not."""
    packed = lzma.compress(SMALL)
    assert unpacked(packed + bytes(8) + packed + bytes(4), 7) == SMALL * 2
    assert code_of(packed + bytes(3)) == "trailing"
    assert code_of(packed + bytes(3) + packed) == "trailing"


@pytest.mark.parametrize("name", PACK)
def test_a_bomb_comes_out_in_small_pieces(name: str) -> None:
    """64 MiB that pack into next to nothing come out at most 1 MiB at a time."""
    packed = PACK[name](bytes(64 << 20))
    sizes = [len(chunk) for chunk in containers.opened([packed])[2]]
    assert sum(sizes) == 64 << 20
    assert max(sizes) <= 1 << 20


def test_which_containers_check_themselves() -> None:
    """A checksum is believed in where the header says that there is one."""
    unchecked = zstd(SMALL, checked=False)
    said = {
        "gz": gzip.compress(SMALL),
        "bz2": bz2.compress(SMALL),
        "xz": lzma.compress(SMALL),
        "zst": zstd(SMALL),
        "skippable": b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc" + zstd(SMALL),
        "xz none": lzma.compress(SMALL, check=lzma.CHECK_NONE),
        "zst none": unchecked,
        "skippable none": b"\x50\x2a\x4d\x18\x00\x00\x00\x00" + unchecked,
        "plain": SMALL,
    }
    checked = {name: containers.opened([data])[1] for name, data in said.items()}
    assert [name for name, value in checked.items() if value] == ["gz", "bz2", "xz", "zst", "skippable"]
    assert b"".join(containers.opened(sliced(said["skippable"], 5))[2]) == SMALL


def test_skippable_frames_are_passed_over_and_never_cut_unseen() -> None:
    """Skippable frames may stand anywhere, of any length; one that is cut is "truncated"."""
    skipped = b"\x51\x2a\x4d\x18" + (300_000).to_bytes(4, "little") + bytes(300_000)
    packed = zstd(SMALL)
    assert unpacked(skipped + packed + skipped + packed + skipped) == SMALL * 2
    assert code_of(packed + skipped[:-1]) == "truncated"


def test_what_needs_too_much_memory_is_refused() -> None:
    """A file that asks for a window or a dictionary of 256 MiB is refused before any of it is taken."""
    window = b"\x28\xb5\x2f\xfd\x04" + bytes([18 << 3]) + b"\x01\x00\x00" + bytes(8)
    assert code_of(window) == "memory"
    cheap = {"id": lzma.FILTER_LZMA2, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}
    assert code_of(lzma.compress(SMALL, filters=[{**cheap, "dict_size": 1 << 26}])) == ""
    assert code_of(lzma.compress(SMALL, filters=[{**cheap, "dict_size": 1 << 28}])) == "memory"


@given(st.binary(max_size=400))
def test_rubbish_behind_a_magic_number_is_damage(junk: bytes) -> None:
    """No bytes make a container fail with anything but Damaged."""
    for magic in (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"):
        assert code_of(magic + junk, 16) in ("", "truncated", "corrupt", "trailing", "memory")


def test_plain_text_is_left_alone() -> None:
    """What no container begins comes back as it is, and an empty file is empty."""
    assert containers.opened(sliced(TEXT, 3))[0] == ""
    assert unpacked(TEXT, 1000) == TEXT
    assert unpacked(b"") == b""
    assert code_of(b"\x1f\x8b") == "truncated"
