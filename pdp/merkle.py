"""The Merkle tree of RFC 6962, section 2.1 (the same as RFC 9162, section 2.1), over SHA-256. Pure.

A leaf is hashed as SHA-256(0x00 | data), a node as SHA-256(0x01 | left | right): no leaf can pass for a node.
Positions count from 0. A proof is a list of 32-byte hashes, lowest first.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY_ROOT: Final = sha256(b"").digest()

# hashlib lets go of the interpreter lock for 2,048 bytes or more; getting it back may take 5 ms (pdp.declog.line).
_SLICE: Final = 2047


def leaf_hash(data: bytes) -> bytes:
    digest = sha256(b"\x00" + data[: _SLICE - 1])
    for start in range(_SLICE - 1, len(data), _SLICE):
        digest.update(data[start : start + _SLICE])
    return digest.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: all that is needed to append and to know the root. At most 64 hashes."""

    __slots__ = ("_peaks", "size")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # the roots of the full subtrees, the largest first
        for leaf in leaves:
            self.append(leaf)

    def append(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        peaks, rest = self._peaks, self.size
        while rest & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            rest >>= 1
        peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the full subtrees, the largest first: with `size`, all there is."""
        return tuple(self._peaks)

    @classmethod
    def of(cls, size: int, peaks: Sequence[bytes]) -> Frontier:
        """The same again. Raises ValueError where there must be another number of peaks."""
        if size < 0 or size.bit_count() != len(peaks):
            raise ValueError(f"no tree of {size} has {len(peaks)} peaks")
        frontier = cls()
        frontier.size, frontier._peaks = size, list(peaks)
        return frontier

    def copy(self) -> Frontier:
        twin = Frontier()
        twin.size, twin._peaks = self.size, self._peaks.copy()  # its own kind
        return twin


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over these hashes of leaves."""
    return Frontier(leaves).root()


def inclusion_path(leaves: Sequence[bytes], position: int) -> list[bytes]:
    """What proves that the leaf at `position` is in the tree of all these leaves (RFC 6962, 2.1.1).

    Raises ValueError where there is no such leaf.
    """
    if not 0 <= position < len(leaves):
        raise ValueError(f"no leaf at {position} in a tree of {len(leaves)}")
    path: list[bytes] = []
    start, size = 0, len(leaves)
    while size > 1:
        half = _half(size)
        if position - start < half:
            path.append(root_of(leaves[start + half : start + size]))
            size = half
        else:
            path.append(root_of(leaves[start : start + half]))
            start, size = start + half, size - half
    return path[::-1]


def root_by_inclusion(leaf: bytes, position: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that this path leads to (RFC 9162, 2.1.3.2), or None where it has the wrong length."""
    if not 0 <= position < size:
        return None
    node, last, root = position, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def consistency_path(leaves: Sequence[bytes], older: int) -> list[bytes]:
    """What proves that the tree of the first `older` leaves is the beginning of the tree of all (RFC 6962, 2.1.2).

    Empty for equal sizes. Raises ValueError for a size of 0 or beyond the tree.
    """
    if not 1 <= older <= len(leaves):
        raise ValueError(f"no tree of {older} within one of {len(leaves)}")
    path: list[bytes] = []
    start, size, whole = 0, len(leaves), True
    while older < size:
        half = _half(size)
        if older <= half:
            path.append(root_of(leaves[start + half : start + size]))
            size = half
        else:
            path.append(root_of(leaves[start : start + half]))
            start, older, size, whole = start + half, older - half, size - half, False
    if not whole:
        path.append(root_of(leaves[start : start + size]))
    return path[::-1]


def consistent(older: tuple[int, bytes], newer: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Whether the path leads from the older (size, root) to the newer one (RFC 9162, 2.1.4.2)."""
    (small, small_root), (large, large_root) = older, newer
    if not 1 <= small <= large:
        return False
    if small == large:
        return not path and small_root == large_root
    hashes = [small_root, *path] if small & (small - 1) == 0 else list(path)
    node, last = small - 1, large - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not hashes:
        return False
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == small_root and second == large_root


def _half(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
