"""What was found out about a revision beside its gates, and the long work that finds it out."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("source_digest", sa.String(length=64), nullable=True),
        sa.Column("baseline", sa.String(length=64), nullable=True),
        sa.Column("directory_epoch", sa.BigInteger(), nullable=True),
        sa.Column("by", identifier(256), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("form", sa.String(length=8), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("form IN ('json', 'zip')", name=op.f("ck_policy_results_ck_policy_results_form")),
        sa.ForeignKeyConstraint(["number"], ["policy_revisions.number"], name=op.f("fk_policy_results_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_results")),
    )
    op.create_index(op.f("ix_policy_results_number"), "policy_results", ["number"])
    op.create_table(
        "policy_jobs",
        sa.Column("id", identifier(36), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("by", identifier(256), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=32), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", Instant(), nullable=False),
        sa.Column("cancelled_by", identifier(256), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("result", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed', 'cancelled', 'interrupted')",
            name=op.f("ck_policy_jobs_ck_policy_jobs_state"),
        ),
        sa.ForeignKeyConstraint(["number"], ["policy_revisions.number"], name=op.f("fk_policy_jobs_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_jobs")),
    )
    op.create_index(op.f("ix_policy_jobs_state"), "policy_jobs", ["state"])
    op.create_index(op.f("ix_policy_jobs_number"), "policy_jobs", ["number"])
