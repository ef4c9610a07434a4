"""What does not count any more."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, String, Table

from pdp.store.columns import Instant, identifier
from pdp.store.tables.ground import ID_LENGTH, metadata

# What does not count any more (`pdp.identity.revocations`): issued, or logged in, at or before `not_before`.
# `issuer`: whose it is; empty: every issuer's. It is part of the key, so that one never touches the mark of another.
revocations: Final = Table(
    "revocations",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("id", identifier(2 * ID_LENGTH), primary_key=True),
    Column("issuer", identifier(2 * ID_LENGTH), primary_key=True),
    Column("not_before", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("\"kind\" IN ('subject', 'session', 'token')", name="kind"),
)

revocation_meta: Final = Table(
    "revocation_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
