"""What was found out about a revision beside its gates: foresight, tests, coverage, mutants, replays, exports.

A result says of what it is: the digests of the contents and of the policy that they were held against, the epoch of
the directory, who asked and when. Contents go on, and so do policies and registers: `Kept.stale` names what has moved
since. Results decide nothing; what lets a revision through are its gates. Each method is one transaction, and blocks.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from sqlalchemy import delete, insert, select

from pdp.directory.snapshot import read_epoch
from pdp.errors import BadRequestError, NotFoundError, PayloadTooLargeError, RecordDamagedError
from pdp.revisions.rows import active_at, epoch_of, revision_at
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.store.store import Store

ResultKind = Literal["population", "replay", "tests", "scenarios", "coverage", "mutation", "export"]
KINDS: Final = frozenset(get_args(ResultKind))
Form = Literal["json", "zip"]
Stale = Literal["contents", "baseline", "directory"]
"""`contents`: other files since; `baseline`: another policy is of record; `directory`: the registers were changed."""

MAX_BODY: Final = 16 * 1024 * 1024  # of one result, unpacked: a whole prefecture's foresight has 0.3 MB
MAX_SUMMARY: Final = 16 * 1024  # characters of JSON
MAX_LABEL: Final = 64
KEPT: Final = 5  # of one revision, kind and label; the oldest goes
MAX_LISTED: Final = 100

_TABLE: Final = tables.policy_results
_WITHOUT_BODY: Final = [column for column in _TABLE.columns if column.name != "body"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be kept. `number` None: of the configured bundle, where nothing was ever activated.

    `digest` and `source_digest` as a `Revision` has them, of the contents that were looked at. `baseline`: the digest
    of the policy that they were held against; None: against none. `epoch`: of the directory that was read; None: none
    was. `label` tells results of one kind apart. `body`: JSON text, or an archive. `summary`: few numbers, for a list.
    """

    kind: ResultKind
    number: int | None
    digest: str
    body: bytes
    source_digest: str | None = None
    baseline: str | None = None
    epoch: int | None = None
    label: str = ""
    form: Form = "json"
    params: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """One result without its body. `stale`: what has moved since; empty: nothing has."""

    id: int
    kind: ResultKind
    label: str
    number: int | None
    digest: str
    source_digest: str | None
    baseline: str | None
    epoch: int | None
    by: str
    at: datetime
    params: Mapping[str, Any]
    summary: Mapping[str, Any]
    form: Form
    size: int
    stale: tuple[Stale, ...] = ()


class Results:
    """The register of results in the control database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, finding: Finding, by: str, now: datetime) -> Kept:
        """Raises PayloadTooLargeError beyond `MAX_BODY`, NotFoundError where there is no such revision."""
        with self._store.write() as connection:
            return keep_finding(connection, finding, by, now)

    def all(self, number: int | None = None, kind: ResultKind | None = None) -> tuple[Kept, ...]:
        """The newest first; of one revision, of one kind, or of all."""
        query = select(*_WITHOUT_BODY).order_by(_TABLE.c.id.desc()).limit(MAX_LISTED)
        if number is not None:
            query = query.where(_TABLE.c.number == number)
        if kind is not None:
            query = query.where(_TABLE.c.kind == kind)
        with self._store.read() as connection:
            moved = _Moved(connection)
            return tuple(_kept(row, moved) for row in connection.execute(query).all())

    def one(self, result: int) -> tuple[Kept, bytes]:
        """A result and its body. Raises NotFoundError, and RecordDamagedError where the body is not what was kept."""
        with self._store.read() as connection:
            row = connection.execute(select(_TABLE).where(_TABLE.c.id == result)).first()
            if row is None:
                raise NotFoundError(f"there is no result {result}", next_step="older ones make room for newer ones")
            return _kept(row, _Moved(connection)), _unpacked(bytes(row.body), row.form, row.size)


def keep_finding(connection: Connection, finding: Finding, by: str, now: datetime) -> Kept:
    """`Results.keep` within a transaction of the caller's."""
    summary = json.dumps(dict(finding.summary), ensure_ascii=False, sort_keys=True)
    if len(finding.body) > MAX_BODY or len(summary) > MAX_SUMMARY:
        raise PayloadTooLargeError(f"the result is larger than {MAX_BODY} bytes", next_step="ask for fewer contexts")
    if finding.kind not in KINDS or len(finding.label) > MAX_LABEL:
        raise BadRequestError("no result of this kind is kept")
    if finding.number is not None:
        revision_at(connection, finding.number)
    values = {
        "kind": finding.kind,
        "label": finding.label,
        "number": finding.number,
        "digest": finding.digest,
        "source_digest": finding.source_digest,
        "baseline": finding.baseline,
        "directory_epoch": finding.epoch,
        "by": by,
        "at": now,
        "params": json.dumps(dict(finding.params), ensure_ascii=False, sort_keys=True),
        "summary": summary,
        "form": finding.form,
        "size": len(finding.body),
        "body": zlib.compress(finding.body) if finding.form == "json" else finding.body,
    }
    made = connection.execute(insert(_TABLE).values(**values)).inserted_primary_key
    assert made is not None
    _make_room(connection, finding)
    row = connection.execute(select(*_WITHOUT_BODY).where(_TABLE.c.id == made[0])).one()
    return _kept(row, _Moved(connection))


def _make_room(connection: Connection, finding: Finding) -> None:
    alike = (
        select(_TABLE.c.id)
        .where(
            _TABLE.c.number.is_not_distinct_from(finding.number),
            _TABLE.c.kind == finding.kind,
            _TABLE.c.label == finding.label,
        )
        .order_by(_TABLE.c.id.desc())
    )
    old = list(connection.execute(alike).scalars())[KEPT:]
    if old:
        connection.execute(delete(_TABLE).where(_TABLE.c.id.in_(old)))


def _kept(row: Any, moved: _Moved) -> Kept:
    return Kept(
        row.id,
        row.kind,
        row.label,
        row.number,
        row.digest,
        row.source_digest,
        row.baseline,
        row.directory_epoch,
        row.by,
        row.at,
        json.loads(row.params),
        json.loads(row.summary),
        row.form,
        row.size,
        tuple(moved.of(row)),
    )


class _Moved:
    """What stands now, each asked once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        active = active_at(connection, epoch_of(connection))
        self._active = None if active is None else active.digest
        self._epoch = read_epoch(connection)
        self._digests: dict[int, tuple[str, str]] = {}

    def of(self, row: Any) -> list[Stale]:
        found: list[Stale] = []
        if row.number is not None:
            digest, source_digest = self._contents(row.number)
            if row.digest != digest or row.source_digest not in (None, source_digest):
                found.append("contents")
        # Whatever was configured before the first activation is of record no longer.
        if row.baseline is not None and self._active not in (None, row.baseline):
            found.append("baseline")
        if row.directory_epoch not in (None, self._epoch):
            found.append("directory")
        return found

    def _contents(self, number: int) -> tuple[str, str]:
        if number not in self._digests:
            revision = revision_at(self._connection, number)
            self._digests[number] = revision.digest, revision.source_digest
        return self._digests[number]


def _unpacked(body: bytes, form: str, size: int) -> bytes:
    if form != "json":
        found = body
    else:
        unpacking = zlib.decompressobj()
        try:
            found = unpacking.decompress(body, MAX_BODY)
        except zlib.error:
            raise RecordDamagedError("the body of a result cannot be unpacked") from None
    if len(found) != size:
        raise RecordDamagedError("the body of a result is not what was kept")
    return found
