"""Who may ask: callers, their keys, what narrows them, certificates and clients that are one."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text

from pdp.store.columns import Instant, TextTuple
from pdp.store.tables.ground import metadata, refers, row_id

callers: Final = Table(
    "callers",
    metadata,
    row_id(),
    Column("permissions", TextTuple, nullable=False),
    Column("created_at", Instant, nullable=False),
)

caller_keys: Final = Table(
    "caller_keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    refers("caller_id", "callers.id", owned=True),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Index(None, "caller_id"),
)

# What narrows a caller; without a row, or where a column is NULL, the defaults of `pdp.callers.budget` hold.
caller_bounds: Final = Table(
    "caller_bounds",
    metadata,
    refers("caller_id", "callers.id", primary_key=True, owned=True),
    Column("profile", String(16)),
    Column("networks", TextTuple, nullable=False),
    Column("requests_per_s", Integer),
    Column("burst", Integer),
    Column("body_bytes", Integer),
    Column("batch", Integer),
    CheckConstraint("requests_per_s > 0", name="requests_per_s"),
    CheckConstraint("burst > 0", name="burst"),
    CheckConstraint("body_bytes > 0", name="body_bytes"),
    CheckConstraint("batch > 0", name="batch"),
)

# What narrows one key further than its caller.
caller_key_bounds: Final = Table(
    "caller_key_bounds",
    metadata,
    Column(
        "key_id",
        String(32),
        ForeignKey("caller_keys.key_id", deferrable=True, initially="DEFERRED", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("permissions", TextTuple),  # NULL: all that the caller has
    Column("profile", String(16)),
    Column("networks", TextTuple, nullable=False),
)

# Certificates and OAuth clients that are a caller. `issuer` is the fingerprint of an authority, or a token's `iss`.
caller_bindings: Final = Table(
    "caller_bindings",
    metadata,
    Column("binding_id", String(32), primary_key=True),
    refers("caller_id", "callers.id", owned=True),
    Column("kind", String(16), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    CheckConstraint("kind IN ('certificate', 'name', 'client')", name="kind"),
    Index(None, "caller_id"),
)

caller_meta: Final = Table(
    "caller_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
