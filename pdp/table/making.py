"""A policy counted out by a process of its own, beside the decisions: bounded in time and memory, last in the queue."""

from __future__ import annotations

import signal
from typing import Final

import msgspec

from pdp.engine.child_process import AnswerTooLargeError, ChildLimits, NoAnswerError, ask_child
from pdp.errors import EngineError, SpaceError

NICE: Final = 19  # decisions go first, and everything else too
MEMORY_BYTES: Final = 2 * 1024 * 1024 * 1024  # the shipped policy takes 120 MB
MAX_CHARS: Final = 1_000  # of a fault and of its place, which may have names of a policy
MAX_MADE: Final = 16 * 1024  # bytes of the process's answer: both of them
MAKE_S: Final = 600.0  # the shipped policy takes 10 s of a core that has nothing else to do


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`canonical`: the bundle's text. `folder`: where its table is kept; `secret`: what it is sealed under."""

    canonical: str
    folder: str
    secret: bytes


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either the table is kept, or `fault` says why there is none, and `where` in the policy. `lasting`: see `make`."""

    fault: str = ""
    where: str | None = None
    lasting: bool = False


async def make(order: Order, *, make_s: float = MAKE_S, memory_bytes: int = MEMORY_BYTES) -> None:
    """Have the table made and kept.

    Raises SpaceError where this policy cannot be counted out, whoever tries; EngineError where it did not work here
    and now: the process was ended, or had not the time.
    """
    limits = ChildLimits(make_s, memory_bytes, MAX_MADE)
    try:
        made = await ask_child("pdp.table.making_child", order, Made, limits)
    except TimeoutError:
        raise EngineError(f"the policy was not counted out within {make_s:g} seconds") from None
    except OSError as fault:
        raise EngineError(f"the process that counts out cannot be started: {fault.strerror}") from None
    except AnswerTooLargeError:
        raise EngineError(f"the process that counts out says more than {MAX_MADE} bytes") from None
    except NoAnswerError as fault:
        raise EngineError(f"the process that counts out ended without an answer{_by(fault.returncode)}") from None
    if made.fault:
        raise SpaceError(made.fault, where=made.where) if made.lasting else EngineError(made.fault)


def _by(returncode: int) -> str:
    """What ended it, for the operator: SIGKILL is mostly the kernel, where memory was short."""
    return f", by {signal.Signals(-returncode).name}" if -returncode in set(signal.Signals) else ""
