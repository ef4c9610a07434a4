"""What an object store holds of the log, said without trusting what it lists. Pure.

    PREFIX/NODE/index/000000042.json       a root: the days, by digest; and the digest of the root before it
    PREFIX/NODE/days/SHA256.json           a day: its files with their digests, and the segments in them
    PREFIX/NODE/rows/SHA256.parquet        records, as the store's own files
    PREFIX/NODE/hourly/SHA256.parquet      their hourly counts

INVARIANT (written once): an object never changes. All but roots are named by their content; a root has the next
number, and the store refuses a second one. So the newest root is one atomic step from the one before it: a reader
sees all of a commit or nothing. Roots have no gaps: the newest is found by asking for numbers, never by a list.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec

from pdp.archive.entries import StoredFile
from pdp.archive.schema import STORE_SCHEMA
from pdp.archive.sealed import SealedSegment
from pdp.errors import RecordDamagedError
from pdp.outgrown.sealed_rows import named

SCHEMA: Final = "sekisho.bucket/v1"
MAX_OBJECT: Final = 64 << 20  # bytes of a root or a day; a day of 30 million records takes two million

_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_File = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,200}\.parquet\Z")]  # a name, never a path
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Text = Annotated[str, msgspec.Meta(max_length=4_096)]


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pdp.archive.sealed.SealedSegment`; header and footer in base64, as their bytes must come back."""

    name: Annotated[str, msgspec.Meta(max_length=400)]
    sha256: _Digest
    size: _Count
    records: _Count
    records_sha256: _Digest
    first_seq: int | None
    last_seq: int | None
    whole: bool
    header: str | None
    footer: str | None
    has_twins: bool = False


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pdp.archive.manifest.StoredFile`. `removed`: its time has passed and its objects may be gone."""

    name: _File
    records: _Count
    bytes: _Count
    sha256: _Digest
    hourly_sha256: _Digest
    min_time: datetime | None
    max_time: datetime | None
    min_subject: _Text | None
    max_subject: _Text | None
    segments: tuple[Segment, ...]
    removed: bool = False


class Day(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files whose newest record is of this day (UTC); without a time: `none`."""

    schema: Literal["sekisho.bucket/v1"]
    day: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|none)\Z")]
    files: tuple[File, ...]


class DayRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`earliest`: of its records; None where one has no time. A day without files is not named."""

    day: str
    sha256: _Digest
    earliest: datetime | None


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`before`: the digest of the root before, empty for the first. `at`: when it was written, RFC 3339."""

    schema: Literal["sekisho.bucket/v1"]
    store_schema: str
    number: Annotated[int, msgspec.Meta(ge=0)]
    before: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    at: _Text
    days: tuple[DayRef, ...]


NO_ROOT: Final = Root(SCHEMA, STORE_SCHEMA, 0, "", "", ())
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_ROOT: Final = msgspec.json.Decoder(Root)
_DAY: Final = msgspec.json.Decoder(Day)


def encoded(document: Root | Day) -> tuple[bytes, str]:
    """Its bytes and their digest, which are the same for the same content."""
    body = _encode(document)
    return body, sha256(body).hexdigest()


def read_root(body: bytes, number: int) -> Root:
    """Raises RecordDamagedError where it is not the root of this number."""
    try:
        root = _ROOT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RecordDamagedError(f"the index `{number}` in the object store is damaged") from None
    if root.number != number or root.store_schema != STORE_SCHEMA:
        raise RecordDamagedError(f"the index `{number}` in the object store is another one")
    return root


def read_day(body: bytes, ref: DayRef) -> Day:
    """Raises RecordDamagedError where it is not the day that the root names."""
    if sha256(body).hexdigest() != ref.sha256:
        raise RecordDamagedError(f"the index of `{ref.day}` in the object store is not what its root names")
    try:
        day = _DAY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RecordDamagedError(f"the index of `{ref.day}` in the object store is damaged") from None
    if day.day != ref.day:
        raise RecordDamagedError(f"the index of `{ref.day}` in the object store is another day's")
    return day


def day_of(file: File) -> str:
    return "none" if file.max_time is None else file.max_time.date().isoformat()


def ref_of(day: Day, digest: str) -> DayRef:
    times = [file.min_time for file in day.files]
    known = [time for time in times if time is not None]
    return DayRef(day.day, digest, min(known) if known and len(known) == len(times) else None)


def file_of(stored: StoredFile, segments: list[SealedSegment], *, removed: bool = False) -> File:
    return File(
        stored.name,
        stored.records,
        stored.bytes,
        stored.sha256,
        stored.hourly_sha256,
        stored.min_time,
        stored.max_time,
        stored.min_subject,
        stored.max_subject,
        tuple(_entry(segment) for segment in segments),
        removed,
    )


def stored_of(file: File) -> tuple[StoredFile, list[SealedSegment]]:
    """Raises RecordDamagedError."""
    stored = StoredFile(
        name=file.name,
        tier="hot",
        folder="",
        records=file.records,
        bytes=file.bytes,
        sha256=file.sha256,
        hourly_sha256=file.hourly_sha256,
        min_time=file.min_time,
        max_time=file.max_time,
        min_subject=file.min_subject,
        max_subject=file.max_subject,
    )
    return stored, [_sealed(entry) for entry in file.segments]


def _entry(segment: SealedSegment) -> Segment:
    def text(body: bytes | None) -> str | None:
        return None if body is None else b64encode(body).decode()

    return Segment(
        str(segment.name),
        segment.sha256,
        segment.size,
        segment.records,
        segment.records_sha256,
        segment.first_seq,
        segment.last_seq,
        segment.whole,
        text(segment.header),
        text(segment.footer),
        segment.has_twins,
    )


def _sealed(entry: Segment) -> SealedSegment:
    try:
        header, footer = (
            None if text is None else b64decode(text, validate=True) for text in (entry.header, entry.footer)
        )
    except ValueError:
        raise RecordDamagedError(f"the entry of `{entry.name}` in the object store is damaged") from None
    return SealedSegment(
        name=named(entry.name),
        sha256=entry.sha256,
        size=entry.size,
        records=entry.records,
        records_sha256=entry.records_sha256,
        first_seq=entry.first_seq,
        last_seq=entry.last_seq,
        whole=entry.whole,
        header=header,
        footer=footer,
        has_twins=entry.has_twins,
    )
