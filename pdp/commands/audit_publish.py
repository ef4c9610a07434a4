"""`pdp audit publish`: sealed records on their way to further copies, a ClickHouse or an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option

from pdp.commands.call import StateCall, spread
from pdp.commands.exit_codes import NO, NOT_READY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.commands.terminal import Terminal
    from pdp.outgrown.copies import Publishers
    from pdp.outgrown.standing import Standing
    from pdp.settings import Settings

Names = Annotated[list[str] | None, Argument(help="`clickhouse`, `object_store`; default: those of the settings.")]


@spread
def publish(
    call: StateCall,
    names: Names = None,
    once: Annotated[bool, Option("--once", help="Publish what is sealed now, and end.")] = False,
    status: Annotated[bool, Option("--status", help="Only say where each copy stands.")] = False,
    verify: Annotated[bool, Option("--verify", help="Ask each copy whether it has what it says, and end.")] = False,
    mend: Annotated[bool, Option("--mend", help="With --verify: publish again what a copy has lost.")] = False,
) -> None:
    """Bring copies of the decision log up to date, until SIGTERM.

    Exit code 3: with --once or --status, one is not up to date. Exit code 1: with --verify, one has lost something.
    """
    from pdp.logs import configure_logs
    from pdp.outgrown.copies import Publishers
    from pdp.outgrown.standing import Standings

    terminal, settings = call.terminal, call.settings()
    chosen = _chosen(settings, names or ())
    if status:
        standings = Standings(settings.state_path / "copies")
        _show(terminal, {name: standings.read(name) for name in chosen})
        return
    configure_logs(settings.log_level)
    publishers = Publishers(settings, chosen)
    try:
        if verify:
            _verify(terminal, publishers, mend=mend)
        elif once:
            publishers.once()
            _show(terminal, publishers.standings())
        else:
            _until_told(publishers)
    finally:
        publishers.close()


def _chosen(settings: Settings, names: Sequence[str]) -> list[str]:
    """Raises SettingsError for a copy that the settings do not name, and where they name none."""
    from pdp.errors import SettingsError
    from pdp.outgrown.standing import copies_of

    known = copies_of(settings)
    if not known:
        raise SettingsError(
            "no further copy of the decision log is configured",
            next_step="add `[audit_clickhouse]` or `[audit_object_store]` to `pdp.toml`",
        )
    for name in names:
        if name not in known:
            listed = ", ".join(f"`{known_name}`" for known_name in known)
            raise SettingsError(f"the settings name no copy `{name}`; they name {listed}")
    return list(dict.fromkeys(names or known))


def _verify(terminal: Terminal, publishers: Publishers, *, mend: bool) -> None:
    lacking = publishers.lacking()
    if mend and lacking:
        publishers.mend(lacking)
        publishers.once()
        lacking = publishers.lacking()
    if terminal.as_json:
        terminal.json({"ok": not lacking, "lacking": lacking})
    for name, found in lacking.items():
        for lost in found:
            terminal.say(f"{name}  {lost}", style="bold red")
    if lacking:
        raise Exit(NO)
    terminal.say(terminal.pick("すべての複製が揃っている", "every copy has what it says"), style="bold green")


def _until_told(publishers: Publishers) -> None:
    """A supervisor's SIGTERM ends the segment under way, and then the process."""
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    publishers.forever(stop)


def _show(terminal: Terminal, standings: Mapping[str, Standing | None]) -> None:
    """Where each stands. Raises Exit where one is failing."""
    from pdp.outgrown.standing import Standing

    entries = [_entry(name, standing or Standing()) for name, standing in standings.items()]
    failing = any(entry["fault"] for entry in entries)
    if terminal.as_json:
        terminal.json({"ok": not failing, "copies": entries})
    terminal.table(
        ["複製先", "格納済みセグメント", "未送信セグメント", "最終成功", "障害", "障害の始まり"]
        if terminal.lang == "ja"
        else ["copy", "segments there", "waiting", "last success", "fault", "failing since"],
        [
            [
                entry["name"],
                str(entry["segments"]),
                str(entry["waiting"]),
                entry["last_success"] or "-",
                entry["fault"] or "-",
                entry["failing_since"] or "-",
            ]
            for entry in entries
        ],
    )
    if failing:
        raise Exit(NOT_READY)


def _entry(name: str, standing: Standing) -> dict[str, Any]:
    return {
        "name": name,
        "segments": standing.segments,
        "waiting": standing.waiting,
        "last_success": standing.last_success,
        "last_attempt": standing.last_attempt,
        "failing_since": standing.failing_since,
        "failures": standing.failures,
        "fault": standing.fault,
    }
