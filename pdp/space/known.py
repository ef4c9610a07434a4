"""Which facts and values there are, whatever a policy looks at: what an invariant names is held against the schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pdp.errors import SpaceError
from pdp.space.facts import RELATED, fact_of, related_fact, schema_leaves, split_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.space.facts import Value

_PIECE: Final = re.compile(r"-?[0-9]+(\+|--?[0-9]+)?")  # of a number; which ones there are is up to the policy


def known_values(name: str, named: Sequence[Value]) -> tuple[Value, ...]:
    """The values of this fact, for a policy without constants. Raises SpaceError unless it and all of `named` exist."""
    values, open_ended = _of(name)
    for value in named:
        listed = any(one == value and type(one) is type(value) for one in values)
        if not listed and not (isinstance(value, str) and open_ended and open_ended.fullmatch(value)):
            raise SpaceError(f"`{name}` has no value `{value}`")
    return values


def _of(name: str) -> tuple[tuple[Value, ...], re.Pattern[str] | None]:
    """What the schema lists, and the form of what it does not list."""
    if name in RELATED.values():
        return related_fact(name).values, None
    place, word = split_name(name)
    leaf = schema_leaves().get(tuple(place.split(".")))
    if leaf is None or leaf.kind == "related" or (word is not None) != (leaf.kind in ("words", "closed_words")):
        raise SpaceError(f"there is no fact `{name}`")
    if word is not None:
        if leaf.kind == "closed_words" and word not in leaf.values:
            raise SpaceError(f"there is no fact `{name}`")
        return (False, True), None
    forms = {"number": _PIECE, "text": re.compile(r".+")}
    return fact_of(leaf).values, forms.get(leaf.kind)
