"""What people write into forms, as the API takes it. Pure."""

from __future__ import annotations

from datetime import datetime

from pdp.model.directory import JST


def in_japan(text: str) -> str:
    """A form's time is Japan's; what is none goes to the API as it is, which says so."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (found if found.tzinfo else found.replace(tzinfo=JST)).isoformat()
