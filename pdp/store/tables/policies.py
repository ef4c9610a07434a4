"""Revisions of policies: texts, history, approvals, gates, activations, instances, exceptions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from pdp.store.columns import Instant, identifier
from pdp.store.tables.ground import ID_LENGTH, KEY_LENGTH, metadata, row_id

# Texts of policies by their SHA-256 (`pdp.revisions`): what decides (canonical), and all files of a bundle's directory.
policy_texts: Final = Table(
    "policy_texts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

policy_revisions: Final = Table(
    "policy_revisions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("profile", String(16), nullable=False),
    Column("digest", String(64), ForeignKey("policy_texts.digest"), nullable=False),
    Column("source_digest", String(64), ForeignKey("policy_texts.digest"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("author", identifier(2 * ID_LENGTH), nullable=False),
    Column("reason", Text, nullable=False),
    Column("parent", Integer, ForeignKey("policy_revisions.number")),
    Column("round", Integer, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("scheduled_at", Instant),
    Column("scheduled", Text),  # JSON: who scheduled it, why, and a statement that was signed for it in advance
    Column("warn_days", Integer, nullable=False, server_default="0"),
    CheckConstraint(
        "state IN ('draft', 'checked', 'in_review', 'approved', 'scheduled', 'active', 'retired', 'discarded')",
        name="state",
    ),
    Index(None, "state"),
)

# Rows are added and never changed.
policy_history: Final = Table(
    "policy_history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, ForeignKey("policy_revisions.number"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", identifier(2 * ID_LENGTH), nullable=False),
    Column("step", String(16), nullable=False),
    Column("before", String(16)),
    Column("after", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON
    Index(None, "number"),
)

policy_approvals: Final = Table(
    "policy_approvals",
    metadata,
    Column("number", Integer, ForeignKey("policy_revisions.number"), primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("by", identifier(2 * ID_LENGTH), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("source_digest", String(64), nullable=False),
    Column("seal", Text),  # JSON: a signature over what was approved, by a host that holds a key
    CheckConstraint("\"kind\" IN ('approve', 'endorse')", name="kind"),
)

policy_gates: Final = Table(
    "policy_gates",
    metadata,
    Column("number", Integer, ForeignKey("policy_revisions.number"), primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("name", String(32), primary_key=True),
    Column("source_digest", String(64), nullable=False),  # of the contents that it looked at
    Column("result", String(16), nullable=False),
    Column("summary", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON
    Column("at", Instant, nullable=False),
    CheckConstraint("\"result\" IN ('passed', 'failed', 'not_run')", name="result"),
)

# Rows are added and never changed: the one of the highest epoch is the revision of record.
policy_activations: Final = Table(
    "policy_activations",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, ForeignKey("policy_revisions.number"), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", identifier(2 * ID_LENGTH), nullable=False),
    Column("reason", Text, nullable=False),
    Column("statement", Text, nullable=False),
    Column("signatures", Text, nullable=False),  # JSON
    CheckConstraint("\"kind\" IN ('activate', 'rollback', 'scheduled', 'emergency')", name="kind"),
)

policy_meta: Final = Table(
    "policy_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),  # of the revision of record; 0: none was ever activated
    Column("version", BigInteger, nullable=False),  # moves with every change of a revision
    CheckConstraint("id = 1", name="one_row"),
)

policy_instances: Final = Table(
    "policy_instances",
    metadata,
    row_id(),
    Column("epoch", BigInteger, nullable=False),
    Column("number", Integer),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("fault", Text),
    Column("lapsed", Boolean, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

policy_reviews: Final = Table(
    "policy_reviews",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, ForeignKey("policy_revisions.number"), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", identifier(2 * ID_LENGTH)),
    Column("note", Text, nullable=False),
)

# 例外措置 and 災害時運用 (`pdp.revisions.exceptions`): asked for, decided on; then a row of the directory does it.
policy_exceptions: Final = Table(
    "policy_exceptions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("scope", Text, nullable=False),  # JSON: users, devices, resources
    Column("starts", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", identifier(2 * ID_LENGTH), nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("decided_by", identifier(2 * ID_LENGTH)),
    Column("decided_at", Instant),
    Column("note", Text, nullable=False),
    Column("row_key", identifier(KEY_LENGTH)),  # of the directory's row
    Column("ended_by", identifier(2 * ID_LENGTH)),
    Column("ended_at", Instant),
    CheckConstraint("\"kind\" IN ('disaster', 'work', 'device')", name="kind"),
    CheckConstraint("state IN ('asked', 'granted', 'refused', 'withdrawn', 'ended')", name="state"),
    Index(None, "state"),
)

# Results beside the gates' (`pdp.revisions.results`): bounded in size and number, the oldest of a kind go first.
policy_results: Final = Table(
    "policy_results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("label", String(64), nullable=False),  # tells results of one kind apart: the target of an export
    Column("number", Integer, ForeignKey("policy_revisions.number")),  # None: of the configured bundle
    Column("digest", String(64), nullable=False),
    Column("source_digest", String(64)),
    Column("baseline", String(64)),  # the digest that it was held against
    Column("directory_epoch", BigInteger),
    Column("by", identifier(2 * ID_LENGTH), nullable=False),
    Column("at", Instant, nullable=False),
    Column("params", Text, nullable=False),  # JSON: what was asked
    Column("summary", Text, nullable=False),  # JSON: few numbers, for a list
    Column("form", String(8), nullable=False),
    Column("size", Integer, nullable=False),  # of the body, unpacked
    Column("body", LargeBinary, nullable=False),  # json: packed by zlib; zip: as it is
    CheckConstraint("form IN ('json', 'zip')", name="form"),
    Index(None, "number"),
)

# Long work of a worker's child (`pdp.jobs`), as it stands.
policy_jobs: Final = Table(
    "policy_jobs",
    metadata,
    Column("id", identifier(36), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("number", Integer, ForeignKey("policy_revisions.number")),
    Column("params", Text, nullable=False),  # JSON
    Column("by", identifier(2 * ID_LENGTH), nullable=False),
    Column("at", Instant, nullable=False),
    Column("state", String(16), nullable=False),
    Column("phase", String(32), nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("beat_at", Instant, nullable=False),  # of the worker that runs it: old, and nobody does any more
    Column("cancelled_by", identifier(2 * ID_LENGTH)),
    Column("ended_at", Instant),
    Column("fault", Text),
    Column("result", Integer),
    CheckConstraint("state IN ('running', 'done', 'failed', 'cancelled', 'interrupted')", name="state"),
    Index(None, "state"),
    Index(None, "number"),
)
