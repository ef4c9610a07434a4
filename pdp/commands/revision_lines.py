"""How revisions look at a terminal: Japanese first, English second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.model.decision import Text
from pdp.revisions.warning import warn_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pdp.commands.terminal import Terminal
    from pdp.revisions.revision import Active, Detail, GateResult, Instance, Review, Revision

STATES: Final[Mapping[str, Text]] = {
    "draft": Text("下書き", "draft"),
    "checked": Text("検査済み", "checked"),
    "in_review": Text("承認待ち", "in review"),
    "approved": Text("承認済み", "approved"),
    "scheduled": Text("適用予定", "scheduled"),
    "active": Text("適用中", "active"),
    "retired": Text("旧版", "retired"),
    "discarded": Text("破棄", "discarded"),
}
_RESULTS: Final[Mapping[str, Text]] = {
    "passed": Text("合格", "passed"),
    "failed": Text("不合格", "failed"),
    "not_run": Text("対象外", "not run"),
}
_GATES: Final[Mapping[str, Text]] = {
    "bundle": Text("読込み", "bundle"),
    "tests": Text("テスト", "tests"),
    "scenarios": Text("シナリオ", "scenarios"),
    "invariants": Text("不変条件", "invariants"),
    "foresight": Text("影響の予測", "foresight"),
}


def say_revision(terminal: Terminal, revision: Revision) -> None:
    """One line."""
    state = terminal.text(STATES[revision.state])
    emergency = terminal.pick("（緊急）", " (emergency)") if revision.emergency else ""
    ja, en = (
        f"版 {revision.number}（{revision.name}）: {state}",
        f"revision {revision.number} ({revision.name}): {state}",
    )
    days = revision.warn_days
    warns = terminal.pick(f"（警告期間 {days} 日）", f" (warns for {days} days)") if days else ""
    terminal.say(terminal.pick(ja, en) + emergency + warns)


def say_active(terminal: Terminal, active: Active) -> None:
    ja = f"版 {active.number}（{active.name}）を適用した。epoch {active.epoch}"
    terminal.say(terminal.pick(ja, f"revision {active.number} ({active.name}) is of record, epoch {active.epoch}"))


def table_revisions(terminal: Terminal, revisions: Sequence[Revision]) -> None:
    terminal.table(
        [
            terminal.pick("版", "no."),
            terminal.pick("名称", "name"),
            terminal.pick("状態", "state"),
            terminal.pick("作成者", "author"),
            terminal.pick("更新", "changed"),
            terminal.pick("理由", "reason"),
        ],
        [
            [str(r.number), r.name, terminal.text(STATES[r.state]), r.author, _time(r.changed_at), r.reason]
            for r in revisions
        ],
    )


def table_detail(terminal: Terminal, detail: Detail) -> None:
    say_revision(terminal, detail.revision)
    terminal.table(
        [terminal.pick(ja, en) for ja, en in (("日時", "at"), ("者", "by"), ("操作", "step"), ("理由", "reason"))],
        [[_time(entry.at), entry.by, entry.step, entry.reason] for entry in detail.history],
    )
    table_gates(terminal, detail.gates)


def table_gates(terminal: Terminal, gates: Sequence[GateResult]) -> None:
    """What the gates found, and of each fault its words: a counterexample, or who would lose what."""
    terminal.table(
        [terminal.pick("検査", "gate"), terminal.pick("結果", "result"), ""],
        [[_gate(terminal, gate.name), terminal.text(_RESULTS[gate.result]), gate.summary] for gate in gates],
    )
    for gate in gates:
        for fault in gate.details.get("faults", ()):
            words = terminal.pick(fault.get("ja", ""), fault.get("en", ""))
            if words:
                terminal.say(f"{_gate(terminal, gate.name)}: {fault.get('where') or fault.get('code', '')}: {words}")


def _gate(terminal: Terminal, name: str) -> str:
    return terminal.text(_GATES[name]) if name in _GATES else name


def table_standing(terminal: Terminal, active: Active | None, instances: Sequence[Instance]) -> None:
    if active is None:
        terminal.say(
            terminal.pick(
                "適用した版はない（設定 `bundle` のポリシーが判定する）",
                "nothing was ever activated: the setting `bundle` decides",
            )
        )
        return
    by = f"{_time(active.at)} {active.by}: {active.reason}"
    terminal.say(f"{active.name} ({active.number}), epoch {active.epoch}  {active.digest}")
    terminal.say(by)
    if (warn := warn_in(active)) is not None:
        terminal.say(
            terminal.pick(
                f"警告期間: {warn.until} まで新たな拒否は予告のみ（直前の版 {warn.former[:12]} の許可が続く）",
                f"warning until {warn.until}: new refusals are announced; what {warn.former[:12]} permits goes on",
            )
        )
    terminal.table(
        [
            terminal.pick("ワーカー", "instance"),
            terminal.pick("版", "no."),
            "epoch",
            terminal.pick("確認", "seen"),
            terminal.pick("異常", "fault"),
        ],
        [[i.id, str(i.number or "-"), str(i.epoch), _time(i.seen_at), i.fault or ""] for i in instances],
    )


def table_reviews(terminal: Terminal, reviews: Sequence[Review]) -> None:
    terminal.table(
        [terminal.pick(ja, en) for ja, en in (("番号", "id"), ("版", "no."), ("期限", "due"), ("結果", "closed"))],
        [[str(r.id), str(r.number), _time(r.due_at), f"{r.closed_by or ''} {r.note}".strip()] for r in reviews],
    )


def _time(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
