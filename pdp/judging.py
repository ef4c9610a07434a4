"""What an engine's answer comes to: a verdict that somebody can read and enforce, or none at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.engine.verdict import read_verdict
from pdp.errors import EngineError
from pdp.obligations import check_obligations

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.model.decision import Verdict


def judge_raw(raw: bytes | EngineError, bundle: Bundle) -> Verdict:
    """The end of step 5 and the checks of step 6, for everybody who asks an engine: what did the policy say.

    Raises EngineError where the engine gave no answer, the answer is not a verdict, an obligation is one
    that nobody could read, or a reason has no text. It then counts as `EVALUATION_ERROR`, a deny.
    """
    if isinstance(raw, EngineError):
        raise raw
    verdict = read_verdict(raw, bundle.profile)
    check_obligations(verdict.obligations)
    check_reasons(verdict, bundle)
    return verdict


def check_reasons(verdict: Verdict, bundle: Bundle) -> None:
    """A `zta` answer says why, in words that somebody can read. Raises EngineError for an unknown code."""
    if bundle.profile != "zta":
        return
    for code in verdict.reasons:
        if code not in bundle.reasons:
            raise EngineError(f"the policy gives a reason that has no text: `{code}`")
        if verdict.permits and bundle.reasons[code].group != "ok":
            raise EngineError(f"the policy permits for a reason that denies: `{code}`")
