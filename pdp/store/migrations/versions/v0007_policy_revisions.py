"""Revisions of policies: texts, states, approvals, gates, activations, instances; exceptions that were asked for."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_texts",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_policy_texts")),
    )
    op.create_table(
        "policy_revisions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("profile", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("source_digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("author", identifier(256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("emergency", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("scheduled_at", Instant(), nullable=True),
        sa.Column("scheduled", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'checked', 'in_review', 'approved', 'scheduled', 'active', 'retired', 'discarded')",
            name=op.f("ck_policy_revisions_ck_policy_revisions_state"),
        ),
        sa.ForeignKeyConstraint(["digest"], ["policy_texts.digest"], name=op.f("fk_policy_revisions_digest")),
        sa.ForeignKeyConstraint(
            ["source_digest"], ["policy_texts.digest"], name=op.f("fk_policy_revisions_source_digest")
        ),
        sa.ForeignKeyConstraint(["parent"], ["policy_revisions.number"], name=op.f("fk_policy_revisions_parent")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_policy_revisions")),
    )
    op.create_index(op.f("ix_policy_revisions_state"), "policy_revisions", ["state"])
    op.create_table(
        "policy_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("by", identifier(256), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=True),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["policy_revisions.number"], name=op.f("fk_policy_history_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_history")),
    )
    op.create_index(op.f("ix_policy_history_number"), "policy_history", ["number"])
    op.create_table(
        "policy_approvals",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("by", identifier(256), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("source_digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "\"kind\" IN ('approve', 'endorse')", name=op.f("ck_policy_approvals_ck_policy_approvals_kind")
        ),
        sa.ForeignKeyConstraint(["number"], ["policy_revisions.number"], name=op.f("fk_policy_approvals_number")),
        sa.PrimaryKeyConstraint("number", "round", "by", name=op.f("pk_policy_approvals")),
    )
    op.create_table(
        "policy_gates",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("source_digest", sa.String(length=64), nullable=False),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.CheckConstraint(
            "\"result\" IN ('passed', 'failed', 'not_run')", name=op.f("ck_policy_gates_ck_policy_gates_result")
        ),
        sa.ForeignKeyConstraint(["number"], ["policy_revisions.number"], name=op.f("fk_policy_gates_number")),
        sa.PrimaryKeyConstraint("number", "round", "name", name=op.f("pk_policy_gates")),
    )
    op.create_table(
        "policy_activations",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("by", identifier(256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signatures", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "\"kind\" IN ('activate', 'rollback', 'scheduled', 'emergency')",
            name=op.f("ck_policy_activations_ck_policy_activations_kind"),
        ),
        sa.ForeignKeyConstraint(["number"], ["policy_revisions.number"], name=op.f("fk_policy_activations_number")),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_policy_activations")),
    )
    op.create_table(
        "policy_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_policy_meta_ck_policy_meta_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_meta")),
    )
    op.create_table(
        "policy_instances",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("lapsed", sa.Boolean(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_instances")),
    )
    op.create_table(
        "policy_reviews",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("closed_by", identifier(256), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["policy_revisions.number"], name=op.f("fk_policy_reviews_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_reviews")),
    )
    op.create_table(
        "policy_exceptions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("starts", Instant(), nullable=False),
        sa.Column("ends", Instant(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", identifier(256), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("decided_by", identifier(256), nullable=True),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("row_key", identifier(296), nullable=True),
        sa.Column("ended_by", identifier(256), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "\"kind\" IN ('disaster', 'work', 'device')", name=op.f("ck_policy_exceptions_ck_policy_exceptions_kind")
        ),
        sa.CheckConstraint(
            "state IN ('asked', 'granted', 'refused', 'withdrawn', 'ended')",
            name=op.f("ck_policy_exceptions_ck_policy_exceptions_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_exceptions")),
    )
    op.create_index(op.f("ix_policy_exceptions_state"), "policy_exceptions", ["state"])
    op.execute("INSERT INTO policy_meta (id, epoch, version) VALUES (1, 0, 0)")
