"""The values of parts as leaves of a diagram: a type, a colon, and canonical JSON; one text for one value.

JSON has an array for a set; a rule may tell them apart. So the type says where in the value there are sets.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pdp.errors import SpaceError
from pdp.space.reads import constants_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.space.diagram import Payload
    from pdp.space.facts import Constant


def value_of(payload: str) -> Any:
    """The value itself, with an array for a set."""
    return json.loads(payload.partition(":")[2])


def texts_in(payload: str) -> Iterator[Constant]:
    """Every text and number in the value."""
    return constants_in(value_of(payload))


def payload_of(answer: bytes) -> str | None:
    """An answer as a leaf: its type, where in it there are sets, and its JSON: one text for one value. None: undefined.

    Where JSON has an array for a set a rule may still tell them apart. Raises SpaceError for what it cannot say.
    """
    said = json.loads(answer)
    if not said["defined"]:
        return None
    if said["odd"]:
        raise SpaceError("keys that are no texts")
    kind, places = said["type"], [path for path in said["sets"] if path]
    if places:
        kind += "/" + sha256(canonical(places).encode()).hexdigest()
    return f"{kind}:{canonical(said['value'])}"


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def stepped(value: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def with_word(word: str, held: tuple[str, ...], there: Payload) -> tuple[str, ...]:
    return (*held, word) if there == "boolean:true" else held


def with_member(key: str, held: tuple[Payload, ...], value: Payload) -> tuple[Payload, ...]:
    return held if value is None else (*held, (key, value))


def of_branch(number: int, value: Payload) -> Payload:
    return None if value is None else (number, value)


def member_of(steps: Sequence[str], payload: Payload) -> Payload:
    """The member of a part's value that a reference goes on to; of what may be a set, all of it."""
    if payload is None:
        return None
    kind, _, text = payload.partition(":")
    held: Any = json.loads(text)
    for step in steps:
        if isinstance(held, list):
            break
        if not isinstance(held, dict) or step not in held:
            return None
        held = held[step]
    return f"member {kind}:{canonical(held)}"


def set_payload(keys: Sequence[str]) -> str:
    return "set:" + canonical(sorted(keys))


def object_payload(members: Sequence[tuple[str, str]]) -> str:
    kinds = canonical({key: value.partition(":")[0] for key, value in members})
    held = canonical({key: value_of(value) for key, value in members})
    return f"object/{sha256(kinds.encode()).hexdigest()}:{held}"
