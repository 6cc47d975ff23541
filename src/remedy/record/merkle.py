"""The Merkle tree over entry hashes (RFC 6962, section 2.1), grown one leaf at a time, and proofs of inclusion.

Decides the root that a checkpoint signs. Only the *frontier* is kept, the roots of the complete subtrees a tree of
that size consists of, so adding an entry costs the same in a record of ten and of ten million entries. Proofs (the
audit paths of section 2.1.1) are computed in one pass over the leaves, whose memory is that of the paths.
Leaves to others: where the frontier is stored, what is signed, what is handed over with a proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SIZE = hashlib.sha256().digest_size


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data), RFC 6962."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), RFC 6962."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves: the roots of its complete subtrees, largest first, one per set bit of `size`."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def add(self, data: bytes) -> Frontier:
        """The tree with one more leaf."""
        node, nodes, rest = leaf_hash(data), self.nodes, self.size
        while rest & 1:
            node, nodes, rest = node_hash(nodes[-1], node), nodes[:-1], rest >> 1
        return Frontier(self.size + 1, (*nodes, node))

    def root(self) -> bytes:
        """The tree hash; SHA-256 of nothing for the empty tree."""
        if not self.nodes:
            return hashlib.sha256().digest()
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root

    def pack(self) -> bytes:
        """The nodes one after the other, 32 bytes each."""
        return b"".join(self.nodes)


def unpack(size: int, packed: bytes) -> Frontier:
    """A frontier from `pack`'s bytes. Raises ValueError when they do not fit a tree of that size."""
    if size < 0 or len(packed) != size.bit_count() * _SIZE:
        msg = f"{len(packed)} bytes are no frontier of {size} leaves"
        raise ValueError(msg)
    return Frontier(size, tuple(packed[i : i + _SIZE] for i in range(0, len(packed), _SIZE)))


def prove(leaves: Iterator[bytes], size: int, wanted: Sequence[int]) -> tuple[bytes, dict[int, tuple[bytes, ...]]]:
    """The root of a tree of `size` leaves, and the audit path of each wanted leaf (numbered from 0, in order).

    `leaves` gives the data of every leaf, in order. Raises ValueError when there are fewer.
    """
    paths: dict[int, list[bytes]] = {leaf: [] for leaf in wanted}

    def root(first: int, count: int, inside: Sequence[int]) -> bytes:
        if not inside:
            tree = Frontier()
            for _ in range(count):
                tree = tree.add(_next(leaves))
            return tree.root()
        if count == 1:
            return leaf_hash(_next(leaves))
        half = 1 << (count - 1).bit_length() - 1
        lower = [leaf for leaf in inside if leaf < first + half]
        upper = inside[len(lower) :]
        left = root(first, half, lower)
        right = root(first + half, count - half, upper)
        for leaf in inside:
            paths[leaf].append(right if leaf < first + half else left)
        return node_hash(left, right)

    top = root(0, size, wanted) if size else Frontier().root()
    return top, {leaf: tuple(path) for leaf, path in paths.items()}


def implied(data: bytes, leaf: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf, its number from 0 and its audit path imply (RFC 9162, section 2.1.3.2).

    Raises ValueError when the path is none of that leaf in a tree of that size.
    """
    at, last, node = leaf, size - 1, leaf_hash(data)
    if not 0 <= leaf < size:
        msg = f"a tree of {size} leaves has no leaf {leaf}"
        raise ValueError(msg)
    for other in path:
        if not last or len(other) != _SIZE:
            msg = "the path is too long, or not made of hashes"
            raise ValueError(msg)
        if at & 1 or at == last:
            node = node_hash(other, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, other)
        at, last = at >> 1, last >> 1
    if last:
        msg = "the path is too short"
        raise ValueError(msg)
    return node


def _next(leaves: Iterator[bytes]) -> bytes:
    try:
        return next(leaves)
    except StopIteration as error:
        msg = "there are fewer leaves than the tree has"
        raise ValueError(msg) from error
