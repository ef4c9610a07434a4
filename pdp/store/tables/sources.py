"""Where registers come from: connectors, what they brought, their runs."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, String, Table, Text

from pdp.store.columns import Instant, identifier
from pdp.store.tables.ground import ID_LENGTH, metadata, refers, row_id

sources: Final = Table(
    "sources",
    metadata,
    row_id("name"),
    Column("kind", String(32), nullable=False),
    Column("brings", String(16), nullable=False),
    Column("enabled", Boolean, nullable=False),  # it is configured; one that no longer is says nothing of the present
    Column("required", Boolean, nullable=False),
    Column("stale_after_s", Integer, nullable=False),
    Column("down_after_s", Integer, nullable=False),
    Column("settings_digest", String(64), nullable=False),  # a cursor belongs to the settings that it was made with
    Column("cursor", Text),
    Column("last_attempt_at", Instant),
    Column("last_success_at", Instant),
    Column("last_full_at", Instant),
    Column("full_tried_at", Instant),
    Column("next_run_at", Instant),
    Column("failures", Integer, nullable=False),  # one after another, up to now
    Column("fault", String(32)),
    Column("fault_text", Text, nullable=False),
    Column("faults", Text, nullable=False),  # JSON: {code: failed runs}
    Column("seen", Text, nullable=False),  # JSON: what the last good run found (counts and samples)
    Column("rows", Integer, nullable=False),
    Column("unmatched", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("lease_holder", String(64)),
    Column("lease_until", Instant),
    Column("plan", Text),  # JSON: removals that wait for approval (counts and samples)
    Column("plan_digest", String(64)),
    Column("plan_state", String(16), nullable=False),
    Column("plan_until", Instant),
    Column("plan_by", Text, nullable=False),
    CheckConstraint("\"brings\" IN ('identity', 'posture')", name="brings"),
    CheckConstraint("plan_state IN ('none', 'pending', 'approved', 'rejected')", name="plan_state"),
)

source_users: Final = Table(
    "source_users",
    metadata,
    refers("user_id", "users.id", primary_key=True, owned=True),
    Column("source", identifier(ID_LENGTH), nullable=False),  # no foreign key: SCIM callers own people too
    Index(None, "source"),
)

source_runs: Final = Table(
    "source_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", identifier(ID_LENGTH), nullable=False),
    Column("at", Instant, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("fault", String(32)),
    Column("epoch", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),  # JSON: {what: number}
    Index(None, "source"),
)
