"""What SCIM tenants brought: people, groups, members, and how many people they removed lately."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scim_users",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("tenant", identifier(128), nullable=False),
        sa.Column("user_name_key", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("user_id", identifier(128), nullable=False),
        sa.Column("granted", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scim_users")),
        sa.UniqueConstraint("user_id", name=op.f("uq_scim_users_user_id")),
    )
    op.create_index("uq_scim_users_tenant_user_name_key", "scim_users", ["tenant", "user_name_key"], unique=True)
    op.create_index(op.f("ix_scim_users_external_id"), "scim_users", ["external_id"], unique=False)
    op.create_table(
        "scim_groups",
        sa.Column("id", identifier(128), nullable=False),
        sa.Column("tenant", identifier(128), nullable=False),
        sa.Column("display_name_key", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scim_groups")),
    )
    op.create_index(op.f("ix_scim_groups_tenant"), "scim_groups", ["tenant"], unique=False)
    op.create_table(
        "scim_members",
        sa.Column("group_id", identifier(128), nullable=False),
        sa.Column("member_id", identifier(128), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("display", sa.Text(), nullable=True),
        sa.CheckConstraint("type IN ('User', 'Group')", name=op.f("ck_scim_members_type")),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["scim_groups.id"],
            name=op.f("fk_scim_members_group_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("group_id", "member_id", name=op.f("pk_scim_members")),
    )
    op.create_index(op.f("ix_scim_members_member_id"), "scim_members", ["member_id"], unique=False)
    op.create_table(
        "scim_removals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant", identifier(128), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scim_removals")),
    )
    op.create_index(op.f("ix_scim_removals_tenant_at"), "scim_removals", ["tenant", "at"], unique=False)
    op.create_table(
        "scim_tenants",
        sa.Column("tenant", identifier(128), nullable=False),
        sa.Column("settings_digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_scim_tenants")),
    )
