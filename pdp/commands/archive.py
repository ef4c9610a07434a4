"""`pdp audit compact`, `query`, `retention`, `store`, `restore` and `hold`: the stored decision log."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from pdp.commands.exit_codes import NO
from pdp.commands.options import AsJson, ConfigFile, LangOption, StateDir

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime

    import pyarrow as pa

    from pdp.archive.duck import EngineLimits
    from pdp.archive.manifest import Hold
    from pdp.archive.port import QueryEngine
    from pdp.archive.queries import Query
    from pdp.archive.retention import Step, Terms
    from pdp.archive.store import LocalStore
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings

holds = Typer(no_args_is_help=True, help="Legal holds: records that retention may not remove.")


def register(audit: Typer) -> None:
    """Add these commands to `pdp audit`."""
    audit.command("compact")(compact)
    audit.command("query")(query)
    audit.command("retention")(retention)
    audit.command("store")(show_store)
    audit.command("restore")(restore)
    audit.add_typer(holds, name="hold")


def compact(
    once: Annotated[bool, Option("--once", help="Store all that is sealed now, and end.")] = False,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Keep the store: sealed segments become Parquet, fresh records are published. Runs until it is ended."""
    from pdp.archive.keeper import Keeper, utc_now
    from pdp.archive.standing import write_standing
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal
    from pdp.commands.unshipped import Unshipped

    terminal = Terminal(lang, as_json=as_json)
    settings = settings_of(config, state_dir=state_dir)
    store = _store(settings)
    keeper = Keeper(
        store,
        keep_segments_days=settings.audit_keep_segments_days,
        wanted_by=Unshipped(settings.state_path, settings.log_targets, store.layout).wanted_by,
        wait_days=settings.audit_unshipped_days,
        tell=lambda kept, now: write_standing(settings.state_path, store, kept, now),
    )
    if not once:
        keeper.run()
        return
    with terminal.busy(terminal.pick("格納中", "storing")):
        told = keeper.once(utc_now())
    if as_json:
        terminal.json(asdict(told))
    terminal.say(
        terminal.pick(
            f"セグメント {told.segments} 個を格納、ファイル {told.files} 個、削除したセグメント {told.removed} 個",
            f"{told.segments} segments stored, {told.files} files, {told.removed} segments removed",
        )
    )
    if told.waiting:
        terminal.say(
            terminal.pick(
                f"未送信のため削除を待っているセグメント {told.waiting} 個（`pdp audit status`）",
                f"{told.waiting} segments wait to be shipped before they go (`pdp audit status`)",
            ),
            style="yellow",
        )
    if told.lost:
        terminal.say(
            terminal.pick(
                f"未送信のまま削除したセグメント {told.lost} 個（記録は格納済み）",
                f"{told.lost} segments went without having been shipped (their records are in the store)",
            ),
            style="bold red",
        )


def query(
    name: Annotated[str | None, Argument(help="Name of the question; without one, all are listed.")] = None,
    param: Annotated[list[str] | None, Option("--param", "-p", help="NAME=VALUE; times with their offset.")] = None,
    out: Annotated[Path | None, Option("--out", help="Write .csv (for Excel), .jsonl or .parquet.")] = None,
    source: Annotated[
        str | None, Option("--from", help="Ask a copy: clickhouse, object_store or s3://BUCKET/PREFIX/NODE.")
    ] = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Ask the decision log one of its questions: stored and fresh records alike; of a copy, what was published."""
    from pdp.archive.duck import EngineLimits
    from pdp.archive.queries import QUERIES
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal
    from pdp.trail.keeping import record_query

    terminal = Terminal(lang, as_json=as_json)
    if name is None:
        _list(terminal)
        return
    settings, params = settings_of(config, state_dir=state_dir), _params(param or [])
    limits = EngineLimits(memory_mb=settings.audit_memory_mb, threads=settings.audit_threads)
    logs = [settings.state_path / "decisions", *map(Path, settings.audit_other_logs)]
    with (
        terminal.busy(terminal.pick("照会中", "asking")),
        _engine(settings, source, logs, limits) as engine,
    ):
        table = engine.run(name, params)
    # INVARIANT (no answer without an event): written down before anything of the answer is shown.
    record_query(settings, "audit.report", params | ({"from": source} if source else {}), object=name, rows=len(table))
    if out is not None:
        _write(table, out)
    else:
        _show(terminal, QUERIES[name], table)


def _engine(
    settings: Settings, source: str | None, logs: list[Path], limits: EngineLimits
) -> AbstractContextManager[QueryEngine]:
    from contextlib import nullcontext

    from pdp.archive.duck import DuckQueries
    from pdp.outgrown.copies import open_engine

    return nullcontext(DuckQueries(logs, limits)) if source is None else open_engine(settings, source, limits)


def _list(terminal: Terminal) -> None:
    from pdp.archive.queries import QUERIES

    questions = QUERIES.values()
    if terminal.as_json:
        terminal.json(
            [{"name": q.name, "ja": q.title.ja, "en": q.title.en, "params": dict(q.params)} for q in questions]
        )
    terminal.table(
        [terminal.pick("名前", "name"), terminal.pick("内容", "question"), terminal.pick("引数", "parameters")],
        [[q.name, terminal.text(q.title), " ".join(q.params)] for q in questions],
    )


def _params(given: list[str]) -> dict[str, object]:
    from pdp.errors import BadRequestError

    pairs = [entry.partition("=") for entry in given]
    for name, equals, _ in pairs:
        if not equals:
            raise BadRequestError(
                f"`{name}` is not NAME=VALUE", next_step="for example `-p since=2026-04-01T00:00+09:00`"
            )
    return {name: value for name, _, value in pairs}


def _show(terminal: Terminal, asked: Query, table: pa.Table) -> None:
    from pdp.archive.export import plain_rows

    rows = list(plain_rows(table))
    if terminal.as_json:
        terminal.json({"query": asked.name, "rows": rows})
        return
    terminal.table(
        table.column_names,
        [["" if value is None else str(value) for value in row.values()] for row in rows],
        title=terminal.text(asked.title),
    )
    if asked.note is not None:
        terminal.say(terminal.text(asked.note))


def _write(table: pa.Table, out: Path) -> None:
    from pdp.archive.export import Style, batches_of
    from pdp.commands.audit_search import form_of, write_file

    write_file(out, form_of(out), batches_of(table), Style())


def retention(
    apply: Annotated[bool, Option("--apply", help="Do it; without this, only say what would be done.")] = False,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Which stored files are kept, archived or removed by their age, and which are held."""
    from pdp.archive.keeper import LOCK_WAIT_S, utc_now
    from pdp.archive.retention import carry_out, finish, plan
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    settings = settings_of(config, state_dir=state_dir)
    store, terms, now = _store(settings), _terms(settings), utc_now()
    steps = plan(store, terms, now)
    if apply:
        with store.held(LOCK_WAIT_S):
            finish(store, now)
            done = carry_out(store, steps, terms, now)
        steps = [step for step in steps if step in done or step.what in ("keep", "held")]
    _tell_retention(terminal, steps, terms, applied=apply)


def _tell_retention(terminal: Terminal, steps: list[Step], terms: Terms, *, applied: bool) -> None:
    if terminal.as_json:
        terminal.json(
            {
                "applied": applied,
                "hot_months": terms.hot_months,
                "archive_months": terms.archive_months,
                "files": [
                    {"what": s.what, "file": s.file.name, "records": s.file.records, "holds": list(s.holds)}
                    for s in steps
                ],
            }
        )
    words = {
        "keep": terminal.pick("保存", "kept"),
        "archive": terminal.pick("保管へ移す", "to the archive"),
        "remove": terminal.pick("削除", "to be removed"),
        "held": terminal.pick("保全命令により保存", "held"),
    }
    terminal.table(
        [
            terminal.pick("扱い", "what"),
            terminal.pick("ファイル", "file"),
            terminal.pick("件数", "records"),
            terminal.pick("最古", "from"),
            terminal.pick("最新", "to"),
            terminal.pick("保全番号", "holds"),
        ],
        [
            [
                words[s.what],
                s.file.name,
                str(s.file.records),
                str(s.file.min_time or ""),
                str(s.file.max_time or ""),
                " ".join(map(str, s.holds)),
            ]
            for s in steps
        ],
        title=terminal.pick(
            f"保存期間: {terms.hot_months} か月、その後の保管 {terms.archive_months} か月",
            f"kept {terms.hot_months} months, then archived for {terms.archive_months}",
        ),
    )
    if not applied:
        terminal.say(terminal.pick("何も変更していない（実行は `--apply`）", "nothing was changed; `--apply` does it"))


def show_store(
    verify: Annotated[bool, Option("--verify", help="Derive every stored segment again from the files.")] = False,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """What is stored, and with --verify whether it still gives its segments back. Exit code 1 where it does not."""
    from pdp.archive.restoring import prove_store
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    store = _store(settings_of(config, state_dir=state_dir))
    files = store.manifest.files()
    proven, broken = prove_store(store) if verify else (None, [])
    records, size = sum(file.records for file in files), sum(file.bytes for file in files)
    if as_json:
        told = {"files": len(files), "records": records, "bytes": size, "waiting_segments": len(store.waiting())}
        terminal.json(told | {"proven": proven, "broken": broken})
    terminal.say(
        terminal.pick(
            f"ファイル {len(files)} 個、記録 {records} 件、{size} バイト",
            f"{len(files)} files, {records} records, {size} bytes",
        )
    )
    for name in broken:
        terminal.say(
            terminal.pick(f"元に戻らない: {name}", f"does not give its segments back: {name}"), style="bold red"
        )
    if broken:
        raise Exit(NO)


def restore(
    segment: Annotated[str, Argument(help="Name of a segment, as `pdp audit verify` has it.")],
    out: Annotated[Path, Option("--out", help="Where to write it.")],
    state_dir: StateDir = None,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Write a segment again from the store, byte for byte. Exit code 1 where the store does not give it back."""
    from pdp.archive.restoring import segment_again
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=False)
    whole = segment_again(_store(settings_of(config, state_dir=state_dir)), segment)
    if whole is None:
        terminal.remark(terminal.pick("格納されていない", "it is not in the store"))
        raise Exit(NO)
    out.write_bytes(whole)
    terminal.say(terminal.pick(f"{len(whole)} バイトを書き出し", f"{len(whole)} bytes written"))


# -- holds ---------------------------------------------------------------------------------------------


@holds.callback()
def hold() -> None:
    """Legal holds: what they name is not removed until they are lifted."""


@holds.command("place")
def place(
    case: Annotated[str, Option("--case", help="Case number.")],
    reason: Annotated[str, Option("--reason", help="Why.")],
    by: Annotated[str, Option("--by", help="Who orders it.")],
    person: Annotated[str | None, Option("--person", help="One person's id; default: everybody.")] = None,
    since: Annotated[str | None, Option("--since", help="Records from this time on, with its offset.")] = None,
    until: Annotated[str | None, Option("--until", help="Records before this time.")] = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Keep records whatever their age."""
    from pdp.archive.keeper import LOCK_WAIT_S, utc_now
    from pdp.archive.manifest import Hold
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    store = _store(settings_of(config, state_dir=state_dir))
    with store.held(LOCK_WAIT_S):
        number = store.manifest.place_hold(Hold(case, person, _when(since), _when(until), reason, by, utc_now()))
    if as_json:
        terminal.json({"hold": number})
    terminal.say(terminal.pick(f"保全 {number} を登録", f"hold {number} stands"))


@holds.command("lift")
def lift(
    number: Annotated[int, Argument(help="Number of the hold.")],
    reason: Annotated[str, Option("--reason", help="Why.")],
    by: Annotated[str, Option("--by", help="Who orders it.")],
    state_dir: StateDir = None,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """End a hold. It stays on record. Exit code 1 where no such hold stands."""
    from pdp.archive.keeper import utc_now
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=False)
    store = _store(settings_of(config, state_dir=state_dir))
    if not store.manifest.exists() or not store.manifest.lift_hold(number, by=by, now=utc_now(), reason=reason):
        terminal.remark(terminal.pick("その保全はない", "no such hold stands"))
        raise Exit(NO)
    terminal.say(terminal.pick(f"保全 {number} を解除", f"hold {number} is lifted"))


@holds.command("list")
def list_holds(
    lifted: Annotated[bool, Option("--lifted", help="Also those that were lifted.")] = False,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """The holds that stand."""
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    found = _store(settings_of(config, state_dir=state_dir)).manifest.holds(lifted=lifted)
    rows = [_row_of(hold) for hold in found]
    if as_json:
        terminal.json(rows)
    heads = {
        "hold": terminal.pick("番号", "hold"),
        "case": terminal.pick("事案番号", "case"),
        "person": terminal.pick("利用者", "person"),
        "since": terminal.pick("始期", "since"),
        "until": terminal.pick("終期", "until"),
        "reason": terminal.pick("理由", "reason"),
        "by": terminal.pick("命令者", "by"),
        "lifted": terminal.pick("解除", "lifted"),
    }
    terminal.table(list(heads.values()), [["" if row[key] is None else str(row[key]) for key in heads] for row in rows])


def _row_of(hold: Hold) -> dict[str, Any]:
    times = {
        name: None if at is None else f"{at.isoformat()}Z"
        for name, at in (("since", hold.since), ("until", hold.until), ("lifted", hold.lifted_at))
    }
    return {
        "hold": hold.id,
        "case": hold.case_number,
        "person": hold.subject_id,
        "reason": hold.reason,
        "by": hold.placed_by,
        **times,
    }


# -- shared --------------------------------------------------------------------------------------------


def _store(settings: Settings) -> LocalStore:
    from pdp.archive.store import LocalStore

    return LocalStore(settings.state_path / "decisions")


def _terms(settings: Settings) -> Terms:
    from pdp.archive.retention import Terms

    folder = Path(settings.audit_archive_dir) if settings.audit_archive_dir else None
    return Terms(settings.audit_hot_months, settings.audit_archive_months, folder)


def _when(text: str | None) -> datetime | None:
    from pdp.archive.queries import moment

    return None if text is None else moment("time", text)
