"""Each filter as a condition in DuckDB's dialect, over `decisions` and, where its columns are there, over `hourly`.

Values are bound, never written into a text: the texts are put together from this table alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.archive.snapshot import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.archive.asking import Filters

_EXCEPTION: Final = (
    "(outcome IN ('allow', 'limit') AND (coalesce(context_disaster_mode = 'true', false)"
    " OR coalesce(subject_kind = 'emergency_account', false) OR coalesce(resource_group = 'disaster', false)))"
)
"""As the report of exceptions (`report_02_exceptions`) has it; a test holds the two together."""

# By the name of the field in `Filters`: over `decisions`, and over `hourly` where the counts say it exactly.
# The counts have the first department of a person only, so that a filter by any of them is not theirs.
_CONDITIONS: Final[Mapping[str, tuple[str, str | None]]] = {
    "person": ("person = $person", None),
    "department": ("list_contains(subject_departments, $department)", None),
    "device": ("device = $device", None),
    "resource": ("resource = $resource", "resource = $resource"),
    "resource_group": ("resource_group = $resource_group", "resource_group = $resource_group"),
    "outcomes": ("list_contains($outcomes::VARCHAR[], outcome)", "list_contains($outcomes::VARCHAR[], outcome)"),
    "reasons": ("list_has_any(reasons, $reasons::VARCHAR[])", "list_has_any(reasons, $reasons::VARCHAR[])"),
    "caller": ("caller_id = $caller", "caller_id = $caller"),
    "revision": ("policy_revision = $revision", "policy_revision = $revision"),
    "source_ip": ("source_ip = $source_ip", None),
    "action": ("(action = $action OR action_name = $action)", None),
    "kind": ("kind = $kind", "kind = $kind"),
    "exception": (f"coalesce({_EXCEPTION}, false) = $exception::BOOLEAN", None),
    "disaster_mode": ("coalesce(context_disaster_mode = 'true', false) = $disaster_mode::BOOLEAN", None),
    "request_id": ("request_id = $request_id", None),
    "trace_id": ("trace_id = $trace_id", None),
}
_NARROWS_NOT: Final[tuple[Any, ...]] = (None, ())
# INVARIANT (bound): `within` is none of these. The engine's relations hold nothing else to begin with.


@dataclass(frozen=True, slots=True)
class Where:
    """A condition and its values. `hourly`: the same over the counts, None where they cannot say it."""

    rows: str
    hourly: str | None
    values: Mapping[str, Any]


def where_of(filters: Filters) -> Where:
    """The condition that a record fulfils which the filters mean."""
    given = {name: value for name in _CONDITIONS if (value := getattr(filters, name)) not in _NARROWS_NOT}
    conditions = [_CONDITIONS[name] for name in given]
    rows = ['"time" >= $since AND "time" < $until', *(row for row, _ in conditions)]
    counts = [count for _, count in conditions]
    whole = all(_is_whole_hour(bound) for bound in (filters.since, filters.until))
    hourly = ["hour >= $since AND hour < $until", *(count for count in counts if count is not None)]
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return Where(
        " AND ".join(rows),
        " AND ".join(hourly) if whole and None not in counts else None,
        {"since": filters.since, "until": filters.until} | values,
    )


def scope_of(filters: Filters) -> Scope:
    """What need be read for it."""
    return Scope(filters.since, filters.until, filters.person)


def _is_whole_hour(instant: datetime) -> bool:
    return instant.replace(minute=0, second=0, microsecond=0) == instant
