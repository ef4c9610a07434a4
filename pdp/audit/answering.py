"""What answers a question, in the process that asks: the engine, the veil over what it found, and the bytes of it.

INVARIANT (bounded in the engine): `within` goes into every question that reaches the engine, and never cuts an
answer afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import msgspec
import pyarrow as pa

from pdp.archive.arrow_tables import rows_of
from pdp.archive.asking import MAX_GROUPS, Filters, cursor_of, filters_of, groups_of
from pdp.archive.export import plain_rows
from pdp.archive.queries import moment
from pdp.archive.rows import body_of
from pdp.archive.search import DuckSearch
from pdp.archive.session import EngineLimits
from pdp.audit.asked import BY_PSEUDONYM
from pdp.audit.proving import proof_of
from pdp.audit.question import (
    Count,
    Decisions,
    Export,
    Groups,
    Head,
    One,
    Proof,
    Report,
    Reveal,
    Sql,
    Tail,
    TrailPage,
)
from pdp.audit.reporting import report_body
from pdp.audit.trail_view import shown_event
from pdp.audit.veil import stands_for, veiled
from pdp.audit.veil_lists import ORDERS
from pdp.errors import NotFoundError, NotPermittedError, NotReadyError, SekishoError
from pdp.privacy.pseudonym import Pseudonyms, read_pseudonyms
from pdp.trail.reading import TrailFilter, newest_events
from pdp.transparency.proofs import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pdp.archive.asking import DecisionSearch
    from pdp.audit.question import Ground, Params, Question
    from pdp.audit.sight import Sight

MOST_BYTES: Final = 32 * 1024 * 1024  # of an answer that is no export: a thousand whole records have 2 MB
_encode: Final = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    head: Head
    body: bytes
    tail: Tail


class Answering:
    """Answers one question after the other."""

    def __init__(self, search: DecisionSearch, pseudonyms: Pseudonyms, logs: list[Path], trail: Path) -> None:
        self._search = search
        self._pseudonyms = pseudonyms
        self._logs = logs
        self._trail = trail

    @classmethod
    def on(cls, ground: Ground) -> Answering:
        logs = [Path(log) for log in ground.logs]
        limits = EngineLimits(memory_mb=ground.memory_mb, threads=ground.threads, deadline_s=ground.deadline_s)
        return cls(DuckSearch(logs, limits), read_pseudonyms(Path(ground.keys)), logs, Path(ground.trail))

    def answer(self, question: Question) -> Answer:
        """Everything but exports. Raises as `DecisionSearch` does, and NotFoundError."""
        ask, sight = question.ask, question.sight
        match ask:
            case Decisions():
                found = self._decisions(ask, sight)
            case Count():
                found = 1, {"count": self._search.count(self._filters(ask.filters, sight))}
            case Groups():
                found = self._groups(ask, sight)
            case One():
                found = self._one(ask, sight)
            case Report():
                return self._report(ask, sight)
            case Sql():
                found = self._sql(ask, sight)
            case Proof():
                found = self._proof(ask, sight)
            case TrailPage():
                found = self._trail_page(ask, sight)
            case Reveal():
                return self._reveal(ask, sight)
            case _:
                raise SekishoError("an export is no answer in one piece")
        return _answer(*found)

    def export(self, ask: Export, sight: Sight, begin: Callable[[], None], give: Callable[[bytes], None]) -> Tail:
        """Hand over the bytes of a file, in bounded memory; `begin` once nothing can be asked wrongly any more."""
        from pdp.audit.exporting import export

        filters = self._filters(ask.filters, sight)
        return export(self._search, ask, filters, self._pseudonyms if sight.veiled else None, begin, give)

    # -- one for each ----------------------------------------------------------------------------------

    def _decisions(self, ask: Decisions, sight: Sight) -> tuple[int, dict[str, Any]]:
        before = None if ask.before is None else cursor_of(ask.before)
        page = self._search.page(self._filters(ask.filters, sight), size=ask.size, before=before)
        rows = self._rows(page.table, sight)
        return len(rows), {"decisions": rows, "next": None if page.next is None else page.next.text()}

    def _groups(self, ask: Groups, sight: Sight) -> tuple[int, dict[str, Any]]:
        by = groups_of(ask.by)
        hides = sight.veiled and "person" in by
        table = self._search.group(
            self._filters(ask.filters, sight),
            by,
            utc_offset_min=ask.utc_offset_min,
            limit=MAX_GROUPS if hides else ask.limit,
            people=ask.people,
        )
        if hides:
            table = self._reordered(table, _order_of(by)).slice(0, ask.limit)
        rows = list(plain_rows(table)) if hides else self._rows(table, sight)
        for row in rows:  # local times: `plain_rows` would call them UTC
            for name in ("hour", "day"):
                if isinstance(row.get(name), str):
                    row[name] = row[name][: 10 if name == "day" else 16]
        return len(rows), {"by": list(by), "utc_offset_min": ask.utc_offset_min, "groups": rows}

    def _one(self, ask: One, sight: Sight) -> tuple[int, dict[str, Any]]:
        table = self._found(ask.id, sight, everywhere=ask.everywhere)
        row = self._rows(table.slice(0, 1), sight)[0]
        answer: dict[str, Any] = {"copies": table.num_rows}
        if sight.veiled:
            return 1, answer | {"decision": row}
        body = body_of(next(iter(rows_of(_with_ids(table.slice(0, 1))))))
        answer |= {"segment": row["segment"], "seq": row["seq"], "proof": f"/audit/v1/decisions/{ask.id}/proof"}
        return 1, answer | _as_kept(body)

    def _report(self, ask: Report, sight: Sight) -> Answer:
        params: dict[str, object] = dict(ask.params)
        for name in BY_PSEUDONYM if sight.veiled else ():
            if name in params:
                times = moment("since", ask.params["since"]), moment("until", ask.params["until"])
                params[name] = self._behind(ask.params[name], name, Filters(*times, within=sight.within))
                if params[name] is None:
                    raise _nobody()
        table = self._search.report(ask.name, params, within=sight.within)
        shown = self._reordered(table, ORDERS.get(ask.name, ())) if sight.veiled else table
        return _given(shown.num_rows, report_body(ask, shown))

    def _sql(self, ask: Sql, sight: Sight) -> tuple[int, dict[str, Any]]:
        if sight.veiled:
            raise NotPermittedError("SQL is for `audit_read` only")
        since, until = moment("since", ask.since), moment("until", ask.until)
        table = self._search.sql(ask.text, since=since, until=until, within=sight.within)
        return table.num_rows, {
            "columns": table.column_names,
            "rows": [list(row.values()) for row in plain_rows(table)],
        }

    def _proof(self, ask: Proof, sight: Sight) -> tuple[int, dict[str, Any]]:
        if sight.veiled:
            raise NotPermittedError("a proof carries the whole record: `audit_read` only")
        table = self._found(ask.id, sight, everywhere=ask.everywhere).slice(0, 1)
        body = body_of(next(iter(rows_of(_with_ids(table)))))
        return 1, proof_of(self._logs, ask.id, Place(table["segment"][0].as_py(), table["seq"][0].as_py(), body))

    def _trail_page(self, ask: TrailPage, sight: Sight) -> tuple[int, dict[str, Any]]:
        since, until = (
            None if text is None else moment(name, text).replace(tzinfo=UTC)
            for name, text in (("since", ask.since), ("until", ask.until))
        )
        only = TrailFilter(ask.actor, ask.action, ask.outcome, ask.before, since, until)
        events = newest_events(self._trail, ask.size, only)
        shown = [shown_event(event, sight, self._pseudonyms) for event in events]
        return len(shown), {"events": shown, "next": events[-1].id if len(events) == ask.size else None}

    def _reveal(self, ask: Reveal, sight: Sight) -> Answer:
        if ask.id is not None:
            row = next(plain_rows(self._found(ask.id, sight, everywhere=False).slice(0, 1)))
            names = ("person", "subject_id", "device", "device_id", "source_ip", "session_id")
            return _answer(1, {"id": ask.id, **{name: row[name] for name in names}}, note="decision")
        assert ask.pseudonym is not None
        assert ask.since is not None
        assert ask.until is not None
        window = Filters(moment("since", ask.since), moment("until", ask.until), within=sight.within)
        for kind in _COLUMNS:
            value = self._behind(ask.pseudonym, kind, window)
            if value is not None:
                return _answer(1, {"pseudonym": ask.pseudonym, "kind": kind, "value": value}, note=kind)
        raise _nobody()

    # -- what they share -------------------------------------------------------------------------------

    def _found(self, decision_id: str, sight: Sight, *, everywhere: bool) -> pa.Table:
        table = self._search.one(decision_id, within=sight.within, everywhere=everywhere)
        if table.num_rows == 0:
            raise NotFoundError(
                "there is no decision of this id among those that you may see",
                next_step="check the id; `everywhere=true` also looks where a clock was set",
            )
        return table

    def _rows(self, table: pa.Table, sight: Sight) -> list[dict[str, Any]]:
        return list(plain_rows(veiled(table, self._pseudonyms) if sight.veiled else table))

    def _reordered(self, table: pa.Table, order: Sequence[tuple[str, str]]) -> pa.Table:
        """What an operator sees, in the order of pseudonyms: equal rows in the order of names would tell of these."""
        shown = veiled(table, self._pseudonyms)
        return shown.sort_by(list(order)) if order else shown

    def _filters(self, params: Params, sight: Sight) -> Filters:
        """The filters with the bound of these eyes, and the real values in the place of pseudonyms."""
        filters = replace(filters_of(params), within=sight.within)
        if not sight.veiled:
            return filters
        window = Filters(filters.since, filters.until, within=sight.within)
        behind: dict[str, Any] = {}
        for name in BY_PSEUDONYM:
            pseudonym = getattr(filters, name)
            if pseudonym is not None:
                behind[name] = self._behind(pseudonym, name, window)
                if behind[name] is None:
                    raise _nobody()
        return replace(filters, **behind)

    def _behind(self, pseudonym: str, kind: str, window: Filters) -> str | None:
        """The value that a pseudonym stands for in that time; None where it stands for none there."""
        found = (v for v in self._values(kind, window) if stands_for(pseudonym, kind, v, self._pseudonyms))
        return next(found, None)

    def _values(self, kind: str, window: Filters) -> Iterator[str]:
        """What a pseudonym of this kind may stand for."""
        text = f"SELECT DISTINCT {_COLUMNS[kind]} FROM decisions"  # noqa: S608  # a text of this file
        table = self._search.sql(text, since=window.since, until=window.until, within=window.within)
        for column in table.columns:
            yield from (value for value in column.to_pylist() if value is not None)


_COLUMNS: Final[Mapping[str, str]] = {
    "person": "person, subject_id",
    "device": "device, device_id",
    "source_ip": "source_ip",
    "session": "session_id",
}


def _order_of(by: Sequence[str]) -> list[tuple[str, str]]:
    """As groupings stand, by times, then the most decisions first."""
    times, others = ([name for name in by if (name in ("hour", "day")) is timed] for timed in (True, False))
    return [
        *((name, "ascending") for name in times),
        ("decisions", "descending"),
        *((name, "ascending") for name in others),
    ]


def _answer(rows: int, document: Mapping[str, Any], note: str | None = None) -> Answer:
    return _given(rows, _encode(document), note)


def _given(rows: int, body: bytes, note: str | None = None) -> Answer:
    if len(body) > MOST_BYTES:
        raise NotReadyError("the answer is too large", next_step="ask for less, or take an export")
    digest = sha256(body).hexdigest()
    return Answer(Head(rows, digest, note), body, Tail(rows, digest))


def _nobody() -> NotFoundError:
    return NotFoundError("the pseudonym stands for nobody in this time", next_step="ask for the time it was seen in")


def _with_ids(table: pa.Table) -> pa.Table:
    """DuckDB hands ids over as texts; a row of the store has their 16 bytes."""
    ids = [None if text is None else UUID(str(text)).bytes for text in table["id"].to_pylist()]
    return table.set_column(table.column_names.index("id"), "id", pa.array(ids, pa.binary(16)))


def _as_kept(body: bytes) -> dict[str, Any]:
    """The record as it was appended: as JSON where it is such, else as text."""
    try:
        msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {"record": None, "record_text": body.decode("utf-8", "replace")}
    return {"record": msgspec.Raw(body)}
