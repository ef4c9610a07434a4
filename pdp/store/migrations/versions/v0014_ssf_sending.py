"""Security events that are sent: streams, their outboxes, what was told, and the lease of whoever sends."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, TextTuple, identifier

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ssf_streams",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("caller", identifier(256), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("endpoint_url", sa.Text(), nullable=False),
        sa.Column("authorization_header", sa.Text(), nullable=False),
        sa.Column("subject_format", sa.String(length=16), nullable=False),
        sa.Column("events_requested", TextTuple(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("verified_at", Instant(), nullable=True),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", Instant(), nullable=True),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", Instant(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.CheckConstraint("\"method\" IN ('push', 'poll')", name=op.f("ck_ssf_streams_method")),
        sa.CheckConstraint("\"status\" IN ('enabled', 'paused', 'disabled')", name=op.f("ck_ssf_streams_status")),
        sa.CheckConstraint(
            "subject_format IN ('email', 'iss_sub', 'opaque')", name=op.f("ck_ssf_streams_subject_format")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssf_streams")),
    )
    op.create_index(op.f("ix_ssf_streams_caller"), "ssf_streams", ["caller"], unique=False)
    op.create_table(
        "ssf_outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("stream_id", identifier(128), nullable=False),
        sa.Column("jti", sa.String(length=36), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("framework", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("put_off_until", Instant(), nullable=True),
        _of_a_stream("ssf_outbox"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ssf_outbox")),
        sa.UniqueConstraint("stream_id", "jti", name=op.f("uq_ssf_outbox_stream_id_jti")),
    )
    op.create_index(op.f("ix_ssf_outbox_stream_id_seq"), "ssf_outbox", ["stream_id", "seq"], unique=False)
    op.create_table(
        "ssf_removed_subjects",
        sa.Column("stream_id", identifier(128), nullable=False),
        sa.Column("subject_sha256", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        _of_a_stream("ssf_removed_subjects"),
        sa.PrimaryKeyConstraint("stream_id", "subject_sha256", name=op.f("pk_ssf_removed_subjects")),
    )
    op.create_table(
        "ssf_told",
        sa.Column("register", sa.String(length=16), nullable=False),
        sa.Column("key", identifier(128), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("register", "key", name=op.f("pk_ssf_told")),
    )
    op.create_table(
        "ssf_sender",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", Instant(), nullable=True),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_ssf_sender_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssf_sender")),
    )
    op.execute("INSERT INTO ssf_sender (id, epoch, holder) VALUES (1, 0, '')")


def _of_a_stream(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["stream_id"],
        ["ssf_streams.id"],
        name=op.f(f"fk_{table}_stream_id"),
        ondelete="CASCADE",
        initially="DEFERRED",
        deferrable=True,
    )
