"""The document that the policy saw: to its columns, and back. Pure.

A document that is `pdp.input/v1` in its canonical form is kept in columns; every other one is kept as its text.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from pdp.archive.schema import ACTION, CONTEXT, DEVICE, INDEX, INPUT, INT64, PEP, POSTURE, RESOURCE, SOURCES, SUBJECT
from pdp.errors import BadRequestError, RecordDamagedError
from pdp.model.input import (
    SCHEMA,
    Action,
    Context,
    Device,
    InputV1,
    Posture,
    Resource,
    Sources,
    Subject,
    decode_input,
    encode_input,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Values = tuple[Any, ...]
"""Of neighbouring columns of `INPUT`, in their order."""
_Part = TypeVar("_Part", bound=msgspec.Struct)

NO_DOCUMENT: Final[Values] = (None,) * len(INPUT)
FLAG: Final[dict[Any, bool]] = {"true": True, "false": False}
_TEXT_OF_FLAG: Final[dict[Any, str]] = {True: "true", False: "false"}
_FLAGS_AT: Final = tuple(at for at, column in enumerate(INPUT) if column.kind == "flag")
_COUNTS_AT: Final = tuple(at for at, column in enumerate(INPUT) if column.kind == "count")
_NULL: Final = b"null"


# -- to columns ----------------------------------------------------------------------------------------


@lru_cache(maxsize=4_096)  # the same facts are recorded again for as long as they are cached; some 10 MB
def seen_document(document: bytes) -> tuple[str, Values]:
    """How the document is kept, and its columns."""
    if document == _NULL:
        return "none", NO_DOCUMENT
    seen = _canonical(document)
    if seen is None:
        return "text", NO_DOCUMENT
    return "columns", _in_columns(_values_of(seen), 0)


def _in_columns(values: Values, first: int) -> Values:
    """Values of consecutive columns of `INPUT`, from the one at `first` on, as the columns take them."""
    taken = list(values)
    for at in _FLAGS_AT:
        if 0 <= at - first < len(taken):
            taken[at - first] = _TEXT_OF_FLAG.get(taken[at - first], taken[at - first])
    for at in _COUNTS_AT:
        if 0 <= at - first < len(taken) and taken[at - first] == "unknown":
            taken[at - first] = None
    return tuple(taken)


def subject_values(subject: Subject) -> Values:
    """The columns of a document's subject."""
    return _in_columns(_OF_SUBJECT(subject), 0)


def device_values(device: Device) -> Values | None:
    """The columns of a document's device and its posture; None where a number does not fit."""
    posture = device.posture
    if not all(number == "unknown" or number in INT64 for number in (posture.patch_age_days, posture.age_hours)):
        return None
    return _in_columns((*_OF_DEVICE(device), *_OF_POSTURE(posture)), len(SUBJECT))


def _canonical(document: bytes) -> InputV1 | None:
    """The document where its columns give its bytes back, else None."""
    try:
        seen = decode_input(document)
    except BadRequestError:
        return None
    return seen if encode_input(seen) == document and _fits(seen) else None


def _fits(seen: InputV1) -> bool:
    posture = seen.device.posture
    return all(
        number == "unknown" or number in INT64
        for number in (posture.patch_age_days, posture.age_hours, seen.resource.sensitivity)
    )


def _values_of(seen: InputV1) -> Values:
    device, context = seen.device, seen.context
    return (
        *_OF_SUBJECT(seen.subject),
        *_OF_DEVICE(device),
        *_OF_POSTURE(device.posture),
        *_OF_RESOURCE(seen.resource),
        seen.action.name,
        *_OF_CONTEXT(context),
        context.sources.posture,
        context.sources.identity,
        context.pep,
    )


def _fields(struct: type[msgspec.Struct], *without: str) -> attrgetter[Values]:
    return attrgetter(*(name for name in struct.__struct_fields__ if name not in without))


_OF_SUBJECT: Final = _fields(Subject)
_OF_DEVICE: Final = _fields(Device, "posture")
_OF_POSTURE: Final = _fields(Posture)
_OF_RESOURCE: Final = _fields(Resource)
_OF_CONTEXT: Final = _fields(Context, "sources", "pep")


# -- and back ------------------------------------------------------------------------------------------

_FIRST_INPUT: Final = INDEX[INPUT[0].name]
_SIZES: Final = tuple(map(len, (SUBJECT, DEVICE, POSTURE, RESOURCE, ACTION, CONTEXT, SOURCES, PEP)))
_PARTS: Final = tuple(slice(end - size, end) for size, end in zip(_SIZES, accumulate(_SIZES), strict=True))
SEEN_PARTS: Final = (
    _PARTS[0], slice(_PARTS[1].start, _PARTS[2].stop), _PARTS[3], _PARTS[4], slice(_PARTS[5].start, _PARTS[7].stop)
)  # fmt: skip
"""Where the columns of subject, device, resource, action and context are among those of `INPUT`."""


def document_of(row: Sequence[Any]) -> bytes:
    """The document as the record has it, from a row in the order of `COLUMNS`. Raises RecordDamagedError."""
    try:
        return _document(row)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise RecordDamagedError(f"a row of the store does not give a document: {type(fault).__name__}") from None


def _document(row: Sequence[Any]) -> bytes:
    match row[INDEX["input_form"]]:
        case "none":
            return _NULL
        case "text":
            return bytes(row[INDEX["input_text"]].encode())
        case "columns":
            return encode_input(_input(row))
        case other:
            raise ValueError(other)


def _input(row: Sequence[Any]) -> InputV1:
    values = list(row[_FIRST_INPUT:])
    for at in _FLAGS_AT:
        values[at] = FLAG.get(values[at], values[at])
    for at in _COUNTS_AT:
        values[at] = "unknown" if values[at] is None else values[at]
    parts = [values[part] for part in _PARTS]
    subject, device, posture, resource, action, context, sources, pep = parts
    return InputV1(
        schema=SCHEMA,
        subject=_made(Subject, subject),
        device=_made(Device, [*device, _made(Posture, posture)]),
        resource=_made(Resource, resource),
        action=_made(Action, action),
        context=_made(Context, [*context, _made(Sources, sources), *pep]),
    )


def _made(part: type[_Part], values: list[Any]) -> _Part:
    return part(*values)
