"""An event of the trail as these eyes may see it. Pure.

The trail holds what was asked by, and so names: whoever does not see the whole log sees them as pseudonyms, and
neither a statement, nor a reason, nor the digest of an answer that could be tried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from pdp.archive.queries import QUERIES
from pdp.audit.asked import BY_PSEUDONYM
from pdp.audit.sight import HIDDEN
from pdp.privacy.pseudonym import is_pseudonym

if TYPE_CHECKING:
    from pdp.audit.sight import Sight
    from pdp.privacy.pseudonym import Pseudonyms
    from pdp.trail.event import Event

SHOWN: Final = frozenset(
    {
        *("since", "until", "department", "resource", "resource_group", "outcome", "reason", "caller", "revision"),
        *("kind", "exception", "disaster_mode", "size", "by", "limit", "utc_offset_min", "people", "format", "lang"),
        *("everywhere", "actor", "action"),
    }
)


def shown_event(event: Event, sight: Sight, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """As JSON values, in the order of the record."""
    shown: dict[str, Any] = msgspec.to_builtins(event)
    if sight.whole:
        return shown
    # INVARIANT (no trying out): what was not answered may have been asked by who may not, to learn the pseudonym.
    known = pseudonyms if event.outcome in ("begun", "done") else None
    shown["parameters"] = {name: _shown(name, value, known) for name, value in shown["parameters"].items()}
    shown["answer_sha256"] = None
    if shown["object"] is not None and not _names_nobody(shown["object"]):
        shown["object"] = HIDDEN
    if shown["reason"] is not None:
        shown["reason"] = HIDDEN
    if shown["peer"] is not None:
        shown["peer"] = pseudonyms.of("source_ip", shown["peer"])
    return shown


def _names_nobody(text: str) -> bool:
    """An id of ours, a pseudonym, a number, a named question. What somebody typed in their place may be a name."""
    if text in QUERIES or is_pseudonym(text) or (text.isascii() and text.isdigit()):
        return True
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _shown(name: str, value: Any, pseudonyms: Pseudonyms | None) -> Any:
    """Without `pseudonyms` no name is turned into one."""
    if name in BY_PSEUDONYM:
        values = map(str, value if isinstance(value, list) else [value])
        hidden = [
            text if is_pseudonym(text) else HIDDEN if pseudonyms is None else pseudonyms.of(name, text)
            for text in values
        ]
        return hidden if isinstance(value, list) else hidden[0]
    return value if name in SHOWN else HIDDEN
