"""For how long a worker decides on without having seen that its revision is still the one of record. Pure.

The lease is renewed by one thing alone: the database was read, and what is of record there is what decides here. It is
not renewed by an error, by silence, or by a revision of record that had to be refused: whoever can write nonsense into
the database would otherwise keep a policy alive that has been rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from pdp.model.directory import Snapshot
    from pdp.model.policy_lease import LeaseEnd


@dataclass(frozen=True, slots=True)
class Lease:
    """`lasts` zero: without end. `end`: what a worker does whose lease is over."""

    lasts: timedelta
    end: LeaseEnd = "deny_unless_disaster"

    def is_over(self, confirmed_at: datetime, now: datetime) -> bool:
        return bool(self.lasts) and now - confirmed_at > self.lasts

    def denies(self, confirmed_at: datetime, now: datetime, snapshot: Snapshot | None) -> bool:
        """Whether nothing may be permitted now.

        During a declared disaster the last good policy goes on deciding: the line that is cut may be the reason why
        nobody can confirm anything, and the policy itself knows what is permitted then.
        """
        if self.end == "keep" or not self.is_over(confirmed_at, now):
            return False
        declared = snapshot is not None and any(one.period.holds(now) for one in snapshot.emergencies)
        return not (declared and self.end == "deny_unless_disaster")
