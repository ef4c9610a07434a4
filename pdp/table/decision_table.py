"""A decision space (`pdp.space`) as a table to look answers up in: from a document to the engine's own answer. Pure.

A space is a diagram of some ten thousand nodes, each of which asks for one fact. A look-up walks it from the root to a
leaf, by some thirty facts at most: 10 microseconds, where the engine takes 500.

INVARIANT (the engine's words): every answer in here was given by the engine when the policy was counted out, for the
combination of facts that it stands at. A document that the table cannot read has no answer here: the engine is asked.
Neither has one that the engine would not read, although the schema would: one of a megabyte, a number of 300 digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.engine.port import MAX_DOCUMENT_BYTES
from pdp.errors import BadRequestError
from pdp.model.input import decode_input
from pdp.space.facts import OTHER_TIME
from pdp.table.readers import reader_of

if TYPE_CHECKING:
    from pdp.table.laid import Laid
    from pdp.table.readers import Reader

_ANY_TIME: Final = msgspec.json.encode(OTHER_TIME)
_MOST: Final = 1 << 63  # an engine may refuse the whole document for a number that is no float; this much all can read


class _Timed(msgspec.Struct, frozen=True, gc=False):
    """An answer that hands the end of the work permit on: its JSON with any time in that place."""

    answer: bytes


_Node = tuple["Reader", tuple["_Node | bytes | _Timed", ...]]


class DecisionTable:
    """What one policy answers. `digest` is that of its bundle."""

    def __init__(self, digest: str, root: _Node | bytes | _Timed, facts: int, nodes: int, answers: int) -> None:
        self.digest = digest
        self.facts = facts
        self.nodes = nodes
        self.answers = answers  # different ones
        self._root = root

    def answer(self, document: bytes) -> bytes | None:
        """The policy's answer to a document (JSON), as JSON. None: the table has none for it."""
        if len(document) > MAX_DOCUMENT_BYTES:
            return None
        try:
            facts = decode_input(document)
            posture = facts.device.posture  # what the schema does not bound, whether the policy reads it or not
            for number in (facts.resource.sensitivity, posture.patch_age_days, posture.age_hours):
                if number.__class__ is int and not -_MOST < number < _MOST:
                    return None
            at = self._root
            while isinstance(at, tuple):
                read, kids = at
                at = kids[read(facts)]
        except (BadRequestError, KeyError, IndexError):
            return None
        if isinstance(at, bytes):
            return at
        return at.answer.replace(_ANY_TIME, msgspec.json.encode(facts.context.work_permit_until))


def table_of(laid: Laid) -> DecisionTable:
    """What is laid out, to be asked. Raises SpaceError for facts that the schema does not have."""
    readers = {level: reader_of(fact) for level, fact in laid.facts}
    leaves = [_leaf(answer) for answer in laid.leaves]
    nodes: list[_Node] = []
    for level, kids in laid.nodes:
        nodes.append((readers[level], tuple([nodes[kid] if kid >= 0 else leaves[-kid - 1] for kid in kids])))
    root = nodes[laid.root] if laid.root >= 0 else leaves[-laid.root - 1]
    return DecisionTable(laid.digest, root, len(readers), len(nodes) + len(leaves), len(leaves))


def _leaf(answer: str) -> bytes | _Timed:
    encoded = answer.encode()
    return _Timed(encoded) if _ANY_TIME in encoded else encoded
