"""What `pdp.input/v1` can hold, path by path, read from its own types so that it cannot fall behind them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from msgspec import inspect as types

from pdp.model.input import InputV1

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.bundle.syntax import Path


@dataclass(frozen=True, slots=True)
class Place:
    """One path of the document. `members` of an object; `values`: the texts that it may be, None where any may."""

    members: tuple[str, ...] = ()
    values: frozenset[str] | None = None
    texts: bool = False
    items: frozenset[str] | None = None  # of a list of texts: the texts that may stand in it
    is_list: bool = False


def _walk(kind: Any, path: Path) -> Iterator[tuple[Path, Place]]:
    if isinstance(kind, types.StructType):
        yield path, Place(members=tuple(field.encode_name for field in kind.fields))
        for field in kind.fields:
            yield from _walk(field.type, (*path, field.encode_name))
        return
    if isinstance(kind, types.ListType):
        inner = _texts(kind.item_type)
        yield path, Place(is_list=True, items=inner[0])
        return
    values, texts = _texts(kind)
    yield path, Place(values=values, texts=texts)


def _texts(kind: Any) -> tuple[frozenset[str] | None, bool]:
    """(the only texts that a value of this type can be, or None; whether it can be a text at all)."""
    parts = kind.types if isinstance(kind, types.UnionType) else (kind,)
    literals = [value for part in parts if isinstance(part, types.LiteralType) for value in part.values]
    if any(isinstance(part, types.StrType) for part in parts):
        return None, True
    found = frozenset(value for value in literals if isinstance(value, str))
    return found, bool(found)


SCHEMA: Final[Mapping[Path, Place]] = dict(_walk(types.type_info(InputV1), ()))


def first_unknown(path: Path) -> int | None:
    """The place of the first step that no document has; None for a path that every document has.

    A step into a list or into a single value is one: a text has no members.
    """
    for at, step in enumerate(path):
        place = SCHEMA[path[:at]]
        if place.is_list and (step.isdigit() or not step.isidentifier()):
            return None
        if step not in place.members:
            return at
    return None


def nearest(path: Path, unknown: int) -> str | None:
    """What may have been meant instead of the unknown step."""
    place = SCHEMA[path[:unknown]]
    found = get_close_matches(path[unknown], place.members, n=1)
    return found[0] if found else None
