"""What the policy said (`Verdict`) and what the checkpoint answers (`Decision`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Outcome(StrEnum):
    ALLOW = "allow"
    LIMIT = "limit"
    STEP_UP = "step_up"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A well-formed answer of the policy. Only `pdp.engine.verdict` makes one that allows."""

    outcome: Outcome
    reasons: tuple[str, ...]
    obligations: Mapping[str, str | int] = field(default_factory=dict)
    required_auth_level: int | None = None
    context: Mapping[str, Any] | None = None  # profile `plain`: what the policy itself adds to the answer

    @property
    def permits(self) -> bool:
        return self.outcome in (Outcome.ALLOW, Outcome.LIMIT)


def denied(code: str) -> Verdict:
    """The deny that stands where no well-formed verdict could be had."""
    return Verdict(Outcome.DENY, (code,))


BAD_INPUT: Final = "BAD_INPUT"
EVALUATION_ERROR: Final = "EVALUATION_ERROR"
POLICY_STALE: Final = "POLICY_STALE"

CachePath = Literal["hit", "miss", "bypass"]

# Who can put a reason right; "none" where there is nothing to put right, or nobody can say.
Fixer = Literal["none", "user", "section", "help_desk", "security_office"]


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages."""

    ja: str
    en: str


class Decision(msgspec.Struct, frozen=True):
    """One decision, recorded before it is answered. `expires_at` bounds how long it may be relied on."""

    id: str
    at: datetime
    verdict: Verdict
    reason_user: Text
    reason_admin: Text
    expires_at: datetime
    policy_revision: str
    bundle_digest: str
    directory_epoch: int
    cache: CachePath
    input: bytes  # the document that the policy saw, as JSON; b"null" where there was none
    fault: str | None = None  # why no verdict could be had, for the log only
    fix: Fixer = "none"  # of the primary reason
    group: str = "none"  # of the resource, for those who count; "none" where no facts could be had
    subject_id: str = ""  # whom it is about: as a token proved it, or as a caller that may say so asserted it

    @property
    def permits(self) -> bool:
        return self.verdict.permits
