"""What SCIM tenants brought."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text

from pdp.store.columns import Instant, TextTuple, identifier
from pdp.store.tables.ground import ID_LENGTH, metadata, refers, row_id

# What SCIM tenants brought, as they sent it (without passwords); the directory's rows are made of it by `pdp.scim`.
# Keys of names are folded forms (`pdp.scim.names`): equal keys, equal names.
scim_users: Final = Table(
    "scim_users",
    metadata,
    row_id(),
    Column("tenant", identifier(ID_LENGTH), nullable=False),
    Column("user_name_key", Text(), nullable=False),
    Column("external_id", Text()),
    Column("user_id", identifier(ID_LENGTH), nullable=False, unique=True),  # of the directory, where it has a row
    Column("granted", TextTuple, nullable=False),  # the roles that this tenant's groups gave
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("document", Text, nullable=False),
    Index("uq_scim_users_tenant_user_name_key", "tenant", "user_name_key", unique=True),
    Index(None, "external_id"),
)

scim_groups: Final = Table(
    "scim_groups",
    metadata,
    row_id(),
    Column("tenant", identifier(ID_LENGTH), nullable=False),
    Column("display_name_key", Text(), nullable=False),
    Column("external_id", Text()),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "tenant"),
)

scim_members: Final = Table(
    "scim_members",
    metadata,
    refers("group_id", "scim_groups.id", primary_key=True, owned=True),
    row_id("member_id"),  # of scim_users or scim_groups, as `type` says
    Column("type", String(8), nullable=False),
    Column("display", Text),
    CheckConstraint("type IN ('User', 'Group')", name="type"),
    Index(None, "member_id"),
)

scim_removals: Final = Table(
    "scim_removals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", identifier(ID_LENGTH), nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "tenant", "at"),
)

scim_tenants: Final = Table(
    "scim_tenants",
    metadata,
    row_id("tenant"),
    Column("settings_digest", String(64), nullable=False),  # the settings by which its people were last mapped
)
