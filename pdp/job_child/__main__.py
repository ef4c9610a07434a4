"""One order, one outcome. Arguments: the parent's process id, bytes of memory."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.engine.child_bounds import prepare_process
from pdp.errors import SekishoError
from pdp.jobs.child import BODY, OUTCOME, PROGRESS, TROUBLE, frame
from pdp.jobs.job import Order, Outcome, Progress, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NICE: Final = 10  # decisions go first
# Loaded when they are asked for: a hypothetical request needs no numpy, and an export no log.
_MODULES: Final[Mapping[str, str]] = {
    "population": "pdp.job_child.population",
    "replay": "pdp.job_child.replay",
    "export": "pdp.job_child.export",
    "mutation": "pdp.job_child.mutation",
    "request": "pdp.job_child.request",
    "gate_foresight": "pdp.job_child.gate",
}
_MAX_DETAIL: Final = 4_000  # characters
_encode: Final = msgspec.json.Encoder().encode


def main() -> None:
    prepare_process(parent=int(sys.argv[1]), memory_limit_bytes=int(sys.argv[2]))
    os.nice(NICE)
    say = _mouth()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)

    def told(phase: str, done: int = 0, total: int = 0) -> None:
        say(PROGRESS, _encode(Progress(phase, done, total)))

    try:
        work: Any = import_module(_MODULES[order.work]).work
        outcome: Outcome = asyncio.run(work(order, told))
    except SekishoError as fault:
        say(TROUBLE, _encode(Trouble(fault.code, fault.message, fault.next_step)))
    except MemoryError:
        say(TROUBLE, _encode(Trouble("too_large", "it takes more memory than it may", "ask for less at once")))
    except Exception:  # noqa: BLE001  # a bug of ours: the parent's log is to know where
        detail = traceback.format_exc()[-_MAX_DETAIL:]
        say(TROUBLE, _encode(Trouble("internal_error", "it failed; the cause is in the service's log", detail=detail)))
    else:
        say(OUTCOME, _encode(msgspec.structs.replace(outcome, body=b"")))
        say(BODY, outcome.body)


def _mouth() -> Callable[[bytes, bytes], None]:
    """Frames go to the pipe; whatever a library prints does not."""
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)

    def say(kind: bytes, payload: bytes) -> None:
        out.write(frame(kind, payload))
        out.flush()

    return say


if __name__ == "__main__":
    main()
