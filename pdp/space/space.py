"""One policy's decision space: every vector of the facts that it can tell apart, and the verdict on each.

`build_space` makes it (some ten seconds); everything after that is exact and takes milliseconds: how many vectors
are allowed, is there one with these facts that is, what is the verdict on this document.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.engine.syntax import parse_modules
from pdp.errors import SpaceError
from pdp.space.diagram import Diagram
from pdp.space.facts import (
    OTHER_TIME,
    RELATED,
    TIMES,
    UNKNOWN,
    blank_document,
    fact_of,
    related_fact,
    schema_leaves,
    split_name,
    value_at,
    word_fact,
)
from pdp.space.order import EVERYDAY
from pdp.space.parts import parts_of
from pdp.space.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from pdp.bundle.bundle import Bundle
    from pdp.space.diagram import Vector
    from pdp.space.facts import Document, Fact, Value
    from pdp.space.parts import Parts
    from pdp.space.tables import Asker

    OpenAsker = Callable[[Bundle, Parts], AbstractAsyncContextManager[Asker]]


PERMITTED: Final = frozenset({"allow", "limit"})
NO_VERDICT: Final = '{"obligations":{},"outcome":"deny","reasons":["EVALUATION_ERROR"]}'


@dataclass(frozen=True, slots=True)
class Built:
    """What the making of a space took."""

    parts: int
    questions: int  # put to the engine
    widest: tuple[str, int]  # the part with the most combinations


class DecisionSpace:
    """`facts` by level, in the order of asking. `verdict`, `outcome`, `permit` and `possible` are roots in `diagram`.

    `verdict` has canonical JSON for answers, `outcome` a word, `permit` and `possible` true and false. A vector is
    possible where a valid document can have it; `permit` holds for possible vectors only.
    """

    def __init__(self, bundle: Bundle, facts: Mapping[int, Fact], diagram: Diagram, verdict: int, built: Built) -> None:
        self.bundle = bundle
        self.built = built
        self.diagram = diagram
        self.facts = dict(sorted(facts.items()))
        self.levels = {fact.name: level for level, fact in self.facts.items()}
        self.verdict = verdict
        self._everyday = {
            level: fact.values.index(EVERYDAY[fact.name])
            for level, fact in self.facts.items()
            if EVERYDAY.get(fact.name) in fact.values
        }
        self._blank = msgspec.json.encode(blank_document(schema_leaves()))
        self.possible = self._possible()
        self.outcome = diagram.mapped(verdict, lambda text: json.loads(text)["outcome"])
        permitted = diagram.mapped(self.outcome, lambda outcome: outcome in PERMITTED)
        self.permit = diagram.both(permitted, self.possible)

    def _possible(self) -> int:
        """A known group has a known segment (`pdp.model.input`); every other combination of facts is a document."""
        group, segment = self.levels.get("resource.group"), self.levels.get("resource.segment")
        if group is None or segment is None:
            return self.diagram.true
        unknown_group = self.where("resource.group", [UNKNOWN])
        return self.diagram.either(unknown_group, self.diagram.negated(self.where("resource.segment", [UNKNOWN])))

    # Questions.

    def where(self, name: str, values: Sequence[Value]) -> int:
        """True where this fact has one of these values. A fact that the policy does not read may have any: true.

        Raises SpaceError for a value that the fact does not have.
        """
        level = self.levels.get(name)
        if level is None:
            return self.diagram.true
        fact = self.facts[level]
        return self.diagram.where(level, [number_of(fact, value) for value in values])

    def count(self, root: int) -> int:
        """How many possible vectors of the whole space are true."""
        return self.diagram.size_of(self.diagram.both(root, self.possible), list(self.facts))

    def outcomes(self) -> dict[str, int]:
        """How many possible vectors have each outcome."""
        possible = self.diagram.paired(self.possible, self.outcome, lambda ok, outcome: outcome if ok else None)
        found = self.diagram.count(possible, list(self.facts))
        return {str(outcome): found[outcome] for outcome in sorted(filter(None, found))}

    def find(self, root: int) -> Vector | None:
        """A possible vector for which this is true; None where there is none.

        It has the values of an everyday access where it can, and every fact that it names is needed.
        """
        return self.diagram.usual(self.diagram.both(root, self.possible), self._everyday)

    def named(self, vector: Vector) -> dict[str, Value]:
        """A vector by the names of its facts and values."""
        return {self.facts[level].name: self.facts[level].values[number] for level, number in sorted(vector.items())}

    # Documents.

    def document(self, vector: Vector, beside: Mapping[str, Value] | None = None) -> Document:
        """A document with these facts. Facts that the vector leaves open get the first value that keeps it valid.

        `beside`: values of facts that the space does not have; what stands for many values is left open too.
        """
        document: Document = msgspec.json.decode(self._blank)
        for name, value in (beside or {}).items():
            fact = fact_called(name)
            if value in fact.values:
                fact.write(document, number_of(fact, value))
        for level, number in sorted(vector.items()):
            self.facts[level].write(document, number)
        if document["resource"]["group"] != UNKNOWN and document["resource"]["segment"] == UNKNOWN:
            document["resource"]["segment"] = "internet"
        return document

    def vector(self, document: Mapping[str, Any]) -> Vector:
        """The facts of a valid document."""
        return {level: fact.number_of(document) for level, fact in self.facts.items()}

    def verdict_of(self, vector: Vector) -> dict[str, Any]:
        """What the policy answers to a vector that names every fact."""
        verdict: dict[str, Any] = json.loads(self.diagram.at(self.verdict, vector))
        return verdict

    def judge(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """What the policy answers to this document, from the diagram alone."""
        verdict = self.verdict_of(self.vector(document))
        for path in TIMES:  # a time that is handed on stands in the diagram for any time
            verdict["obligations"] = {
                name: value_at(document, path) if value == OTHER_TIME else value
                for name, value in verdict["obligations"].items()
            }
        return verdict


def number_of(fact: Fact, value: Value) -> int:
    """The number of a value. Raises SpaceError where the fact does not have it."""
    for number, known in enumerate(fact.values):
        if known == value and type(known) is type(value):
            return number
    raise SpaceError(f"`{fact.name}` has no value `{value}`")


def fact_called(name: str) -> Fact:
    """A fact by its name, for a policy without constants. KeyError where the schema has no such place."""
    if name in RELATED.values():
        return related_fact(name)
    place, word = split_name(name)
    leaf = schema_leaves()[tuple(place.split("."))]
    return fact_of(leaf) if word is None else word_fact(leaf, word)


async def build_space(bundle: Bundle, open_asker: OpenAsker) -> DecisionSpace:
    """The decision space of a bundle of the profile `zta`.

    Raises SpaceError with the place of what cannot be counted out, EngineError where the engine fails.
    """
    if bundle.profile != "zta":
        raise SpaceError("only a bundle of the profile zta has a closed input", where=".manifest")
    if any(OTHER_TIME in text for text in (*bundle.modules.values(), json.dumps(dict(bundle.data)))):
        raise SpaceError(f"`{OTHER_TIME}` stands for any time here, and the policy has a use of its own for it")
    modules, broken = parse_modules(bundle.modules)
    if broken:
        raise SpaceError("the module does not parse", where=f"{broken[0].name}:{broken[0].line}")
    leaves = schema_leaves()
    parts = parts_of(modules, bundle.entrypoint, bundle.data, leaves)
    async with open_asker(bundle, parts) as asker:
        tables = Tables(parts, leaves, asker)
        root = await tables.build()
    return _space_of(bundle, tables, root, len(parts.all))


def _space_of(bundle: Bundle, tables: Tables, root: int, parts: int) -> DecisionSpace:
    """The entry point's diagram alone, over the facts that it depends on: the tables of the parts are let go."""
    whole = tables.diagram
    verdict = whole.mapped(root, lambda payload: NO_VERDICT if payload is None else payload.partition(":")[2])
    for leaf in whole.leaves(verdict):
        answer = json.loads(whole.payload(leaf))
        if not isinstance(answer, dict) or not isinstance(answer.get("outcome"), str):
            raise SpaceError("an answer of the policy is no verdict")
    facts = {level: tables.facts[level] for level in whole.support(verdict)}
    diagram = Diagram()
    diagram.sizes.update({level: len(fact.values) for level, fact in sorted(facts.items())})
    copied = whole.copied(verdict, diagram)
    return DecisionSpace(bundle, facts, diagram, copied, Built(parts, tables.questions, tables.widest))
