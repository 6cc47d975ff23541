"""The Merkle frontier against the definition in RFC 6962."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.record.merkle import Frontier, implied, leaf_hash, node_hash, prove, unpack


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


def defined_path(leaf: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if leaf < half:
        return [*defined_path(leaf, leaves[:half]), defined(leaves[half:])]
    return [*defined_path(leaf - half, leaves[half:]), defined(leaves[:half])]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70), st.data())
def test_paths_are_those_rfc_6962_defines(leaves: list[bytes], data: st.DataObject) -> None:
    """Whatever the leaves and however many are asked for at once, each path is the RFC's, and implies the root."""
    wanted = sorted(data.draw(st.sets(st.integers(0, len(leaves) - 1))))
    root, paths = prove(iter(leaves), len(leaves), wanted)
    assert root == defined(leaves)
    assert {leaf: list(path) for leaf, path in paths.items()} == {leaf: defined_path(leaf, leaves) for leaf in wanted}
    assert all(implied(leaves[leaf], leaf, len(leaves), path) == root for leaf, path in paths.items())


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=30), st.data())
def test_path_of_another_leaf_implies_another_root(leaves: list[bytes], data: st.DataObject) -> None:
    """A path proves its own leaf alone: elsewhere, with other data or one hash changed, it implies no such root."""
    leaf, other = (data.draw(st.integers(0, len(leaves) - 1)) for _ in range(2))
    root, paths = prove(iter(leaves), len(leaves), [leaf])
    path = list(paths[leaf])
    forged = data.draw(st.integers(0, len(path)))
    if forged < len(path):
        path[forged] = bytes(32)
    data_ = leaves[leaf] if forged < len(path) or other != leaf else leaves[leaf] + b"x"
    try:
        assert implied(data_, other, len(leaves), path) != root or (data_, path) == (
            leaves[other],
            defined_path(other, leaves),
        )
    except ValueError:
        assert len(path) != len(defined_path(other, leaves))


def test_too_few_leaves_prove_nothing() -> None:
    """When leaves are missing there is no proof, instead of one of a smaller tree."""
    with pytest.raises(ValueError, match="fewer leaves"):
        prove(iter([b"a", b"b"]), 3, [0])
