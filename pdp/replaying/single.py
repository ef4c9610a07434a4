"""One decision by its id: found wherever it lies, judged by the bundle that decided it, compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from pdp.archive.rows import body_of
from pdp.declog.layout import Layout
from pdp.declog.reader import find_record
from pdp.declog.record import read_record
from pdp.errors import BadRequestError, NotReadyError, RecordDamagedError
from pdp.replaying.answer import parts_that_differ, recorded_answer
from pdp.replaying.hidden import hides_what_counts
from pdp.replaying.tally import recomputed_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pdp.archive.session import EngineLimits
    from pdp.declog.record import Record
    from pdp.replaying.court import Bench, Judgement

_ALWAYS: Final = {"since": datetime(1, 1, 2, tzinfo=UTC), "until": datetime(9999, 12, 31, tzinfo=UTC)}
_OTHER_OPA: Final = "opa-log"
NothingToJudge = Literal["refusal", "no_input", "other_opa"]


def find(logs: Sequence[Path], decision_id: str, limits: EngineLimits) -> Record:
    """The record in the segments, else in the stores of these logs; the first log is our own.

    Raises BadRequestError for an id that is none, NotReadyError for a record that is not there, RecordDamagedError
    where it is not what was written, or two of one id say different things.
    """
    try:
        UUID(decision_id)
    except ValueError:
        raise BadRequestError(
            f"`{decision_id}` is not a decision id", next_step="take the id from the answer"
        ) from None
    if not (layout := Layout(logs[0])).segments.is_dir():
        raise NotReadyError(
            "there is no decision log in the state directory", next_step="name the service's own with `--state-dir`"
        )
    try:
        line = find_record(layout, decision_id) or _stored(logs, decision_id, limits)
        line = line or find_record(layout, decision_id, everywhere=True)
    except OSError as fault:
        raise NotReadyError(f"the decision log cannot be read: {fault.strerror}") from None
    if line is None:
        raise NotReadyError(
            f"the decision log has no record of `{decision_id}`",
            next_step="check the id and `--state-dir`; older records may have been removed when their time had passed",
        )
    return read_record(line)


def _stored(logs: Sequence[Path], decision_id: str, limits: EngineLimits) -> bytes | None:
    from pdp.archive.arrow_tables import rows_of  # Arrow and DuckDB: a worker that decides has no use for them
    from pdp.archive.duck import DuckQueries

    queries = DuckQueries(logs, limits)
    for when in ({}, _ALWAYS):
        found = {body_of(row) for row in rows_of(queries.run("by_id", {"id": decision_id, **when}))}
        if len(found) > 1:
            raise RecordDamagedError(f"two records of `{decision_id}` say different things")
        if found:
            return found.pop()
    return None


def nothing_to_judge(record: Record) -> NothingToJudge | None:
    """Why no policy was asked, or none of ours; None where one was."""
    if record.kind == "refusal":
        return "refusal"
    if record.wire == _OTHER_OPA:
        return "other_opa"
    return "no_input" if bytes(record.input) == b"null" else None


@dataclass(frozen=True, slots=True)
class Single:
    """`exact`: every value that the bundle can see stands in the record as it was."""

    record: Record
    revision: str
    engines: tuple[str, ...]
    judgement: Judgement
    exact: bool

    @property
    def differences(self) -> list[str]:
        recorded = recorded_answer(self.record)
        found = {part for said in self.judgement for part in parts_that_differ(recorded, said.answer)}
        return [part for part in recorded._fields if part in found]

    @property
    def stands(self) -> bool:
        return not self.differences or not self.exact

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.record.id,
            "kind": self.record.kind,
            "replayed": True,
            "equal": not self.differences,
            "exact": self.exact,
            "differences": self.differences,
            "engines_disagree": len({one.answer for one in self.judgement}) > 1,
            "recorded": recorded_answer(self.record).as_json(),
            "recomputed": self.judgement[0].answer.as_json(),
            "fault": self.judgement[0].fault,
            "engine": self.engines[0],
            "engines": recomputed_json(self.engines, self.judgement),
            "policy_revision": self.record.policy_revision,
            "bundle_digest": self.record.bundle_digest,
            "judged_by": self.revision,
            "redacted": list(self.record.redacted),
            "hidden": self.record.hidden,
        }


async def replay_one(record: Record, bench: Bench, engines: tuple[str, ...]) -> Single:
    judgement = await bench.one(bytes(record.input))
    exact = not hides_what_counts(record.redacted, record.hidden, bench.footprint)
    return Single(record, bench.bundle.revision, engines, judgement, exact)
