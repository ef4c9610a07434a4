"""An error of the push API: problem details (RFC 9457) that carry the house's own error form as a member.

Whoever reads problem details reads these, and whoever reads `error`, as on every other surface, reads that.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.wire.error_answer import error_answer, told
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from pdp.errors import SekishoError

PROBLEM: Final = ("content-type", "application/problem+json")
_TYPE: Final = "urn:sekisho:error:"
_encode: Final = msgspec.json.Encoder().encode


def problem(status: int, code: str, detail: str, next_step: str) -> dict[str, Any]:
    """The members of one problem."""
    return {
        "type": _TYPE + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "error": {"code": code, "message": detail, "next_step": next_step},
    }


def problem_of(fault: SekishoError) -> dict[str, Any]:
    """Those of a fault. Only what is the caller's own is told (`pdp.wire.error_answer.told`)."""
    return problem(fault.status, fault.code, told(fault), fault.next_step)


def problem_answer(fault: SekishoError) -> HttpAnswer:
    """The whole answer, with the headers that belong to the kind of the fault."""
    answer = error_answer(fault)
    headers = tuple(pair for pair in answer.headers if pair[0] != "content-type")
    return HttpAnswer(answer.status, (PROBLEM, *headers), _encode(problem_of(fault)))
