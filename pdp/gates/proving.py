"""A draft held to its invariants by a process of its own: bounded in time and memory, and ended with whoever waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import msgspec

from pdp.engine.child_process import AnswerTooLargeError, ChildLimits, NoAnswerError, ask_child
from pdp.errors import SpaceError

CONFIRM_DEADLINE: Final = timedelta(seconds=5)  # of one counterexample, on a busy host
NICE: Final = 10  # decisions go first
MEMORY_BYTES: Final = 2 * 1024 * 1024 * 1024  # the shipped policy takes a quarter of a gigabyte
MAX_FINDING: Final = 4 * 1024 * 1024  # bytes; the shipped policy's has 3,000, and a counterexample some more
PROVE_S: Final = 240.0  # below `pdp.revisions.gate.GATE_S`; the shipped policy takes 17 s of a core


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`canonical`: the bundle's text. `invariants`: a file with further ones."""

    canonical: str
    invariants: str = ""


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `fault`: nothing can be proven; or every proof as data, and what is violated in words."""

    proofs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    faults: list[dict[str, Any]] = msgspec.field(default_factory=list)
    vectors: str = "0"
    fault: str = ""
    code: str = ""
    where: str | None = None


async def find(order: Order, *, prove_s: float = PROVE_S, memory_bytes: int = MEMORY_BYTES) -> Finding:
    """What the process found. Raises SpaceError where it gave no answer in time, or ended without one."""
    limits = ChildLimits(prove_s, memory_bytes, MAX_FINDING)
    try:
        return await ask_child("pdp.gates.proving_child", order, Finding, limits)
    except TimeoutError:
        raise SpaceError(f"nothing was proven within {prove_s:g} seconds") from None
    except OSError as fault:
        raise SpaceError(f"the process that proves cannot be started: {fault.strerror}") from None
    except AnswerTooLargeError:
        raise SpaceError(f"its report is larger than {MAX_FINDING} bytes: look for names of great length") from None
    except NoAnswerError:
        raise SpaceError("the process that proves ended without an answer") from None
