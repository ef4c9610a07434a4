"""Posture by device and source, aliases of devices, and the sources with their runs."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _posture_by_source()
    _aliases()
    _sources()


def _posture_by_source() -> None:
    """The primary key changes: the rows wait in a table of no name's interest while theirs is made anew."""
    op.execute("CREATE TABLE posture_reports_old AS SELECT * FROM posture_reports")
    op.drop_table("posture_reports")
    op.create_table(
        "posture_reports",
        sa.Column("key", identifier(296), nullable=False),
        sa.Column("device_id", identifier(128), nullable=False),
        sa.Column("certificate", sa.Boolean(), nullable=True),
        sa.Column("disk_encrypted", sa.Boolean(), nullable=True),
        sa.Column("av_current", sa.Boolean(), nullable=True),
        sa.Column("firewall", sa.Boolean(), nullable=True),
        sa.Column("screen_lock", sa.Boolean(), nullable=True),
        sa.Column("tampered", sa.Boolean(), nullable=True),
        sa.Column("edr_running", sa.String(length=16), nullable=False),
        sa.Column("edr_risk", sa.String(length=16), nullable=False),
        sa.Column("patch_age_days", sa.Integer(), nullable=True),
        sa.Column("observed_at", Instant(), nullable=True),
        sa.Column("source", identifier(128), nullable=False),
        sa.CheckConstraint(
            "edr_running IN ('true', 'false', 'unknown', 'not_managed')", name=op.f("ck_posture_reports_edr_running")
        ),
        sa.CheckConstraint(
            "\"edr_risk\" IN ('none', 'low', 'medium', 'high', 'unknown')", name=op.f("ck_posture_reports_edr_risk")
        ),
        sa.CheckConstraint("patch_age_days >= 0", name=op.f("ck_posture_reports_patch_age_days")),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=op.f("fk_posture_reports_device_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_posture_reports")),
    )
    op.create_index(op.f("ix_posture_reports_device_id"), "posture_reports", ["device_id"], unique=False)
    op.execute(
        "INSERT INTO posture_reports (key, device_id, certificate, disk_encrypted, av_current, firewall, screen_lock, tampered, edr_running, edr_risk, patch_age_days, observed_at, source) "
        "SELECT device_id || ' ' || source, device_id, certificate, disk_encrypted, av_current, firewall, screen_lock, tampered, edr_running, edr_risk, patch_age_days, observed_at, source FROM posture_reports_old"
    )
    op.drop_table("posture_reports_old")


def _aliases() -> None:
    op.create_table(
        "device_aliases",
        sa.Column("key", identifier(296), nullable=False),
        sa.Column("device_id", identifier(128), nullable=False),
        sa.Column("source", identifier(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=op.f("fk_device_aliases_device_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_device_aliases")),
    )
    op.create_index(op.f("ix_device_aliases_device_id"), "device_aliases", ["device_id"], unique=False)


def _sources() -> None:
    op.create_table(
        "sources",
        sa.Column("name", identifier(128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("brings", sa.String(length=16), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("stale_after_s", sa.Integer(), nullable=False),
        sa.Column("down_after_s", sa.Integer(), nullable=False),
        sa.Column("settings_digest", sa.String(length=64), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("last_attempt_at", Instant(), nullable=True),
        sa.Column("last_success_at", Instant(), nullable=True),
        sa.Column("last_full_at", Instant(), nullable=True),
        sa.Column("full_tried_at", Instant(), nullable=True),
        sa.Column("next_run_at", Instant(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("fault", sa.String(length=32), nullable=True),
        sa.Column("fault_text", sa.Text(), nullable=False),
        sa.Column("faults", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("unmatched", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("lease_holder", sa.String(length=64), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("plan_digest", sa.String(length=64), nullable=True),
        sa.Column("plan_state", sa.String(length=16), nullable=False),
        sa.Column("plan_until", Instant(), nullable=True),
        sa.Column("plan_by", sa.Text(), nullable=False),
        sa.CheckConstraint("\"brings\" IN ('identity', 'posture')", name=op.f("ck_sources_brings")),
        sa.CheckConstraint(
            "plan_state IN ('none', 'pending', 'approved', 'rejected')", name=op.f("ck_sources_plan_state")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    op.create_table(
        "source_users",
        sa.Column("user_id", identifier(128), nullable=False),
        sa.Column("source", identifier(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_source_users_user_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_source_users")),
    )
    op.create_index(op.f("ix_source_users_source"), "source_users", ["source"], unique=False)
    op.create_table(
        "source_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", identifier(128), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("fault", sa.String(length=32), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_runs")),
    )
    op.create_index(op.f("ix_source_runs_source"), "source_runs", ["source"], unique=False)
