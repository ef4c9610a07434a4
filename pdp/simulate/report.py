"""What a simulation of everybody found, as data: for people, for a gate, and to be kept beside a revision."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pdp.simulate.comparing import CHANGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.simulate.comparing import Differences, Sample
    from pdp.simulate.contexts import Stated
    from pdp.simulate.people import Pairs

SCHEMA: Final = "pdp.simulation/v1"
_FIRST_TERMINALS: Final = 20  # that are named of those that lose or gain a system


@dataclass(frozen=True)
class Half:
    """One of the two: which policy, when, and what it took. `distinct`: inputs that its footprint tells apart."""

    bundle: Bundle
    at: datetime
    distinct: int
    evaluations: int

    def as_json(self) -> dict[str, Any]:
        return {
            "revision": self.bundle.revision,
            "digest": self.bundle.digest,
            "at": self.at.isoformat(),
            "distinct_vectors": self.distinct,
            "evaluations": self.evaluations,
        }


@dataclass(frozen=True)
class Report:
    """`checked`: cells whose answer was asked of the whole policy too, and was the same."""

    halves: tuple[Half, Half]
    epoch: int
    pairs: Pairs
    resources: Sequence[str]
    contexts: Sequence[Stated]
    differences: Differences
    roles: dict[str, frozenset[str]]  # of each user, before
    departments: dict[str, str]
    checked: int
    seconds: float

    @property
    def cells(self) -> int:
        return len(self.pairs) * len(self.resources) * len(self.contexts)

    @property
    def losing(self) -> list[str]:
        """People who lose a system in a context altogether."""
        return self._people("loses")

    @property
    def gaining(self) -> list[str]:
        return self._people("gains")

    @property
    def devices_losing(self) -> list[str]:
        """Terminals with which nobody reaches a system in a context any more that somebody reached before."""
        return self._terminals("loses")

    def _terminals(self, which: Any) -> list[str]:
        return [self.pairs.devices[at] for at in np.flatnonzero(self.differences.terminals[which].any(1)).tolist()]

    def _people(self, which: Any) -> list[str]:
        return [self.pairs.users[at] for at in np.flatnonzero(self.differences.people[which].any(1)).tolist()]

    def as_json(self) -> dict[str, Any]:
        found = self.differences
        return {
            "schema": SCHEMA,
            "before": self.halves[0].as_json(),
            "after": self.halves[1].as_json(),
            "directory_epoch": self.epoch,
            "users": len(self.pairs.users),
            "devices": len(self.pairs.devices),
            "pairs": len(self.pairs),
            "resources": len(self.resources),
            "contexts": [one.id for one in self.contexts],
            "cells": self.cells,
            "equal": found.equal,
            "checked": self.checked,
            "seconds": round(self.seconds, 3),
            "cells_per_s": round(self.cells / self.seconds) if self.seconds else None,
            "pairs_per_s": round(len(self.pairs) * len(self.resources) / self.seconds) if self.seconds else None,
            "transitions": dict(found.transitions.most_common()),
            "changes": {change: self._change(change) for change in CHANGES},
            "people": {
                "losing": self._group(self.losing),
                "gaining": self._group(self.gaining),
                "systems_lost": self._systems("loses"),
                "systems_gained": self._systems("gains"),
            },
            "warning": self._warning(),
            "terminals": {
                name: {"devices": len(some), "first": some[:_FIRST_TERMINALS]}
                for name, some in (("losing", self.devices_losing), ("gaining", self._terminals("gains")))
            },
            "kinds": [
                {
                    "change": kind.change,
                    "cells": cells,
                    "before": kind.before.as_json(),
                    "after": kind.after.as_json(),
                    "samples": [self.sample(sample) for sample in samples],
                }
                for kind, cells, samples in found.kinds
            ],
            "further_kinds": found.more,
        }

    def _warning(self) -> dict[str, Any] | None:
        """What a time of warning would hold over; None where that was not asked."""
        held = self.differences.held
        if held is None:
            return None
        users = self.pairs.users
        return {
            "loses": {"cells": held.loses, "of": self.differences.cells["loses"]},
            "step_ups": held.step_ups,
            "users": len(held.users),
            "losing": {"users": len(held.losing), "first": [users[at] for at in held.losing[:20].tolist()]},
        }

    def _change(self, change: Any) -> dict[str, Any]:
        found = self.differences
        users = len(found.touched[change])
        return {
            "cells": found.cells[change],
            "users": users,
            "share_of_users": users / len(self.pairs.users) if self.pairs.users else 0.0,
            **{name: dict(counts.most_common()) for name, counts in found.spread[change].items()},
        }

    def _group(self, people: Sequence[str]) -> dict[str, Any]:
        """How many, of which share, and by role, so that a gate can say who must lose nothing."""
        roles = Counter(role for person in people for role in self.roles.get(person, ()))
        departments = Counter(self.departments.get(person, "") for person in people)
        return {
            "users": len(people),
            "share_of_users": len(people) / len(self.pairs.users) if self.pairs.users else 0.0,
            "role": dict(roles.most_common()),
            "department": dict(departments.most_common()),
            "first": list(people[:20]),
        }

    def _systems(self, which: Any) -> dict[str, dict[str, int]]:
        """People by system and context."""
        counts = self.differences.people[which].sum(0).tolist()
        found: dict[str, dict[str, int]] = {}
        for at, count in enumerate(counts):
            if count:
                resource, context = self.question(at)
                found.setdefault(resource, {})[context] = count
        return found

    def sample(self, sample: Sample) -> dict[str, str]:
        resource, context = self.question(sample.question)
        return {
            "user": self.pairs.users[self.pairs.user[sample.pair]],
            "device": self.pairs.devices[self.pairs.device[sample.pair]],
            "resource": resource,
            "context": context,
        }

    def question(self, at: int) -> tuple[str, str]:
        """The names of the system and the context of a question."""
        return self.resources[at // len(self.contexts)], self.contexts[at % len(self.contexts)].id
