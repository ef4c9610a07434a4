"""Who is logged in to the console."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, TextTuple, identifier

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_sessions",
        sa.Column("id_sha256", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=36), nullable=False),
        sa.Column("person", identifier(256), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", TextTuple(), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("provider_session", sa.Text(), nullable=True),
        sa.Column("id_token", sa.Text(), nullable=True),
        sa.Column("peer", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.CheckConstraint("\"method\" IN ('oidc', 'account')", name=op.f("ck_console_sessions_method")),
        sa.PrimaryKeyConstraint("id_sha256", name=op.f("pk_console_sessions")),
        sa.UniqueConstraint("number", name=op.f("uq_console_sessions_number")),
    )
    op.create_index(op.f("ix_console_sessions_person"), "console_sessions", ["person"])
