"""The store's table of sources: configuration, lease, cursor, health, approvals. Each function is one statement or two.

Reads and writes happen in the caller's transaction. Times come from the caller.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from sqlalchemy import delete, func, insert, or_, select, update

from pdp.errors import DirectoryError
from pdp.sources.bounds import RemovalPlan
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.model.source import Brings, SourceSettings

LEASE: Final = timedelta(seconds=120)  # a process that died is replaced after it; it is renewed every quarter of it
APPROVAL: Final = timedelta(days=7)  # a source that runs once a week must find it
RUNS_KEPT: Final = 50  # of each source
MAX_CODE: Final = 32
MAX_CODES: Final = 32  # that are counted by name; each is a label of a metric
OTHER: Final = "other"
MAX_TEXT: Final = 300  # characters of a fault that are kept
PlanState = Literal["none", "pending", "approved", "rejected"]
_T: Final = tables.sources
_RUNS: Final = tables.source_runs


class Seen(msgspec.Struct, frozen=True):
    """What a run found: numbers by what became of a record, and some names of each fault."""

    counts: dict[str, int] = {}
    samples: dict[str, list[str]] = {}


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source as the store has it."""

    name: str
    kind: str
    brings: Brings
    enabled: bool
    required: bool
    cursor: str | None
    last_attempt_at: datetime | None
    last_success_at: datetime | None
    last_full_at: datetime | None
    full_tried_at: datetime | None
    next_run_at: datetime | None
    failures: int
    fault: str | None
    fault_text: str
    faults: Mapping[str, int]
    seen: Seen
    lease_holder: str | None
    lease_until: datetime | None
    plan: RemovalPlan | None
    plan_digest: str | None
    plan_state: PlanState
    plan_until: datetime | None
    plan_by: str

    def approves(self, digest: str, now: datetime) -> bool:
        """Whether somebody let exactly this removal pass."""
        return (
            self.plan_state == "approved"
            and self.plan_digest == digest
            and self.plan_until is not None
            and now < self.plan_until
        )


def settings_digest(settings: SourceSettings) -> str:
    """What the cursor of a run belongs to: a source that is asked otherwise is asked for everything again."""
    deciding = (settings.kind, settings.settings, settings.facts, settings.match_by, settings.adopt)
    return hashlib.sha256(msgspec.json.encode(deciding, order="deterministic")).hexdigest()


def enrol(connection: Connection, settings: SourceSettings, brings: Brings) -> bool:
    """Take the configuration of this source into the store; whether that changed anything."""
    row = connection.execute(select(_T).where(_T.c.name == settings.name)).mappings().first()
    values: dict[str, Any] = {
        "kind": settings.kind,
        "brings": brings,
        "enabled": True,
        "required": settings.required,
        "stale_after_s": settings.stale_after_s,
        "down_after_s": settings.down_after_s,
        "settings_digest": settings_digest(settings),
    }
    if row is None:
        connection.execute(insert(_T), {**values, **_UNTRIED, "name": settings.name})
        return True
    changed = {name: value for name, value in values.items() if row[name] != value}
    if row["brings"] != brings:
        raise DirectoryError(
            f"the source `{settings.name}` brought something else before",
            next_step="choose another name, or forget it with `pdp connector forget`",
        )
    if "settings_digest" in changed:
        changed |= {"cursor": None, "full_tried_at": None, "last_full_at": None, "next_run_at": None}
    if changed:
        connection.execute(update(_T).where(_T.c.name == settings.name).values(changed))
    return bool(changed)


_UNTRIED: Final[Mapping[str, Any]] = {
    "failures": 0,
    "fault_text": "",
    "faults": "{}",
    "seen": "{}",
    "rows": 0,
    "unmatched": 0,
    "refused": 0,
    "plan_state": "none",
    "plan_by": "",
}


def retire_others(connection: Connection, configured: Collection[str]) -> bool:
    """Sources that are configured no longer count for nothing; what they brought stays until it is forgotten."""
    others = update(_T).where(_T.c.enabled, _T.c.name.not_in(configured)).values(enabled=False)
    return connection.execute(others).rowcount > 0


def read_row(connection: Connection, name: str, *, lock: bool = False) -> SourceRow | None:
    query = select(_T).where(_T.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else _row(row)


def read_rows(connection: Connection) -> tuple[SourceRow, ...]:
    return tuple(_row(row) for row in connection.execute(select(_T).order_by(_T.c.name)).mappings())


def _row(row: Any) -> SourceRow:
    plain = {name: row[name] for name in _PLAIN}
    return SourceRow(
        **plain,
        faults=msgspec.json.decode(row["faults"], type=dict[str, int]),
        seen=msgspec.json.decode(row["seen"], type=Seen),
        plan=None if row["plan"] is None else msgspec.json.decode(row["plan"], type=RemovalPlan),
    )


_PLAIN: Final = tuple(name for name in SourceRow.__slots__ if name not in ("faults", "seen", "plan"))


def claim(connection: Connection, name: str, holder: str, now: datetime) -> bool:
    """Take, or keep, the lease on a source; False where another process has it."""
    free = or_(_T.c.lease_holder.is_(None), _T.c.lease_holder == holder, _T.c.lease_until <= now)
    taken = update(_T).where(_T.c.name == name, free).values(lease_holder=holder, lease_until=now + LEASE)
    return connection.execute(taken).rowcount == 1


def release(connection: Connection, name: str, holder: str) -> None:
    ours = update(_T).where(_T.c.name == name, _T.c.lease_holder == holder)
    connection.execute(ours.values(lease_holder=None, lease_until=None))


def write(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(_T).where(_T.c.name == name).values(dict(values)))


def journal(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Keep the record of a run, of the latest ones of each source."""
    connection.execute(insert(_RUNS), {"source": name, **values})
    newest = select(_RUNS.c.id).where(_RUNS.c.source == name).order_by(_RUNS.c.id.desc()).offset(RUNS_KEPT).limit(1)
    oldest = connection.execute(newest).scalar()
    if oldest is not None:
        connection.execute(delete(_RUNS).where(_RUNS.c.source == name, _RUNS.c.id <= oldest))


def failed(row: SourceRow, code: str, text: str, now: datetime, next_run_at: datetime) -> dict[str, Any]:
    """What the row says after a run that counts for nothing. A connector's words are cut to what a row holds."""
    code, text = code[:MAX_CODE], "".join(character for character in text if character.isprintable())
    if code not in row.faults and len(row.faults) >= MAX_CODES:
        code = OTHER
    return {
        "last_attempt_at": now,
        "failures": row.failures + 1,
        "fault": code,
        "fault_text": text[:MAX_TEXT],
        "faults": msgspec.json.encode({**row.faults, code: row.faults.get(code, 0) + 1}).decode(),
        "next_run_at": next_run_at,
    }


def count_rows(connection: Connection, row_name: str, brings: Brings) -> int:
    """How many rows of the directory are of this source."""
    table = tables.posture_reports if brings == "posture" else tables.source_users
    count: int = connection.execute(select(func.count()).where(table.c.source == row_name)).scalar_one()
    return count
