"""An answer as people read it on paper or in a spreadsheet: columns in a reader's order, words for codes, local times.

Programs take JSON, JSON lines or Parquet, where every value is as it was recorded; this is for eyes. Times are written
as `2026-04-01 09:00:00`: a spreadsheet takes them for times, and they sort. The Japanese calendar (令和8年4月1日)
stands where a period is named, in titles, as official letters have it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.archive.meanings import head_of
from pdp.archive.query import NO_REASON
from pdp.model.decision import Outcome, Text
from pdp.model.words import OUTCOMES, WITHOUT_REASON, day_text, words_for
from pdp.privacy.pseudonym import is_pseudonym

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from pdp.archive.export import Lang

# First who, what and when; ids and numbers that only a machine needs come last.
_FIRST: Final = ("hour", "time", "first", "last", "person", "departments", "department", "subject_kind", "employment")
_LAST: Final = ("source_ip", "caller_id", "policy_revision", "bundle_digest", "id", "segment", "seq")
_HOUR: Final = ("hour",)
# By the name of a column: which fact its values are of.
_FACTS: Final[Mapping[str, str]] = {
    "subject_kind": "subject.kind",
    "employment": "subject.employment",
    "device_class": "device.class",
    "permit": "device.permit",
    "work_permit": "context.work_permit",
    "zone": "context.zone",
    "underlay": "context.underlay",
    "resource_group": "resource.group",
    "action": "action.name",
    "permit_until": "context.work_permit_until",
    "emergency_mode": "context.disaster_mode",
    "outside_permit": "work_permit.outside",
    "expired": "device.permit.expired",
    "beyond_communication": "resource.beyond",
    "out_of_hours": "context.out_of_hours",
}
_TIMES: Final = ("permit_until",)
_HEADS: Final[Mapping[str, Text]] = {"action": Text("操作", "action"), "records": Text("記録件数", "records")}
_NAMES: Final = ("person", "device", "source_ip")
PSEUDONYM: Final = Text("（仮名）", " (pseudonym)")
"""After a value that has the form of one, so that nobody takes it for somebody's id."""
_UNKNOWN: Final = Text("未確認", "unknown")
_TRUTHS: Final = ("emergency_mode", "outside_permit", "expired", "beyond_communication", "out_of_hours")


def in_order(names: Sequence[str]) -> list[str]:
    """The columns of an answer, in the order of reading."""
    first = [name for name in _FIRST if name in names]
    last = [name for name in _LAST if name in names]
    return [*first, *(name for name in names if name not in first and name not in last), *last]


def heads(names: Sequence[str], lang: Lang) -> list[str]:
    """What stands over each column."""
    found = (_HEADS.get(name) or head_of(name) for name in names)
    return [name if text is None else said(text, lang) for name, text in zip(names, found, strict=True)]


def on_paper(table: pa.Table, lang: Lang, utc_offset_min: int, *, local_hours: bool = False) -> pa.Table:
    """The same rows with words in the place of codes and local times, numbers as they are; named by their heads.

    `local_hours`: the hours of the answer are local already.
    """
    import pyarrow as pa  # here, so that a worker can say a period without it

    names = in_order(table.column_names)
    columns = []
    for name in names:
        offset = 0 if local_hours and name in _HOUR else utc_offset_min
        columns.append(_column(name, table[name], lang, offset))
    return pa.table(columns, names=heads(names, lang))


def period(since: datetime, until: datetime, utc_offset_min: int) -> Text:
    """The time that was asked for, as it stands in a title; both are UTC without an offset."""
    first, last = (_moved(at, utc_offset_min) for at in (since, until))
    return Text(
        f"{day_text(first.date())} {first:%H:%M} から {day_text(last.date())} {last:%H:%M} まで",
        f"from {first:%Y-%m-%d %H:%M} until {last:%Y-%m-%d %H:%M}",
    )


def said(text: Text, lang: Lang) -> str:
    return text.ja if lang == "ja" else text.en


def _column(name: str, column: pa.ChunkedArray, lang: Lang, utc_offset_min: int) -> pa.Array:
    import pyarrow as pa

    kind = column.type
    values = column.to_pylist()
    if pa.types.is_integer(kind):
        return pa.array(values, kind)
    return pa.array([_cell(name, value, lang, utc_offset_min) for value in values], pa.string())


def _cell(name: str, value: Any, lang: Lang, utc_offset_min: int) -> str | None:
    if name in _TIMES and isinstance(value, str):
        value = _instant(value)
    match value:
        case None:
            return said(_UNKNOWN, lang) if name in _TRUTHS else None
        case datetime():
            return _local(value, utc_offset_min)
        case bytes():
            return value.hex()
        case str() if name in _NAMES and is_pseudonym(value):
            return value + said(PSEUDONYM, lang)
        case list() if name not in _FACTS:
            return ("、" if lang == "ja" else ", ").join(map(str, value))
    return said(_worded(name, value), lang)


def _worded(name: str, value: Any) -> Text:
    if name == "outcome" and value in set(Outcome):
        return OUTCOMES[Outcome(value)]
    if name == "reason" and value == NO_REASON:
        return WITHOUT_REASON
    return words_for(_FACTS.get(name, name), value) if name in _FACTS else Text(str(value), str(value))


def _instant(text: str) -> datetime | str:
    """A time that stands as a text among words such as `none`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _local(value: datetime, utc_offset_min: int) -> str:
    at = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return f"{_moved(at, utc_offset_min):%Y-%m-%d %H:%M:%S}"


def _moved(at: datetime, utc_offset_min: int) -> datetime:
    """In the last or first hours of the calendar as it is: there is no local time."""
    try:
        return at + timedelta(minutes=utc_offset_min)
    except OverflowError:
        return at
