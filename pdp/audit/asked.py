"""What an HTTP request asks, as a checked question: parameters to values, and whether these eyes may ask by them. Pure.

INVARIANT (no trying out): an operator names people, devices and addresses by pseudonyms alone. By a real id, or by a
text that may carry one, the number of hits would say who somebody is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl
from uuid import UUID

from pdp.archive.asking import MAX_GROUPS, MAX_PAGE, cursor_of, filters_of, groups_of
from pdp.archive.queries import QUERIES, bind, moment
from pdp.audit.question import Count, Decisions, Export, Format, Groups, Lang, Report, Reveal, Sql, TrailPage
from pdp.audit.sight import require
from pdp.errors import BadRequestError, NotFoundError, NotPermittedError
from pdp.privacy.pseudonym import is_pseudonym
from pdp.trail.event import ACTIONS, MAX_REASON
from pdp.trail.reading import MAX_PAGE as MAX_TRAIL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from pdp.audit.question import Params
    from pdp.audit.sight import Sight
    from pdp.callers.caller import Caller

BY_PSEUDONYM: Final = ("person", "device", "source_ip")
NOT_VEILED: Final = ("request_id", "trace_id")  # what gateways write into them is theirs: names, for all that we know
FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl", "parquet")
MAX_SQL: Final = 10_000  # characters; a page of text
MIN_REASON: Final = 5
_MAX_FIELDS: Final = 128
_MAX_OFFSET: Final = 14 * 60
_MAX_ID: Final = 64


def params_of(query: str) -> Params:
    """A query string, names and values in UTF-8. Raises BadRequestError."""
    found: Params = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MAX_FIELDS)
    except (ValueError, UnicodeError):
        raise BadRequestError(
            "the query string is not UTF-8, or has too many parameters", next_step="encode it, and ask in parts"
        ) from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def decisions_of(params: Params, sight: Sight) -> Decisions:
    size = _number(params, "size", 100, 1, MAX_PAGE)
    before = _one(params, "before")
    if before is not None:
        cursor_of(before)
    return Decisions(_filters(params, sight, "size", "before"), size, before)


def count_of(params: Params, sight: Sight) -> Count:
    return Count(_filters(params, sight))


def grouping_of(params: Params, sight: Sight) -> Groups:
    by = _one(params, "by")
    if by is None:
        raise BadRequestError("`by` is missing", next_step="name what to group by, as `by=hour,reason`")
    groups_of(by)
    limit = _number(params, "limit", 1_000, 1, MAX_GROUPS)
    offset = _number(params, "utc_offset_min", 540, -_MAX_OFFSET, _MAX_OFFSET)
    people = _word(params, "people", "false", ("true", "false")) == "true"
    filters = _filters(params, sight, "by", "limit", "utc_offset_min", "people")
    return Groups(filters, by, limit, offset, people)


def export_of(params: Params, sight: Sight) -> Export:
    form = _word(params, "format", "csv", FORMATS)
    lang = _word(params, "lang", "ja", ("ja", "en"))
    offset = _number(params, "utc_offset_min", 540, -_MAX_OFFSET, _MAX_OFFSET)
    return Export(_filters(params, sight, "format", "lang", "utc_offset_min"), form, lang, offset)


def report_of(name: str, params: Params, sight: Sight, caller: Caller, lang: Lang = "ja") -> Report:
    """Raises NotFoundError for a report that there is not, NotPermittedError for one that is an export."""
    query = QUERIES.get(name)
    if query is None:
        raise NotFoundError("there is no report of this name", next_step="`/audit/v1/reports` names them")
    if query.export:
        require(caller, "audit_export")
    lang = _word(params, "lang", lang, ("ja", "en"))
    form = _word(params, "format", "json", ("json", "csv"))
    offset = _number(params, "utc_offset_min", 540, -_MAX_OFFSET, _MAX_OFFSET)
    given = {key: _only(params, key) for key in params if key not in ("lang", "format", "utc_offset_min")}
    if sight.veiled:
        _check_veiled({key: [value] for key, value in given.items()})
    for key, kind in query.params.items():
        if kind == "time" and key in given:
            _moment(key, given[key], offset)
    bind(query, given)
    return Report(name, given, lang, form, offset)


def sql_of(body: Mapping[str, Any]) -> Sql:
    """From a body `{"sql", "since", "until"}`."""
    _closed(body, "sql", "since", "until")
    text = _text(body, "sql", 1, MAX_SQL)
    since, until = _text(body, "since", 1, 64), _text(body, "until", 1, 64)
    _check_times(since, until)
    return Sql(text, since, until)


def reveal_of(body: Mapping[str, Any]) -> tuple[Reveal, str]:
    """From a body: what, and why. A decision by its id, or a pseudonym with the time that it stood in."""
    _closed(body, "id", "pseudonym", "since", "until", "reason")
    if body.get("reason") is None:
        raise BadRequestError("`reason` is missing", next_step="say why, in 5 to 500 characters")
    reason = _text(body, "reason", MIN_REASON, MAX_REASON).strip()
    if len(reason) < MIN_REASON:
        raise BadRequestError("`reason` says nothing", next_step="say why, in 5 to 500 characters")
    if ("id" in body) == ("pseudonym" in body):
        raise BadRequestError("one of `id` and `pseudonym` is needed", next_step="name a decision, or a pseudonym")
    if "id" in body:
        if "since" in body or "until" in body:
            raise BadRequestError("a decision's id says its time", next_step="leave out `since` and `until`")
        return Reveal(id=decision_id(_text(body, "id", 1, _MAX_ID))), reason
    pseudonym = _text(body, "pseudonym", 1, _MAX_ID)
    if not is_pseudonym(pseudonym):
        raise BadRequestError("that is no pseudonym", next_step="take it from an answer, unchanged")
    since, until = _text(body, "since", 1, 64), _text(body, "until", 1, 64)
    _check_times(since, until)
    return Reveal(pseudonym=pseudonym, since=since, until=until), reason


def trail_of(params: Params) -> TrailPage:
    unknown = params.keys() - {"size", "before", "actor", "action", "outcome", "since", "until"}
    if unknown:
        raise BadRequestError(
            "there is no such parameter", next_step="use since, until, size, before, actor, action, outcome"
        )
    before, action = _one(params, "before"), _one(params, "action")
    if action is not None and action not in ACTIONS:
        raise BadRequestError("`action` has a value that there is not", next_step="take it from the trail")
    outcome = _one(params, "outcome")
    if outcome is not None and outcome not in ("begun", "done", "refused", "failed"):
        raise BadRequestError("`outcome` has a value that there is not", next_step="begun, done, refused or failed")
    since, until = _one(params, "since"), _one(params, "until")
    times = [_moment(name, text) for name, text in (("since", since), ("until", until)) if text is not None]
    if len(times) > 1:
        _check_times(str(since), str(until))
    size = _number(params, "size", 100, 1, MAX_TRAIL)
    key = None if before is None else decision_id(before)
    return TrailPage(size, key, _one(params, "actor"), action, outcome, since, until)


def decision_id(text: str) -> str:
    """In its one spelling. Raises BadRequestError."""
    try:
        return str(UUID(text[: _MAX_ID + 1]))
    except ValueError:
        raise BadRequestError(
            "that is no id", next_step="take it from an answer, or from the page that denied"
        ) from None


def language_in(params: Params, accepted: Lang) -> Lang:
    """`lang`, else what is accepted. Raises BadRequestError for any other parameter."""
    if params.keys() - {"lang"}:
        raise BadRequestError("there is no such parameter", next_step="use `lang`")
    found: Lang = _word(params, "lang", accepted, ("ja", "en"))
    return found


def everywhere_of(params: Params) -> bool:
    """`everywhere=true`: also where a clock was set. Raises BadRequestError for any other parameter."""
    if params.keys() - {"everywhere"}:
        raise BadRequestError("there is no such parameter", next_step="use `everywhere`")
    return bool(_word(params, "everywhere", "false", ("true", "false")) == "true")


def _filters(params: Params, sight: Sight, *further: str) -> Params:
    given = {name: values for name, values in params.items() if name not in further}
    filters_of(given)
    if sight.veiled:
        _check_veiled(given)
    return given


def _check_veiled(given: Mapping[str, Sequence[str]]) -> None:
    for name in NOT_VEILED:
        if name in given:
            raise NotPermittedError(f"with `audit_operate` nobody may ask by `{name}`")
    for name in BY_PSEUDONYM:
        if not all(map(is_pseudonym, given.get(name, ()))):
            raise NotPermittedError(
                f"with `audit_operate` `{name}` is a pseudonym", next_step="take it from an answer, unchanged"
            )


def names_somebody(params: Mapping[str, Sequence[str]]) -> bool:
    """Whether parameters may say who somebody is: then they are not shown to veiled or bound eyes."""
    return any(
        name in NOT_VEILED or (name in BY_PSEUDONYM and not all(map(is_pseudonym, values))) or name == "sql"
        for name, values in params.items()
    )


def _check_times(since: str, until: str) -> None:
    if _moment("since", since) >= _moment("until", until):
        raise BadRequestError("`since` must lie before `until`", next_step="give the earlier time as `since`")


def _moment(name: str, text: str, utc_offset_min: int = 0) -> datetime:
    """With an offset the local time that it will be told in: also that must be one."""
    try:
        return moment(name, text) + timedelta(minutes=utc_offset_min)
    except OverflowError:
        raise BadRequestError(f"`{name}` lies beyond all times", next_step="name a time that people use") from None


def _one(params: Params, name: str) -> str | None:
    return _only(params, name) if name in params else None


def _only(params: Params, name: str) -> str:
    if len(params[name]) > 1:
        raise BadRequestError("a parameter is given more than once", next_step="give it once")
    return params[name][0]


def _number(params: Params, name: str, default: int, least: int, most: int) -> int:
    text = _one(params, name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 6) or not least <= int(text) <= most:  # noqa: PLR2004
        raise BadRequestError(f"`{name}` is not a whole number from {least} to {most}")
    return int(text)


def _word(params: Params, name: str, default: Any, words: Sequence[Any]) -> Any:
    text = _one(params, name)
    if text is None:
        return default
    if text not in words:
        raise BadRequestError(f"`{name}` has a value that there is not", next_step=f"use one of {', '.join(words)}")
    return text


def _closed(body: Mapping[str, Any], *names: str) -> None:
    if not isinstance(body, dict) or body.keys() - set(names):
        raise BadRequestError("the body is not what is taken here", next_step=f"send an object of {', '.join(names)}")


def _text(body: Mapping[str, Any], name: str, least: int, most: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise BadRequestError(f"`{name}` is not a text of {least} to {most} characters")
    return value
