"""What an answer says, as one digest: `answer_sha256` of a decision's record. Pure.

A record is made before its answer is encoded, and one answer may carry many decisions (AuthZEN batches and
searches), so the digest is not over bytes of a wire. It is over what every wire makes its bytes from: one JSON
object, compact, UTF-8, its keys in the order of `Said`, keys of `obligations` and `context` sorted. The decision's
id and its times are not in it; they stand beside it in the record, and what is said alike has one digest.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.model.decision import Text

if TYPE_CHECKING:
    from pdp.model.decision import Decision


class Said(msgspec.Struct, frozen=True):
    """The part of an answer that no record holds whole: above all the two texts, in both languages."""

    outcome: str
    reasons: tuple[str, ...]
    obligations: dict[str, str | int]
    required_auth_level: int | None
    policy_revision: str
    fix: str
    reason_user: Text
    reason_admin: Text
    context: dict[str, Any] | None


_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def answer_digest(decision: Decision) -> str:
    """SHA-256 in hex. Raises ValueError and TypeError where the policy's own context cannot be written as JSON."""
    verdict = decision.verdict
    said = Said(
        verdict.outcome.value,
        verdict.reasons,
        verdict.obligations,  # type: ignore[arg-type]  # any mapping is written as an object
        verdict.required_auth_level,
        decision.policy_revision,
        decision.fix,
        decision.reason_user,
        decision.reason_admin,
        verdict.context,  # type: ignore[arg-type]
    )
    return sha256(_encode(said)).hexdigest()
