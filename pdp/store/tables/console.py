"""The console's sessions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, String, Table, Text

from pdp.store.columns import Instant, TextTuple, identifier
from pdp.store.tables.ground import ID_LENGTH, metadata

# Who is logged in to the console (`pdp.console.sessions`). `id_sha256` is of what the browser holds.
console_sessions: Final = Table(
    "console_sessions",
    metadata,
    Column("id_sha256", String(64), primary_key=True),
    Column("number", String(36), nullable=False, unique=True),  # by which people speak of it: it opens nothing
    Column("person", identifier(2 * ID_LENGTH), nullable=False),
    Column("name", Text, nullable=False),
    Column("roles", TextTuple, nullable=False),
    Column("method", String(16), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("provider_session", Text),  # `sid` of the ID token
    Column("id_token", Text),  # for the logout at the provider; gone when the session ends
    Column("peer", Text),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("ended_by", Text),
    CheckConstraint("\"method\" IN ('oidc', 'account')", name="method"),
    Index(None, "person"),
)
