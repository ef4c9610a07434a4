"""How `pdp decide` shows an answer: outcome, reasons, obligations, facts, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.explain.fact_table import FACTS, GROUPS, group_of, value_at
from pdp.explain.report import explanation_json, text_json, verdict_json
from pdp.model.decision import Outcome
from pdp.model.directory import JST
from pdp.model.input import decode_input
from pdp.model.words import FIXERS, OUTCOMES, words_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.bundle.bundle import Bundle
    from pdp.commands.terminal import Terminal
    from pdp.explain.explanation import Explanation
    from pdp.explain.ways_out import WaysOut
    from pdp.model.decision import Decision

_STYLE: Final[Mapping[Outcome, str]] = {
    Outcome.ALLOW: "bold green",
    Outcome.LIMIT: "bold green",
    Outcome.STEP_UP: "bold yellow",
    Outcome.DENY: "bold red",
}
_MARK: Final = "●"


@dataclass(frozen=True, slots=True)
class Answered:
    """The decision with what explains it; None where there is nothing to explain, or nobody asked."""

    decision: Decision
    bundle: Bundle
    explanation: Explanation | None


def answered_json(answered: Answered) -> dict[str, Any]:
    """Everything that `show_answered` shows, as one JSON object."""
    decision, bundle = answered.decision, answered.bundle
    known = [bundle.reasons[code] for code in decision.verdict.reasons if code in bundle.reasons]
    return {
        "decision": decision.permits,
        **verdict_json(decision.verdict),
        "reason_texts": [
            {"code": r.code, "group": r.group, "fix": r.fix, "user": text_json(r.user), "admin": text_json(r.admin)}
            for r in known
        ],
        "at": decision.at.isoformat(),
        "expires_at": decision.expires_at.isoformat(),
        "policy_revision": decision.policy_revision,
        "bundle_digest": decision.bundle_digest,
        "directory_epoch": decision.directory_epoch,
        "fault": decision.fault,
        "input": msgspec.json.decode(decision.input),
        "explanation": None if answered.explanation is None else explanation_json(answered.explanation),
    }


def show_answered(terminal: Terminal, answered: Answered) -> None:
    decision = answered.decision
    verdict = decision.verdict
    level = verdict.required_auth_level
    asked = "" if level is None else terminal.pick(f"（認証の強さ {level} が必要）", f" (level {level} is needed)")
    terminal.say(terminal.text(OUTCOMES[verdict.outcome]) + asked, style=_STYLE[verdict.outcome])
    if decision.fault is not None:
        terminal.say(terminal.pick("原因: ", "cause: ") + decision.fault)
    _reasons(terminal, answered)
    if verdict.obligations:
        title = terminal.pick("利用の制限", "Obligations")
        terminal.table(["", ""], [[name, str(value)] for name, value in verdict.obligations.items()], title=title)
    until = decision.expires_at.astimezone(JST).isoformat(timespec="seconds")
    terminal.say(terminal.pick(f"有効期限 {until}", f"to be relied on until {until}"))
    terminal.say(
        terminal.pick(
            f"ポリシー {decision.policy_revision}、台帳の版 {decision.directory_epoch}、記録なし",
            f"policy {decision.policy_revision}, directory epoch {decision.directory_epoch}, not recorded",
        ),
        style="dim",
    )
    if decision.input != b"null":
        _facts(terminal, answered)
    if answered.explanation is not None and not decision.permits:
        _ways_out(terminal, answered.explanation.ways_out)


def _reasons(terminal: Terminal, answered: Answered) -> None:
    rows: list[list[str]] = []
    for code in answered.decision.verdict.reasons:
        reason = answered.bundle.reasons.get(code)
        if reason is None:
            rows.append([code, "", "", ""])
        else:
            rows.append([code, terminal.text(reason.user), terminal.text(reason.admin), _fixer(terminal, reason.fix)])
    columns = (
        ["理由", "利用者向け", "管理者向け", "対応できる者"]
        if terminal.lang == "ja"
        else ["reason", "for the user", "for the administrator", "who can put it right"]
    )
    terminal.table(columns, rows)


def _fixer(terminal: Terminal, fix: Any) -> str:
    return "" if fix == "none" else terminal.text(FIXERS[fix])


def _facts(terminal: Terminal, answered: Answered) -> None:
    document = decode_input(answered.decision.input)
    explanation = answered.explanation
    marked = frozenset() if explanation is None else explanation.marked(permits=answered.decision.permits)
    for group, heading in GROUPS.items():
        rows = [
            [
                _MARK if fact.path in marked else "",
                terminal.text(fact.label),
                terminal.text(words_for(fact.path, value_at(document, fact.path))),
                fact.path,
            ]
            for fact in FACTS
            if group_of(fact.path) == group
        ]
        terminal.table(["", "", "", ""], rows, title=terminal.text(heading))
    if explanation is not None:
        meaning = (
            terminal.pick("変われば判定が変わる事実", "the answer hangs on this fact")
            if answered.decision.permits
            else terminal.pick("この判定の原因となった事実", "this fact is a cause of the answer")
        )
        terminal.say(f"{_MARK} {meaning}", style="dim")


def _ways_out(terminal: Terminal, ways: WaysOut) -> None:
    if not ways.found:
        terminal.say(
            terminal.pick(
                "三つまでの変更で許可になる方法はありません", "no way with up to three changes would make this an allow"
            )
        )
    else:
        terminal.say(terminal.pick("許可になる方法", "What would make this an allow"), style="bold")
    for number, way in enumerate(ways.found, start=1):
        head = f"{number}."
        for mend in way.mends:
            terminal.say(f"  {head:<3} {terminal.text(mend.text)} [{terminal.text(FIXERS[mend.by])}]")
            head = "+"
        outcome = terminal.text(OUTCOMES[way.verdict.outcome])
        terminal.say(f"      → {outcome} ({', '.join(way.verdict.reasons)})", style="green")
    if not ways.complete:
        terminal.say(
            terminal.pick(
                f"{ways.evaluated} 回の評価で打ち切った。ほかの方法があるかもしれない",
                f"the search ended after {ways.evaluated} evaluations; there may be further ways",
            ),
            style="dim",
        )
