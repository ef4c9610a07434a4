"""Addresses that are cut off at once."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, String, Table, Text

from pdp.store.columns import Instant, identifier
from pdp.store.tables.ground import ID_LENGTH, metadata

# `pdp.cut_off.register`: nothing is deleted; an entry counts until `ends`, or until somebody lifts it.
address_cut_offs: Final = Table(
    "address_cut_offs",
    metadata,
    Column("id", identifier(ID_LENGTH), primary_key=True),
    Column("address", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("begins", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    Column("lifted_at", Instant),
    Column("lifted_by", Text),
    Index(None, "ends"),
)
