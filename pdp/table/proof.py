"""The documents that a table is held against the engine with, before it answers.

For each different answer two: one as plain as it can be, and one *dressed* in all that the policy cannot tell apart by
the space's own account: further words in open lists, other names, the far ends of numbers, any value where it does not
look. A policy that looks further than `pdp.space.reading` believed answers to one of them otherwise.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.errors import BadRequestError
from pdp.model.input import check_input
from pdp.space.facts import OTHER, OTHER_TIME, UNKNOWN, schema_leaves, set_at, value_at

if TYPE_CHECKING:
    from pdp.space.diagram import Payload, Vector
    from pdp.space.facts import Document, Fact, Leaf
    from pdp.space.space import DecisionSpace

ANOTHER: Final = "(another)"  # a word that no policy and no register has
_SEED: Final = 20260401
_OPEN: Final = frozenset({"words", "related", "text"})
_UNTIL: Final = ("context", "work_permit_until")
_SOME_TIME: Final = "2001-02-03T04:05:06.7+09:00"  # not what stands for any time: that it is put in is looked at, too


def proof_documents(space: DecisionSpace) -> list[bytes]:
    """Two (JSON) for each different answer that a valid document can have: plain, and dressed. The same in each run.

    Not every vector is one of a valid document: a policy may ask for more minutes than an input can have.
    """
    diagram = space.diagram
    valid = diagram.all_of([space.possible, *(_valid(space, level, fact) for level, fact in space.facts.items())])
    answers = diagram.paired(valid, space.verdict, _where_valid, stop=False)
    vectors = {diagram.payload(leaf): vector for leaf, vector in diagram.witnesses(answers).items()}
    plain = [(vector, space.document(vector)) for answer, vector in vectors.items() if answer]
    chance = Random(_SEED)  # noqa: S311  # of examples, not of secrets
    documents = [document for _, document in plain]
    documents += [_dressed(space, vector, document, chance) for vector, document in plain]
    return [msgspec.json.encode(_at_some_time(document)) for document in documents]


def _dressed(space: DecisionSpace, vector: Vector, plain: Document, chance: Random) -> Document:
    """Another document of the same vector. Where it would be none of the schema's, the plain one."""
    document: Document = msgspec.json.decode(msgspec.json.encode(plain))
    read = {fact.path for fact in space.facts.values()}
    for path, leaf in schema_leaves().items():
        held = value_at(document, path)
        set_at(document, path, _beside(leaf, held) if path in read or leaf.kind in _OPEN else _any(leaf, held, chance))
    for level, fact in space.facts.items():
        if fact.kind == "number" and level in vector:
            fact.write(document, vector[level], last=True)
    try:
        check_input(document)
    except BadRequestError:
        return plain
    return document


def _beside(leaf: Leaf, held: Any) -> Any:
    """What an open place may hold as well: more words, one of them twice; another department; another name."""
    if leaf.kind == "words":
        return [*held, ANOTHER, *held[:1]]
    if leaf.kind == "related" and isinstance(held, list) and held:
        return [*held, f"{ANOTHER} of {leaf.name}"]
    return ANOTHER if leaf.kind == "text" and held == OTHER else held


def _any(leaf: Leaf, held: Any, chance: Random) -> Any:
    """Any valid value of a place that the policy does not look at."""
    if leaf.kind == "number":
        return leaf.least + chance.randrange(1000) if leaf.least > 0 else chance.randrange(1000)
    if leaf.kind == "closed_words":
        return [chance.choice(leaf.values)]
    return chance.choice(leaf.values) if leaf.kind == "listed" else held


def _valid(space: DecisionSpace, level: int, fact: Fact) -> int:
    """True for the values of this fact that a document can have."""
    return space.diagram.where(level, [n for n in range(len(fact.values)) if _is_valid(space, level, n)])


def _is_valid(space: DecisionSpace, level: int, number: int) -> bool:
    document = space.document({level: number})
    document["resource"]["group"] = UNKNOWN  # which may have any segment
    try:
        check_input(document)
    except BadRequestError:
        return False
    return True


def _where_valid(valid: Any, answer: Payload) -> Payload:
    return answer if valid else False


def _at_some_time(document: Document) -> Document:
    if value_at(document, _UNTIL) == OTHER_TIME:
        set_at(document, _UNTIL, _SOME_TIME)
    return document
