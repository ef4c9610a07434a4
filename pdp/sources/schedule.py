"""When a source is run next, and whether it is asked for everything. Pure: chance and time are given."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.model.source import SourceSettings
    from pdp.sources.register import SourceRow

JITTER: Final = 0.1  # of the wait: sources that were started together do not stay together
FIRST_RETRY: Final = timedelta(seconds=30)
LONGEST_RETRY: Final = timedelta(hours=1)
LONGEST_ASKED: Final = timedelta(hours=24)  # a source that asks for more is asked again after a day


def next_after_success(settings: SourceSettings, now: datetime, chance: float) -> datetime:
    """`chance`: in [0, 1). Never earlier than the interval says."""
    return now + timedelta(seconds=settings.interval_s) * (1 + JITTER * chance)


def next_after_failure(
    settings: SourceSettings, now: datetime, failures: int, chance: float, retry_after_s: float | None
) -> datetime:
    """Doubling from half a minute up to an hour (or the interval, where that is longer).

    A source that says when it may be asked again is not asked before. `failures`: in a row, this one included.
    """
    interval = timedelta(seconds=settings.interval_s)
    longest = max(interval, LONGEST_RETRY)
    wait = min(min(interval, FIRST_RETRY) * float(2 ** min(failures - 1, 20)), longest) * (1 + JITTER * chance)
    if retry_after_s is not None and retry_after_s > 0:
        wait = max(wait, min(timedelta(seconds=min(retry_after_s, LONGEST_ASKED.total_seconds())), LONGEST_ASKED))
    return now + wait


def is_full_due(row: SourceRow, settings: SourceSettings, now: datetime) -> bool:
    """Whether the next run asks for everything: there is no cursor, its time has come, or a removal was approved.

    A complete run that was stopped by its removals waits for its next time, and runs of changes go on meanwhile.
    """
    if row.cursor is None or row.full_tried_at is None or row.plan_state == "approved":
        return True
    return now >= row.full_tried_at + timedelta(seconds=settings.full_every_s)


def due_at(row: SourceRow, now: datetime) -> datetime:
    """When to run it. An approval does not wait for the interval."""
    return now if row.next_run_at is None or row.plan_state == "approved" else row.next_run_at
