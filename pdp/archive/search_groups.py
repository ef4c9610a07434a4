# ruff: noqa: S608  # the texts are put together from the tables of this module; values are bound
"""Groupings in DuckDB's dialect: over the rows, or over the counts of the store where those say it.

Rows are counted by their whole list of reasons and by person first, and the lists taken apart after that: a day of
nine million denials has a few hundred thousand such rows, and takes a third of the time (measured).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.archive.asking import DIMENSIONS, GROUPS, MAX_GROUPS, offset_text
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.archive.asking import GroupBy
    from pdp.archive.search_filters import Where

_MAX_OFFSET: Final = 14 * 60  # minutes east of Greenwich (UTC+14 is the easternmost in use)
_HOUR: Final = 60
_TIMES: Final = ("hour", "day")

# Of a dimension: over rows, and over the counts where they have it. A time is moved to the local one first.
_DIMENSIONS: Final[Mapping[GroupBy, tuple[str, str | None]]] = {
    "hour": (
        "date_trunc('hour', \"time\" + to_minutes($utc_offset::INTEGER))",
        "hour + to_minutes($utc_offset::INTEGER)",
    ),
    "day": (
        "date_trunc('day', \"time\" + to_minutes($utc_offset::INTEGER))::TIMESTAMP",
        "date_trunc('day', hour + to_minutes($utc_offset::INTEGER))::TIMESTAMP",
    ),
    "reason": ("reasons", "reasons"),
    "department": ("subject_departments[1]", "department"),
    "resource": ("resource", "resource"),
    "outcome": ("outcome", "outcome"),
    "caller": ("caller_id", "caller_id"),
    "device_class": ("device_class", None),
    "revision": ("policy_revision", "policy_revision"),
    "person": ("person", None),
}


@dataclass(frozen=True, slots=True)
class Grouping:
    """A statement over one relation; `values` are those that it needs beside the filters' and `limit`."""

    sql: str
    view: str
    values: Mapping[str, Any]


def check_group(by: Sequence[str], utc_offset_min: int, limit: int) -> None:
    """Raises BadRequestError for a grouping that is none."""
    if not 0 < len(by) <= DIMENSIONS or len(set(by)) != len(by) or not set(by) <= set(GROUPS):
        raise BadRequestError(f"a grouping has 1 to {DIMENSIONS} different dimensions of {', '.join(GROUPS)}")
    if abs(utc_offset_min) > _MAX_OFFSET:
        raise BadRequestError(f"an offset is at most {_MAX_OFFSET} minutes")
    if not 0 < limit <= MAX_GROUPS:
        raise BadRequestError(f"a grouping has 1 to {MAX_GROUPS} rows")


def grouping_of(by: Sequence[GroupBy], where: Where, utc_offset_min: int, *, people: bool, counted: bool) -> Grouping:
    """`counted`: the counts of the store may be taken, where they say it."""
    values: dict[str, Any] = {"utc_offset": utc_offset_min} if set(by) & set(_TIMES) else {}
    if "hour" in by:
        values["offset"] = offset_text(utc_offset_min)
    if counted and not people and where.hourly is not None and _are_counted(by, utc_offset_min):
        parts = [str(_DIMENSIONS[name][1]) for name in by]
        return Grouping(
            _sql(by, parts, f"hourly WHERE {where.hourly}", "sum(decisions)", people=False), "hourly", values
        )
    parts = [_DIMENSIONS[name][0] for name in by]
    return Grouping(_sql(by, parts, f"decisions WHERE {where.rows}", "count(*)", people=people), "decisions", values)


def _are_counted(by: Sequence[GroupBy], utc_offset_min: int) -> bool:
    """The counts are of whole hours in UTC: they know nothing of halves of an hour."""
    return all(_DIMENSIONS[name][1] for name in by) and not (set(by) & set(_TIMES) and utc_offset_min % _HOUR)


def _sql(by: Sequence[GroupBy], parts: Sequence[str], source: str, count: str, *, people: bool) -> str:
    columns = [f"{part} AS d{at}" for at, part in enumerate(parts)]
    who = ["person AS who"] if people else []
    whole = f"SELECT {', '.join([*columns, *who, f'{count} AS n'])} FROM {source} GROUP BY ALL"
    apart = [_apart(f"d{at}") if name == "reason" else f"d{at}" for at, name in enumerate(by)]
    single = f"SELECT {', '.join([*apart, *(['who'] if people else []), 'n'])} FROM ({whole})"
    # Names of dimensions are given last: inside, some of them are names of columns.
    shown = [f'{_shown(name, f"d{at}")} AS "{name}"' for at, name in enumerate(by)]
    outputs = [*shown, "sum(n)::BIGINT AS decisions", *(["count(DISTINCT who) AS people"] if people else [])]
    keys = [f"d{at}" for at, _ in enumerate(by)]
    timed = [key for key, name in zip(keys, by, strict=True) if name in _TIMES]
    others = [f"{key} NULLS LAST" for key, name in zip(keys, by, strict=True) if name not in _TIMES]
    return (
        f"SELECT {', '.join(outputs)} FROM ({single}) GROUP BY {', '.join(keys)}"
        f" ORDER BY {', '.join([*timed, 'decisions DESC', *others])} LIMIT $limit"
    )


def _apart(reasons: str) -> str:
    """Each reason once; a record without any stands beside them as NULL."""
    return f"unnest(CASE WHEN len({reasons}) > 0 THEN list_distinct({reasons}) ELSE [NULL]::VARCHAR[] END) AS {reasons}"


def _shown(name: GroupBy, column: str) -> str:
    """A local time is a text that says so: as a time of the store it would be taken for UTC."""
    if name == "day":
        return f"strftime({column}, '%Y-%m-%d')"
    return f"strftime({column}, '%Y-%m-%dT%H:00:00') || $offset" if name == "hour" else column
