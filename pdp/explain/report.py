"""An explanation as plain JSON values, for `--json` and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pdp.explain.deciding import Deciding
    from pdp.explain.explanation import Explanation
    from pdp.explain.ways_out import WayOut
    from pdp.model.decision import Text, Verdict


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """`deciding` in document order, `ways_out` smallest first; `complete` false where the search was cut short."""
    ways = explanation.ways_out
    return {
        "deciding": [_deciding(fact) for fact in explanation.deciding],
        "ways_out": [_way(way) for way in ways.found],
        "complete": ways.complete,
        "evaluated": explanation.evaluated,
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Outcome, reasons, obligations, and the level of a step-up."""
    said: dict[str, Any] = {
        "outcome": verdict.outcome.value,
        "reasons": list(verdict.reasons),
        "obligations": dict(verdict.obligations),
    }
    if verdict.required_auth_level is not None:
        said["required_auth_level"] = verdict.required_auth_level
    return said


def text_json(text: Text) -> dict[str, str]:
    return {"ja": text.ja, "en": text.en}


def _deciding(fact: Deciding) -> dict[str, Any]:
    turns = [{"value": turn.value, "effect": turn.effect, **verdict_json(turn.verdict)} for turn in fact.turns]
    return {"path": fact.path, "value": fact.value, "holds_back": fact.holds_back, "turns": turns}


def _way(way: WayOut) -> dict[str, Any]:
    mends = [{"by": mend.by, "text": text_json(mend.text), "changes": dict(mend.changes)} for mend in way.mends]
    return {"mends": mends, **verdict_json(way.verdict)}
