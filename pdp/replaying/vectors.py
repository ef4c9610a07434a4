"""What a bundle can see of a stored document, as columns of the store. Pure.

INVARIANT (sight): two documents with equal values in these columns are one document to the policy, by the footprint
(`pdp.bundle.footprint`), which the decision cache stands on too. So one of them is evaluated for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.archive.schema import ACTION, CONTEXT, DEVICE, INPUT, PEP, POSTURE, RESOURCE, SOURCES, SUBJECT
from pdp.model.input import Action, Context, Device, Posture, Resource, Sources, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pdp.archive.schema import Column
    from pdp.bundle.footprint import Footprint
    from pdp.bundle.syntax import Path


def columns_seen(footprint: Footprint) -> tuple[str, ...]:
    """The columns of a canonical `pdp.input/v1` that the footprint reads; what every document has alike is none."""
    return tuple(column for column, path in PLACES.items() if footprint.reads(path))


def _places() -> Iterator[tuple[str, Path]]:
    parts: Sequence[tuple[tuple[str, ...], type[msgspec.Struct], Sequence[Column], frozenset[str]]] = (
        (("subject",), Subject, SUBJECT, frozenset()),
        (("device",), Device, DEVICE, frozenset({"posture"})),
        (("device", "posture"), Posture, POSTURE, frozenset()),
        (("resource",), Resource, RESOURCE, frozenset()),
        (("action",), Action, ACTION, frozenset()),
        (("context",), Context, CONTEXT, frozenset({"sources", "pep"})),
        (("context", "sources"), Sources, SOURCES, frozenset()),
    )
    for place, form, columns, elsewhere in parts:
        names = [field.encode_name for field in msgspec.structs.fields(form) if field.encode_name not in elsewhere]
        yield from ((column.name, (*place, name)) for column, name in zip(columns, names, strict=True))
    yield PEP[0].name, ("context", "pep")


PLACES: Final[Mapping[str, Path]] = dict(_places())
"""Where in the document each column's value stands; a test holds every column of `INPUT` against it."""

assert tuple(PLACES) == tuple(column.name for column in INPUT)
