"""Which of a fact's values a document has, as a function made once for each fact: `Fact.number_of`, for typed input.

INVARIANT (one reading): a reader and `Fact.number_of` give one number for every valid document; a property test holds
them together. What a reader has no number for it raises KeyError on, and the engine is asked.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING

from pdp.errors import SpaceError
from pdp.model.input import attribute_of
from pdp.space.facts import DEPARTMENTS, OTHER, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pdp.model.input import InputV1
    from pdp.space.facts import Fact

    Reader = Callable[[InputV1], int]


def reader_of(fact: Fact) -> Reader:
    """The reader of one fact. Raises SpaceError for a place that the schema does not have."""
    if fact.kind == "related":
        return _departments(fact) if fact.name == DEPARTMENTS else _organisation(fact)
    attribute = attribute_of(fact.path)
    if attribute is None:
        raise SpaceError(f"there is no fact `{fact.name}`")
    held = attrgetter(attribute)
    if fact.word is not None:
        word = fact.word
        return lambda document: word in held(document)
    if fact.kind == "number":
        return _number(fact, held)
    numbers = {value: number for number, value in enumerate(fact.values)}  # one type to a place: True is no 1 here
    if fact.kind == "text":
        other, known = numbers[OTHER], numbers.get
        return lambda document: known(held(document), other)
    return lambda document: numbers[held(document)]


def _number(fact: Fact, held: Callable[[InputV1], Any]) -> Reader:
    begins, numbers = [first for first, _ in fact.pieces], {UNKNOWN: len(fact.pieces)}

    def read(document: InputV1) -> int:
        value = held(document)
        if isinstance(value, str):
            return numbers[value]
        number = bisect_right(begins, value) - 1
        if number < 0:  # which would count from the other end
            raise KeyError(value)
        return number

    return read


def _departments(fact: Fact) -> Reader:
    open_, open_nobody, first, later, none, nobody = range(len(fact.values))

    def read(document: InputV1) -> int:
        named, own = document.resource.departments, document.subject.departments
        if not named:
            return open_ if own else open_nobody
        if not own:
            return nobody
        if own[0] in named:
            return first
        return none if set(named).isdisjoint(own) else later

    return read


def _organisation(fact: Fact) -> Reader:
    open_, named_, none = range(len(fact.values))

    def read(document: InputV1) -> int:
        named = document.resource.organisations
        if not named:
            return open_
        return named_ if document.subject.organisation in named else none

    return read
