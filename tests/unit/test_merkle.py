"""The test vectors of Certificate Transparency (its eight leaves, their roots and proofs), and all small trees."""

from __future__ import annotations

from hashlib import sha256

import pytest

from pdp.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    consistent,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_by_inclusion,
    root_of,
)

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def hexes(path: list[bytes]) -> list[str]:
    return [node.hex()[:8] for node in path]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_certificate_transparency(size: int):
    assert root_of(HASHES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing():
    assert root_of([]) == EMPTY_ROOT == sha256(b"").digest()


@pytest.mark.parametrize(
    ("position", "size", "path"),
    [
        (0, 1, []),
        (0, 8, ["96a296d2", "5f083f0a", "6b47aaf2"]),
        (5, 8, ["bc1a0643", "ca854ea1", "d37ee418"]),
    ],
)
def test_inclusion_proofs_are_those_of_certificate_transparency(position: int, size: int, path: list[str]):
    assert hexes(inclusion_path(HASHES[:size], position)) == path


@pytest.mark.parametrize(
    ("older", "newer", "path"),
    [
        (1, 1, []),
        (1, 8, ["96a296d2", "5f083f0a", "6b47aaf2"]),
        (6, 8, ["0ebc5d34", "ca854ea1", "d37ee418"]),
        (2, 5, ["5f083f0a", "bc1a0643"]),
    ],
)
def test_consistency_proofs_are_those_of_certificate_transparency(older: int, newer: int, path: list[str]):
    assert hexes(consistency_path(HASHES[:newer], older)) == path


def trees(largest: int) -> list[list[bytes]]:
    leaves = [leaf_hash(number.to_bytes(2)) for number in range(largest)]
    return [leaves[:size] for size in range(1, largest + 1)]


def altered(path: list[bytes]) -> list[list[bytes]]:
    """One bit flipped, one hash too few, one too many."""
    flipped = [[*path[:at], bytes([node[0] ^ 1]) + node[1:], *path[at + 1 :]] for at, node in enumerate(path)]
    return [*flipped, path[:-1], [*path, bytes(32)]] if path else [[bytes(32)]]


def test_each_leaf_of_each_small_tree_is_proven_and_nothing_else_is():
    for leaves in trees(33):
        root, size = root_of(leaves), len(leaves)
        for position, leaf in enumerate(leaves):
            path = inclusion_path(leaves, position)
            assert root_by_inclusion(leaf, position, size, path) == root
            assert all(root_by_inclusion(leaf, position, size, bad) != root for bad in altered(path))
            assert root_by_inclusion(leaf_hash(b"other"), position, size, path) != root
            if size > 1:
                assert root_by_inclusion(leaf, (position + 1) % size, size, path) != root


def test_each_pair_of_small_trees_is_proven_consistent_and_no_other_is():
    for leaves in trees(33):
        newer = len(leaves), root_of(leaves)
        for small in range(1, len(leaves) + 1):
            older = small, root_of(leaves[:small])
            path = consistency_path(leaves, small)
            assert consistent(older, newer, path)
            assert not any(consistent(older, newer, bad) for bad in altered(path))
            assert not consistent((small, leaf_hash(b"other")), newer, path)
            assert not consistent(older, (len(leaves), leaf_hash(b"other")), path)


def test_a_frontier_knows_the_root_at_each_size_and_its_copy_goes_its_own_way():
    frontier = Frontier()
    for size, leaf in enumerate(HASHES, 1):
        frontier.append(leaf)
        assert (frontier.size, frontier.root().hex()) == (size, ROOTS[size - 1])
    twin = frontier.copy()
    twin.append(HASHES[0])
    assert (frontier.size, twin.size) == (8, 9)
    assert frontier.root().hex() == ROOTS[7]


def test_sizes_and_positions_that_do_not_exist_are_refused():
    for position in (-1, 8):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion_path(HASHES, position)
    for older in (0, 9):
        with pytest.raises(ValueError, match="no tree"):
            consistency_path(HASHES, older)
    assert root_by_inclusion(HASHES[0], 8, 8, []) is None
    assert not consistent((0, EMPTY_ROOT), (8, root_of(HASHES)), [])
    assert not consistent((9, root_of(HASHES)), (8, root_of(HASHES)), [])
    assert not consistent((3, root_of(HASHES[:3])), (8, root_of(HASHES)), [])


@pytest.mark.parametrize("length", [0, 1, 2045, 2046, 2047, 2048, 4094, 10_000])
def test_a_leaf_of_any_length_is_hashed_as_one_piece(length: int):
    data = bytes(number % 251 for number in range(length))
    assert leaf_hash(data) == sha256(b"\0" + data).digest()


def test_two_leaves_cannot_pass_for_a_node():
    assert node_hash(HASHES[0], HASHES[1]) != leaf_hash(HASHES[0] + HASHES[1])
