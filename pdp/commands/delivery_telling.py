"""What `pdp export plan`, `apply` and `drift` say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.delivery.plan import PHASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.commands.terminal import Terminal
    from pdp.delivery.drift import Difference
    from pdp.delivery.journal import Applied
    from pdp.delivery.plan import Phase, Plan, Step

_SHOWN: Final = 20  # names of one kind on a terminal; `--json` has all


def show_plan(terminal: Terminal, plan: Plan) -> None:
    """Every step, by what it is for; what pauses, and what of others comes first."""
    if terminal.as_json:
        terminal.json({"ok": True, **_totals(plan), "steps": [_said(step) for step in plan.steps]})
        return
    if not plan.steps:
        terminal.say(
            terminal.pick(f"{plan.tenant}: 差分なし", f"{plan.tenant}: nothing is left to do"), style="bold green"
        )
    phase: Phase | None = None
    for step in plan.steps:
        if step.phase != phase:
            phase = step.phase
            words = PHASES[phase]
            terminal.say(terminal.pick(words.ja, words.en), style="bold")
        words = step.words()
        terminal.say(f"  {step.number:>4}  {terminal.pick(words.ja, words.en)}")
    figures = [plan.count(op) for op in ("add", "change", "remove", "move")]
    terminal.say(
        terminal.pick(
            "追加 {}、変更 {}、削除 {}、移動 {}".format(*figures),
            "{} to add, {} to change, {} to remove, {} to move".format(*figures),
        )
    )
    if plan.paused:
        terminal.say(
            terminal.pick(
                f"途中で一時的に外れる許可 {len(plan.paused)} 件: {_names(plan.paused)}",
                f"{len(plan.paused)} allows are away for a while: {_names(plan.paused)}",
            ),
            style="yellow",
        )
    if plan.ahead:
        terminal.say(
            terminal.pick(
                f"当方より先に評価される他者の規則 {len(plan.ahead)} 件（証明の対象外）: {_names(plan.ahead)}",
                f"{len(plan.ahead)} rules of others come before ours (no proof has them): {_names(plan.ahead)}",
            ),
            style="yellow",
        )
    terminal.say(terminal.pick(f"計画の識別子 {plan.digest}", f"plan {plan.digest}"))


def show_resumed(terminal: Terminal, plan: Plan, done: int) -> None:
    """Where an apply goes on."""
    total = len(plan.steps)
    terminal.remark(
        terminal.pick(
            f"{plan.tenant}: 中断した配信の続き（{total} 手順のうち {done} 済み）",
            f"{plan.tenant}: going on with an apply that was cut off ({done} of {total} steps are done)",
        )
    )


def show_step(terminal: Terminal, plan: Plan, step: Step) -> None:
    """One step that is done."""
    words = step.words()
    terminal.say(f"{step.number}/{len(plan.steps)}  {terminal.pick(words.ja, words.en)}")


def show_applied(terminal: Terminal, plan: Plan, applied: Applied) -> None:
    """All is there."""
    if terminal.as_json:
        terminal.json({"ok": True, **_totals(plan), "at": applied.at, "objects": len(applied.held)})
    terminal.say(
        terminal.pick(
            f"{plan.tenant}: 配信済み（{len(plan.steps)} 手順、{len(applied.held)} 個）",
            f"{plan.tenant}: delivered, {len(plan.steps)} steps, {len(applied.held)} objects",
        ),
        style="bold green",
    )


def show_drift(terminal: Terminal, tenant: str, found: Sequence[Difference]) -> None:
    """Every difference; those that can change an access first."""
    count = sum(one.counts for one in found)
    if terminal.as_json:
        told = [
            {"what": one.what, "kind": one.key.kind, "place": one.key.place, "name": one.key.name,
             "members": list(one.members), "counts": one.counts}
            for one in found
        ]  # fmt: skip
        terminal.json({"ok": count == 0, "tenant": tenant, "differences": told})
        return
    terminal.say(
        terminal.pick(
            f"{tenant}: 配信したものとの違い {count} 件", f"{tenant}: {count} differences from what was delivered"
        ),
        style="bold red" if count else "bold green",
    )
    for one in found:
        words = one.words()
        terminal.say(f"  {terminal.pick(words.ja, words.en)}", style=None if one.counts else "dim")


def _totals(plan: Plan) -> dict[str, Any]:
    return {
        "vendor": plan.vendor,
        "tenant": plan.tenant,
        "plan": plan.digest,
        "export": plan.export,
        "add": plan.count("add"),
        "change": plan.count("change"),
        "remove": plan.count("remove"),
        "move": plan.count("move"),
        "paused": [str(key) for key in plan.paused],
        "ahead": [str(key) for key in plan.ahead],
    }


def _said(step: Step) -> dict[str, Any]:
    said: dict[str, Any] = {"number": step.number, "op": step.op, "phase": step.phase, "live": step.live}
    if step.key is not None:
        said |= {"kind": step.key.kind, "place": step.key.place, "name": step.key.name}
    if step.op == "move":
        said["behind"] = None if step.behind is None else step.behind.name
    if step.thing is not None:
        said["body"] = step.thing.body
    return said


def _names(keys: Sequence[object]) -> str:
    more = f" … +{len(keys) - _SHOWN}" if len(keys) > _SHOWN else ""
    return ", ".join(str(key) for key in keys[:_SHOWN]) + more
