"""`pdp audit search`, `sql` and `columns`: the decision log asked by filters, by a statement, and what can be asked.

Each question goes into the trail before its answer is shown; where it cannot be written down there is no answer.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from typer import Argument, Option

from pdp.commands.call import StateCall, spread
from pdp.commands.options import AsJson, LangOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from typer import Typer

    from pdp.archive.asking import Filters
    from pdp.archive.export import Format, Style
    from pdp.archive.search import DuckSearch
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings
    from pdp.trail.event import Action

_SINCE: Final = Option("--since", help="From this time on, with its offset: 2026-04-01T00:00:00+09:00.")
_UNTIL: Final = Option("--until", help="Before this time.")
_OUT: Final = Option("--out", help="Write .csv (for Excel), .jsonl or .parquet; as long as it may be.")
_OFFSET: Final = Option("--utc-offset", help="Times of the answer, in minutes east of Greenwich; default: Japan.")
_SHOWN: Final = ("time", "outcome", "reasons", "person", "device", "resource", "action", "source_ip", "caller_id", "id")


def register(audit: Typer) -> None:
    """Add these commands to `pdp audit`."""
    audit.command("search")(search)
    audit.command("sql")(sql)
    audit.command("columns")(columns)


@spread
def search(
    call: StateCall,
    since: Annotated[str, _SINCE],
    until: Annotated[str, _UNTIL],
    person: Annotated[str | None, Option("--person", help="One person's id.")] = None,
    department: Annotated[str | None, Option("--department", help="Of people of this department.")] = None,
    device: Annotated[str | None, Option("--device", help="One device's id.")] = None,
    resource: Annotated[str | None, Option("--resource", help="One application's id.")] = None,
    resource_group: Annotated[str | None, Option("--resource-group", help="Group of applications.")] = None,
    outcome: Annotated[list[str] | None, Option("--outcome", help="allow, limit, step_up, deny; repeatable.")] = None,
    reason: Annotated[list[str] | None, Option("--reason", help="Code of a reason; repeatable.")] = None,
    caller: Annotated[str | None, Option("--caller", help="Enforcement point that asked.")] = None,
    revision: Annotated[str | None, Option("--revision", help="Revision of the policy.")] = None,
    source_ip: Annotated[str | None, Option("--source-ip", help="Address that it came from.")] = None,
    action: Annotated[str | None, Option("--action", help="What was to be done.")] = None,
    kind: Annotated[str | None, Option("--kind", help="decision or refusal.")] = None,
    exception: Annotated[bool | None, Option(help="Permitted by an exception, or not.")] = None,
    disaster_mode: Annotated[bool | None, Option(help="In emergency mode, or not.")] = None,
    request_id: Annotated[str | None, Option("--request-id", help="The caller's own id of the request.")] = None,
    trace_id: Annotated[str | None, Option("--trace-id", help="Trace id of the request.")] = None,
    count: Annotated[bool, Option("--count", help="Only how many.")] = False,
    group: Annotated[str | None, Option("--group", help="Count by one or two of: hour, day, reason, …")] = None,
    people: Annotated[bool, Option("--people", help="With --group: distinct persons as well; slower.")] = False,
    limit: Annotated[int | None, Option("--limit", help="Rows of a page (1000 at most) or of a grouping.")] = None,
    before: Annotated[str | None, Option("--before", help="The next page: what the one before ended with.")] = None,
    out: Annotated[Path | None, _OUT] = None,
    utc_offset_min: Annotated[int, _OFFSET] = 540,
) -> None:
    """Find decisions: the newest first, how many, counted by hour or reason, or all of them into a file."""
    from pdp.archive.asking import PARAMETERS, filters_of

    given = {name: _said(value) for name, value in locals().items() if name in PARAMETERS and _said(value)}
    asking = _Asking(call.terminal, call.settings(), given, utc_offset_min)
    _check_one_of(count=count, group=group is not None, out=out is not None, before=before is not None)
    filters = filters_of(given)
    if out is not None:
        _export(asking, filters, out)
    elif count:
        _count(asking, filters)
    elif group is not None:
        _group(asking, filters, group, limit=limit, people=people)
    else:
        _page(asking, filters, limit, before)


@spread
def sql(
    call: StateCall,
    statement: Annotated[str, Argument(help="One SELECT over decisions, hourly and segments.")],
    since: Annotated[str, _SINCE],
    until: Annotated[str, _UNTIL],
    out: Annotated[Path | None, _OUT] = None,
    utc_offset_min: Annotated[int, _OFFSET] = 540,
) -> None:
    """Ask the decision log with one read-only SELECT. Times in it are UTC; $since and $until may stand in it."""
    from pdp.archive.export import Style, batches_of
    from pdp.archive.queries import moment

    terminal = call.terminal
    parameters: dict[str, Any] = {"since": since, "until": until, "sql": statement}
    asking = _Asking(terminal, call.settings(), parameters, utc_offset_min)
    form = None if out is None else form_of(out)
    with terminal.busy(terminal.pick("照会中", "asking")):
        table = asking.search.sql(statement, since=moment("since", since), until=moment("until", until))
    asking.record("audit.sql", rows=table.num_rows)
    if out is not None and form is not None:
        write_file(out, form, batches_of(table), Style())
        return
    rows = asking.rows(table)
    if terminal.as_json:
        terminal.json({"columns": table.column_names, "rows": [list(row.values()) for row in rows]})
    terminal.table(table.column_names, [_texts(row.values()) for row in rows])


def columns(as_json: AsJson = False, lang: LangOption = None) -> None:
    """What a statement may name: relations, their columns, and what they say."""
    from pdp.archive.meanings import RELATIONS
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    if as_json:
        terminal.json(
            {
                relation: [{"name": name, "ja": text.ja, "en": text.en} for name, text in known.items()]
                for relation, known in RELATIONS.items()
            }
        )
    for relation, known in RELATIONS.items():
        terminal.table(
            [terminal.pick("列", "column"), terminal.pick("意味", "meaning")],
            [[name, terminal.text(text)] for name, text in known.items()],
            title=relation,
        )


# -- the ways to ask -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asking:
    """Who asks what, of which log, and where the answer goes."""

    terminal: Terminal
    settings: Settings
    given: dict[str, Any]
    utc_offset_min: int

    @property
    def search(self) -> DuckSearch:
        from pdp.archive.search import DuckSearch
        from pdp.commands.composed import limits_of

        settings = self.settings
        return DuckSearch(settings.decision_logs, limits_of(settings))

    @property
    def style(self) -> Style:
        from pdp.archive.export import Style

        return Style(heads=self.terminal.lang, utc_offset_min=self.utc_offset_min)

    def rows(self, table: pa.Table) -> list[dict[str, Any]]:
        from pdp.archive.export import Style, plain_rows

        return list(plain_rows(table, Style(utc_offset_min=self.utc_offset_min)))

    def record(self, action: Action, **others: Any) -> str:
        """INVARIANT (no answer without an event): before anything of the answer is shown. Raises RecordFailedError."""
        from pdp.trail.keeping import record_query

        more = others.pop("more", {})
        return record_query(self.settings, action, {**self.given, **more}, **others)


def _page(asking: _Asking, filters: Filters, limit: int | None, before: str | None) -> None:
    from pdp.archive.asking import cursor_of

    terminal = asking.terminal
    cursor = None if before is None else cursor_of(before)
    with terminal.busy(terminal.pick("照会中", "asking")):
        page = asking.search.page(filters, size=100 if limit is None else limit, before=cursor)
    asking.record("audit.query", rows=page.table.num_rows, more={"before": before} if before else {})
    rows = asking.rows(page.table)
    following = None if page.next is None else page.next.text()
    if terminal.as_json:
        terminal.json({"decisions": rows, "next": following})
    terminal.table(
        [_head(terminal, name) for name in _SHOWN],
        [_texts(_named(terminal, name, row[name]) for name in _SHOWN) for row in rows],
    )
    if following is not None and not terminal.as_json:
        terminal.remark(terminal.pick(f"続きは `--before {following}`", f"older ones: `--before {following}`"))


def _count(asking: _Asking, filters: Filters) -> None:
    terminal = asking.terminal
    with terminal.busy(terminal.pick("照会中", "asking")):
        found = asking.search.count(filters)
    asking.record("audit.count", rows=1)
    terminal.answer({"count": found}, terminal.pick(f"{found} 件", f"{found} records"))


def _group(asking: _Asking, filters: Filters, text: str, *, limit: int | None, people: bool) -> None:
    from pdp.archive.asking import groups_of

    terminal, by = asking.terminal, groups_of(text)
    rows_at_most = 1_000 if limit is None else limit
    with terminal.busy(terminal.pick("照会中", "asking")):
        table = asking.search.group(
            filters, by, utc_offset_min=asking.utc_offset_min, limit=rows_at_most, people=people
        )
    asking.record("audit.group", rows=table.num_rows, more={"by": list(by)})
    rows = asking.rows(table)
    if terminal.as_json:
        terminal.json({"by": list(by), "groups": rows})
    terminal.table([_head(terminal, name) for name in table.column_names], [_texts(row.values()) for row in rows])
    if table.num_rows == rows_at_most:
        terminal.remark(terminal.pick("`--limit` の件数で打ち切り", "cut off at `--limit`"), style="yellow")


def _export(asking: _Asking, filters: Filters, out: Path) -> None:
    """INVARIANT (whole or not at all): under its name there is never a part of an answer."""
    form = form_of(out)
    terminal, rows = asking.terminal, 0
    begun = asking.record("audit.export", outcome="begun", more={"format": out.suffix})

    def counted(batches: Iterable[pa.RecordBatch], advance: Any) -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            advance(batch.num_rows)
            yield batch

    try:
        with (
            terminal.progress(terminal.pick("書出し", "exporting")) as advance,
            closing(asking.search.stream(filters)) as batches,  # type: ignore[type-var]  # a generator
        ):
            write_file(out, form, counted(batches, advance), asking.style)
    except BaseException as fault:
        asking.record("audit.export", outcome="failed", rows=rows, of=begun, error=getattr(fault, "code", "ended"))
        raise
    asking.record("audit.export", rows=rows, of=begun)
    terminal.answer({"rows": rows, "file": str(out)}, terminal.pick(f"{rows} 件を書き出し", f"{rows} records written"))


# -- files and cells -----------------------------------------------------------------------------------


def form_of(out: Path) -> Format:
    """The format of a file by its ending. Raises BadRequestError."""
    from pdp.archive.export import FORMATS
    from pdp.errors import BadRequestError

    form = FORMATS.get(out.suffix.removeprefix("."))
    if form is None:
        endings = ", ".join(known.ending for known in FORMATS.values())
        raise BadRequestError(f"`{out.suffix}` is no form of answer", next_step=f"name a file that ends in {endings}")
    return form


def write_file(out: Path, form: Format, batches: Iterable[pa.RecordBatch], style: Style) -> None:
    """For its owner alone, aside, and under its name once it is whole. Raises OSError, and what `batches` raises."""
    import os

    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
            file.writelines(form.chunks(batches, style))
        aside.replace(out)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _check_one_of(*, count: bool, group: bool, out: bool, before: bool) -> None:
    from pdp.errors import BadRequestError

    if count + group + out + before > 1:
        raise BadRequestError("`--count`, `--group`, `--out` and `--before` exclude one another")


def _said(value: object) -> list[str]:
    """An option's values, as `filters_of` takes them."""
    match value:
        case None:
            return []
        case bool():
            return ["true" if value else "false"]
        case list():
            return [str(entry) for entry in value]
        case _:
            return [str(value)]


def _head(terminal: Terminal, name: str) -> str:
    from pdp.archive.meanings import head_of

    text = head_of(name)
    return name if text is None else terminal.pick(text.ja, name)


def _named(terminal: Terminal, name: str, value: Any) -> Any:
    """What stands for a person, a device or an address, told from their ids."""
    from pdp.archive.paper import PSEUDONYM
    from pdp.privacy.pseudonym import is_pseudonym

    is_one = name in ("person", "device", "source_ip") and isinstance(value, str) and is_pseudonym(value)
    return f"{value}{terminal.text(PSEUDONYM)}" if is_one else value


def _texts(values: Iterable[Any]) -> list[str]:
    return ["" if v is None else " ".join(map(str, v)) if isinstance(v, list) else str(v) for v in values]
