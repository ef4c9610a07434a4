"""Paths that two parties may read differently.

The attack: a route says `/public/` is open, the gateway forwards `/public/..;/admin` as it came, and the
upstream's framework drops `;` and resolves `..` (RFC 3986 section 5.2.4 leaves both to the reader). The
gateway chose the resource by one reading and the upstream answers by another. We do not canonicalise,
because ours would be a third reading: what has more than one is refused.

A short name of Windows (`DOWNLO~1`) is not: only the volume knows whether it names anything, as with a link, and
`HEAD~1` is a name that people give (docs/envoy.md says what to do about it).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_PATH: Final = 8_192  # characters; above what gateways and upstreams take, so nothing real is lost

_FAULTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (r"\A(?!/)", "the path does not begin with `/`"),
        (r"[^!-~]", "the path has bytes that should be percent-encoded"),
        (r"%(?![0-9a-f]{2})", "the path has a `%` that begins no escape"),
        (r"%25[0-9a-f]{2}", "the path is percent-encoded twice"),
        (r"%2f", "the path has an encoded slash"),
        (r"\\|%5c", "the path has a backslash"),
        (r";|%3b", "the path has a semicolon, which some upstreams cut off"),
        (r"#|%23|\?|%3f", "the path has a delimiter of another part"),
        (r"%[01][0-9a-f]|%7f", "the path has a control character"),
        (r"/(?:\.|%2e){1,2}(?=/|\Z)", "the path has a dot segment"),
        # The Win32 path rules: `/files/download./x` is no `/files/download/` to a route, and is one to IIS.
        (r"(?:\.|%20)(?=/|\Z)", "the path has a segment that ends in a dot or a blank, which Windows drops"),
        # `x.asp::$DATA` is the source of `x.asp`, and `a:$i30:$INDEX_ALLOCATION` the folder `a`, on NTFS.
        (r"(?::|%3a)(?:\$|%24)", "the path names a stream of a file"),
        # RFC 3986 section 6.2.2.2: `%64ownload` is `download` to the upstream and another prefix to a route.
        (r"%(?:2[de]|5f|7e|3[0-9]|[46][1-9a-f]|[57][0-9a])", "the path escapes a plain character"),
        (r"//", "the path has an empty segment"),
    )
)
# What most paths look like, and every fault below needs something else: one search instead of fourteen.
_SEGMENT: Final = r"[A-Za-z0-9._~!&'()*+,=:@-]++(?<!\.)"
_PLAIN: Final = re.compile(rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?")


def ambiguity(path: str) -> str | None:
    """Why this raw path (no query) has more than one reading, or None where it has one.

    The answer names the kind of the fault and never repeats the path.
    """
    if len(path) > MAX_PATH:
        return "the path is too long"
    if _PLAIN.fullmatch(path) is not None:
        return None
    for fault, reason in _FAULTS:
        if fault.search(path):
            return reason
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:  # an overlong `.` (%c0%ae) is a dot to a careless reader
        return "the path is not UTF-8"
    return None
