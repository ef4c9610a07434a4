"""The answer to a named question: JSON for programs, with its titles and heads, or a CSV for people."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from pdp.archive.paper import heads, in_order, on_paper, period, said
from pdp.archive.queries import QUERIES, moment

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from pdp.audit.question import Report

_encode: Final = msgspec.json.Encoder().encode


def report_body(ask: Report, table: pa.Table) -> bytes:
    """The bytes of the answer. What these eyes may not see was taken out of the table before."""
    # Arrow: for the process that asks; a worker only names the file.
    from pdp.archive.export import Style, batches_of, csv_chunks, plain_rows

    query = QUERIES[ask.name]
    if ask.format == "csv":
        paper = on_paper(table, ask.lang, ask.utc_offset_min, local_hours=query.has_local_hours)
        return b"".join(csv_chunks(batches_of(paper), Style()))
    names = in_order(table.column_names)
    told = dict(zip(names, heads(names, ask.lang), strict=True))
    document: dict[str, Any] = {
        "report": ask.name,
        "title": said(query.title, ask.lang),
        "period": _period(ask),
        "note": None if query.note is None else said(query.note, ask.lang),
        "columns": [{"name": name, "head": head} for name, head in told.items()],
        "rows": list(plain_rows(table)),
    }
    return _encode(document)


def disposition_of(ask: Report) -> str:
    """The name of the file (RFC 6266): the title and the days, and plain letters for who does not know `filename*`."""
    query = QUERIES[ask.name]
    # Never as it was written: what parts date and time in a parameter may be any character.
    days = "-".join(f"{_local(ask, name):%Y%m%d}" for name in ("since", "until") if name in ask.params)
    title = "_".join(filter(None, (said(query.title, ask.lang).replace(": ", "_"), days)))
    plain = "_".join(filter(None, (ask.name, days)))
    return f"attachment; filename=\"{plain}.csv\"; filename*=UTF-8''{quote(title, safe='')}.csv"


def _local(ask: Report, name: str) -> datetime:
    return moment(name, ask.params[name]) + timedelta(minutes=ask.utc_offset_min)


def _period(ask: Report) -> str | None:
    if "since" not in ask.params or "until" not in ask.params:
        return None
    since, until = (moment(name, ask.params[name]) for name in ("since", "until"))
    return said(period(since, until, ask.utc_offset_min), ask.lang)
