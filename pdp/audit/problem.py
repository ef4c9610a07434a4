"""An error of the audit API: the problem details of the push API, but told in full.

Elsewhere `not ready` says no more, because any gateway may hear it; here the asker is known, and must know whether to
ask for a shorter time or to come back later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import NotReadyError, RecordFailedError
from pdp.posture.problem import PROBLEM, problem, problem_of
from pdp.wire.error_answer import error_answer
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from pdp.errors import SekishoError

NO_STORE: Final = ("cache-control", "no-store")
_NOT_WRITTEN: Final = "the question could not be written down, so it is not answered"
_NOT_TOLD: Final = "the question could not be answered; the detail is in the service's own log"
_encode: Final = msgspec.json.Encoder().encode


def audit_problem(fault: SekishoError) -> HttpAnswer:
    """The whole answer, with the headers that belong to the kind of the fault."""
    members = problem_of(fault)
    if isinstance(fault, RecordFailedError):
        members = problem(fault.status, fault.code, _NOT_WRITTEN, fault.next_step)
    elif isinstance(fault, NotReadyError):
        members = problem(fault.status, fault.code, fault.message, fault.next_step)
    elif fault.status >= 500:  # noqa: PLR2004  # ours
        members = problem(fault.status, fault.code, _NOT_TOLD, fault.next_step)
    headers = tuple(pair for pair in error_answer(fault).headers if pair[0] != "content-type")
    return HttpAnswer(fault.status, (PROBLEM, NO_STORE, *headers), _encode(members))
