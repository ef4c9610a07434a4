"""What a cache remembers of a decision: the verdict, and nothing that belongs to one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.model.decision import Verdict


class Entry(NamedTuple):
    """A verdict of the policy, well formed and already judged. Not to be used from `until` (aware) on.

    Until when an *answer* holds is no part of it: two people whose facts are equal now may differ in when
    these facts will change, so that is worked out for each request.
    """

    verdict: Verdict
    until: datetime
