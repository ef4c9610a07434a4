"""A draft's own manifest says its profile, and a `plain` one has nothing to prove: not where `zta` is to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.model.decision import Text
from pdp.revisions.revision import GateResult

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle

_WORDS = Text(
    "現行のポリシーはプロファイル zta で、この変更案は zta でない",
    "the policy of record is of profile `zta`, and this draft is not",
)


def plain_result(name: str, expected: Bundle | None, why: str) -> GateResult:
    """What a gate for `zta` says of another draft. `expected`: what it would take the place of; None: of no account."""
    if expected is None or expected.profile != "zta":
        return GateResult(name, "not_run", why)
    fault = {"where": ".manifest", "code": "profile_changed", "en": _WORDS.en, "ja": _WORDS.ja}
    return GateResult(name, "failed", _WORDS.en, {"faults": [fault]})
