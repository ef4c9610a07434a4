# ruff: noqa: S608  # the texts are put together from pieces that stand in this file; values are bound
"""The closed list of questions. Each has one text in DuckDB's dialect, over three relations:

    decisions   one row per record, with the columns of `pdp.archive.schema`
    hourly      records counted by hour, outcome, reasons, resource, department, caller and revision
    segments    one row per segment of the log

Parameters are bound, never written into a text. Times are UTC; `since` is in the time asked for, `until` is not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pdp.archive.query import BRIEF, EACH_REASON, TIMES, WHEN, ParamKind, Query
from pdp.archive.reports import REPORTS
from pdp.errors import BadRequestError
from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_ID: Final = "00000000-0000-0000-0000-000000000000"  # stands for the id of a record without one: after all others
_MAX_PAGE: Final = 1_000  # rows of a page; more is an export
_MAX_OFFSET: Final = 14 * 60  # minutes east of Greenwich (UTC+14 is the easternmost in use)
_MAX_TEXT: Final = 1_000  # characters; no id of a person, device or resource is near
_DEFAULTS: Final[dict[ParamKind, Any]] = {"page": 100, "offset": 540, "rank": 10}
_NUMBERS: Final[dict[ParamKind, tuple[int, int]]] = {
    "page": (1, _MAX_PAGE),
    "offset": (-_MAX_OFFSET, _MAX_OFFSET),
    "rank": (1, _MAX_PAGE),
    "optional_number": (0, 2**63 - 1),
}


_ID: Final = f"coalesce(id, '{NO_ID}'::UUID)"
_KEY: Final = (
    (_ID, f"coalesce($before_id::UUID, '{NO_ID}'::UUID)"),
    ("segment", "$before_segment::VARCHAR"),
    ("seq", "$before_seq::BIGINT"),
)


def _page(name: str, title: Text, where: str, params: Mapping[str, ParamKind], *, by_person: bool = False) -> Query:
    """Newest first, after a key: where the row before stands. Time and id alone do not say it: a microsecond may have
    many records, an id that others brought may stand twice, and what could not be read has none.
    """
    after = '("time" < $before_time::TIMESTAMP'
    equal = '"time" = $before_time::TIMESTAMP'
    for part, value in _KEY:
        after += f" OR ({equal} AND {part} < {value})"
        equal += f" AND {part} = {value}"
    keyset = f"($before_time::TIMESTAMP IS NULL OR {after}))"
    order = 'ORDER BY "time" DESC, ' + ", ".join(f"{part} DESC" for part, _ in _KEY)
    # Two phases: first the keys of the page, then the other columns of these rows alone. The condition stands in both:
    # it leaves groups of rows out.
    sql = (
        f"WITH page AS (SELECT segment AS s, seq AS n FROM decisions WHERE {WHEN} AND {where} AND {keyset}"
        f" {order} LIMIT $page) SELECT {BRIEF}, segment, seq FROM decisions"
        f" SEMI JOIN page ON segment = s AND seq = n WHERE {WHEN} AND {where} {order}"
    )
    keys: dict[str, ParamKind] = {
        "before_time": "optional_time",
        "before_id": "optional_id",
        "before_segment": "optional_text",
        "before_seq": "optional_number",
        "page": "page",
    }
    return Query(name, title, {**TIMES, **params, **keys}, sql, newest_first=True, by_person=by_person)


_GENERAL: Final = (
    _page(
        "person_day",
        Text("一利用者の経過（端末・場所・アプリ・判定）", "One person's course: device, place, application, decision"),
        "person = $person",
        {"person": "text"},
        by_person=True,
    ),
    _page(
        "device_day",
        Text("一端末の経過", "One device's course"),
        "device = $device",
        {"device": "text"},
    ),
    _page("denials", Text("拒否の一覧（新しい順）", "Denials, newest first"), "outcome = 'deny'", {}),
    _page("newest", Text("判定の一覧（新しい順）", "Decisions, newest first"), "true", {}),
    Query(
        "denials_by_reason_hour",
        Text("拒否の判定理由別・時間別件数", "Denials by reason and hour"),
        {**TIMES, "utc_offset": "offset"},
        "SELECT hour + to_minutes($utc_offset::INTEGER) AS hour, reason, sum(decisions)::BIGINT AS decisions"
        f" FROM (SELECT hour, {EACH_REASON} AS reason, decisions FROM hourly"
        " WHERE outcome = 'deny' AND hour >= $since AND hour < $until) GROUP BY ALL ORDER BY 1, 3 DESC, 2",
        views=("hourly",),
    ),
    Query(
        "by_source_ip",
        Text("接続元アドレスからの要求", "Requests from one source address"),
        {**TIMES, "source_ip": "text"},
        f'SELECT {BRIEF} FROM decisions WHERE {WHEN} AND source_ip = $source_ip ORDER BY "time" DESC, id DESC'
        " LIMIT 1000",
    ),
    Query(
        "top_denied_resources",
        Text("拒否の多い業務システムと利用者数", "Resources most often denied, with distinct people"),
        {**TIMES, "rank": "rank"},
        "SELECT resource, count(*) AS denials, count(DISTINCT person) AS people FROM decisions"
        f" WHERE {WHEN} AND outcome = 'deny' GROUP BY resource ORDER BY denials DESC, resource LIMIT $rank",
    ),
    Query(
        "by_id",
        Text("判定番号による照会", "One decision by its id"),
        {"id": "id", **TIMES},
        f"SELECT * FROM decisions WHERE id = $id::UUID AND {WHEN}",
    ),
    Query(
        "department_export",
        Text("一所属の判定の書出し", "Export of one department's decisions"),
        {**TIMES, "department": "text"},
        f"SELECT * EXCLUDE (raw) FROM decisions WHERE {WHEN} AND list_contains(subject_departments, $department)"
        ' ORDER BY "time", id',
        export=True,
    ),
    Query(
        "counts",
        Text("時間別・所属別・判定別の件数", "Counts by hour, department and outcome"),
        {**TIMES, "department": "optional_text", "utc_offset": "offset"},
        "SELECT hour + to_minutes($utc_offset::INTEGER) AS hour, department, outcome,"
        " sum(decisions)::BIGINT AS decisions FROM hourly WHERE hour >= $since AND hour < $until"
        " AND ($department::VARCHAR IS NULL OR department = $department) GROUP BY ALL ORDER BY ALL",
        views=("hourly",),
    ),
)

__all__ = ["NO_ID", "QUERIES", "ParamKind", "Query", "around_id", "asked", "bind", "moment"]

QUERIES: Final[Mapping[str, Query]] = {query.name: query for query in (*_GENERAL, *REPORTS)}

# A record is written after its id was taken; as `pdp.declog.reader` bounds it, and a clock may be set.
_AROUND_ID: Final = timedelta(minutes=10)


def asked(name: str, params: Mapping[str, object]) -> tuple[Query, dict[str, Any]]:
    """The query of this name, and its values. Raises BadRequestError where there is none, and as `bind`."""
    query = QUERIES.get(name)
    if query is None:
        raise BadRequestError(f"`{name}` is not one of the audit queries")
    return query, bind(query, params)


def bind(query: Query, params: Mapping[str, object]) -> dict[str, Any]:
    """The values of all parameters, as the engine takes them. Times become UTC without an offset.

    Raises BadRequestError for a parameter that is missing, unknown or of another kind.
    """
    given = dict(params)
    if "id" in query.params and "id" in given:
        since, until = around_id(_id("id", given["id"]))
        given = {"since": since, "until": until} | given
    unknown = given.keys() - query.params.keys()
    if unknown:
        raise BadRequestError(f"`{query.name}` has no parameter `{min(unknown)}`")
    values = {name: _value(name, kind, given.get(name)) for name, kind in query.params.items()}
    if "since" in values and values["since"] >= values["until"]:
        raise BadRequestError("`since` must lie before `until`")
    if "hourly" in query.views and any(
        values[name].replace(minute=0, second=0, microsecond=0) != values[name] for name in TIMES
    ):
        raise BadRequestError(f"`{query.name}` counts whole hours: `since` and `until` must be such")
    if "before_time" in values:
        _check_key(values)
    return values


def _check_key(values: Mapping[str, Any]) -> None:
    """`before_id` alone may be missing: of a row that has no id."""
    key = [values[name] is None for name in ("before_time", "before_segment", "before_seq")]
    if any(key) != all(key) or (all(key) and values["before_id"] is not None):
        raise BadRequestError(
            "`before_time`, `before_id`, `before_segment` and `before_seq` belong together",
            next_step="take `time`, `id`, `segment` and `seq` of the last row of the page before",
        )


def around_id(decision_id: str) -> tuple[datetime, datetime]:
    """When the record of a decision was written, by the time in its id; always, where the id has none."""
    value = UUID(decision_id)
    if value.version != 7:  # noqa: PLR2004  # RFC 9562: the version that carries a time
        return datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    try:
        taken = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value.int >> 80)
        return taken - _AROUND_ID, taken + _AROUND_ID
    except OverflowError:  # 48 bits of milliseconds reach to the year 10889
        return datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def _value(name: str, kind: ParamKind, given: object) -> Any:
    if given is None:
        if kind in _DEFAULTS or kind.startswith("optional"):
            return _DEFAULTS.get(kind)
        raise BadRequestError(f"the parameter `{name}` is missing")
    match kind:
        case "time" | "optional_time":
            return moment(name, given)
        case "id" | "optional_id":
            return _id(name, given)
        case "text" | "optional_text":
            return _text(name, given)
        case _:
            return _number(name, kind, given)


def _text(name: str, given: object) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= _MAX_TEXT:
        raise BadRequestError(f"the parameter `{name}` is not a text of 1 to {_MAX_TEXT} characters")
    return given


def _number(name: str, kind: ParamKind, given: object) -> int:
    least, most = _NUMBERS[kind]
    try:
        number = int(given) if isinstance(given, int | str) and not isinstance(given, bool) else None
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise BadRequestError(f"the parameter `{name}` is not a whole number from {least} to {most}")
    return number


def _id(name: str, given: object) -> str:
    try:
        return str(UUID(str(given)))
    except ValueError:
        raise BadRequestError(f"the parameter `{name}` is not a decision id") from None


def moment(name: str, given: object) -> datetime:
    """A time with its offset, as UTC without one. Raises BadRequestError."""
    try:
        found = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadRequestError(f"the parameter `{name}` is not a time with an offset, as `2026-04-01T00:00:00+09:00`")
    try:
        return found.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise BadRequestError(
            f"the parameter `{name}` lies beyond all times", next_step="name a time that people use"
        ) from None
