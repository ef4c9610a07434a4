"""`pdp audit ship` and `pdp audit status`: recorded decisions on their way to other systems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option

from pdp.commands.call import StateCall, spread
from pdp.commands.exit_codes import NOT_READY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.commands.terminal import Terminal
    from pdp.model.log_target import LogTarget
    from pdp.settings import Settings
    from pdp.shipping.ledger import Standing

Names = Annotated[list[str] | None, Argument(help="Names of targets; default: all `[[log_targets]]` of the settings.")]
Once = Annotated[bool, Option("--once", help="Ship what is there now, and end.")]

_COUNTS = ("shipped", "kept_back", "refused", "refused_bytes", "let_go", "damaged", "missing", "unreadable")


@spread
def ship(call: StateCall, names: Names = None, once: Once = False) -> None:
    """Follow the decision log and ship it to the targets, until SIGTERM. Exit code 3: with --once, one has not all."""
    from pdp.logs import configure_logs
    from pdp.shipping.fleet import Fleet

    terminal, settings = call.terminal, call.settings()
    configure_logs(settings.log_level)
    fleet = Fleet(settings.state_path, _chosen(settings, names or ()))
    try:
        if not once:
            _until_told(fleet)
            return
        faults = fleet.once()
        standings = fleet.standings()
    finally:
        fleet.close()
    _show(terminal, settings, standings, ok=not faults)
    if faults:
        raise Exit(NOT_READY)


@spread
def status(call: StateCall, names: Names = None) -> None:
    """Where each target stands, and what keeps it. Exit code 3 where one could not be shipped to the last time."""
    from pdp.shipping.ledger import Ledger

    terminal, settings = call.terminal, call.settings()
    ledger = Ledger(settings.state_path / "shipping")
    opas = _opas(settings)
    targets = [] if opas and not settings.log_targets and not names else _chosen(settings, names or ())
    standings = {target.name: ledger.read(target.name) for target in targets}
    ok = not any(standing is not None and standing.fault for standing in standings.values())
    _show(terminal, settings, standings, ok=ok, opas=opas)
    if not ok:
        raise Exit(NOT_READY)


def _opas(settings: Settings) -> list[dict[str, Any]]:
    """The last status of each OPA that reports to this host."""
    import json
    from datetime import UTC, datetime

    from pdp.opa_sink.memory import Memory

    path = settings.state_path / "other-opas.db"
    if not path.exists():
        return []
    memory = Memory(path)
    try:
        return [
            {
                "caller": caller,
                "id": instance,
                "at": datetime.fromtimestamp(at, UTC).isoformat(),
                **json.loads(document),
            }
            for caller, instance, at, document in memory.instances()
        ]
    finally:
        memory.close()


def _chosen(settings: Settings, names: Sequence[str]) -> list[LogTarget]:
    """Raises SettingsError for a name that nobody has, or two have, and where there is no target."""
    from pdp.errors import SettingsError

    known = {target.name: target for target in settings.log_targets}
    if len(known) < len(settings.log_targets):
        raise SettingsError("two `log_targets` have the same name")
    if not known:
        raise SettingsError("no log target is configured", next_step="add a `[[log_targets]]` table to `pdp.toml`")
    for name in names:
        if name not in known:
            listed = ", ".join(f"`{known_name}`" for known_name in known)
            raise SettingsError(f"there is no log target `{name}` in the settings; there are {listed}")
    return [known[name] for name in dict.fromkeys(names or known)]


def _until_told(fleet: Any) -> None:
    """A supervisor's SIGTERM ends the batch under way, and then the process."""
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    fleet.forever(stop)


def _show(
    terminal: Terminal,
    settings: Settings,
    standings: dict[str, Standing] | dict[str, Standing | None],
    *,
    ok: bool,
    opas: Sequence[dict[str, Any]] = (),
) -> None:
    entries = [_entry(settings.state_path, name, standing) for name, standing in standings.items()]
    if terminal.as_json:
        terminal.json({"ok": ok, "targets": entries, "opas": list(opas)})
        return
    columns = (
        [
            *("送信先", "送信済み", "対象外", "拒否", "拒否のうち保管できず", "欠落", "未送信 (バイト)"),
            *("ここまで", "障害"),
        ]
        if terminal.lang == "ja"
        else [
            *("target", "shipped", "kept back", "refused", "of these not kept", "lost", "behind (bytes)"),
            *("shipped until", "fault"),
        ]
    )
    rows = [
        [
            entry["name"],
            str(entry["shipped"]),
            str(entry["kept_back"]),
            str(entry["refused"]),
            str(entry["let_go"]),
            str(entry["damaged"] + entry["missing"] + entry["unreadable"]),
            str(entry["behind_bytes"]),
            entry["shipped_until"] or "-",
            entry["fault"] or "-",
        ]
        for entry in entries
    ]
    if entries:
        terminal.table(columns, rows)
    if opas:
        _show_opas(terminal, opas)


def _show_opas(terminal: Terminal, opas: Sequence[dict[str, Any]]) -> None:
    columns = (
        ["呼び出し元", "OPA", "最終報告", "バンドル", "障害"]
        if terminal.lang == "ja"
        else ["caller", "OPA", "last report", "bundles", "fault"]
    )
    rows = [
        [
            opa["caller"],
            opa["id"],
            opa["at"],
            ", ".join(f"{name}={bundle.get('active_revision', '-')}" for name, bundle in opa["bundles"].items()),
            ", ".join(bundle["code"] for bundle in opa["bundles"].values() if "code" in bundle) or "-",
        ]
        for opa in opas
    ]
    terminal.table(columns, rows)


def _entry(state: Path, name: str, standing: Standing | None) -> dict[str, Any]:
    from pdp.shipping.fleet import behind
    from pdp.shipping.ledger import Standing

    known = standing or Standing()
    return {
        "name": name,
        **{count: getattr(known, count) for count in _COUNTS},
        "behind_bytes": behind(state, standing),
        "shipped_until": known.shipped_until,
        "last_success": known.last_success,
        "last_attempt": known.last_attempt,
        "failures": known.failures,
        "fault": known.fault,
    }
