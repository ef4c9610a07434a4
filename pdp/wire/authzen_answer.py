"""From a recorded `Decision` to the members of an AuthZEN answer (access-rules, section 6). Pure.

Profile `zta` says why; the administrator's reason only to a caller that may be told. Profile `plain` says
`{"decision": …}` and, where the policy gave a context of its own, that context: the interop runner of the
working group compares items as text, and one member more would fail it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.wire.error_answer import JSON, echo
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Caller
    from pdp.model.decision import Decision

encode_json: Final = msgspec.json.Encoder().encode

# INVARIANT (one door): `true` is written only from `Decision.permits`.
_BARE: Final = {True: b'{"decision":true}', False: b'{"decision":false}'}


def decision_members(decision: Decision, profile: Profile, caller: Caller) -> dict[str, Any]:
    """The answer as an object; the same members stand alone and within a boxcar."""
    if profile == "plain":
        said = decision.verdict.context
        return {"decision": decision.permits} if not said else {"decision": decision.permits, "context": said}
    verdict = decision.verdict
    context: dict[str, Any] = {"id": decision.id, "outcome": verdict.outcome}
    context["reason_user"] = {"ja": decision.reason_user.ja, "en": decision.reason_user.en}
    if caller.may("admin_reasons"):
        context["reason_admin"] = {"ja": decision.reason_admin.ja, "en": decision.reason_admin.en}
    context["reasons"] = verdict.reasons
    context["obligations"] = verdict.obligations
    if verdict.required_auth_level is not None:
        context["required_auth_level"] = verdict.required_auth_level
    context["expires_at"] = decision.expires_at
    context["policy_revision"] = decision.policy_revision
    context["directory_epoch"] = decision.directory_epoch
    context["cache"] = decision.cache
    return {"decision": decision.permits, "context": context}


def decision_answer(decision: Decision, profile: Profile, caller: Caller, request_id: str | None) -> HttpAnswer:
    """One decision as an HTTP answer: always 200, a deny too."""
    if profile == "plain" and not decision.verdict.context:
        body = _BARE[decision.permits]
    else:
        body = encode_json(decision_members(decision, profile, caller))
    return HttpAnswer(200, (JSON, *echo(request_id, decision.id)), body)
