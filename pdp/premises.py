"""Step 3 of a decision, remembered: from a believed request to all that its verdict and its end can depend on.

Building the facts takes some 20 microseconds, and the same person asks for the same thing from the same
place again and again. So what was built is kept for as long as every fact in it stands.

INVARIANT (same premises): what is kept is given out only for the same policy and the same snapshot of the
directory (the objects themselves), an equal request and proof, at an instant between the one that it was
built at and the first one at which any fact could change by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pdp.facts.document import build_facts
from pdp.model.input import encode_input
from pdp.recent import MAX_QUESTIONS, Recent

if TYPE_CHECKING:
    from collections.abc import Hashable
    from datetime import datetime

    from pdp.bundle.footprint import Footprint
    from pdp.cache.key import KeyMaker
    from pdp.facts.horizon import Horizon
    from pdp.facts.reference import Reference
    from pdp.model.authentication import Authentication
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest


@dataclass(frozen=True, slots=True)
class Premises:
    """`document` is the JSON that the policy sees, `key` that of its verdict.

    `changes` is the first instant at which a fact that the policy reads could change by itself, or at which the
    token that was shown ends; None: there is none.
    """

    document: bytes
    key: bytes
    changes: datetime | None
    group: str = "none"


@dataclass(frozen=True, slots=True)
class Standing:
    """Premises, and the span in which every fact stands that they were built of: from `since`, and before `until`."""

    premises: Premises
    since: datetime
    until: datetime | None  # None: for ever

    def holds(self, now: datetime) -> bool:
        return self.since <= now and (self.until is None or now < self.until)


class PremisesMemory:
    """The premises of one policy, of the requests that were made last."""

    def __init__(self, reference: Reference | None, footprint: Footprint, keys: KeyMaker) -> None:
        self._reference = reference
        self._footprint = footprint
        self._keys = keys
        self._snapshot: Snapshot | None = None
        self._kept: Recent[Hashable, Standing] = Recent(MAX_QUESTIONS)

    def of_request(self, request: AccessRequest, proof: Authentication, snapshot: Snapshot, now: datetime) -> Standing:
        """Profile `zta`. Raises BadRequestError as `build_facts` does."""
        if snapshot is not self._snapshot:
            self._kept.clear()
            self._snapshot = snapshot
        asked = _asked(request, proof)
        kept = self._kept.get(asked)
        if kept is not None and kept.holds(now):
            return kept
        built = Standing(*self._build(request, proof, snapshot, now))
        self._kept.keep(asked, built)
        return built

    def of_document(self, request: AccessRequest, now: datetime) -> Standing:
        """Profile `plain`: the request's own document, in which nothing changes by itself."""
        document = request.document
        return Standing(Premises(msgspec.json.encode(document), self._keys.of_json(document), None), now, None)

    def _build(
        self, request: AccessRequest, proof: Authentication, snapshot: Snapshot, now: datetime
    ) -> tuple[Premises, datetime, datetime | None]:
        assert self._reference is not None
        facts = build_facts(request, proof, snapshot, self._reference, now)
        document, horizon = facts.document, facts.horizon
        premises = Premises(
            document=encode_input(document),
            key=self._keys.of_input(document),
            changes=self._first_change(horizon, proof),
            group=document.resource.group,
        )
        return premises, now, horizon.earliest()

    def _first_change(self, horizon: Horizon, proof: Authentication) -> datetime | None:
        """Whatever the policy reads: once the token has ended, it is refused before the policy is asked."""
        read = self._footprint.reads
        changes = [instant for path, instant in horizon.changes.items() if read(path)]
        return min(changes if proof.expires_at is None else [*changes, proof.expires_at], default=None)


def _asked(request: AccessRequest, proof: Authentication) -> Hashable:
    """What of a request the facts are built from. Every other field says how it was asked, not what."""
    return (
        request.subject_id,
        request.device_id,
        request.resource_id,
        request.action,
        request.certificate_sha256,
        request.network,
        request.risk,
        request.pep,
        request.tenant,
        request.organisation,
        proof,
    )
