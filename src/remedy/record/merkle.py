"""The Merkle tree over entry hashes (RFC 6962, section 2.1), grown one leaf at a time.

Decides the root that a checkpoint signs. Only the *frontier* is kept, the roots of the complete subtrees a tree of
that size consists of, so adding an entry costs the same in a record of ten and of ten million entries.
Leaves to others: where the frontier is stored and what is signed.
"""

from __future__ import annotations

import hashlib
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
