"""From the parts of a policy to one decision diagram: each is asked once for each combination that it can tell apart.

The way, part by part, each after those that it reads:

1. the combinations of what the part reads, that is of the values of other parts and of a few facts, which occur
   for any vector at all, come from the diagrams of those other parts;
2. for each combination one vector in which it occurs is made into a document, and the engine is asked for the part,
   inside the whole policy, unchanged;
3. the answers take the combinations' places, which is the part's own diagram.

Exact, because the part can see nothing else (`reading`): two vectors with one combination get one answer. Two things
are put together here and not by the engine, members to their set or object and the branches of `else`; the engine is
asked for the entry point too, once for every answer that was put together, and has to agree.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from pdp.errors import SpaceError
from pdp.space.diagram import Diagram
from pdp.space.facts import (
    OTHER_TIME,
    RELATED,
    TIMES,
    Fact,
    blank_document,
    cuts_of,
    fact_of,
    related_fact,
    set_at,
    value_at,
    word_fact,
)
from pdp.space.naming import QUESTION
from pdp.space.order import order_of
from pdp.space.parts import SHELF, shelf_of
from pdp.space.payloads import (
    member_of,
    object_payload,
    of_branch,
    payload_of,
    set_payload,
    stepped,
    texts_in,
    value_of,
    with_member,
    with_word,
)
from pdp.space.reads import constants_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pdp.space.diagram import Payload, Vector
    from pdp.space.facts import Constant, Document, Leaf, Path
    from pdp.space.parts import Part, Parts

MAX_QUESTIONS: Final = 400_000  # of one part; the shipped policy's widest asks some thousands
_STEP: Final = 1000  # levels between two places of the order: room for the words of a list
_PROBE_TIME: Final = "2001-02-03T04:05:06.7+09:00"  # another time, and another length of text
_SKIP: Final = "\x00skip"  # an earlier branch has answered


class Asker(Protocol):
    """Asks the engine. `documents` are JSON with the number of a part under QUESTION; the answers are JSON."""

    async def ask(self, documents: Sequence[bytes]) -> list[bytes]:
        """Raises EngineError where one of them cannot be answered."""
        ...


class Tables:
    """The diagrams of all parts. `facts` is filled as they are met."""

    def __init__(self, parts: Parts, leaves: Mapping[Path, Leaf], asker: Asker) -> None:
        self.diagram = Diagram()
        self.facts: dict[int, Fact] = {}  # by level
        self.roots: dict[int, int] = {}  # by part
        self.questions = 0
        self.widest = ("", 0)
        self._parts = parts
        self._leaves = leaves
        self._asker = asker
        self._order = order_of(leaves)
        self._levels: dict[str, int] = {}
        self._blank = msgspec.json.encode(blank_document(leaves))
        self._held: dict[Path, set[Constant]] = {}  # what numbers and texts are held against
        self._constants: dict[int, tuple[Constant, ...]] = {}  # in the values of a part

    async def build(self) -> int:
        """The root of the entry point's diagram. Raises SpaceError and EngineError."""
        still = self._unmoved()
        for number in still:
            await self._part(self._parts.all[number])
        for part in self._parts.all:
            self._gather(part, still)
        for part in self._parts.all:
            if part.number not in self.roots:
                await self._part(part)
        return self.roots[self._parts.entry]

    def _unmoved(self) -> list[int]:
        """The parts that read no fact at all, neither do those that they read."""
        still: dict[int, None] = {}
        for part in self._parts.all:
            if not part.reads.facts and all(number in still for number, _ in part.inputs) and part.kind == "rule":
                still[part.number] = None
        return list(still)

    def _gather(self, part: Part, still: Sequence[int]) -> None:
        """What the numbers and texts that this part reads are held against."""
        open_paths = [path for path in part.reads.facts if self._leaves[path].kind in ("number", "text")]
        if open_paths:
            held = set(part.reads.constants) | self._listed(part)
            for number, steps in part.inputs:
                if number in still:
                    held |= set(constants_in(stepped(self._value_of(number), steps)))
            for path in open_paths:
                self._held.setdefault(path, set()).update(held)

    def _listed(self, part: Part) -> set[Constant]:
        """The words and numbers that the schema lists for the facts that this part reads: it may hold one against."""
        leaves = [self._leaves[path] for path in part.reads.facts]
        values = {value for leaf in leaves for value in leaf.values}
        return {value for value in values if not isinstance(value, bool)}

    def _value_of(self, number: int) -> Any:
        payload = self.diagram.payload(self.roots[number])
        return None if payload is None else value_of(payload)

    # One part.

    async def _part(self, part: Part) -> None:
        if part.kind == "union":
            root = self._union(part)
        elif part.kind == "chain":
            root = await self._chain(part)
        else:
            root = await self._asked(part, self._combinations(part))
        self.roots[part.number] = root

    def _combinations(self, part: Part) -> int:
        """A diagram whose leaves are the combinations of what this part reads, as far as it is asked at all."""
        diagram = self.diagram
        root = diagram.leaf(())
        if part.after:
            for number in part.after:
                taken = diagram.mapped(self.roots[number], lambda value: () if value is None else _SKIP)
                root = diagram.paired(root, taken, lambda _, other: other, stop=_SKIP)
        constants = set(part.reads.constants)
        for number, steps in part.inputs:
            read = self.roots[number] if not steps else diagram.mapped(self.roots[number], partial(member_of, steps))
            constants |= self._texts(number, steps)
            root = diagram.paired(root, read, _and, stop=_SKIP)
        for level in self._levels_of(part, constants):
            root = diagram.paired(root, diagram.fact(level), _and, stop=_SKIP)
        return root

    async def _asked(self, part: Part, combinations: int) -> int:
        witnesses = {
            leaf: vector
            for leaf, vector in self.diagram.witnesses(combinations).items()
            if self.diagram.payload(leaf) != _SKIP
        }
        answers = await self._ask(part, list(witnesses.values()))
        told: dict[Payload, Payload] = {
            self.diagram.payload(leaf): answer for leaf, answer in zip(witnesses, answers, strict=True)
        }
        told[_SKIP] = None
        return self.diagram.mapped(combinations, lambda combination: told[combination])

    async def _ask(self, part: Part, vectors: Sequence[Vector]) -> list[Payload]:
        """What the engine says for each vector; where a part reads numbers, at both ends of their pieces."""
        if len(vectors) > MAX_QUESTIONS:
            raise SpaceError(f"`{part.name}` can tell {len(vectors):,} combinations apart", where=part.where)
        self.questions += len(vectors)
        if len(vectors) > self.widest[1]:
            self.widest = (part.name, len(vectors))
        answers = await self._answers(part, [self.document(vector) for vector in vectors])
        if any(self._leaves[path].kind == "number" for path in part.reads.facts):
            again = await self._answers(part, [self.document(vector, last=True) for vector in vectors])
            if again != answers:
                raise SpaceError(f"`{part.name}` tells numbers apart that no threshold parts", where=part.where)
        if self._hands_times_on(part):
            self._refuse_looks_at_times(part)
            again = await self._answers(part, [_at_another_time(self.document(vector)) for vector in vectors])
            _refuse_own_time(part, again)
            if [None if one is None else one.replace(_PROBE_TIME, OTHER_TIME) for one in again] != answers:
                raise SpaceError(f"`{part.name}` tells times apart", where=part.where)
        else:
            _refuse_own_time(part, answers)
        return answers

    def _refuse_looks_at_times(self, part: Part) -> None:
        """A part that is handed a time may put it into its value, and do nothing by which it could tell times apart.

        Another text may stand in an order with it or be the same, where it begins with a digit as all times do.
        """
        reads = part.reads
        texts = [*reads.constants, *self._handed(part)]
        looks = [*(where for name, where in reads.makes.items() if name != "count"), reads.orders, reads.moving]
        if any(isinstance(text, str) and text != OTHER_TIME and text[:1].isdecimal() for text in texts):
            looks.append(part.where)
        if any(looks):
            raise SpaceError(f"`{part.name}` can tell times apart", where=next(filter(None, looks)))

    def _hands_times_on(self, part: Part) -> bool:
        """Whether a time of the request can stand in what this part reads: it may hand it on, and nothing else."""
        if part.reads.copied:
            return True
        return any(OTHER_TIME in str(text) for text in self._handed(part))

    def _handed(self, part: Part) -> Iterator[Constant]:
        """Every text and number in the values of other parts that this one reads."""
        return (text for number, steps in part.inputs for text in self._texts(number, steps))

    async def _answers(self, part: Part, documents: Sequence[Document]) -> list[Payload]:
        asked = {QUESTION: part.number, SHELF: shelf_of(part.number)}
        encoded = [msgspec.json.encode({**asked, **document}) for document in documents]
        try:
            return [payload_of(answer) for answer in await self._asker.ask(encoded)]
        except SpaceError as fault:
            raise SpaceError(str(fault), where=part.where) from None

    def _union(self, part: Part) -> int:
        """A set or an object of its members: those that are defined (of a set: true) are in it."""
        _refuse_own_time(part, part.keys)
        diagram = self.diagram
        root = diagram.leaf(())
        for (number, _), key in zip(part.inputs, part.keys, strict=True):
            member = self.roots[number]
            root = diagram.paired(root, member, partial(with_word if part.is_set else with_member, key))
        return diagram.mapped(root, set_payload if part.is_set else object_payload)

    async def _chain(self, part: Part) -> int:
        diagram = self.diagram
        root = diagram.leaf(None)
        for at, (number, _) in reversed(list(enumerate(part.inputs))):
            branch = diagram.mapped(self.roots[number], partial(of_branch, at))
            root = diagram.paired(branch, root, lambda first, later: later if first is None else first)
        if part.number == self._parts.entry:
            await self._confirm(part, root)
        return diagram.mapped(root, lambda payload: None if payload is None else payload[1])

    async def _confirm(self, part: Part, root: int) -> None:
        """The entry point itself, asked once for every branch and value that was put together here."""
        witnesses = self.diagram.witnesses(root)
        answers = await self._ask(part, list(witnesses.values()))
        for leaf, answer in zip(witnesses, answers, strict=True):
            payload = self.diagram.payload(leaf)
            if answer != (None if payload is None else payload[1]):
                raise SpaceError(f"the engine takes another branch of `{part.name}`", where=part.where)

    # Facts.

    def _levels_of(self, part: Part, constants: set[Constant]) -> list[int]:
        """The levels of the facts that this part reads, which are made where it is the first to read them."""
        found: dict[int, None] = {}
        for path in part.reads.facts:
            leaf = self._leaves[path]
            if leaf.kind in ("words", "closed_words"):
                words = leaf.values if leaf.kind == "closed_words" else self._words(part, path, constants)
                for word in words:
                    found[self._level(word_fact(leaf, str(word)))] = None
                continue
            if leaf.kind == "related":
                found[self._level(related_fact(RELATED[path]))] = None
                continue
            try:
                fact = fact_of(leaf, self._held.get(path, ()))
            except SpaceError as fault:
                raise SpaceError(str(fault), where=part.where) from None
            self._refuse_late_constants(part, leaf, constants)
            found[self._level(fact)] = None
        return sorted(found)

    def _words(self, part: Part, path: Path, constants: set[Constant]) -> list[str]:
        """The words that this part may look for in a list."""
        words: set[str] = set()
        by_path = {self._parts.all[number].path: number for number, _ in part.inputs}
        for sought in part.reads.sought.get(path, [None]):
            if sought is None:
                return sorted(word for word in constants | self._listed(part) if isinstance(word, str))
            if isinstance(sought, str):
                words.add(sought)
            else:
                rule, steps = sought
                words |= {text for text in self._texts(by_path[rule], steps) if isinstance(text, str)}
        return sorted(words)

    def _texts(self, number: int, steps: Path) -> set[Constant]:
        """Every text and number in any value of a part, from these steps on."""
        found: set[Constant] = set()
        for leaf in self.diagram.leaves(self.roots[number]):
            value = member_of(steps, self.diagram.payload(leaf)) if steps else self.diagram.payload(leaf)
            if value is not None:
                found |= set(texts_in(value))
        return found

    def _refuse_late_constants(self, part: Part, leaf: Leaf, constants: set[Constant]) -> None:
        """A number or a text that is held against a value which facts move: there is no telling where it is cut."""
        held = self._held.get(leaf.path, set())
        late: set[Constant] = set()
        if leaf.kind == "number":
            late.update(cuts_of(constants) - cuts_of(held))
        elif leaf.kind == "text":
            late.update({one for one in constants if isinstance(one, str)} - held)
        if late:
            raise SpaceError(f"`{leaf.name}` is held against a value that facts can move", where=part.where)

    def _level(self, fact: Fact) -> int:
        level = self._levels.get(fact.name)
        if level is None:
            place = self._order[fact.name if fact.word is None else ".".join(fact.path)] * _STEP
            level = place + sum(1 for known in self.facts if place <= known < place + _STEP)
            self._levels[fact.name] = level
            self.facts[level] = fact
            self.diagram.sizes[level] = len(fact.values)
        return level

    def document(self, vector: Vector, *, last: bool = False) -> Document:
        """A document with these facts; what it has elsewhere does not matter. `last`: see `Fact.write`."""
        document: Document = msgspec.json.decode(self._blank)
        for level in sorted(vector):
            self.facts[level].write(document, vector[level], last=last)
        return document


def _refuse_own_time(part: Part, texts: Iterable[str | None]) -> None:
    """What stands for any time must have come from the document: a policy that makes it itself means that one time."""
    if any(text is not None and OTHER_TIME in text for text in texts):
        raise SpaceError(f"`{part.name}` has a use of its own for `{OTHER_TIME}`", where=part.where)


def _at_another_time(document: Document) -> Document:
    for path in TIMES:
        if value_at(document, path) == OTHER_TIME:
            set_at(document, path, _PROBE_TIME)
    return document


def _and(held: tuple[Payload, ...], more: Payload) -> tuple[Payload, ...]:
    return (*held, more)
