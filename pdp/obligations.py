"""Step 6 of a decision: are the obligations ones that we know, and until when is the answer true.

Names and values are closed (access-rules, section 5). That an enforcement point can carry them out is
judged in the policy (`PEP_CANNOT_ENFORCE`); here an obligation that nobody could read is an error, and
an error denies.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pdp.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST_SESSION_MIN: Final = 7 * 24 * 60  # beyond a week it limits nothing
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)


def _word(*words: str) -> Callable[[str | int], bool]:
    return lambda value: value in words


def _instant(value: str | int) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


OBLIGATIONS: Final[Mapping[str, Callable[[str | int], bool]]] = {
    "clipboard": _word("off"),
    "print": _word("off"),
    "save": _word("off"),
    "download": _word("off"),
    "browser_only": _word("on"),
    "screen_transfer_only": _word("on"),
    "record_session": _word("on"),
    "session_max_minutes": lambda value: (
        isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LONGEST_SESSION_MIN
    ),
    "end_at": _instant,
    "terminate_sessions": _word("on"),
    "quarantine": _word("on"),
    "wipe": _word("request"),
    "warn": lambda value: isinstance(value, str) and _CODE.fullmatch(value) is not None,
    "alert": _word("admins"),
}

# These an enforcement point must declare in `context.pep` (access-rules, section 5), because only it can apply them.
PEP_WORDS: Final = ("clipboard", "print", "save", "download", "browser_only", "record_session")


def check_obligations(obligations: Mapping[str, str | int]) -> None:
    """Raises EngineError for a name that no enforcement point knows, or a value that it cannot read."""
    for name, value in obligations.items():
        holds = OBLIGATIONS.get(name)
        if holds is None:
            raise EngineError(f"the policy sets an obligation that nobody knows: `{name}`")
        if not holds(value):
            raise EngineError(f"the policy gives `{name}` a value that nobody can read")


def expiry(now: datetime, ttl: timedelta, changes: datetime | None, obligations: Mapping[str, str | int]) -> datetime:
    """The moment from which the answer may no longer be relied on; after `now`, and at most `ttl` later.

    The earliest of: the policy's ttl, the first change of a fact by itself, and the end of the session
    that an obligation sets.
    """
    end = now + ttl
    if changes is not None and changes < end:
        end = changes
    end_at = obligations.get("end_at")
    if end_at is not None:
        end = min(end, datetime.fromisoformat(str(end_at)))
    session_max = obligations.get("session_max_minutes")
    if isinstance(session_max, int):
        end = min(end, now + timedelta(minutes=session_max))
    return max(end, now)
