"""A policy counted out by a process of its own, beside the decisions: bounded in time and memory, last in the queue."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from pdp.engine.child_process import end_child, start_child
from pdp.errors import EngineError, SpaceError

NICE: Final = 19  # decisions go first, and everything else too
MEMORY_BYTES: Final = 2 * 1024 * 1024 * 1024  # the shipped policy takes 120 MB
MAKE_S: Final = 600.0  # the shipped policy takes 10 s of a core that has nothing else to do


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`canonical`: the bundle's text. `folder`: where its space is kept; `secret_file`: what it is sealed under."""

    canonical: str
    folder: str
    secret_file: str


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either the space is kept, or `fault` says why there is none, and `where` in the policy. `lasting`: see `make`."""

    fault: str = ""
    where: str | None = None
    lasting: bool = False


async def make(order: Order, *, make_s: float = MAKE_S, memory_bytes: int = MEMORY_BYTES) -> None:
    """Have the space made and kept.

    Raises SpaceError where this policy cannot be counted out, whoever tries; EngineError where it did not work here
    and now: the process was ended, or had not the time.
    """
    try:
        child = await start_child("pdp.table.making_child", memory_bytes)
    except OSError as fault:
        raise EngineError(f"the process that counts out cannot be started: {fault.strerror}") from None
    try:
        async with asyncio.timeout(make_s):
            said, _ = await child.communicate(msgspec.json.encode(order))
    except TimeoutError:
        raise EngineError(f"the policy was not counted out within {make_s:g} seconds") from None
    finally:
        await asyncio.shield(end_child(child))
    try:
        made = msgspec.json.decode(said, type=Made)
    except msgspec.MsgspecError:
        raise EngineError("the process that counts out ended without an answer") from None
    if made.fault:
        raise SpaceError(made.fault, where=made.where) if made.lasting else EngineError(made.fault)
