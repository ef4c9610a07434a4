"""The facts of `pdp.input/v1` one by one, and who brings each of them: a person with a terminal, or what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pdp.model.input import Action, Context, Device, Posture, Resource, Sources, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pdp.bundle.syntax import Path

Bringer = Literal["pair", "asked", "both"]

_OF_THE_SESSION: Final = frozenset({("subject", "auth_level"), ("subject", "auth_age_min")})
_OF_BOTH: Final = frozenset({("context", "work_permit"), ("context", "work_permit_until")})


def _leaves() -> Iterator[Path]:
    yield ("schema",)
    parts: tuple[tuple[Path, type[msgspec.Struct]], ...] = (
        (("subject",), Subject),
        (("device",), Device),
        (("device", "posture"), Posture),
        (("resource",), Resource),
        (("action",), Action),
        (("context",), Context),
        (("context", "sources"), Sources),
    )
    inner = {place for place, _ in parts}
    for place, form in parts:
        for field in msgspec.structs.fields(form):
            path = (*place, field.encode_name)
            if path not in inner:
                yield path


LEAVES: Final[tuple[Path, ...]] = tuple(_leaves())


def bringer_of(leaf: Path) -> Bringer:
    """A work permit names people, terminals and systems, so it takes both. How one logged in is stated."""
    if leaf in _OF_BOTH:
        return "both"
    return "pair" if leaf[0] in ("subject", "device") and leaf not in _OF_THE_SESSION else "asked"


def leaves_read(reads: Iterable[Path]) -> tuple[Path, ...]:
    """The facts at, below or above these paths, in the order of the document; what no document has is none."""
    paths = tuple(reads)
    return tuple(leaf for leaf in LEAVES if any(path[: len(leaf)] == leaf[: len(path)] for path in paths))


def value_at(document: Mapping[str, Any], leaf: Path) -> Any:
    """The fact in a document of plain values."""
    value: Any = document
    for part in leaf:
        value = value[part]
    return value
