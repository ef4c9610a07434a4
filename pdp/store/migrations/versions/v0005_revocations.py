"""Marks against subjects, sessions and tokens, and the version by which workers see that they have changed."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revocations",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("id", identifier(256), nullable=False),
        sa.Column("not_before", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("\"kind\" IN ('subject', 'session', 'token')", name=op.f("ck_revocations_kind")),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_revocations")),
    )
    op.create_table(
        "revocation_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_revocation_meta_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocation_meta")),
    )
    op.execute("INSERT INTO revocation_meta (id, version) VALUES (1, 0)")
