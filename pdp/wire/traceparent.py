"""The trace that a request belongs to (W3C Trace Context, section 3.2)."""

from __future__ import annotations

import re
from typing import Final

# Version 00 ends after the flags; a later version may go on after a dash.
_FORM: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[!-~]*)?")


def trace_id_of(traceparent: str | None) -> str | None:
    """The 32 hex digits of the trace, or None where the header is absent or broken.

    A broken one is ignored, as section 4.3 asks: it says where a log line belongs and decides nothing.
    """
    form = _FORM.fullmatch(traceparent) if traceparent is not None else None
    if form is None:
        return None
    version, trace, parent, more = form.groups()
    if (version == "00" and more is not None) or not trace.strip("0") or not parent.strip("0"):
        return None
    return trace
