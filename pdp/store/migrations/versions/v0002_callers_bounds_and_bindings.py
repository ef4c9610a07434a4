"""What narrows callers and their keys, and the certificates and OAuth clients that are a caller."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "caller_bounds",
        sa.Column("caller_id", identifier(128), nullable=False),
        sa.Column("profile", sa.String(length=16), nullable=True),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("requests_per_s", sa.Integer(), nullable=True),
        sa.Column("burst", sa.Integer(), nullable=True),
        sa.Column("body_bytes", sa.Integer(), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.CheckConstraint("requests_per_s > 0", name=op.f("ck_caller_bounds_requests_per_s")),
        sa.CheckConstraint("burst > 0", name=op.f("ck_caller_bounds_burst")),
        sa.CheckConstraint("body_bytes > 0", name=op.f("ck_caller_bounds_body_bytes")),
        sa.CheckConstraint("batch > 0", name=op.f("ck_caller_bounds_batch")),
        sa.ForeignKeyConstraint(
            ["caller_id"],
            ["callers.id"],
            name=op.f("fk_caller_bounds_caller_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("caller_id", name=op.f("pk_caller_bounds")),
    )
    op.create_table(
        "caller_key_bounds",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=True),
        sa.Column("profile", sa.String(length=16), nullable=True),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"],
            ["caller_keys.key_id"],
            name=op.f("fk_caller_key_bounds_key_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_caller_key_bounds")),
    )
    op.create_table(
        "caller_bindings",
        sa.Column("binding_id", sa.String(length=32), nullable=False),
        sa.Column("caller_id", identifier(128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.CheckConstraint("kind IN ('certificate', 'name', 'client')", name=op.f("ck_caller_bindings_kind")),
        sa.ForeignKeyConstraint(
            ["caller_id"],
            ["callers.id"],
            name=op.f("fk_caller_bindings_caller_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("binding_id", name=op.f("pk_caller_bindings")),
    )
    op.create_index(op.f("ix_caller_bindings_caller_id"), "caller_bindings", ["caller_id"], unique=False)
