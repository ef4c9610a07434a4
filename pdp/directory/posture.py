"""What several sources say of one device, as one report. Pure; docs/adr/0013 says why so.

For each fact:
1. The newest report that knows it speaks for it, and so does every report that knows it and is at most
   `CONFLICT_WINDOW` older. Where they differ, the worse value stands. A report without a time speaks only
   where no dated one does.
2. The merged report is as old as the oldest of the facts in it: the newest report that knows a fact dates it.

INVARIANT (no better than its source): for each fact that the merged report knows there is a report that
knows it with a value at least as good and that is at least as fresh. So a second source can make a device look
worse or older, and can add facts that no other knows; it never lends its freshness to what another said.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, get_args

from pdp.model.directory import NOTHING_REPORTED, PostureReport
from pdp.model.source import Fact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

FACTS: Final[tuple[Fact, ...]] = get_args(Fact)
CONFLICT_WINDOW: Final = timedelta(hours=24)  # as long as a report counts as fresh by default (posture_stale_hours)
_RISKS: Final = ("none", "low", "medium", "high")
_BAD: Final = {"tampered": True}  # of the other facts with two values, False is the bad one


def merged(reports: Sequence[PostureReport]) -> PostureReport:
    """One report of what these say, at most one of each source. Of one report: that report itself.

    `source` names those that speak for a fact, in order, with `+` between them.
    """
    if len(reports) == 1:
        return reports[0]
    values: dict[str, Any] = {}
    dates: list[datetime | None] = []
    spoke: set[str] = set()
    for fact in FACTS:
        knowing = [report for report in reports if knows(report, fact)]
        if not knowing:
            continue
        newest = _newest(knowing)
        speaking = [report for report in knowing if _speaks(report, newest)]
        values[fact] = reduce(lambda a, b, f=fact: worse(f, a, b), (getattr(r, fact) for r in speaking))  # type: ignore[misc]
        dates.append(newest)
        spoke.update(report.source for report in speaking)
    if not values:
        return _newest_of_silent(reports)
    observed_at = None if None in dates else min(date for date in dates if date is not None)
    return PostureReport(**values, observed_at=observed_at, source="+".join(sorted(spoke)))


def knows(report: PostureReport, fact: Fact) -> bool:
    return getattr(report, fact) not in (None, "unknown")


def worse(fact: Fact, one: Any, other: Any) -> Any:
    """Of two known values the one that helps less, in the order of access-rules, group 5.

    `edr_running`: a terminal that is said to have no agent and one whose agent runs is a contradiction,
    and neither is safe (`not_managed` keeps `edr_risk` from being judged), so it is unknown.
    """
    if one == other:
        return one
    if fact == "patch_age_days":
        return max(one, other)
    if fact == "edr_risk":
        return max(one, other, key=_RISKS.index)
    bad = _BAD.get(fact, False)
    if bad in (one, other):
        return bad
    return "unknown"


def restricted(report: PostureReport, facts: Collection[Fact] | None) -> PostureReport:
    """The report with these facts alone; None: all of them."""
    if facts is None:
        return report
    dropped: dict[str, Any] = {fact: getattr(NOTHING_REPORTED, fact) for fact in FACTS if fact not in facts}
    return replace(report, **dropped)


def latest(reports: Iterable[PostureReport]) -> PostureReport:
    """Of several reports of one source on one device: the newest; where several are, all of those merged."""
    found = list(reports)
    newest = _newest(found)
    same = [report for report in found if report.observed_at == newest]
    return replace(merged(same), observed_at=newest, source=same[0].source)


def _newest(reports: Iterable[PostureReport]) -> datetime | None:
    return max((r.observed_at for r in reports if r.observed_at is not None), default=None)


def _speaks(report: PostureReport, newest: datetime | None) -> bool:
    if newest is None:
        return True
    return report.observed_at is not None and newest - report.observed_at <= CONFLICT_WINDOW


def _newest_of_silent(reports: Sequence[PostureReport]) -> PostureReport:
    """Nobody knows anything: whoever looked last."""
    newest = _newest(reports)
    return min((r for r in reports if r.observed_at == newest), key=lambda r: r.source)
