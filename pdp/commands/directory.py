"""`pdp directory`: people, terminals and permits: how they come in, and how fresh they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer import Typer

from pdp.commands.call import StoreCall, spread
from pdp.commands.importing import import_files
from pdp.commands.options import BundleDir

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.commands.terminal import Terminal
    from pdp.directory.freshness import Freshness
    from pdp.directory.runs import ImportRun
    from pdp.model.directory import Snapshot

app = Typer(no_args_is_help=True, help="People, terminals and permits.")

_LATEST_RUNS = 5


@app.callback()
def directory() -> None:
    """People, terminals and permits: import them, see how fresh they are."""


app.command("import")(import_files)


@app.command("status")
@spread
def status(call: StoreCall, bundle: BundleDir = None) -> None:
    """Epoch, rows per register, age of the posture reports, sources and their health, latest imports."""
    from pdp.commands.composed import store_of
    from pdp.commands.source_status import overall, read_source_rows, show_sources, sources_json
    from pdp.directory.freshness import freshness, stale_after
    from pdp.directory.runs import latest_runs
    from pdp.directory.snapshot import load_snapshot
    from pdp.parts import configured_bundle, utc_now

    terminal, settings = call.terminal, call.settings(bundle=bundle)
    limit = stale_after(configured_bundle(settings).data)
    now = utc_now()
    with store_of(settings) as store:
        snapshot, runs = load_snapshot(store, now), latest_runs(store, _LATEST_RUNS)
        connectors = sources_json(snapshot, read_source_rows(store), now)
    seen = freshness(snapshot, now, limit)
    if terminal.as_json:
        terminal.json(
            {**_status_json(snapshot, seen, runs), "sources": overall(snapshot, now), "connectors": connectors}
        )
        return
    terminal.say(terminal.pick(f"版 {snapshot.epoch}", f"epoch {snapshot.epoch}"), style="bold")
    counted = [[name, str(count)] for name, count in _counts(snapshot).items()]
    terminal.table([terminal.pick("台帳", "register"), terminal.pick("件数", "rows")], counted)
    _show_posture(terminal, seen)
    show_sources(terminal, connectors)
    _show_runs(terminal, runs)


def _counts(snapshot: Snapshot) -> dict[str, int]:
    return {
        "users": len(snapshot.users),
        "devices": len(snapshot.devices),
        "permits": sum(map(len, snapshot.permits.values())),
        "loans": sum(map(len, snapshot.loans.values())),
        "work_permits": len(snapshot.work_permits),
        "resources": len(snapshot.resources),
        "emergencies": len(snapshot.emergencies),
    }


def _status_json(snapshot: Snapshot, seen: Freshness, runs: tuple[ImportRun, ...]) -> dict[str, Any]:
    return {
        "epoch": snapshot.epoch,
        "rows": _counts(snapshot),
        "posture": {
            "devices": seen.devices,
            "fresh": seen.fresh,
            "stale": seen.stale,
            "unknown": seen.unknown,
            "newest": _iso(seen.newest),
            "oldest": _iso(seen.oldest),
        },
        "imports": [
            {
                "at": run.at.isoformat(),
                "actor": run.actor,
                "mode": run.mode,
                "epoch": run.epoch,
                "files": [{"name": file.name, "sha256": file.sha256, "bytes": file.bytes} for file in run.files],
                "counts": {name: _counted(counts) for name, counts in run.counts.items()},
            }
            for run in runs
        ],
    }


def _counted(counts: Any) -> dict[str, int]:
    return {"added": counts.added, "changed": counts.changed, "removed": counts.removed}


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _local(instant: datetime | None) -> str:
    from pdp.model.directory import JST

    return "-" if instant is None else instant.astimezone(JST).isoformat(timespec="minutes")


def _show_posture(terminal: Terminal, seen: Freshness) -> None:
    def share(count: int) -> str:
        return f"{count} ({100 * count / seen.devices:.1f} %)" if seen.devices else "0"

    rows = [
        [terminal.pick("最新の報告", "newest report"), _local(seen.newest)],
        [terminal.pick("最古の報告", "oldest report"), _local(seen.oldest)],
        [terminal.pick("最新の状態", "fresh"), share(seen.fresh)],
        [terminal.pick("期限超過", "stale"), share(seen.stale)],
        [terminal.pick("未確認", "unknown"), share(seen.unknown)],
    ]
    terminal.table(["", ""], rows, title=terminal.pick("端末の状態", "Posture"))


def _show_runs(terminal: Terminal, runs: tuple[ImportRun, ...]) -> None:
    columns = (
        ["取込み", "誰が", "方法", "版", "ファイル", "追加", "変更", "削除"]
        if terminal.lang == "ja"
        else ["import", "by", "mode", "epoch", "files", "added", "changed", "removed"]
    )
    rows = [
        [
            _local(run.at),
            run.actor,
            run.mode,
            str(run.epoch),
            ", ".join(file.name for file in run.files),
            *(
                str(sum(getattr(counts, what) for counts in run.counts.values()))
                for what in ("added", "changed", "removed")
            ),
        ]
        for run in runs
    ]
    if rows:
        terminal.table(columns, rows)


@app.command("demo")
@spread
def demo(call: StoreCall) -> None:
    """Fill an empty directory with the demonstration prefecture, or renew it there. Other data are never touched."""
    from pdp.commands.composed import store_of
    from pdp.commands.telling import telling
    from pdp.directory.demo import write_demonstration
    from pdp.parts import utc_now

    terminal, settings = call.terminal, call.settings()
    busy = terminal.busy(terminal.pick("作成", "writing"))
    with store_of(settings) as store, telling(settings, terminal) as tell, busy:
        epoch = write_demonstration(store, utc_now())
        tell("directory", str(epoch))
    terminal.answer(
        {"epoch": epoch},
        terminal.pick(f"デモ用の台帳を作った（版 {epoch}）", f"the demonstration is in place (epoch {epoch})"),
    )
