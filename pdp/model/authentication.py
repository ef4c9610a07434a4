"""How the subject proved to be the subject."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from pdp.model.input import AuthLevel


class Authentication(msgspec.Struct, frozen=True):
    """`at` None: nobody knows when, which counts as long ago. `expires_at`: the end of the token, if one was shown.

    `subject_id`: whose token it was, as the directory knows them; None where nobody but the caller said who.
    `issuer`: the identity provider whose word it is, where that was said and who said so is believed.
    """

    level: AuthLevel
    at: datetime | None = None
    expires_at: datetime | None = None
    subject_id: str | None = None
    issuer: str | None = None


NOT_AUTHENTICATED: Final = Authentication(level=0)
