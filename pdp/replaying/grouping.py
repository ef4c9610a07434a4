"""A batch of records, put together by what their policy could tell apart and by what was answered.

A group is one evaluation and one comparison, however many decisions it stands for. What has nothing that could be
recomputed is counted apart, with why.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import duckdb
import pyarrow as pa

from pdp.archive.schema import INPUT
from pdp.replaying.answer import Answer, Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.bundle.bundle import Profile

Apart = Literal[
    "refusal", "no_input", "other_opa", "other_profile", "unreadable", "hidden", "impossible", "wrong_policy"
]
"""Why a record is not recomputed. Two of them nobody here writes: `impossible` permits although no policy was asked,
and `wrong_policy` names another revision or profile than the bundle has that its digest names."""

APART: Final[tuple[Apart, ...]] = get_args(Apart)

# Attack: a record changed to an allow hides among those that were never judged. None of these permits.
_WHY: Final = """
    CASE WHEN odd OR kind IS NULL THEN 'unreadable'
         WHEN wire = 'opa-log' THEN 'other_opa'
         WHEN kind = 'refusal' THEN CASE WHEN outcome = 'deny' THEN 'refusal' ELSE 'impossible' END
         WHEN input_form = 'none' AND len(erased) > 0 THEN 'hidden'
         WHEN input_form = 'none' THEN CASE WHEN outcome = 'deny' THEN 'no_input' ELSE 'impossible' END
         WHEN bundle_digest IS NULL OR profile IS NULL OR input_form IS NULL THEN 'unreadable'
         ELSE 'judged' END"""
# What was held over in a time of warning is judged by two policies (`pdp.grace`).
_WARNED: Final = "CASE WHEN profile = 'zta' AND json_valid(policy_context) THEN policy_context ->> '$.warned.{}' END"
_FORMER: Final = _WARNED.format("former.digest")
_UNTIL: Final = _WARNED.format("until")
_OVERVIEW: Final = f"""
    SELECT {_WHY} AS why, bundle_digest, policy_revision, profile, input_form, {_FORMER} AS former, {_UNTIL} AS until,
           count(*) AS decisions
    FROM batch GROUP BY ALL"""  # noqa: S608  # a text of this file
_FAULTY: Final = "coalesce(fault IS NOT NULL AND outcome = 'deny' AND reasons = ['EVALUATION_ERROR'], false)"
_ANSWER: Final = "outcome, reasons, obligations, required_auth_level, policy_context"


class Share(NamedTuple):
    """Records of a batch that are alike in kind. `judged`: a policy gave the answer; `form`: of the document."""

    why: Apart | Literal["judged"]
    digest: str | None
    revision: str | None
    profile: Profile | None
    form: str | None
    former: str | None
    until: str | None
    decisions: int

    @property
    def held(self) -> Held | None:
        return None if self.former is None or self.until is None else Held(self.former, self.until)


@dataclass(frozen=True, slots=True)
class Group:
    """Decisions that are one to the policy and were answered alike.

    `key` is a SHA-256 over what the policy sees; `first` is the row of the batch whose document stands for all, `rows`
    are all of them. `failed`: no verdict could be had then.
    """

    key: bytes
    first: int
    rows: pa.Array
    recorded: Answer
    redacted: tuple[str, ...]
    masked: tuple[str, ...]
    failed: bool


class Grouper:
    """One DuckDB in memory, without access to anything but the batch at hand."""

    def __init__(self, *, memory_mb: int, threads: int) -> None:
        self._connection = duckdb.connect(
            ":memory:",
            config={"memory_limit": f"{memory_mb}MB", "threads": threads, "temp_directory": ""},
        )
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def over(self, batch: pa.Table) -> Iterator[Grouper]:
        """Ask about this batch."""
        row = pa.array(range(batch.num_rows), pa.int64())
        self._connection.register("batch", batch.append_column("row_at", row))
        try:
            yield self
        finally:
            self._connection.unregister("batch")

    def shares(self) -> list[Share]:
        return [Share(*row) for row in self._connection.sql(_OVERVIEW).fetchall()]

    def groups(self, columns: Sequence[str] | None, share: Share) -> list[Group]:
        """The judged records of this share.

        `columns` are what the bundle sees; None: the whole document. A document that is kept as text is told from
        another by every character of it.
        """
        seen = _seen(columns, share.form)
        # The digest is made of the groups, not of each record.
        sql = f"""
            SELECT sha256(to_json(struct_pack({", ".join(f"{name} := {name}" for name in seen)}))::VARCHAR) AS key,
                   "first", rows, {_ANSWER}, redacted, masked, failed
            FROM (SELECT {", ".join(seen)}, {_ANSWER}, redacted, list_concat(erased, masked) AS masked,
                         {_FAULTY} AS failed, min(row_at) AS "first", list(row_at) AS rows
                  FROM batch
                  WHERE {_WHY} = 'judged' AND input_form = $form AND profile = $profile
                        AND bundle_digest = $digest AND policy_revision IS NOT DISTINCT FROM $revision
                        AND ({_FORMER}) IS NOT DISTINCT FROM $former AND ({_UNTIL}) IS NOT DISTINCT FROM $until
                  GROUP BY ALL)"""  # noqa: S608  # names of columns and texts of this file; values are bound
        params = {name: getattr(share, name) for name in ("form", "profile", "digest", "revision", "former", "until")}
        table = self._connection.sql(sql, params=params).to_arrow_table().combine_chunks()
        return list(_groups(table))


def _seen(columns: Sequence[str] | None, form: str | None) -> Sequence[str]:
    if form == "text":
        return ("input_text",)
    if columns is None:
        return tuple(column.name for column in INPUT)
    return columns or ("input_form",)  # a policy that reads nothing of it: all documents are one


def _groups(table: pa.Table) -> Iterator[Group]:
    if not table.num_rows:
        return
    rows = table["rows"].chunk(0)
    names = ("key", "first", "outcome", "reasons", "obligations", "required_auth_level", "policy_context")
    values = [table[name].to_pylist() for name in (*names, "redacted", "masked", "failed")]
    starts = rows.offsets.to_pylist()
    flat = rows.values
    for at, (key, first, outcome, reasons, obligations, level, context, redacted, masked, failed) in enumerate(
        zip(*values, strict=True)
    ):
        yield Group(
            bytes.fromhex(key),
            first,
            flat.slice(starts[at], starts[at + 1] - starts[at]),
            Answer(outcome, tuple(reasons or ()), obligations, level, context),
            tuple(redacted or ()),
            tuple(masked or ()),
            failed,
        )
