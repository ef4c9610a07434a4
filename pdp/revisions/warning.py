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

    from pdp.bundle.bundle import Bundle
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


def no_former() -> ConflictError:
    """What is said to a time of warning of the first revision, when it is asked for and when it would begin."""
    return ConflictError(
        "nothing was ever activated, so there is nothing that a time of warning could let go on",
        next_step="submit it without a time of warning; the revision after it may have one",
    )


def warn_of(
    revision: Revision, former: Active | None, now: datetime, most: int, text_of: Callable[[str], bytes]
) -> Warn | None:
    """What the statement of this activation says of it; None where none was asked for. Raises ConflictError."""
    if not revision.warn_days:
        return None
    _require(revision.warn_days <= min(most, MAX_DAYS), "its time of warning is longer than the settings allow by now")
    _require(revision.profile == "zta", "only a policy of profile `zta` can warn before it refuses")
    if former is None:
        raise no_former()
    _require(former.digest != revision.digest, "the revision of record is the same policy")
    running = warn_in(former)
    _require(running is None or running.end <= now, "a time of warning is running")
    require_alike(bundle_of_canonical(text_of(former.digest)), bundle_of_canonical(text_of(revision.digest)))
    end = now.astimezone(UTC).replace(microsecond=0) + timedelta(days=revision.warn_days)
    return Warn(former=former.digest, until=end.strftime("%Y-%m-%dT%H:%M:%SZ"))


def warn_in(active: Active) -> Warn | None:
    """The time of warning of an activation, ended or not. Raises BundleError for a statement that is none."""
    return read_statement(active.statement).warning


def require_alike(before: Bundle, after: Bundle) -> None:
    """Raises ConflictError where the two policies do not judge the same documents."""
    alike = (before.profile, after.profile) == ("zta", "zta")
    alike = alike and read_reference(before.data) == read_reference(after.data)
    _require(alike, "it sees other facts than the one before")


_NEXT: Final = "take it back and submit it without a time of warning, or activate new facts as a revision of their own"


def _require(holds: bool, otherwise: str) -> None:  # a condition and what is said where it fails
    if not holds:
        raise ConflictError(f"it cannot be activated with a time of warning: {otherwise}", next_step=_NEXT)
