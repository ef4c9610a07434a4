"""What auditors keep."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, CheckConstraint, Column, String, Table, Text

from pdp.store.columns import Instant, identifier
from pdp.store.tables.ground import ID_LENGTH, metadata

# Questions to the decision log under a name (`pdp.audit.saved`); `document` is JSON, checked before it is kept.
audit_queries: Final = Table(
    "audit_queries",
    metadata,
    Column("owner", identifier(ID_LENGTH), primary_key=True),
    Column("name", identifier(64), primary_key=True),
    Column("shared", Boolean, nullable=False),
    Column("title", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    CheckConstraint("\"kind\" IN ('decisions', 'count', 'groups', 'report', 'sql')", name="kind"),
)
