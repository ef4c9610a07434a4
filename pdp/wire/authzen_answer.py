"""From a recorded `Decision` to the members of an AuthZEN answer (access-rules, section 6). Pure.

Profile `zta` says why; the administrator's reason only to a caller that may be told. Profile `plain` says
`{"decision": …}` and, where the policy gave a context of its own, that context: the interop runner of the
working group compares items as text, and one member more would fail it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, UnsetType

from pdp.grace import WARNED
from pdp.model.decision import Outcome, Text
from pdp.wire.error_answer import JSON, echo
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Caller
    from pdp.model.decision import Decision

encode_json: Final = msgspec.json.Encoder().encode

# INVARIANT (one door): `true` is written only from `Verdict.permits`.
_BARE: Final = {True: b'{"decision":true}', False: b'{"decision":false}'}


class _Context(msgspec.Struct, frozen=True, gc=False):
    """Why, in the order of the answer; what is unset does not stand in it."""

    id: str
    outcome: Outcome
    reason_user: Text
    reason_admin: Text | UnsetType
    reasons: tuple[str, ...]
    obligations: Mapping[str, str | int]
    required_auth_level: int | UnsetType
    expires_at: datetime
    policy_revision: str
    directory_epoch: int
    cache: str
    warned: object | UnsetType  # what the policy says itself of this, where that does not count yet (`pdp.grace`)


class _Answer(msgspec.Struct, frozen=True, gc=False):
    decision: bool
    context: _Context


def decision_json(decision: Decision, profile: Profile, caller: Caller) -> bytes:
    """The answer as a JSON object; the same members stand alone and within a boxcar."""
    verdict = decision.verdict
    if profile == "plain":
        said = verdict.context
        return encode_json({"decision": verdict.permits, "context": said}) if said else _BARE[verdict.permits]
    context = _Context(
        decision.id,
        verdict.outcome,
        decision.reason_user,
        decision.reason_admin if caller.may("admin_reasons") else UNSET,
        verdict.reasons,
        verdict.obligations,
        UNSET if verdict.required_auth_level is None else verdict.required_auth_level,
        decision.expires_at,
        decision.policy_revision,
        decision.directory_epoch,
        decision.cache,
        UNSET if verdict.context is None else verdict.context.get(WARNED, UNSET),
    )
    return encode_json(_Answer(verdict.permits, context))


def decision_answer(decision: Decision, profile: Profile, caller: Caller, request_id: str | None) -> HttpAnswer:
    """One decision as an HTTP answer: always 200, a deny too."""
    return HttpAnswer(200, (JSON, *echo(request_id, decision.id)), decision_json(decision, profile, caller))
