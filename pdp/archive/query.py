"""What a named question is, and the pieces that the texts of all of them are put together from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.decision import Text

ParamKind = Literal[
    "time",
    "text",
    "optional_text",
    "id",
    "optional_id",
    "optional_time",
    "optional_number",
    "page",
    "offset",
    "rank",
]


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


TIMES: Final[dict[str, ParamKind]] = {"since": "time", "until": "time"}
WHEN: Final = '"time" >= $since AND "time" < $until'
BRIEF: Final = (
    'id, "time", outcome, reasons, person, subject_departments AS departments, device, resource, action,'
    " source_ip, caller_id, policy_revision"
)
NO_REASON: Final = "(none)"
"""Stands for the reason of a denial that has none, as other OPAs push them: else it would not be counted at all."""
EACH_REASON: Final = f"unnest(CASE WHEN array_length(reasons) > 0 THEN reasons ELSE ['{NO_REASON}'] END)"
