"""Security events of other houses that were taken, how their streams are, and what they hold in the directory."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ssf_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stream", identifier(128), nullable=False),
        sa.Column("issuer", identifier(256), nullable=False),
        sa.Column("jti", identifier(256), nullable=False),
        sa.Column("txn", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("happened_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("effects", sa.Text(), nullable=False),
        sa.Column("tell_after", Instant(), nullable=True),
        sa.CheckConstraint("state IN ('taken', 'acted', 'done')", name=op.f("ck_ssf_events_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssf_events")),
    )
    op.create_index("uq_ssf_events_stream_issuer_jti", "ssf_events", ["stream", "issuer", "jti"], unique=True)
    op.create_index(op.f("ix_ssf_events_state"), "ssf_events", ["state"], unique=False)
    op.create_index(op.f("ix_ssf_events_received_at"), "ssf_events", ["received_at"], unique=False)
    op.create_table(
        "ssf_receptions",
        sa.Column("stream", identifier(128), nullable=False),
        sa.Column("lease_holder", sa.String(length=64), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("begun_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=True),
        sa.Column("polled_at", Instant(), nullable=True),
        sa.Column("poll_after", Instant(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("fault", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=False),
        sa.Column("asked_state", sa.String(length=64), nullable=True),
        sa.Column("asked_at", Instant(), nullable=True),
        sa.Column("verified_at", Instant(), nullable=True),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("refused_at", Instant(), nullable=True),
        sa.Column("refusal", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_ssf_receptions")),
    )
    op.create_table(
        "directory_holds",
        sa.Column("register", sa.String(length=16), nullable=False),
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("source", identifier(128), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.CheckConstraint("\"register\" IN ('users', 'devices')", name=op.f("ck_directory_holds_register")),
        sa.PrimaryKeyConstraint("register", "id", "source", "cause", name=op.f("pk_directory_holds")),
    )
    op.create_index(op.f("ix_directory_holds_held"), "directory_holds", ["held"], unique=False)
