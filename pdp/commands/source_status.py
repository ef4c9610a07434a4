"""The part of `pdp directory status` that tells of sources: health, freshness, what was not found, what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pdp.commands.terminal import Terminal
    from pdp.model.directory import Snapshot
    from pdp.model.source import SourceHealth
    from pdp.sources.register import SourceRow
    from pdp.store.store import Store

_SHOWN = 5  # samples of each fault; `--json` has all that are kept
_NOT_FAULTS = ("received", "matched", "added", "changed", "unchanged", "removed")


def read_source_rows(store: Store) -> tuple[SourceRow, ...]:
    """Every source that the store knows, by name. Raises DirectoryError."""
    from pdp.sources.register import read_rows

    with store.read() as connection:
        return read_rows(connection)


def overall(snapshot: Snapshot, now: datetime) -> dict[str, str]:
    """What `context.sources` says now."""

    def state(held: str, missing: bool, until: datetime | None) -> str:
        return "unavailable" if missing or (until is not None and now >= until) else held

    return {
        "posture": state(snapshot.posture_source, snapshot.posture_missing, snapshot.posture_until),
        "identity": state(snapshot.identity_source, snapshot.identity_missing, snapshot.identity_until),
    }


def sources_json(snapshot: Snapshot, rows: Sequence[SourceRow], now: datetime) -> list[dict[str, Any]]:
    """One entry per source; one that is configured no longer has state `retired`."""
    healths = {source.name: source for source in snapshot.sources}
    return [_entry(row, healths.get(row.name), now) for row in rows]


def _entry(row: SourceRow, health: SourceHealth | None, now: datetime) -> dict[str, Any]:
    age = None if health is None else health.age(now)
    return {
        "name": row.name,
        "kind": row.kind,
        "brings": row.brings,
        "required": row.required,
        "state": "retired" if health is None else health.state(now),
        "age_s": None if age is None else round(age.total_seconds()),
        "last_attempt": _iso(row.last_attempt_at),
        "last_success": _iso(row.last_success_at),
        "last_complete": _iso(row.last_full_at),
        "next_run": _iso(row.next_run_at),
        "failures": row.failures,
        "fault": row.fault,
        "fault_text": row.fault_text,
        "rows": None if health is None else health.rows,
        "unmatched": None if health is None else health.unmatched,
        "refused": None if health is None else health.refused,
        "counts": {what: count for what, count in row.seen.counts.items() if count},
        "samples": row.seen.samples,
        "removal": None
        if row.plan is None
        else {
            "state": row.plan_state,
            "gone": row.plan.gone,
            "disabled": row.plan.disabled,
            "of": row.plan.of,
            "samples": row.plan.samples,
            "at": row.plan.at.isoformat(),
        },
    }


def show_sources(terminal: Terminal, entries: Sequence[dict[str, Any]]) -> None:
    """A table of them, then what somebody has to look at."""
    if not entries:
        return
    columns = (
        ["取得元", "種別", "必須", "状態", "経過", "件数", "不一致", "使えない", "障害"]
        if terminal.lang == "ja"
        else ["source", "kind", "required", "state", "age", "rows", "unmatched", "refused", "fault"]
    )
    states = {
        "ok": terminal.pick("正常", "ok"),
        "stale": terminal.pick("期限超過", "stale"),
        "down": terminal.pick("停止", "down"),
        "retired": terminal.pick("設定なし", "retired"),
    }
    rows = [
        [
            e["name"],
            e["kind"],
            terminal.pick("○", "yes") if e["required"] else "",
            states[e["state"]],
            _age(e["age_s"]),
            *("-" if e[what] is None else str(e[what]) for what in ("rows", "unmatched", "refused")),
            f"{e['fault']}: {e['fault_text']}" if e["fault"] else "",
        ]
        for e in entries
    ]
    terminal.table(columns, rows, title=terminal.pick("取得元", "Sources"))
    for entry in entries:
        _show_samples(terminal, entry)
        _show_removal(terminal, entry)


def _show_samples(terminal: Terminal, entry: dict[str, Any]) -> None:
    for what, samples in entry["samples"].items():
        if samples and what not in _NOT_FAULTS:
            shown = "; ".join(samples[:_SHOWN])
            terminal.say(f"  {entry['name']}: {what} {entry['counts'].get(what, len(samples))}: {shown}", style="dim")


def _show_removal(terminal: Terminal, entry: dict[str, Any]) -> None:
    removal = entry["removal"]
    if removal is None or removal["state"] == "none":
        return
    count, of, name = removal["gone"] + removal["disabled"], removal["of"], entry["name"]
    terminal.say(
        terminal.pick(
            f"  {name}: {of} 件のうち {count} 件の削除が回答待ち（{removal['state']}）: pdp connector approve {name}",
            f"  {name}: the removal of {count} of {of} rows is {removal['state']}: pdp connector approve {name}",
        ),
        style="yellow",
    )


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
