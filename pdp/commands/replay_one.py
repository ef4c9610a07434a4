"""`pdp replay --id`: one decision, with what was recorded beside what comes out now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer import Exit

from pdp.commands.exit_codes import NO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pdp.bundle.bundle import Bundle
    from pdp.commands.terminal import Terminal
    from pdp.declog.record import Record
    from pdp.engine.port import Engine
    from pdp.replaying.single import Single
    from pdp.settings import Settings


async def replay_one(
    terminal: Terminal,
    settings: Settings,
    decision_id: str,
    engines: Mapping[str, Callable[[], Engine]],
    load: Callable[[str], Bundle],
    override: Bundle | None,
    against: Path | None,
) -> None:
    import asyncio

    from pdp.bundle.bundle import read_bundle
    from pdp.commands.composed import limits_of
    from pdp.errors import NotReadyError
    from pdp.replaying.answer import held_in
    from pdp.replaying.court import Court
    from pdp.replaying.single import find, nothing_to_judge
    from pdp.replaying.single import replay_one as judge
    from pdp.trail.keeping import record_query

    record = await asyncio.to_thread(find, settings.decision_logs, decision_id, limits_of(settings))
    await asyncio.to_thread(record_query, settings, "audit.replay", _asked(against), object=decision_id, rows=1)
    if nothing_to_judge(record) is not None:
        _tell_nothing(terminal, record)
        return
    if record.bundle_digest is None:
        raise NotReadyError("the record does not say which policy decided")
    if override is not None and override.digest != record.bundle_digest:
        raise NotReadyError(
            f"the decision was made by revision `{record.policy_revision}` (digest {record.bundle_digest}); "
            f"`--bundle` is `{override.revision}` (digest {override.digest})",
            next_step=f"name a copy of revision `{record.policy_revision}`, or leave `--bundle` out; "
            "`--against` says what another policy would decide",
        )
    async with Court(engines, load) as court:
        bench = await (
            court.bench(record.bundle_digest, held_in(record)) if against is None else court.bench(read_bundle(against))
        )
        found = await judge(record, bench, court.names)
    if terminal.as_json:
        terminal.json(found.as_json())
    else:
        _show(terminal, found)
    if not found.stands:
        raise Exit(NO)


def _asked(against: Path | None) -> dict[str, str]:
    return {} if against is None else {"against": str(against)}


def _why_nothing(record: Record) -> tuple[str, str]:
    """(ja, en)."""
    from pdp.replaying.single import nothing_to_judge

    why = nothing_to_judge(record)
    if why == "refusal":
        fault = f"{record.error_code}: {record.error_message}"
        return (
            f"要求は判定の前に拒否された（{fault}）。ポリシーは評価していない",
            f"the request was refused before a decision ({fault}); no policy was asked",
        )
    if why == "other_opa":
        return (
            "他のOPAが判定した記録である。ポリシーはここにない",
            "another OPA decided this, by a policy that is not here",
        )
    return (
        f"入力が作れなかったため、ポリシーは評価していない（{record.fault}）",
        f"no input document could be made, so no policy was asked ({record.fault})",
    )


def _tell_nothing(terminal: Terminal, record: Record) -> None:
    why = _why_nothing(record)
    if terminal.as_json:
        terminal.json({"id": record.id, "kind": record.kind, "replayed": False, "reason": why[1]})
    terminal.say(terminal.pick(*why))


def _show(terminal: Terminal, found: Single) -> None:
    from pdp.replaying.answer import recorded_answer

    recorded = recorded_answer(found.record).as_json()
    said = [one.answer.as_json() for one in found.judgement]
    rows = [
        ["≠" if part in found.differences else "=", part, str(value), *(str(one[part]) for one in said)]
        for part, value in recorded.items()
    ]
    recomputed = terminal.pick("再計算", "recomputed")
    columns = [recomputed] if len(said) == 1 else [f"{recomputed} ({name})" for name in found.engines]
    terminal.table(["", "", terminal.pick("記録", "recorded"), *columns], rows)
    for name, one in zip(found.engines, found.judgement, strict=True):
        if one.fault is not None:
            terminal.say(terminal.pick("評価の失敗", "the evaluation failed") + f" ({name}): {one.fault}")
    replaced = [*found.record.redacted, *found.record.hidden]
    if replaced:
        terminal.say(
            terminal.pick("記録の一部が伏せられている: ", "parts of the record were replaced: ") + ", ".join(replaced)
        )
    if found.judgement[1:] and len({one.answer for one in found.judgement}) > 1:
        terminal.say(terminal.pick("エンジンの結果が一致しない", "the engines disagree"), style="bold red")
    if not found.differences:
        terminal.say(terminal.pick("同じ判定", "the same decision"), style="bold green")
    elif found.exact:
        terminal.say(terminal.pick("判定が異なる", "the decision differs"), style="bold red")
    else:
        terminal.say(
            terminal.pick(
                "ポリシーが見た値が伏せられているため、正確には再計算できない",
                "it cannot be recomputed exactly: a value that the policy saw was replaced",
            ),
            style="yellow",
        )
