"""`pdp audit compact`, `query`, `store` and `restore`: the stored decision log."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from typer import Argument, Exit, Option

from pdp.commands import archive_terms
from pdp.commands.call import PlainStateCall, StateCall, spread
from pdp.commands.exit_codes import NO

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from typer import Typer

    from pdp.archive.port import QueryEngine
    from pdp.archive.queries import Query
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings


_JAPAN: Final = 540  # minutes east of Greenwich


def register(audit: Typer) -> None:
    """Add these commands to `pdp audit`."""
    audit.command("compact")(compact)
    audit.command("query")(query)
    audit.command("retention")(archive_terms.retention)
    audit.command("store")(show_store)
    audit.command("restore")(restore)
    audit.add_typer(archive_terms.holds, name="hold")


@spread
def compact(
    call: StateCall, once: Annotated[bool, Option("--once", help="Store all that is sealed now, and end.")] = False
) -> None:
    """Keep the store: sealed segments become Parquet, fresh records are published. Runs until it is ended."""
    from pdp.archive.keeper import Keeper, utc_now
    from pdp.archive.standing import write_standing
    from pdp.commands.composed import log_store_of
    from pdp.commands.unshipped import Unshipped

    terminal, settings = call.terminal, call.settings()
    store = log_store_of(settings)
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
    terminal.answer(
        asdict(told),
        terminal.pick(
            f"セグメント {told.segments} 個を格納、ファイル {told.files} 個、削除したセグメント {told.removed} 個",
            f"{told.segments} segments stored, {told.files} files, {told.removed} segments removed",
        ),
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


@spread
def query(
    call: StateCall,
    name: Annotated[str | None, Argument(help="Name of the question; without one, all are listed.")] = None,
    param: Annotated[list[str] | None, Option("--param", "-p", help="NAME=VALUE; times with their offset.")] = None,
    out: Annotated[Path | None, Option("--out", help="Write .csv (for Excel), .jsonl or .parquet.")] = None,
    source: Annotated[
        str | None, Option("--from", help="Ask a copy: clickhouse, object_store or s3://BUCKET/PREFIX/NODE.")
    ] = None,
) -> None:
    """Ask the decision log one of its questions: stored and fresh records alike; of a copy, what was published."""
    from pdp.archive.queries import QUERIES
    from pdp.trail.keeping import record_query

    terminal = call.terminal
    if name is None:
        _list(terminal)
        return
    settings, params = call.settings(), _params(param or [])
    with (
        terminal.busy(terminal.pick("照会中", "asking")),
        _engine(settings, source) as engine,
    ):
        table = engine.run(name, params)
    # INVARIANT (no answer without an event): written down before anything of the answer is shown.
    record_query(settings, "audit.report", params | ({"from": source} if source else {}), object=name, rows=len(table))
    if out is not None:
        _write(terminal, QUERIES[name], table, out)
    else:
        _show(terminal, QUERIES[name], table, params)


def _engine(settings: Settings, source: str | None) -> AbstractContextManager[QueryEngine]:
    from contextlib import nullcontext

    from pdp.archive.duck import DuckQueries
    from pdp.commands.composed import limits_of
    from pdp.outgrown.copies import open_engine

    limits = limits_of(settings)
    if source is None:
        return nullcontext(DuckQueries(settings.decision_logs, limits))
    return open_engine(settings, source, limits)


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


def _show(terminal: Terminal, asked: Query, table: pa.Table, params: dict[str, object]) -> None:
    from pdp.archive.export import plain_rows

    if terminal.as_json:
        terminal.json({"query": asked.name, "rows": list(plain_rows(table))})
        return
    shown = _on_paper(terminal, asked, table)
    columns = [column.to_pylist() for column in shown.columns]
    terminal.table(
        shown.column_names,
        [["" if value is None else str(value) for value in row] for row in zip(*columns, strict=True)],
        title=_title(terminal, asked, params),
    )
    if asked.note is not None:
        terminal.say(terminal.text(asked.note))


def _title(terminal: Terminal, asked: Query, params: dict[str, object]) -> str:
    from pdp.archive.paper import period
    from pdp.archive.queries import bind

    values = bind(asked, params)
    if "since" not in params:
        return terminal.text(asked.title)
    return f"{terminal.text(asked.title)}  {terminal.text(period(values['since'], values['until'], _JAPAN))}"


def _on_paper(terminal: Terminal, asked: Query, table: pa.Table) -> pa.Table:
    from pdp.archive.paper import on_paper

    return on_paper(table, terminal.lang, _JAPAN, local_hours=asked.has_local_hours)


def _write(terminal: Terminal, asked: Query, table: pa.Table, out: Path) -> None:
    """A CSV is for people; the other forms are for programs, with every value as it was recorded."""
    from pdp.archive.export import Style, batches_of
    from pdp.commands.audit_search import form_of, write_file

    form = form_of(out)
    if form.ending == ".csv":
        table = _on_paper(terminal, asked, table)
    write_file(out, form, batches_of(table), Style())
    terminal.say(terminal.pick(f"{table.num_rows} 件を書き出し", f"{table.num_rows} records written"))


@spread
def show_store(
    call: StateCall,
    verify: Annotated[bool, Option("--verify", help="Derive every stored segment again from the files.")] = False,
) -> None:
    """What is stored, and with --verify whether it still gives its segments back. Exit code 1 where it does not."""
    from pdp.archive.restoring import prove_store
    from pdp.commands.composed import log_store_of

    terminal = call.terminal
    store = log_store_of(call.settings())
    files = store.manifest.files()
    proven, broken = prove_store(store) if verify else (None, [])
    records, size = sum(file.records for file in files), sum(file.bytes for file in files)
    if terminal.as_json:
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


@spread
def restore(
    call: PlainStateCall,
    segment: Annotated[str, Argument(help="Name of a segment, as `pdp audit verify` has it.")],
    out: Annotated[Path, Option("--out", help="Where to write it.")],
) -> None:
    """Write a segment again from the store, byte for byte. Exit code 1 where the store does not give it back."""
    from pdp.archive.restoring import segment_again
    from pdp.commands.composed import log_store_of
    from pdp.trail.keeping import record_query

    terminal, settings = call.terminal, call.settings()
    whole = segment_again(log_store_of(settings), segment)
    record_query(settings, "audit.restore", {"out": str(out)}, object=segment, rows=None if whole is None else 1)
    if whole is None:
        terminal.remark(terminal.pick("格納されていない", "it is not in the store"))
        raise Exit(NO)
    out.write_bytes(whole)
    terminal.say(terminal.pick(f"{len(whole)} バイトを書き出し", f"{len(whole)} bytes written"))
