"""What stands in the manifest: files, segments, holds. Values, and the rows that they are read from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pdp.archive.sealed import SealedSegment
from pdp.declog.layout import segment_name
from pdp.errors import NotReadyError

if TYPE_CHECKING:
    import sqlite3

    from pdp.declog.layout import SegmentName

Tier = Literal["hot", "archived"]
WHOLE: Final = 1  # of a segment in the manifest; 0: damaged
WITH_TWINS: Final = 2  # whole, and some of its records count elsewhere
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # times of the store are UTC without an offset


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of records and, under the same name, its hourly counts. Times are UTC without an offset."""

    name: str
    tier: Tier
    folder: str  # where `rows` and `hourly` are; empty: in the store itself
    records: int
    bytes: int
    sha256: str
    hourly_sha256: str
    min_time: datetime | None
    max_time: datetime | None
    min_subject: str | None
    max_subject: str | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing that it names is removed until it is lifted. No person: everybody; no bound: always."""

    case_number: str
    subject_id: str | None
    since: datetime | None
    until: datetime | None
    reason: str
    placed_by: str
    placed_at: datetime
    id: int = 0
    lifted_at: datetime | None = None


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of a time in UTC, with or without its offset."""
    naive = instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant
    span = naive - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def instant(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def file_in(row: tuple[Any, ...]) -> StoredFile:
    name, tier, folder, records, size, digest, hourly_digest, earliest, latest, first, last = row
    return StoredFile(
        name, tier, folder, records, size, digest, hourly_digest, instant(earliest), instant(latest), first, last
    )


def segment_in(row: tuple[Any, ...]) -> SealedSegment:
    name, digest, size, records, records_digest, first_seq, last_seq, whole, header, footer = row
    return SealedSegment(
        name=_name(name),
        sha256=digest,
        size=size,
        records=records,
        records_sha256=records_digest,
        first_seq=first_seq,
        last_seq=last_seq,
        whole=bool(whole),
        header=header,
        footer=footer,
        has_twins=whole == WITH_TWINS,
    )


def _name(text: str) -> SegmentName:
    name = segment_name(text)
    if name is None:
        raise NotReadyError(f"the store's manifest names `{text}`, which is no segment")
    return name


def holds_in(connection: sqlite3.Connection, *, lifted: bool) -> list[Hold]:
    rows = connection.execute(
        "SELECT case_number, subject_id, since, until, reason, placed_by, placed_at, id, lifted_at FROM holds"
        " WHERE ? OR lifted_at IS NULL ORDER BY id",
        [lifted],
    ).fetchall()
    return [
        Hold(r[0], r[1], instant(r[2]), instant(r[3]), r[4], r[5], instant(r[6]) or _EPOCH, r[7], instant(r[8]))
        for r in rows
    ]


def covers(hold: Hold, file: StoredFile) -> bool:
    """Whether a hold may name a record of the file, by the file's bounds alone: in doubt it does."""
    if hold.since is not None and file.max_time is not None and file.max_time < hold.since:
        return False
    if hold.until is not None and file.min_time is not None and file.min_time >= hold.until:
        return False
    if hold.subject_id is None:
        return True
    # A pseudonym or nothing in the place of a name may stand for anybody, and so may what lies beside it in the file.
    bounds = (file.min_subject, file.max_subject)
    if any(bound is None or bound.startswith("p:") for bound in bounds):
        return True
    return str(bounds[0]) <= hold.subject_id <= str(bounds[1])
