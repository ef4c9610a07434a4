"""Does a client ask for a fresh answer? `Cache-Control: no-cache` in a request (RFC 9111 section 5.2.1.4)."""

from __future__ import annotations

import re
from typing import Final

# One directive (RFC 9111 section 5.2): a name, and perhaps an argument that is a word or a quoted text.
_ARGUMENT: Final = r'=[^\t ",]*|="(?:[^"\\]|\\.)*"'
_DIRECTIVE: Final = re.compile(rf"[\t ]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)({_ARGUMENT})?[\t ]*(?:,|\Z)")
_MAX_LENGTH: Final = 1_024  # characters; browsers send 8 to 40


def wants_fresh(cache_control: str | None) -> bool:
    """Whether `no-cache` is among the directives. A header that cannot be read asks for nothing."""
    if cache_control is None or len(cache_control) > _MAX_LENGTH:
        return False
    at, found = 0, False
    while at < len(cache_control):
        directive = _DIRECTIVE.match(cache_control, at)
        if directive is None:
            return False
        found = found or (directive[2] is None and directive[1].lower() == "no-cache")
        at = directive.end()
    return found
