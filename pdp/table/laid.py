"""A decision space laid out as a table, as it is kept: nodes and answers, and what to hold them against an engine with.

Laying out takes three seconds of a core, which a worker would take from its decisions. So the process that counts out
does it, once; reading it back takes a worker some 50 milliseconds of a thread. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import SpaceError
from pdp.space.facts import Fact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.space.diagram import Diagram

MAX_NODES: Final = 200_000  # some 40 MB in each worker; the shipped policy has 16,881
MAX_BYTES: Final = 32 * 1024 * 1024  # as kept; the shipped policy's has 6 MB, most of it documents


class Laid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`facts` with their levels. `nodes`: a level and its children, each after its children; leaves are below zero:
    -1 is the first of `leaves`, which are answers (canonical JSON). `digest` is the bundle's.
    """

    digest: str
    facts: tuple[tuple[int, Fact], ...]
    nodes: tuple[tuple[int, tuple[int, ...]], ...]
    leaves: tuple[str, ...]
    root: int


def laid_out(digest: str, facts: Mapping[int, Fact], diagram: Diagram, root: int) -> Laid:
    """The space of the bundle with this digest: its facts by level, and where its answers begin in the diagram.

    Raises SpaceError for one that is too wide for the memory of every worker.
    """
    numbers: dict[int, int] = {}
    nodes: list[tuple[int, tuple[int, ...]]] = []
    leaves: list[str] = []
    for one in sorted(diagram.below(root)):  # a node is made after its children, so its number is higher
        if diagram.is_leaf(one):
            leaves.append(diagram.payload(one))
            numbers[one] = -len(leaves)
        else:
            numbers[one] = len(nodes)
            nodes.append((diagram.level(one), tuple([numbers[kid] for kid in diagram.kids(one)])))
    if len(nodes) + len(leaves) > MAX_NODES:
        raise SpaceError(f"the table would have {len(nodes) + len(leaves)} nodes, and a worker holds {MAX_NODES}")
    return Laid(digest, tuple(facts.items()), tuple(nodes), tuple(leaves), numbers[root])


def dumped(laid: Laid, documents: Sequence[bytes]) -> bytes:
    """A line for the table, and one for each document (JSON). Raises SpaceError for more than is kept."""
    text = b"\n".join((msgspec.json.encode(laid), *documents))
    if len(text) > MAX_BYTES:
        raise SpaceError(f"the table would have {len(text)} bytes, and {MAX_BYTES} are kept")
    return text


def loaded(text: bytes) -> tuple[Laid, list[bytes]]:
    """Raises msgspec.DecodeError for what `dumped` did not write."""
    first, *documents = text.split(b"\n")
    return msgspec.json.decode(first, type=Laid), documents
