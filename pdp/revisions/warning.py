"""The time of warning of an activation: approved as days with the revision, signed as an end with its statement.

Refused are: more days than the setting allows, a policy that is not of profile `zta`, a first activation (nobody was
permitted anything before), a second time of warning within the first (whose refusals were announced for its end), and
a revision that sees other facts than the one before: both judge one document, and a new catalogue or network plan
would give the former policy facts that it was never approved for.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.bundle.bundle import bundle_of_canonical
from pdp.errors import BadRequestError, ConflictError
from pdp.facts.reference import read_reference
from pdp.revisions.statement import Warn, read_statement

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.revisions.revision import Active, Revision

MAX_DAYS: Final = 92  # whatever the setting says: a quarter; beyond it nobody remembers what was announced


class Served(NamedTuple):
    """A time of warning as a worker has it: `former` is a digest, `fault` why it cannot keep it (then it denies)."""

    former: str
    until: datetime
    fault: str | None = None


def checked_days(days: int, most: int) -> int:
    """Raises BadRequestError beyond the setting `policy_warn_max_days`."""
    if not 0 <= days <= min(most, MAX_DAYS):
        raise BadRequestError(
            f"a time of warning lasts at most {min(most, MAX_DAYS)} days here", next_step="ask for fewer days"
        )
    return days


def warn_of(
    revision: Revision, former: Active | None, now: datetime, most: int, text_of: Callable[[str], bytes]
) -> Warn | None:
    """What the statement of this activation says of it; None where none was asked for. Raises ConflictError."""
    if not revision.warn_days:
        return None
    _require(revision.warn_days <= min(most, MAX_DAYS), "its time of warning is longer than the settings allow by now")
    _require(revision.profile == "zta", "only a policy of profile `zta` can warn before it refuses")
    if former is None:
        raise ConflictError("nothing was ever activated, so nothing can go on", next_step=_NEXT)
    _require(former.digest != revision.digest, "the revision of record is the same policy")
    running = warn_in(former)
    _require(running is None or running.end <= now, "a time of warning is running")
    _require(_alike(text_of(former.digest), text_of(revision.digest)), "it sees other facts than the one before")
    end = now.astimezone(UTC).replace(microsecond=0) + timedelta(days=revision.warn_days)
    return Warn(former=former.digest, until=end.strftime("%Y-%m-%dT%H:%M:%SZ"))


def warn_in(active: Active) -> Warn | None:
    """The time of warning of an activation, ended or not. Raises BundleError for a statement that is none."""
    return read_statement(active.statement).warning


def _alike(one: bytes, other: bytes) -> bool:
    """Whether both policies judge the same documents."""
    before, after = bundle_of_canonical(one), bundle_of_canonical(other)
    if (before.profile, after.profile) != ("zta", "zta"):
        return False
    return read_reference(before.data) == read_reference(after.data)


_NEXT: Final = "take it back and submit it without a time of warning, or activate new facts as a revision of their own"


def _require(holds: bool, otherwise: str) -> None:  # a condition and what is said where it fails
    if not holds:
        raise ConflictError(f"it cannot be activated with a time of warning: {otherwise}", next_step=_NEXT)
