"""What events ask for, and of whom."""

from __future__ import annotations

from typing import Any

import pytest

from pdp.errors import BadRequestError
from pdp.ssf import events
from pdp.ssf.events import Event, read_event
from pdp.ssf.receiving.meaning import Intent, intents_of, whom
from pdp.ssf.subjects import complex_of, iss_sub, opaque, read_subject

END = Intent("end_sessions", "end_sessions")
END_ONE = Intent("end_session", "end_sessions")
HOLD = Intent("hold", "hold_accounts", "account")


@pytest.mark.parametrize(
    ("kind", "members", "intents"),
    [
        (events.SESSION_REVOKED, {}, (END_ONE,)),
        (events.SESSIONS_REVOKED, {}, (END,)),
        (events.CREDENTIAL_COMPROMISE, {"credential_type": "password"}, (END,)),
        (events.IDENTIFIER_RECYCLED, {}, (END,)),
        (events.ACCOUNT_CREDENTIAL_CHANGE_REQUIRED, {}, (END,)),
        (events.ACCOUNT_DISABLED, {"reason": "hijacking"}, (END, HOLD)),
        (events.ACCOUNT_PURGED, {}, (END, HOLD)),
        (events.ACCOUNT_ENABLED, {}, (Intent("lift", "hold_accounts", "account"),)),
        (events.DEVICE_COMPLIANCE_CHANGE, {"current_status": "not-compliant"}, (Intent("hold", "hold_devices", "compliance"),)),
        (events.DEVICE_COMPLIANCE_CHANGE, {"current_status": "compliant"}, (Intent("lift", "hold_devices", "compliance"),)),
        (events.RISK_LEVEL_CHANGE, {"principal": "USER", "current_level": "HIGH"}, (END,)),
        (events.RISK_LEVEL_CHANGE, {"principal": "SESSION", "current_level": "HIGH"}, (END_ONE,)),
        (events.RISK_LEVEL_CHANGE, {"principal": "user", "current_level": "MEDIUM"}, ()),
        (events.RISK_LEVEL_CHANGE, {"principal": "TENANT", "current_level": "HIGH"}, ()),
        (events.RISK_LEVEL_CHANGE, {"principal": "DEVICE", "current_level": "HIGH"}, (Intent("hold", "hold_devices", "risk"),)),
        (events.RISK_LEVEL_CHANGE, {"principal": "DEVICE", "current_level": "LOW"}, (Intent("lift", "hold_devices", "risk"),)),
        (events.CREDENTIAL_CHANGE, {"credential_type": "pin", "change_type": "revoke"}, (END,)),
        (events.CREDENTIAL_CHANGE, {"credential_type": "pin", "change_type": "delete"}, (END,)),
        (events.CREDENTIAL_CHANGE, {"credential_type": "pin", "change_type": "create"}, ()),
        (events.CREDENTIAL_CHANGE, {"credential_type": "pin", "change_type": "update"}, ()),
        (events.ASSURANCE_LEVEL_CHANGE, {"current_level": "a", "change_direction": "decrease"}, (END_ONE,)),
        (events.ASSURANCE_LEVEL_CHANGE, {"current_level": "a", "change_direction": "increase"}, ()),
        (events.ASSURANCE_LEVEL_CHANGE, {"current_level": "a", "previous_level": "b"}, (END_ONE,)),
        (events.ASSURANCE_LEVEL_CHANGE, {"current_level": "a"}, ()),
        (events.TOKEN_CLAIMS_CHANGE, {"claims": {"role": "x"}}, (Intent("end_token", "end_sessions"),)),
        (events.SESSION_ESTABLISHED, {}, ()),
        (events.SESSION_PRESENTED, {}, ()),
        (events.IDENTIFIER_CHANGED, {"new-value": "x@example.com"}, ()),
        (events.RECOVERY_ACTIVATED, {}, ()),
        ("https://example.com/own", {"anything": 1}, ()),
    ],
)  # fmt: skip
def test_an_event_asks_for_what_the_table_says(kind: str, members: dict[str, Any], intents: tuple[Intent, ...]) -> None:
    assert intents_of(read_event(kind, members)) == intents


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (events.DEVICE_COMPLIANCE_CHANGE, {}),
        (events.DEVICE_COMPLIANCE_CHANGE, {"current_status": "fine"}),
        (events.RISK_LEVEL_CHANGE, {"principal": "USER"}),
        (events.RISK_LEVEL_CHANGE, {"principal": "USER", "current_level": "high"}),
        (events.RISK_LEVEL_CHANGE, {"current_level": "HIGH"}),
        (events.CREDENTIAL_CHANGE, {"credential_type": "pin"}),
        (events.TOKEN_CLAIMS_CHANGE, {"claims": []}),
        (events.STREAM_UPDATED, {"status": "gone"}),
        (events.VERIFICATION, {"state": 7}),
        (events.SESSION_REVOKED, []),
        (events.SESSION_REVOKED, {"event_timestamp": True}),
        (events.SESSION_REVOKED, {"event_timestamp": 1e300}),
        ("", {}),
        ("x" * 600, {}),
    ],
)
def test_an_event_that_does_not_say_what_it_means_is_refused(kind: str, members: Any) -> None:
    with pytest.raises(BadRequestError):
        read_event(kind, members)


def test_a_member_that_the_text_requires_and_nothing_rests_on_may_be_missing() -> None:
    """A device that is no longer compliant must not be let in because its former status was not said."""
    assert intents_of(read_event(events.DEVICE_COMPLIANCE_CHANGE, {"current_status": "not-compliant"}))
    assert intents_of(read_event(events.CREDENTIAL_COMPROMISE, {}))


def test_no_event_lifts_what_is_not_a_hold() -> None:
    lifting = [kind for kind in events.KNOWN if any(i.deed == "lift" for i in intents_of(Event(kind, _COMPLIANT)))]
    assert set(lifting) == {events.ACCOUNT_ENABLED, events.DEVICE_COMPLIANCE_CHANGE, events.RISK_LEVEL_CHANGE}


_COMPLIANT = {"current_status": "compliant", "principal": "DEVICE", "current_level": "LOW"}


def test_who_is_meant_goes_by_the_member_and_else_by_the_type() -> None:
    revoked, compliance = Event(events.SESSION_REVOKED, {}), Event(events.DEVICE_COMPLIANCE_CHANGE, {})
    user, session, device = iss_sub("https://idp.example", "u"), opaque("s"), opaque("d")
    said = whom(revoked, complex_of(user=user, session=session, device=device, group=opaque("g")))
    assert (said.users, said.sessions, said.devices, said.further) == ((user,), (session,), (device,), {"group"})
    strange = read_subject(
        {"format": "complex", "user": {"format": "agreed-elsewhere", "x": 1}, "tenant": {"format": "opaque", "id": "t"}}
    )
    assert whom(revoked, strange).further == {"user"} and not whom(revoked, strange).users
    assert whom(compliance, device).devices == (device,) and not whom(compliance, device).users
    assert whom(revoked, user).users == (user,) and not whom(revoked, user).sessions
    assert whom(revoked, session).users == whom(revoked, session).sessions == (session,)
    token = read_subject({"format": "jwt_id", "iss": "https://idp.example", "jti": "j"})
    assert whom(revoked, token).tokens == (token,) and not whom(revoked, token).users
    risk = Event(events.RISK_LEVEL_CHANGE, {"principal": "SESSION"})
    assert whom(risk, session).sessions == (session,) and not whom(risk, session).users
