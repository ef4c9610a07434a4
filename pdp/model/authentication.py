"""How the subject proved to be the subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.model.input import AuthLevel


@dataclass(frozen=True, slots=True)
class Authentication:
    """`at` None: nobody knows when, which counts as long ago. `expires_at`: the end of the token, if one was shown."""

    level: AuthLevel
    at: datetime | None = None
    expires_at: datetime | None = None


NOT_AUTHENTICATED: Final = Authentication(level=0)
