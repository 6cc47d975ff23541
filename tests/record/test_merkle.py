"""The Merkle frontier against the definition in RFC 6962."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.record.merkle import Frontier, leaf_hash, node_hash, unpack


def defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(defined(leaves[:half]), defined(leaves[half:]))


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_root_is_the_one_rfc_6962_defines(leaves: list[bytes]) -> None:
    """Whatever the leaves, the root grown leaf by leaf is the root the RFC's recursion gives."""
    tree = Frontier()
    for leaf in leaves:
        tree = unpack(tree.size, tree.pack()).add(leaf)
    assert tree.root() == defined(leaves)


def test_known_vector() -> None:
    """The certificate-transparency test tree of eight leaves has its published root."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    tree = Frontier()
    for leaf in leaves:
        tree = tree.add(bytes.fromhex(leaf))
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize(("size", "packed"), [(1, b""), (3, b"x" * 32), (-1, b"")])
def test_wrong_frontier_is_refused(size: int, packed: bytes) -> None:
    """A frontier whose bytes do not fit its size is refused, not guessed at."""
    with pytest.raises(ValueError, match="no frontier"):
        unpack(size, packed)
