"""Clocks, ids and records for the tests of the decision log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils

from pdp.declog.limits import Limits
from pdp.declog.record import record_of
from pdp.model.decision import Decision, Outcome, Text, Verdict
from pdp.model.request import AccessRequest, Network, UnverifiedToken

START = datetime(2026, 4, 1, 0, 0, 0, 123_456, tzinfo=UTC)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1LTAwMDEifQ.c2lnbmF0dXJl"
INPUT = b'{"schema":"pdp.input/v1","subject":{"id":"u-0001","kind":"staff"},"device":{"id":"d-00001"}}'

# Waits that a test must not sit through.
QUICK = Limits(deadline_s=5.0, probe_s=0.01, min_free_bytes=0)


class Clock:
    """A clock that moves when told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **spans: float) -> None:
        self.now += timedelta(**spans)


def wall_clock() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return str(uuid_utils.uuid7())


def uuid7_at(instant: datetime, number: int = 0) -> str:
    """A uuid7 of that millisecond; `number` tells apart those of one."""
    milliseconds = (instant - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | number))


def line_of(decision_id: str, note: str = "") -> bytes:
    """The smallest record that a log takes."""
    return b'{"schema":"sekisho.decision/v1","id":"%b","note":"%b"}' % (decision_id.encode(), note.encode())


def decision(
    decision_id: str, *, verdict: Verdict | None = None, document: bytes = INPUT, **others: object
) -> Decision:
    facts: dict[str, object] = {
        "reason_user": Text("利用できます", "you may"),
        "reason_admin": Text("利用できます", "the rules are met"),
        "policy_revision": "2026-04-01.1",
        "bundle_digest": "ab" * 32,
        "directory_epoch": 4711,
        "cache": "miss",
        "at": START,
        "expires_at": START + timedelta(minutes=5),
    }
    return Decision(
        id=decision_id,
        verdict=verdict or Verdict(Outcome.LIMIT, ("OK_BYOD_COMMUNICATION",), {"save": "off", "clipboard": "off"}),
        input=document,
        **(facts | others),  # type: ignore[arg-type]
    )


def request(**others: object) -> AccessRequest:
    facts: dict[str, object] = {
        "subject_id": "u-0001",
        "resource_id": "groupware",
        "action": "access",
        "identity": UnverifiedToken(TOKEN),
        "device_id": "d-00001",
        "network": Network(source_ip="192.0.2.7"),
        "path": "/schedule/day?date=2026-04-01&access_token=hidden#now",
        "session_id": "s-1",
        "request_id": "r-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    return AccessRequest(**(facts | others))  # type: ignore[arg-type]


def full_record(decision_id: str, **others: object) -> bytes:
    return record_of(
        decision(decision_id, **others),
        request(),
        time=START + timedelta(microseconds=850),
        caller_id="gateway-1",
        profile="zta",
        steps_us={"facts": 41, "caller": 12, "engine": 640},
    )
