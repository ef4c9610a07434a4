"""How the tenants stand that exports were delivered to from this host, as plain JSON values, for the admin API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.delivery.journal import Journal, tenants_in
from pdp.errors import SekishoError

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.delivery.journal import Applied


def standings(state: Path) -> list[dict[str, Any]]:
    """Every tenant by name. Blocks, and never raises: what cannot be read says so."""
    try:
        tenants = tenants_in(state)
    except (OSError, SekishoError):
        return []
    return [_standing(state, name) for name in tenants]


def _standing(state: Path, name: str) -> dict[str, Any]:
    journal = Journal(state, name)
    try:
        applied, looked, in_hand = journal.applied(), journal.looked(), journal.in_hand()
    except (OSError, SekishoError):
        return _told(name, fault="what is kept of this delivery cannot be read")
    told = _told(name, applied, unfinished=in_hand is not None)
    if looked is not None:
        told |= {"looked_at": looked.at, "differences": looked.differences, "fault": looked.fault}
    return told


def _told(name: str, applied: Applied | None = None, *, unfinished: bool = False, fault: str = "") -> dict[str, Any]:
    return {
        "tenant": name,
        "vendor": None if applied is None else applied.vendor,
        "applied_at": None if applied is None else applied.at,
        "unfinished": unfinished,
        "looked_at": None,
        "differences": None,
        "fault": fault,
    }
