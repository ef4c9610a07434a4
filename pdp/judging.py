"""What an engine's answer comes to: a verdict that somebody can read and enforce, or none at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pdp.cache.entry import Entry
from pdp.engine.verdict import read_verdict
from pdp.errors import EngineError, EngineSupersededError
from pdp.grace import Opinion, held_over
from pdp.model.input import decode_input
from pdp.obligations import check_obligations

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.grace import Grace
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


class Opinions(Protocol):
    """Of an active policy (`pdp.active_policy`): its own, and in a time of warning the former's."""

    @property
    def bundle(self) -> Bundle: ...

    @property
    def grace(self) -> Grace | None: ...


async def entry_of(
    raw: bytes | EngineError, document: bytes, opinions: Opinions, now: datetime, superseded: Callable[[], bool]
) -> Entry:
    """The verdict that counts of what the active policy's engine said, for as long as the policy lets it.

    In a time of warning a refusal is held against the former policy's verdict. `superseded`: whether another policy
    decides by now. Raises EngineError, and EngineSupersededError where one does and closed the former's engine.
    """
    bundle, grace = opinions.bundle, opinions.grace
    verdict, until = judge_raw(raw, bundle), None
    if grace is not None:
        until = grace.until
        if not verdict.permits:
            verdict = await _held_over(document, Opinion(verdict, bundle), grace, superseded)
    end = now + bundle.ttl(verdict.outcome)
    return Entry(verdict, end if until is None else min(end, until))


async def _held_over(document: bytes, newest: Opinion, grace: Grace, superseded: Callable[[], bool]) -> Verdict:
    """What counts of a refusal in a time of warning. Raises EngineSupersededError alone."""
    (raw,) = await grace.engine.evaluate([document], digest=grace.former.digest)
    try:
        former = judge_raw(raw, grace.former)
    except EngineError as fault:
        if superseded():
            raise EngineSupersededError("another policy has become active") from None
        grace.failed(fault)
        return newest.verdict
    return held_over(decode_input(document), newest, Opinion(former, grace.former), grace.until)


def check_reasons(verdict: Verdict, bundle: Bundle) -> None:
    """A `zta` answer says why, in words that somebody can read. Raises EngineError for an unknown code."""
    if bundle.profile != "zta":
        return
    for code in verdict.reasons:
        if code not in bundle.reasons:
            raise EngineError(f"the policy gives a reason that has no text: `{code}`")
        if verdict.permits and bundle.reasons[code].group != "ok":
            raise EngineError(f"the policy permits for a reason that denies: `{code}`")
