"""The sources' health as the store holds it, within the caller's transaction."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import select

from pdp.model.source import SourceHealth
from pdp.store import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

_S: Final = tables.sources.c
_QUERY: Final = (
    select(
        _S.name,
        _S.kind,
        _S.brings,
        _S.required,
        _S.stale_after_s,
        _S.down_after_s,
        _S.last_attempt_at,
        _S.last_success_at,
        _S.fault,
        _S.rows,
        _S.unmatched,
        _S.refused,
        _S.plan_state,
        _S.faults,
    )
    .where(_S.enabled)
    .order_by(_S.name)
)


def read_sources(connection: Connection) -> tuple[SourceHealth, ...]:
    """Every source that is configured, by name."""
    return tuple(_health(row) for row in connection.execute(_QUERY))


def _health(row: Any) -> SourceHealth:
    return SourceHealth(
        name=row.name,
        kind=row.kind,
        brings=row.brings,
        required=row.required,
        stale_after=timedelta(seconds=row.stale_after_s),
        down_after=timedelta(seconds=row.down_after_s),
        last_attempt_at=row.last_attempt_at,
        last_success_at=row.last_success_at,
        fault=row.fault,
        rows=row.rows,
        unmatched=row.unmatched,
        refused=row.refused,
        pending=row.plan_state == "pending",
        faults=MappingProxyType(msgspec.json.decode(row.faults, type=dict[str, int])),
    )
