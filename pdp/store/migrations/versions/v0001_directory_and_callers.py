"""The directory with its epoch and change log, the import runs, and the callers with their keys."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _people()
    _terminals()
    _work_permits()
    _systems()
    _bookkeeping()
    _callers()


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("organisation", identifier(128), nullable=False),
        sa.Column("identity_source", sa.String(length=32), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("starts", Instant(), nullable=True),
        sa.Column("ends", Instant(), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "\"identity_source\" IN ('integrated', 'federated', 'none')", name=op.f("ck_users_identity_source")
        ),
        sa.CheckConstraint(
            "\"kind\" IN ('staff', 'fixed_term_staff', 'municipal_staff', 'contractor', 'emergency_account', 'shared_account', 'unknown')",
            name=op.f("ck_users_kind"),
        ),
        sa.CheckConstraint(
            "\"status\" IN ('not_started', 'active', 'suspended', 'ended')", name=op.f("ck_users_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_table(
        "posts",
        sa.Column("user_id", identifier(128), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("department", identifier(128), nullable=False),
        sa.Column("starts", Instant(), nullable=True),
        sa.Column("ends", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_posts_user_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("user_id", "ordinal", name=op.f("pk_posts")),
    )


def _terminals() -> None:
    op.create_table(
        "devices",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("class", sa.String(length=32), nullable=False),
        sa.Column("owner", identifier(128), nullable=True),
        sa.Column("department", identifier(128), nullable=True),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("takeout", sa.String(length=32), nullable=False),
        sa.Column("returned_from_outside", sa.Boolean(), nullable=False),
        sa.Column("certificate_sha256", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "\"class\" IN ('managed_pc', 'section_pc', 'mobile_pc', 'byod_phone', 'byod_tablet', 'byod_pc', 'maintenance_pc', 'municipal_pc', 'mynumber_terminal', 'unknown')",
            name=op.f("ck_devices_class"),
        ),
        sa.CheckConstraint(
            "\"state\" IN ('in_service', 'lost', 'lost_unconfirmed_found', 'quarantined', 'retired')",
            name=op.f("ck_devices_state"),
        ),
        sa.CheckConstraint("\"takeout\" IN ('permitted', 'not_permitted', 'unknown')", name=op.f("ck_devices_takeout")),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_devices_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("certificate_sha256", name=op.f("uq_devices_certificate_sha256")),
    )
    op.create_index(op.f("ix_devices_owner"), "devices", ["owner"], unique=False)
    op.create_table(
        "posture_reports",
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
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_posture_reports")),
    )
    op.create_table(
        "permits",
        sa.Column("key", identifier(296), nullable=False),
        sa.Column("device_id", identifier(128), nullable=False),
        sa.Column("user_id", identifier(128), nullable=False),
        sa.Column("starts", Instant(), nullable=True),
        sa.Column("ends", Instant(), nullable=True),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_permits_device_id"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_permits_user_id"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_permits")),
    )
    op.create_index(op.f("ix_permits_device_id"), "permits", ["device_id"], unique=False)
    op.create_index(op.f("ix_permits_user_id"), "permits", ["user_id"], unique=False)
    op.create_table(
        "loans",
        sa.Column("key", identifier(296), nullable=False),
        sa.Column("device_id", identifier(128), nullable=False),
        sa.Column("user_id", identifier(128), nullable=False),
        sa.Column("starts", Instant(), nullable=True),
        sa.Column("ends", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_loans_device_id"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_loans_user_id"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_loans")),
    )
    op.create_index(op.f("ix_loans_device_id"), "loans", ["device_id"], unique=False)
    op.create_index(op.f("ix_loans_user_id"), "loans", ["user_id"], unique=False)


def _work_permits() -> None:
    op.create_table(
        "work_permits",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("starts", Instant(), nullable=True),
        sa.Column("ends", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_permits")),
    )
    op.create_table(
        "work_permit_users",
        sa.Column("work_permit_id", identifier(128), nullable=False),
        sa.Column("user_id", identifier(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_work_permit_users_user_id"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["work_permit_id"],
            ["work_permits.id"],
            name=op.f("fk_work_permit_users_work_permit_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("work_permit_id", "user_id", name=op.f("pk_work_permit_users")),
    )
    op.create_index(op.f("ix_work_permit_users_user_id"), "work_permit_users", ["user_id"], unique=False)
    op.create_table(
        "work_permit_devices",
        sa.Column("work_permit_id", identifier(128), nullable=False),
        sa.Column("device_id", identifier(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=op.f("fk_work_permit_devices_device_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["work_permit_id"],
            ["work_permits.id"],
            name=op.f("fk_work_permit_devices_work_permit_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("work_permit_id", "device_id", name=op.f("pk_work_permit_devices")),
    )
    op.create_index(op.f("ix_work_permit_devices_device_id"), "work_permit_devices", ["device_id"], unique=False)
    op.create_table(
        "work_permit_resources",
        sa.Column("work_permit_id", identifier(128), nullable=False),
        sa.Column("resource_id", identifier(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["work_permit_id"],
            ["work_permits.id"],
            name=op.f("fk_work_permit_resources_work_permit_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("work_permit_id", "resource_id", name=op.f("pk_work_permit_resources")),
    )


def _systems() -> None:
    op.create_table(
        "resources",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("group", sa.String(length=32), nullable=False),
        sa.Column("starts", Instant(), nullable=True),
        sa.Column("ends", Instant(), nullable=True),
        sa.Column("readonly_from", Instant(), nullable=True),
        sa.Column("departments", sa.Text(), nullable=False),
        sa.Column("organisations", sa.Text(), nullable=False),
        sa.Column("sensitivity", sa.Integer(), nullable=False),
        sa.Column("title_ja", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "\"group\" IN ('communication', 'no_code', 'internet', 'business', 'data', 'lgwan', 'mynumber', 'server_admin', 'account_admin', 'home_working', 'legacy', 'disaster', 'remediation', 'unknown')",
            name=op.f("ck_resources_group"),
        ),
        sa.CheckConstraint("sensitivity >= 0", name=op.f("ck_resources_sensitivity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resources")),
    )
    op.create_table(
        "resource_segments",
        sa.Column("resource_id", identifier(128), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("segment", sa.String(length=16), nullable=False),
        sa.Column("starts", Instant(), nullable=True),
        sa.CheckConstraint(
            "\"segment\" IN ('cloud', 'internet', 'lgwan', 'mynumber', 'unknown')",
            name=op.f("ck_resource_segments_segment"),
        ),
        sa.ForeignKeyConstraint(
            ["resource_id"],
            ["resources.id"],
            name=op.f("fk_resource_segments_resource_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("resource_id", "ordinal", name=op.f("pk_resource_segments")),
    )
    op.create_table(
        "emergencies",
        sa.Column("key", identifier(296), nullable=False),
        sa.Column("starts", Instant(), nullable=True),
        sa.Column("ends", Instant(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_emergencies")),
    )


def _bookkeeping() -> None:
    op.create_table(
        "directory_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("kept_from", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=True),
        sa.Column("posture_source", sa.String(length=16), nullable=False),
        sa.Column("identity_source", sa.String(length=16), nullable=False),
        sa.CheckConstraint(
            "\"identity_source\" IN ('ok', 'unavailable')", name=op.f("ck_directory_meta_identity_source")
        ),
        sa.CheckConstraint(
            "\"posture_source\" IN ('ok', 'unavailable')", name=op.f("ck_directory_meta_posture_source")
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_directory_meta_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_meta")),
    )
    op.create_table(
        "directory_changes",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("register", sa.String(length=32), nullable=False),
        sa.Column("key", identifier(128), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "register", "key", name=op.f("pk_directory_changes")),
    )
    op.create_table(
        "import_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("mode", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_runs")),
    )
    op.execute(
        "INSERT INTO directory_meta (id, epoch, kept_from, posture_source, identity_source) VALUES (1, 0, 0, 'ok', 'ok')"
    )


def _callers() -> None:
    op.create_table(
        "callers",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callers")),
    )
    op.create_table(
        "caller_keys",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("caller_id", identifier(128), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["caller_id"],
            ["callers.id"],
            name=op.f("fk_caller_keys_caller_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_caller_keys")),
    )
    op.create_index(op.f("ix_caller_keys_caller_id"), "caller_keys", ["caller_id"], unique=False)
    op.create_table(
        "caller_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_caller_meta_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caller_meta")),
    )
    op.execute("INSERT INTO caller_meta (id, version) VALUES (1, 0)")
