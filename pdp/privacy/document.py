"""Rules within one JSON document of a record: its `input`, or its `policy_context`. Pure.

What is taken out of `pdp.input/v1` becomes that contract's own word for what is not known, so that the other facts
still stand in columns; of another document the member goes. What no rule names stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.errors import BadRequestError
from pdp.model.input import decode_input
from pdp.privacy.operations import ERASED
from pdp.privacy.places import pointer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class DocumentStep:
    """One rule: the parts of its pointer below the document, and what becomes of what is there."""

    parts: tuple[str, ...]
    change: Callable[[Any], Any]


@dataclass(slots=True)
class Traces:
    """What was done: pointers into the record."""

    erased: list[str] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)  # places that a rule has dealt with


class Document:
    """One document on its way into the record. `root` is its pointer; `closed`: it is `pdp.input/v1`.

    Raises ValueError and RecursionError for text that is not JSON.
    """

    def __init__(self, text: bytes, root: str, *, closed: bool) -> None:
        self.value: Any = _decode(text)
        self._root: Final = (root,)
        self._closed: Final = closed and _is_input(text)

    def apply(self, steps: Sequence[DocumentStep], traces: Traces) -> None:
        for step in steps:
            self.value = self._at(self.value, self._root, step.parts, step.change, traces)

    def _at(  # the walk carries what it is about
        self, value: Any, at: tuple[str, ...], parts: tuple[str, ...], change: Callable[[Any], Any], traces: Traces
    ) -> Any:
        if not parts:
            return self._changed(value, at, change, traces)
        if isinstance(value, list):
            for number in self._items(parts[0], len(value)):
                value[number] = self._kept(
                    self._at(value[number], (*at, str(number)), parts[1:], change, traces), in_list=True
                )
        elif isinstance(value, dict) and parts[0] in value:
            name = parts[0]
            found = self._kept(self._at(value[name], (*at, name), parts[1:], change, traces))
            if found is ERASED:
                del value[name]
            else:
                value[name] = found
        return value

    def _changed(self, value: Any, at: tuple[str, ...], change: Callable[[Any], Any], traces: Traces) -> Any:
        pointer = pointer_of(at)
        if value is None or pointer in traces.settled or (self._closed and value in (UNKNOWN, "none")):
            return value
        traces.settled.add(pointer)
        changed = change(value)
        if changed is not ERASED and changed == value:  # coarse enough as it came
            return value
        (traces.erased if changed is ERASED else traces.masked).append(pointer)
        if changed is ERASED and self._closed:
            return [] if isinstance(value, list) else UNKNOWN
        return changed

    @staticmethod
    def _items(part: str, length: int) -> Sequence[int]:
        if part == "*":
            return range(length)
        return (int(part),) if part.isascii() and part.isdigit() and int(part) < length else ()

    def _kept(self, value: Any, *, in_list: bool = False) -> Any:
        return None if in_list and value is ERASED else value  # the others keep their numbers

    def text(self) -> bytes:
        return _encode(None if self.value is ERASED else self.value)


def _is_input(text: bytes) -> bool:
    try:
        decode_input(text)
    except BadRequestError:
        return False
    return True
