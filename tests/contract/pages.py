"""Where a page of a named question ended, as the next one is asked for."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def after(row: Mapping[str, Any]) -> dict[str, object]:
    key = {f"before_{name}": row[name] for name in ("id", "segment", "seq")}
    return {"before_time": row["time"].replace(tzinfo=UTC)} | key
