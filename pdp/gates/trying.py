"""A draft tried out by a process of its own: its faults; its tests with coverage.

Parsing and type checks are seconds of Python, and drafts are whatever somebody typed: none of it runs in a worker.
The process is bounded in time and memory, and ends with whoever waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pdp.engine.child_process import AnswerTooLargeError, ChildLimits, NoAnswerError, ask_child
from pdp.errors import BundleError, EngineError, EngineTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping

Attempt = Literal["check", "tests"]

MEMORY_BYTES: Final = 1024 * 1024 * 1024  # the shipped policy takes 0.1 GB
MOST_S: Final[dict[Attempt, float]] = {
    "check": 20.0,  # the shipped policy takes one; somebody waits while typing
    "tests": 120.0,  # it takes five
}
MAX_REPORT: Final = 4 * 1024 * 1024  # bytes; the shipped policy's has 33,000
# Attack: a package with a name of a megabyte, which is told anew with each of its tests.
NICE: Final = 10  # decisions go first


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`files`: all of the draft's."""

    what: Attempt
    files: dict[str, str]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `report`, or why there is none (`fault`)."""

    report: dict[str, Any] | None = None
    fault: str = ""
    where: str | None = None


async def attempt(order: Order, *, most_s: float | None = None, memory_bytes: int = MEMORY_BYTES) -> dict[str, Any]:
    """The report. Cancelling ends the process.

    Raises BundleError where the files make no bundle, or none that can be tried so; EngineTimeoutError where it took
    too long; EngineError where the process cannot be started or ended without a report.
    """
    seconds = MOST_S[order.what] if most_s is None else most_s
    limits = ChildLimits(seconds, memory_bytes, MAX_REPORT)
    try:
        answer = await ask_child("pdp.gates.trying_child", order, Answer, limits)
    except TimeoutError:
        raise EngineTimeoutError(f"it took longer than {seconds:g} seconds, and was ended") from None
    except OSError as fault:
        raise EngineError(f"the process that tries drafts cannot be started: {fault.strerror}") from None
    except AnswerTooLargeError:
        raise BundleError(f"its report is larger than {MAX_REPORT} bytes: look for names of great length") from None
    except NoAnswerError:
        raise EngineError("the process that tries drafts ended without a report") from None
    if answer.report is None:
        raise BundleError(answer.fault, where=answer.where)
    return answer.report


class Trials:
    """What the API asks while somebody writes (`pdp.governance.drafts_desk.Trying`)."""

    async def faults(self, files: Mapping[str, str]) -> dict[str, Any]:
        return await attempt(Order("check", dict(files)))

    async def tests(self, files: Mapping[str, str]) -> dict[str, Any]:
        return await attempt(Order("tests", dict(files)))
