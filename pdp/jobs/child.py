"""The child that does one piece of long work, from its parent's side: bounded in time and memory, ended with it.

    to the child    one `Order`, to the end of its input
    from the child  frames: a letter, four bytes of length, and JSON
                    `p` Progress   `o` Outcome, with `b`, its body, after it   `t` Trouble

Attack: a draft whose judging never ends, or eats all memory. The deadline is the parent's, the memory the kernel's, and
a decision waits for neither.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.engine.child_process import end_child, give_order, start_child
from pdp.errors import BadRequestError, NotFoundError, NotReadyError
from pdp.jobs.job import MEMORY_BYTES, Order, Outcome, Progress, Trouble
from pdp.logs import get_log
from pdp.revisions.results import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM: Final = "pdp.job_child"
PROGRESS: Final = b"p"
OUTCOME: Final = b"o"
BODY: Final = b"b"
TROUBLE: Final = b"t"
_HEAD: Final = 5
_log = get_log("pdp.jobs")
_MAX_FRAME: Final = MAX_BODY + 64 * 1024
# Codes of what the asker can put right; whatever else went wrong is not theirs.
_ASKERS: Final = frozenset({"bad_request", "bundle_refused", "space_refused", "export_refused"})


def frame(kind: bytes, payload: bytes) -> bytes:
    return kind + len(payload).to_bytes(4, "big") + payload


async def run_child(
    order: Order, told: Callable[[Progress], None], *, seconds: float, memory_bytes: int = MEMORY_BYTES
) -> Outcome:
    """What the work gave. `told` hears how far it is.

    Raises BadRequestError and NotFoundError for what was asked amiss, NotReadyError for everything else.
    """
    try:
        child = await start_child(PROGRAM, memory_bytes)
    except OSError as fault:
        raise NotReadyError(f"the process for it cannot be started: {fault.strerror}") from None
    try:
        async with asyncio.timeout(seconds):
            return await _spoken(child, order, told)
    except TimeoutError:
        raise NotReadyError(f"it gave no result within {seconds:g} seconds", next_step="ask for less at once") from None
    finally:
        await asyncio.shield(end_child(child))


async def _spoken(child: asyncio.subprocess.Process, order: Order, told: Callable[[Progress], None]) -> Outcome:
    await give_order(child, msgspec.json.encode(order))
    outcome: Outcome | None = None
    while True:
        kind, payload = await _frame(child)
        match kind:
            case b"p":
                told(msgspec.json.decode(payload, type=Progress))
            case b"o":
                outcome = msgspec.json.decode(payload, type=Outcome)
            case b"b" if outcome is not None:
                return msgspec.structs.replace(outcome, body=payload)
            case b"t":
                raise _refused(msgspec.json.decode(payload, type=Trouble))
            case _:
                raise NotReadyError("the process for it answered nonsense")


async def _frame(child: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    assert child.stdout is not None
    try:
        head = await child.stdout.readexactly(_HEAD)
        length = int.from_bytes(head[1:], "big")
        if length > _MAX_FRAME:
            raise NotReadyError("the result is too large to be kept", next_step="ask for less at once")
        return head[:1], await child.stdout.readexactly(length)
    except asyncio.IncompleteReadError:
        raise NotReadyError(
            "the process for it ended without a result", next_step="it may have taken more memory than it may"
        ) from None


def _refused(trouble: Trouble) -> BadRequestError | NotReadyError:
    if trouble.detail:
        _log.error("the process of a job failed unexpectedly", detail=trouble.detail)
    if trouble.code == "not_found":
        return NotFoundError(trouble.message, next_step=trouble.next_step)
    if trouble.code in _ASKERS:
        return BadRequestError(trouble.message, next_step=trouble.next_step)
    return NotReadyError(trouble.message, next_step=trouble.next_step)
