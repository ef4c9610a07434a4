"""Secrets that others log by mistake do not stand in our log. OPA masks what its policy says; this is the net below.

By the name of a member, and by the look of a text: a bearer credential or a signed token under whatever name.
"""

from __future__ import annotations

import re
from typing import Any, Final

REDACTED: Final = "redacted"
_NAMES: Final = frozenset(
    {
        "password", "passwd", "passphrase", "secret", "client_secret", "token", "access_token", "refresh_token",
        "id_token", "api_key", "apikey", "x_api_key", "x_pdp_key", "authorization", "proxy_authorization", "cookie",
        "set_cookie", "private_key", "credential", "credentials", "assertion", "client_assertion", "otp",
        "dpop", "saml_response",
    }
)  # fmt: skip
_SECRET: Final = re.compile(
    r"\s*(?:bearer|basic|digest|negotiate|dpop)\s+\S+.*|\s*eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)*\s*"
    r"|sekisho_[0-9a-f]{16}_[0-9a-f]{64}|-----BEGIN [A-Z ]*PRIVATE KEY-----.*",
    re.IGNORECASE | re.DOTALL,
)
MOST_POINTERS: Final = 64  # of one record; the values beyond are replaced all the same


def redacted(value: Any) -> tuple[Any, list[str]]:
    """(the value without secrets, JSON pointers (RFC 6901) to what was replaced)."""
    pointers: list[str] = []
    return _without(value, "", pointers), pointers[:MOST_POINTERS]


def _without(value: Any, pointer: str, pointers: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: _member(name, member, pointer, pointers) for name, member in value.items()}
    if isinstance(value, list):
        return [_without(entry, f"{pointer}/{number}", pointers) for number, entry in enumerate(value)]
    if isinstance(value, str) and _SECRET.fullmatch(value):
        pointers.append(pointer)
        return REDACTED
    return value


def _member(name: str, member: Any, pointer: str, pointers: list[str]) -> Any:
    below = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
    if name.lower().replace("-", "_") in _NAMES and member not in (None, "", True, False):
        pointers.append(below)
        return REDACTED
    return _without(member, below, pointers)
