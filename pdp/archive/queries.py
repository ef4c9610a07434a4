# ruff: noqa: S608  # the texts are put together from pieces that stand in this file; values are bound
"""The closed list of questions. Each has one text in DuckDB's dialect, over three relations:

    decisions   one row per record, with the columns of `pdp.archive.schema`
    hourly      records counted by hour, outcome, reasons, resource, department, caller and revision
    segments    one row per segment of the log

Parameters are bound, never written into a text. Times are UTC; `since` is in the time asked for, `until` is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from pdp.errors import BadRequestError
from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

ParamKind = Literal["time", "text", "optional_text", "id", "optional_id", "optional_time", "page", "offset", "rank"]
_MAX_PAGE: Final = 1_000  # rows of a page; more is an export
_MAX_OFFSET: Final = 14 * 60  # minutes east of Greenwich (UTC+14 is the easternmost in use)
_MAX_TEXT: Final = 1_000  # characters; no id of a person, device or resource is near
_DEFAULTS: Final[dict[ParamKind, Any]] = {"page": 100, "offset": 540, "rank": 10}
_NUMBERS: Final[dict[ParamKind, tuple[int, int]]] = {
    "page": (1, _MAX_PAGE),
    "offset": (-_MAX_OFFSET, _MAX_OFFSET),
    "rank": (1, _MAX_PAGE),
}


@dataclass(frozen=True, slots=True)
class Query:
    """`newest_first`: a page in falling order of time, `page` rows long. `by_person`: `person` is one person's id."""

    name: str
    title: Text
    params: Mapping[str, ParamKind]
    sql: str
    views: tuple[str, ...] = ("decisions",)
    newest_first: bool = False
    by_person: bool = False
    export: bool = False
    note: Text | None = field(default=None)  # what the log cannot say here, and where it stands

    @property
    def has_local_hours(self) -> bool:
        """Whether the hours of the answer are those of an offset that was asked for."""
        return "utc_offset" in self.params


_TIMES: Final[dict[str, ParamKind]] = {"since": "time", "until": "time"}
_WHEN: Final = '"time" >= $since AND "time" < $until'
_BRIEF: Final = (
    'id, "time", outcome, reasons, person, subject_departments AS departments, device, resource, action,'
    " source_ip, caller_id, policy_revision"
)


def _page(name: str, title: Text, where: str, params: Mapping[str, ParamKind], *, by_person: bool = False) -> Query:
    """Newest first, after a key. The key is a time and an id, since many records may share a microsecond."""
    keyset = (
        '($before_time::TIMESTAMP IS NULL OR "time" < $before_time::TIMESTAMP'
        ' OR ("time" = $before_time::TIMESTAMP AND id < $before_id::UUID))'
    )
    # Two phases: first the keys of the page, then the other columns of these rows alone. The condition stands in both:
    # it leaves groups of rows out.
    sql = (
        f"WITH page AS (SELECT id AS key, segment AS s, seq AS n FROM decisions WHERE {_WHEN} AND {where} AND {keyset}"
        f' ORDER BY "time" DESC, id DESC LIMIT $page) SELECT {_BRIEF} FROM decisions'
        f" SEMI JOIN page ON id = key AND segment = s AND seq = n WHERE {_WHEN} AND {where}"
        ' ORDER BY "time" DESC, id DESC'
    )
    keys: dict[str, ParamKind] = {"before_time": "optional_time", "before_id": "optional_id", "page": "page"}
    return Query(name, title, {**_TIMES, **params, **keys}, sql, newest_first=True, by_person=by_person)


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
        {**_TIMES, "utc_offset": "offset"},
        "SELECT hour + to_minutes($utc_offset::INTEGER) AS hour, reason, sum(decisions)::BIGINT AS decisions"
        " FROM (SELECT hour, unnest(reasons) AS reason, decisions FROM hourly"
        " WHERE outcome = 'deny' AND hour >= $since AND hour < $until) GROUP BY ALL ORDER BY 1, 3 DESC, 2",
        views=("hourly",),
    ),
    Query(
        "by_source_ip",
        Text("接続元アドレスからの要求", "Requests from one source address"),
        {**_TIMES, "source_ip": "text"},
        f'SELECT {_BRIEF} FROM decisions WHERE {_WHEN} AND source_ip = $source_ip ORDER BY "time" DESC, id DESC'
        " LIMIT 1000",
    ),
    Query(
        "top_denied_resources",
        Text("拒否の多い業務システムと利用者数", "Resources most often denied, with distinct people"),
        {**_TIMES, "rank": "rank"},
        "SELECT resource, count(*) AS denials, count(DISTINCT person) AS people FROM decisions"
        f" WHERE {_WHEN} AND outcome = 'deny' GROUP BY resource ORDER BY denials DESC, resource LIMIT $rank",
    ),
    Query(
        "by_id",
        Text("判定番号による照会", "One decision by its id"),
        {"id": "id", **_TIMES},
        f"SELECT * FROM decisions WHERE id = $id::UUID AND {_WHEN}",
    ),
    Query(
        "department_export",
        Text("一所属の判定の書出し", "Export of one department's decisions"),
        {**_TIMES, "department": "text"},
        f"SELECT * EXCLUDE (raw) FROM decisions WHERE {_WHEN} AND list_contains(subject_departments, $department)"
        ' ORDER BY "time", id',
        export=True,
    ),
    Query(
        "counts",
        Text("時間別・所属別・判定別の件数", "Counts by hour, department and outcome"),
        {**_TIMES, "department": "optional_text", "utc_offset": "offset"},
        "SELECT hour + to_minutes($utc_offset::INTEGER) AS hour, department, outcome,"
        " sum(decisions)::BIGINT AS decisions FROM hourly WHERE hour >= $since AND hour < $until"
        " AND ($department::VARCHAR IS NULL OR department = $department) GROUP BY ALL ORDER BY ALL",
        views=("hourly",),
    ),
)

_PERMITTED: Final = "outcome IN ('allow', 'limit')"

# The ten audit queries, in the words of japan.md, section 5.
_REPORTS: Final = (
    Query(
        "report_01_denials",
        Text("期間・所属別の拒否の判定理由別件数", "Denials in a period by department and reason"),
        {**_TIMES, "department": "optional_text"},
        "SELECT department, reason, sum(decisions)::BIGINT AS denials"
        " FROM (SELECT department, unnest(reasons) AS reason, decisions FROM hourly"
        " WHERE outcome = 'deny' AND hour >= $since AND hour < $until"
        " AND ($department::VARCHAR IS NULL OR department = $department))"
        " GROUP BY ALL ORDER BY denials DESC, 1, 2",
        views=("hourly",),
    ),
    Query(
        "report_02_exceptions",
        Text(
            "例外措置・災害時運用で許可された全件", "Everything permitted in emergency mode or to an emergency account"
        ),
        _TIMES,
        f"SELECT {_BRIEF}, context_disaster_mode = 'true' AS emergency_mode, subject_kind, resource_group"
        " FROM decisions"
        f" WHERE {_WHEN} AND {_PERMITTED} AND (context_disaster_mode = 'true' OR subject_kind = 'emergency_account'"
        " OR resource_group = 'disaster') ORDER BY \"time\", id",
        note=Text("承認者・期限・理由は台帳にある", "approver, end and reason stand in the registers"),
    ),
    Query(
        "report_03_leavers",
        Text(
            "退職者・任用期間満了者・休職者のIDによる要求",
            "Requests under ids of people who left, are suspended or not yet in post",
        ),
        _TIMES,
        f"SELECT {_BRIEF}, subject_employment AS employment FROM decisions WHERE {_WHEN}"
        " AND subject_employment IN ('ended', 'suspended', 'not_started') ORDER BY \"time\", id",
    ),
    Query(
        "report_04_remote_maintenance",
        Text("リモート保守: 作業許可と実際の接続", "Remote maintenance: work permits and actual connections"),
        _TIMES,
        "SELECT person, device, resource, context_work_permit AS work_permit,"
        " context_work_permit_until AS permit_until,"
        ' outcome, min("time") AS first, max("time") AS last, count(*) AS decisions,'
        " context_work_permit <> 'valid' AS outside_permit"
        f" FROM decisions WHERE {_WHEN} AND (subject_kind = 'contractor' OR device_class = 'maintenance_pc')"
        " GROUP BY ALL ORDER BY outside_permit DESC, first, person, resource, outcome",
        note=Text("申請番号は作業許可の台帳にある", "the application number stands in the register of work permits"),
    ),
    Query(
        "report_05_private_devices",
        Text("個人所有端末: 許可の状態と実利用", "Private devices: their permits and their use"),
        _TIMES,
        "SELECT person, device, device_class, device_permit AS permit, resource_group, outcome, count(*) AS decisions,"
        ' min("time") AS first, max("time") AS last,'
        " device_permit = 'expired' AS expired, resource_group <> 'communication' AS beyond_communication"
        f" FROM decisions WHERE {_WHEN} AND device_ownership = 'private'"
        " GROUP BY ALL ORDER BY decisions DESC, person, device, resource_group, outcome",
    ),
    Query(
        "report_06_unknown_posture",
        Text("未確認（端末の状態なし）のまま許可した件数", "Permitted although the device's state was not known"),
        _TIMES,
        "SELECT device_class, resource_group, outcome, count(*) AS decisions, count(DISTINCT device) AS devices"
        f" FROM decisions WHERE {_WHEN} AND {_PERMITTED} AND input_form = 'columns' AND posture_age_hours IS NULL"
        " GROUP BY ALL ORDER BY decisions DESC, 1, 2, 3",
    ),
    Query(
        "report_07_revisions",
        Text("判定に使われたアクセス制御ポリシーの版と期間", "Policy revisions that decided, and when"),
        _TIMES,
        'SELECT policy_revision AS revision, bundle_digest, min("time") AS first, max("time") AS last,'
        f" count(*) AS decisions FROM decisions WHERE {_WHEN} AND kind = 'decision' GROUP BY ALL ORDER BY first, 1, 2",
        note=Text(
            "作成者・承認者は改定履歴に、再現は `pdp replay` で",
            "author and approver stand in the revision history; `pdp replay` recomputes",
        ),
    ),
    Query(
        "report_08_person_day",
        Text(
            "一利用者の一日の経過（端末・場所・アプリ・判定）", "One person's day: device, place, application, decision"
        ),
        {**_TIMES, "person": "text"},
        'SELECT "time", device, device_class, context_zone AS zone, context_underlay AS underlay, source_ip, resource,'
        " action, outcome, reasons, id FROM decisions"
        f' WHERE {_WHEN} AND person = $person ORDER BY "time", id',
        by_person=True,
    ),
    Query(
        "report_09_privileged",
        Text("特権IDの使用と時間外使用", "Use of privileged ids, and out of hours"),
        _TIMES,
        f"SELECT {_BRIEF}, resource_group, context_business_hours <> 'true' OR context_business_day <> 'true'"
        f" AS out_of_hours FROM decisions WHERE {_WHEN} AND (resource_group IN ('server_admin', 'account_admin')"
        " OR action_name = 'administer' OR subject_kind = 'emergency_account') ORDER BY \"time\", id",
    ),
    Query(
        "report_10_completeness",
        Text("ログの欠落・保存の状況", "Gaps in the log, and what is kept"),
        {},
        "WITH ordered AS (SELECT *, lag(number) OVER w AS before_number FROM segments"
        " WINDOW w AS (PARTITION BY node, worker, epoch ORDER BY number))"
        " SELECT node, worker, count(*) AS segments, coalesce(sum(records), 0)::BIGINT AS records,"
        " count(*) FILTER (state = 'stored') AS stored, count(*) FILTER (state = 'fresh') AS fresh,"
        " count(*) FILTER (state = 'removed') AS removed,"
        " count(*) FILTER (number > coalesce(before_number, 0) + 1) AS missing_segments,"
        " count(*) FILTER (whole = false) AS damaged_segments, min(created) AS first, max(created) AS last"
        " FROM ordered GROUP BY ALL ORDER BY node, worker",
        views=("segments",),
        note=Text("改ざんの検査は `pdp audit verify`", "`pdp audit verify` looks for changes"),
    ),
)

QUERIES: Final[Mapping[str, Query]] = {query.name: query for query in (*_GENERAL, *_REPORTS)}

# A record is written after its id was taken; as `pdp.declog.reader` bounds it, and a clock may be set.
_AROUND_ID: Final = timedelta(minutes=10)


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
        values[name].replace(minute=0, second=0, microsecond=0) != values[name] for name in _TIMES
    ):
        raise BadRequestError(f"`{query.name}` counts whole hours: `since` and `until` must be such")
    if "before_time" in values and (values["before_time"] is None) != (values["before_id"] is None):
        raise BadRequestError("`before_time` and `before_id` belong together: the last row of the page before")
    return values


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
    return found.astimezone(UTC).replace(tzinfo=None)
