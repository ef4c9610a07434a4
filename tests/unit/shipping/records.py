"""Records of every kind, as the log keeps them, and their views."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from pdp.declog.record import encode_record, read_record, record_of, refusal_of
from pdp.errors import BadRequestError
from pdp.model.decision import Outcome, Verdict
from pdp.model.request import Refusal
from pdp.shipping.view import View, view_of
from tests.unit.declog.samples import START, decision, new_id, request

if TYPE_CHECKING:
    from pdp.shipping.following import Found

INPUT: dict[str, Any] = {
    "schema": "pdp.input/v1",
    "subject": {"id": "u-0001", "kind": "staff", "organisation": "pref", "departments": ["dx"], "auth_level": 2},
    "device": {"id": "d-00001", "class": "mobile_pc", "ownership": "organisation", "registered": True},
    "resource": {"id": "groupware", "group": "business", "segment": "lgwan"},
}


def document(**parts: dict[str, Any]) -> bytes:
    return msgspec.json.encode(
        {name: {**part, **parts[name]} if name in parts else part for name, part in INPUT.items()}
    )


def a_record(
    outcome: Outcome = Outcome.DENY,
    reasons: tuple[str, ...] = ("DENY_DEVICE_PATCH", "DENY_ZONE"),
    *,
    after_us: int = 0,
    profile: Any = "zta",
    given: bytes | None = None,
    changes: dict[str, Any] | None = None,
    **of_request: object,
) -> bytes:
    at = START + timedelta(microseconds=after_us)
    verdict = Verdict(outcome, reasons, {"save": "off"} if outcome is Outcome.LIMIT else {})
    made = record_of(
        decision(new_id(), verdict=verdict, document=document() if given is None else given, at=at),
        request(**of_request),
        time=at,
        caller_id="gateway-1",
        profile=profile,
        steps_us={"engine": 640},
    )
    return made if changes is None else encode_record(msgspec.structs.replace(read_record(made), **changes))


def a_refusal() -> bytes:
    refusal = Refusal(
        fault=BadRequestError("the body is not JSON"), wire="authzen", body_bytes=12, body_sha256="ab" * 32
    )
    return refusal_of(refusal, decision_id=new_id(), time=START, caller_id="gateway-1")


def seen(body: bytes, seq: int = 7) -> View:
    return view_of(body, node="node-1", worker="w0", epoch="20260401T000000000000Z", seq=seq)


def found(body: bytes, seq: int = 7) -> Found:
    from pdp.shipping.following import Found

    return Found("node-1", "w0", "20260401T000000000000Z", seq, body)
