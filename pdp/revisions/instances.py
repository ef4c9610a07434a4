"""Which worker serves what, as the workers themselves say it; and the reviews that emergencies leave behind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select, update

from pdp.errors import ConflictError, NotFoundError, NotPermittedError
from pdp.revisions.revision import Instance, Review
from pdp.revisions.rows import approvals_of, authors_of, begin, checked_reason, revision_at
from pdp.store import tables

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from pdp.revisions.person import People, Person
    from pdp.store.store import Store

FORGOTTEN: Final = timedelta(days=1)  # an instance that has said nothing for so long is gone
_INSTANCES: Final = tables.policy_instances
_REVIEWS: Final = tables.policy_reviews


class Instances:
    """Every method blocks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def report(self, instance: Instance) -> None:
        """What this worker serves now; those that have long been silent are forgotten."""
        values = {
            "epoch": instance.epoch,
            "number": instance.number,
            "name": instance.name,
            "digest": instance.digest,
            "fault": instance.fault,
            "lapsed": instance.lapsed,
            "seen_at": instance.seen_at,
        }
        with self._store.write() as connection:
            connection.execute(delete(_INSTANCES).where(_INSTANCES.c.seen_at < instance.seen_at - FORGOTTEN))
            known = connection.execute(update(_INSTANCES).where(_INSTANCES.c.id == instance.id).values(**values))
            if not known.rowcount:
                connection.execute(insert(_INSTANCES), {"id": instance.id, **values})

    def leave(self, instance_id: str) -> None:
        """It serves no more."""
        with self._store.write() as connection:
            connection.execute(delete(_INSTANCES).where(_INSTANCES.c.id == instance_id))

    def all(self) -> tuple[Instance, ...]:
        with self._store.read() as connection:
            rows = connection.execute(select(_INSTANCES).order_by(_INSTANCES.c.id))
            return tuple(
                Instance(r.id, r.epoch, r.number, r.name, r.digest, r.seen_at, r.fault, r.lapsed) for r in rows
            )


class Reviews:
    """What is to be looked at after an emergency. Every method blocks."""

    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people

    def all(self, *, closed: bool = False) -> tuple[Review, ...]:
        """Those that are open, the most urgent first; with `closed`, the others too."""
        query = select(_REVIEWS).order_by(_REVIEWS.c.due_at, _REVIEWS.c.id)
        if not closed:
            query = query.where(_REVIEWS.c.closed_at.is_(None))
        with self._store.read() as connection:
            return tuple(_review(row) for row in connection.execute(query))

    def close(self, person: Person, review_id: int, note: str, now: datetime) -> Review:
        """Say what the review found. Raises NotPermittedError for whoever took part in what is reviewed."""
        person.require("review")
        said = checked_reason(note)
        with self._store.write() as connection:
            begin(connection)
            row = connection.execute(select(_REVIEWS).where(_REVIEWS.c.id == review_id)).first()
            if row is None:
                raise NotFoundError(f"there is no review {review_id}")
            if row.closed_at is not None:
                raise ConflictError("this review is closed")
            revision = revision_at(connection, row.number)
            activations = tables.policy_activations
            by = connection.execute(select(activations.c.by).where(activations.c.epoch == row.epoch)).scalar_one()
            part = [*authors_of(connection, row.number), *(a.by for a in approvals_of(connection, revision)), by]
            if self._people.among(person.id, part):
                raise NotPermittedError("whoever took part in an emergency does not review it")
            changes = {"closed_at": now, "closed_by": person.id, "note": said}
            connection.execute(update(_REVIEWS).where(_REVIEWS.c.id == review_id).values(**changes))
            return _review(connection.execute(select(_REVIEWS).where(_REVIEWS.c.id == review_id)).one())


def _review(row: Any) -> Review:
    return Review(row.id, row.number, row.epoch, row.opened_at, row.due_at, row.closed_at, row.closed_by, row.note)
