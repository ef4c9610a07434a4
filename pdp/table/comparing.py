"""What a table said held against the engine, a few answers at a time: decisions that need the engine come between."""

from __future__ import annotations

import asyncio
import json
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.errors import EngineError
from pdp.space.payloads import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pdp.engine.port import Engine

_FEW: Final = 4  # documents put to the engine at once: a decision that needs it waits for two milliseconds
_PAUSE_S: Final = 0.002  # after them

Said = tuple[bytes, bytes | None]  # a document, and what the table has for it


class Compared(NamedTuple):
    """Of some documents: to how many the engine says the same, and says otherwise; and where it says nothing, why."""

    same: int
    otherwise: int
    unsaid: list[EngineError]


def few(all_said: Iterable[Said]) -> Iterator[list[Said]]:
    """All of them, a few at a time."""
    rest = iter(all_said)
    while some := list(islice(rest, _FEW)):
        yield some


async def compared(engine: Engine, digest: str, all_said: Sequence[Said]) -> Compared:
    """The engine is asked by the policy with this digest and by no other. Then a pause."""
    same, otherwise, unsaid = 0, 0, []
    told = await engine.evaluate([document for document, _ in all_said], digest=digest)
    for raw, (_, said) in zip(told, all_said, strict=True):
        if isinstance(raw, EngineError):
            unsaid.append(raw)
        elif said is not None and canonical(json.loads(raw)) == canonical(json.loads(said)):
            same += 1
        else:
            otherwise += 1
    await asyncio.sleep(_PAUSE_S)
    return Compared(same, otherwise, unsaid)
