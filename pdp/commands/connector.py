"""`pdp connector`: the process that runs sources of people and posture, and what an operator says to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import StoreCall, spread
from pdp.commands.exit_codes import NO, NOT_READY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.commands.terminal import Terminal
    from pdp.sources.bounds import RemovalPlan
    from pdp.sources.runner import Ending

app = Typer(no_args_is_help=True, help="Sources of people and posture.")

_Name = Annotated[str, Argument(metavar="NAME", help="The source, as `pdp.toml` names it.")]
_Names = Annotated[list[str] | None, Argument(metavar="[NAME...]", help="Sources; default: all that are configured.")]
_Yes = Annotated[bool, Option("--yes", help="Do it; without it, it is only shown.")]
_SHOWN = 20


@app.callback()
def connector() -> None:
    """Sources of people and posture: run them, and answer what they ask."""


@app.command("run")
@spread
def run(
    call: StoreCall,
    names: _Names = None,
    once: Annotated[bool, Option("--once", help="Run each now, and end. Exit code 3 where one failed.")] = False,
    full: Annotated[bool, Option("--full", help="With --once: ask for everything, not for what changed.")] = False,
) -> None:
    """Run the sources on their schedules until ended, or once. Several such processes share the work."""
    from pdp.commands.connecting import run_sources

    terminal, settings = call.terminal, call.settings()
    endings = run_sources(settings, names or [], once=once, full=full)
    if endings is not None:
        _show_endings(terminal, endings)
        raise Exit(_code(endings))


@app.command("check")
@spread
def check(call: StoreCall, names: _Names = None) -> None:
    """Read each source whole and say what a run would do. Nothing is written."""
    from pdp.commands.connecting import check_sources

    terminal, settings = call.terminal, call.settings()
    with terminal.busy(terminal.pick("確認", "reading")):
        found = check_sources(settings, names or [])
    if terminal.as_json:
        terminal.json([{"source": name, "counts": counts, "samples": samples} for name, counts, samples in found])
    for name, counts, samples in found:
        terminal.say(name, style="bold")
        for what, count in sorted(counts.items()):
            terminal.say(f"  {what}: {count}")
            for sample in samples.get(what, [])[:3]:
                terminal.say(f"    {sample}", style="dim")


@app.command("approve")
@spread
def approve(call: StoreCall, name: _Name, yes: _Yes = False) -> None:
    """Show the removal that waits; with --yes let exactly this one pass, once, at the next run."""
    _answer(call, "approve", name, yes=yes)


@app.command("reject")
@spread
def reject(call: StoreCall, name: _Name, yes: _Yes = False) -> None:
    """Show the removal that waits; with --yes refuse it: the source's complete runs stay stopped by it."""
    _answer(call, "reject", name, yes=yes)


@app.command("forget")
@spread
def forget(call: StoreCall, name: _Name, yes: _Yes = False) -> None:
    """With --yes take away what this source reported of devices, and the source. Its people stay, as if imported."""
    from pdp.commands.composed import store_of
    from pdp.commands.telling import telling
    from pdp.directory.snapshot import current_epoch
    from pdp.parts import utc_now
    from pdp.sources.approval import forget as forget_source

    terminal, settings = call.terminal, call.settings()
    if not yes:
        terminal.remark(terminal.pick("--yes を付けると実行する", "add --yes to do it"))
        raise Exit(NO)
    with store_of(settings) as store, telling(settings, terminal) as tell:
        reports = forget_source(store, name, utc_now())
        tell("directory", str(current_epoch(store)))
    terminal.answer(
        {"source": name, "reports": reports},
        terminal.pick(f"{name} の報告 {reports} 件を消した", f"{reports} reports of {name} are gone"),
    )


@app.command("runs")
@spread
def runs(call: StoreCall, name: _Name) -> None:
    """The latest runs of a source."""
    import json

    from pdp.commands.composed import store_of
    from pdp.sources.approval import latest_runs

    terminal = call.terminal
    with store_of(call.settings()) as store:
        found = latest_runs(store, name, _SHOWN)
    if terminal.as_json:
        keys = ("at", "complete", "outcome", "fault", "counts")
        terminal.json(
            [dict(zip(keys, (at.isoformat(), *rest, json.loads(said)), strict=True)) for at, *rest, said in found]
        )
    columns = (
        ["時刻", "全件", "結果", "障害", "件数"]
        if terminal.lang == "ja"
        else ["at", "complete", "outcome", "fault", "counts"]
    )
    rows = [
        [at.isoformat(timespec="seconds"), terminal.pick("○", "yes") if whole else "", outcome, fault or "", said]
        for at, whole, outcome, fault, said in found
    ]
    terminal.table(columns, rows)


def _answer(call: StoreCall, verb: str, name: str, *, yes: bool) -> None:
    import getpass

    from pdp.commands.composed import store_of
    from pdp.parts import utc_now
    from pdp.sources import approval

    with store_of(call.settings()) as store:
        plan, digest, state = approval.waiting(store, name)
        if yes:
            say = approval.approve if verb == "approve" else approval.reject
            say(store, name, by=getpass.getuser(), now=utc_now(), digest=digest)
            state = "approved" if verb == "approve" else "rejected"
    _show_plan(call.terminal, name, plan, state)
    if not yes:
        call.terminal.remark(call.terminal.pick("--yes を付けると回答する", "add --yes to answer"))
        raise Exit(NO)


def _show_plan(terminal: Terminal, name: str, plan: RemovalPlan, state: str) -> None:
    if terminal.as_json:
        terminal.json(
            {
                "source": name,
                "state": state,
                "gone": plan.gone,
                "disabled": plan.disabled,
                "of": plan.of,
                "percent": round(plan.percent, 1),
                "samples": plan.samples,
                "at": plan.at.isoformat(),
            }
        )
        return
    terminal.say(
        terminal.pick(
            f"{name}: {plan.of} 件のうち {plan.count} 件（{plan.percent:.1f} %）がなくなる"
            f"（消滅 {plan.gone}、停止 {plan.disabled}）",
            f"{name}: {plan.count} of {plan.of} rows ({plan.percent:.1f} %) would go"
            f" ({plan.gone} gone, {plan.disabled} disabled)",
        ),
        style="bold",
    )
    for key in plan.samples:
        terminal.say(f"  - {key}")
    if plan.count > len(plan.samples):
        more = plan.count - len(plan.samples)
        terminal.say(f"  … {terminal.pick(f'ほか {more} 件', f'and {more} more')}", style="dim")
    states = {
        "pending": terminal.pick("回答待ち", "waits for an answer"),
        "approved": terminal.pick("承認済み: 次の実行で反映する", "approved: the next run does it"),
        "rejected": terminal.pick("却下済み: 反映しない", "rejected: it is not done"),
    }
    terminal.say(states.get(state, state))


def _show_endings(terminal: Terminal, endings: Sequence[Ending]) -> None:
    if terminal.as_json:
        terminal.json(
            [
                {
                    "source": e.source,
                    "outcome": e.outcome,
                    "fault": e.fault,
                    "text": e.text,
                    "took_s": round(e.took_s, 3),
                    "counts": {what: count for what, count in e.counts.items() if count},
                }
                for e in endings
            ]
        )
        return
    words = {
        "applied": terminal.pick("反映した", "applied"),
        "unchanged": terminal.pick("変更なし", "unchanged"),
        "stopped": terminal.pick("承認待ちで停止", "stopped for approval"),
        "failed": terminal.pick("失敗", "failed"),
        "busy": terminal.pick("他のプロセスが実行中", "another process runs it"),
    }
    columns = (
        ["取得元", "結果", "件数", "障害", "秒"]
        if terminal.lang == "ja"
        else ["source", "outcome", "counts", "fault", "seconds"]
    )
    rows = [
        [
            e.source,
            words[e.outcome],
            ", ".join(f"{what} {count}" for what, count in e.counts.items() if count),
            f"{e.fault}: {e.text}" if e.fault else "",
            f"{e.took_s:.1f}",
        ]
        for e in endings
    ]
    terminal.table(columns, rows)


def _code(endings: Sequence[Ending]) -> int:
    outcomes = {ending.outcome for ending in endings}
    return NOT_READY if "failed" in outcomes else NO if "stopped" in outcomes else 0
