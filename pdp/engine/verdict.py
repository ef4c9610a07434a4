"""From an engine's JSON to a `Verdict`. The only module that can make one that allows.

INVARIANT (one door): anything but a well-formed allow is a deny. What is undefined, malformed, of an
unknown outcome, without a reason, or an allow that carries a deny's level raises EngineError here, and
`decide()` turns that into `EVALUATION_ERROR`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pdp.errors import EngineError
from pdp.model.decision import Outcome, Verdict

if TYPE_CHECKING:
    from pdp.bundle.bundle import Profile


class _Zta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outcome: Literal["allow", "limit", "step_up", "deny"]
    reasons: list[str]
    obligations: dict[str, str | int]
    required_auth_level: Literal[1, 2, 3] | None = None


class _Plain(msgspec.Struct, frozen=True):
    decision: bool
    context: dict[str, Any] | None = None


_ZTA = msgspec.json.Decoder(_Zta)
_PLAIN = msgspec.json.Decoder(bool | _Plain)


def read_verdict(raw: bytes, profile: Profile) -> Verdict:
    """The verdict in an engine's answer. Raises EngineError for anything that is not one."""
    return _read_zta(raw) if profile == "zta" else _read_plain(raw)


def _read_zta(raw: bytes) -> Verdict:
    try:
        said = _ZTA.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise EngineError(f"the policy's answer is malformed: {fault}") from None
    if not said.reasons or len(set(said.reasons)) != len(said.reasons):
        raise EngineError("the policy's answer has no reason, or one twice")
    if (said.outcome == "step_up") != (said.required_auth_level is not None):
        raise EngineError("`required_auth_level` belongs to a step-up, and to nothing else")
    limits = any(name != "warn" for name in said.obligations)
    if (said.outcome == "allow" and limits) or (said.outcome == "limit" and not limits):
        raise EngineError("an answer with obligations is `limit`, and one without is `allow`")
    return Verdict(
        outcome=Outcome(said.outcome),
        reasons=tuple(said.reasons),
        obligations=said.obligations,
        required_auth_level=said.required_auth_level,
    )


def _read_plain(raw: bytes) -> Verdict:
    try:
        said = _PLAIN.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise EngineError(f"the policy's answer is malformed: {fault}") from None
    permitted, context = (said, None) if isinstance(said, bool) else (said.decision, said.context)
    return Verdict(
        outcome=Outcome.ALLOW if permitted is True else Outcome.DENY,
        reasons=(),
        context=context,
    )
