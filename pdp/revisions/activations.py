"""Which revision is of record: activated, rolled back to, or at its time; each as the next epoch, signed.

INVARIANT (epochs rise): an activation's epoch is above every other that this database has; whoever restored an old copy
of it says from which epoch on to count (`epoch`), because workers take none below one that they have seen.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, insert, select, update

from pdp.declog.marks import rfc3339
from pdp.errors import BadRequestError, ConflictError, SekishoError, SettingsError
from pdp.logs import get_log
from pdp.revisions.activation_rows import COLUMNS, is_proven, next_epoch, open_review, plan_of, written_by
from pdp.revisions.approval_seal import is_sealed
from pdp.revisions.revision import Active, Revision
from pdp.revisions.rows import (
    Said,
    active_at,
    active_of,
    begin,
    checked_reason,
    epoch_of,
    newest_epoch,
    revision_at,
    standing,
    take,
    text_of,
    whole_epoch_of,
)
from pdp.revisions.sealing import Signed, UnsealedError, kind_of, unsealed
from pdp.revisions.states import after
from pdp.revisions.warning import warn_in, warn_of
from pdp.store import tables

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.revisions.person import People, Person
    from pdp.revisions.sealing import Sealing
    from pdp.revisions.statement import Statement, Warn
    from pdp.revisions.states import Step
    from pdp.store.store import Store

MAX_AHEAD: Final = timedelta(days=400)  # a schedule beyond next year's 1 April is a slip of the pen
FIRE_AGAIN: Final = timedelta(seconds=15)  # before a host that lacks a key tries again: looks come four times a second
_SYSTEM: Final = "system:schedule"
_PLANS: Final = tables.policy_revisions
_DUE: Final = (  # made once: every worker asks it four times a second
    select(_PLANS.c.number)
    .where(_PLANS.c.state == "scheduled", _PLANS.c.scheduled_at <= bindparam("now"))
    .order_by(_PLANS.c.scheduled_at, _PLANS.c.number)
)
_log = get_log("pdp.revisions")


class Activations:
    """The line of what was and is of record. Every method blocks, and is one transaction."""

    def __init__(self, store: Store, people: People, sealing: Sealing, *, warn_max_days: int = 0) -> None:
        self._store = store
        self._people = people
        self._sealing = sealing
        self._warn_max_days = warn_max_days
        self._put_off: dict[int, datetime] = {}  # by revision: until when this host leaves it to others

    def current(self) -> Active | None:
        """What is of record now; None where nothing ever was."""
        with self._store.read() as connection:
            return active_at(connection, epoch_of(connection))

    def current_text(self, seen_epoch: int) -> tuple[Active, bytes] | None:
        """What is of record and its text, neither proven; None where its epoch is the one that was seen."""
        with self._store.read() as connection:
            epoch = whole_epoch_of(connection)
            if epoch == seen_epoch:
                return None
            active = active_at(connection, epoch)
            if active is None:
                raise BadRequestError(f"nothing was ever activated as epoch {epoch}")
            return active, text_of(connection, active.digest)

    def look(self, now: datetime) -> tuple[int, tuple[int, ...]]:
        """The epoch of what is of record (0: nothing ever was), and the revisions whose time has come, in order.

        Raises RevisionRefusedError where a later one was activated than the one that is said to be of record.
        """
        with self._store.read() as connection:
            return whole_epoch_of(connection), tuple(connection.execute(_DUE, {"now": now}).scalars())

    def past(self, *, before: int | None = None, size: int = 50) -> tuple[Active, ...]:
        """What was of record, the latest first."""
        table = tables.policy_activations
        query = select(table).order_by(table.c.epoch.desc()).limit(min(size, 200))
        if before is not None:
            query = query.where(table.c.epoch < before)
        with self._store.read() as connection:
            return tuple(active_of(row) for row in connection.execute(query))

    def statement_for(self, number: int, step: Step, now: datetime, *, epoch: int | None = None) -> Statement:
        """What is to be signed elsewhere for this step (`activate`, `schedule` or `rollback`), if nobody is quicker."""
        with self._store.read() as connection:
            revision = revision_at(connection, number)
            after(revision.state, step)
            warn = None if step == "rollback" else self._warn(connection, revision, now)
            return unsealed(revision, kind_of(revision, step), next_epoch(connection, epoch), now, warn)

    def activate(  # noqa: PLR0913  # who, what, why and when
        self,
        person: Person,
        number: int,
        reason: str,
        now: datetime,
        *,
        signed: Signed | None = None,
        epoch: int | None = None,
    ) -> Active:
        """From now on this approved revision is of record. Raises ConflictError, NotPermittedError, NotFoundError."""
        said = checked_reason(reason)
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            after(revision.state, "activate")
            if not (revision.emergency and "approver" in person.roles):
                person.require("activate")
            self._require_approved(connection, revision, signed)
            warn = self._warn(connection, revision, now)
            statement = self._sealing.sealed(
                revision, kind_of(revision, "activate"), next_epoch(connection, epoch), now, signed, warn
            )
            return self._enter(connection, revision, "activate", Said(person.id, now, said), statement)

    def rollback(  # noqa: PLR0913  # who, what, why and when
        self,
        person: Person,
        number: int,
        reason: str,
        now: datetime,
        *,
        signed: Signed | None = None,
        epoch: int | None = None,
    ) -> Active:
        """Back to a revision that was active before: at once, by an operator or an approver, with a reason."""
        person.require("rollback")
        said = checked_reason(reason)
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            after(revision.state, "rollback")
            self._require_former(connection, revision)
            statement = self._sealing.sealed(revision, "rollback", next_epoch(connection, epoch), now, signed)
            return self._enter(connection, revision, "rollback", Said(person.id, now, said), statement)

    def renew(  # noqa: PLR0913  # who, why and when
        self,
        person: Person,
        reason: str,
        now: datetime,
        *,
        signed: Signed | None = None,
        epoch: int | None = None,
        enforce: bool = False,
    ) -> Active:
        """The same revision under a new epoch: signed by another key, or above what workers had seen (`epoch`).

        A time of warning goes on to its end; with `enforce` it ends now, and every refusal counts.
        """
        person.require("renew")
        said = checked_reason(reason)
        with self._store.write() as connection:
            begin(connection)
            former = active_at(connection, newest_epoch(connection))
            if former is None:
                raise ConflictError("nothing was ever activated", next_step="activate a revision")
            revision = revision_at(connection, former.number)
            after(revision.state, "renew")
            self._require_former(connection, revision)
            warn = None if enforce else warn_in(former)
            if warn is not None and warn.end <= now:
                warn = None
            statement = self._sealing.sealed(revision, "activate", next_epoch(connection, epoch), now, signed, warn)
            return self._enter(connection, revision, "renew", Said(person.id, now, said), statement)

    def schedule(  # noqa: PLR0913  # who, what, why and when
        self, person: Person, number: int, at: datetime, reason: str, now: datetime, *, signed: Signed | None = None
    ) -> Revision:
        """Have it activated at a time (適用日時).

        A statement that was signed in advance holds one epoch: an activation in between makes it void, and then the
        time passes with a note in the history and the revision stays approved.
        """
        person.require("schedule")
        said = checked_reason(reason)
        if not now < at <= now + MAX_AHEAD:
            raise BadRequestError(f"the time lies before now, or more than {MAX_AHEAD.days} days ahead")
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            after(revision.state, "schedule")
            self._require_approved(connection, revision, signed)
            warn = self._warn(connection, revision, now)
            self._sealing.sealed(
                revision, "scheduled", next_epoch(connection, None), now, signed, warn
            )  # whether it could be done
            details = {"at": rfc3339(at)}
            plan = {"by": person.id, "reason": said, "signed": None}
            if signed is not None:
                plan["signed"] = [signed.statement, signed.signatures]  # type: ignore[assignment]
            return take(
                connection,
                revision,
                "schedule",
                Said(person.id, now, said, details),
                scheduled_at=at,
                scheduled=json.dumps(plan),
            )

    def unschedule(self, person: Person, number: int, reason: str, now: datetime) -> Revision:
        """Take it off the schedule; it stays approved."""
        person.require("unschedule")
        said = checked_reason(reason)
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            return take(
                connection, revision, "unschedule", Said(person.id, now, said), scheduled_at=None, scheduled=None
            )

    def fire(self, number: int, now: datetime) -> Active | None:
        """Activate a revision whose time has come; None where another worker did, or where it cannot be done.

        What cannot be done (an approval that no longer counts, a signature for another epoch) is taken off the
        schedule, and the history says why. What this host alone lacks (a key, a file that it cannot read) changes
        nothing: another worker may do it, and this one tries again after `FIRE_AGAIN`.
        """
        put_off = self._put_off.get(number)
        if put_off is not None and now < put_off:
            return None
        try:
            fired = self._fired(number, now)
        except (UnsealedError, SettingsError) as fault:
            self._put_off[number] = now + FIRE_AGAIN
            _log.error("a scheduled revision cannot be signed here", number=number, reason=fault.message)
            return None
        self._put_off.pop(number, None)
        return fired

    def _fired(self, number: int, now: datetime) -> Active | None:
        """Raises UnsealedError and SettingsError, and then nothing was written."""
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            if revision.state != "scheduled" or revision.scheduled_at is None or revision.scheduled_at > now:
                return None
            by, reason, signed = plan_of(connection, number)
            details = {"scheduled_by": by, "scheduled_at": rfc3339(revision.scheduled_at)}
            try:
                self._require_approved(connection, revision, signed)
                warn = self._warn(connection, revision, now)
                statement = self._sealing.sealed(revision, "scheduled", next_epoch(connection, None), now, signed, warn)
            except (UnsealedError, SettingsError):
                raise
            except SekishoError as fault:
                failed = Said(_SYSTEM, now, f"not activated: {fault.message}"[:500], details)
                take(connection, revision, "unschedule", failed, scheduled_at=None, scheduled=None)
                return None
            return self._enter(connection, revision, "activate", Said(by, now, reason, details), statement)

    def _require_approved(self, connection: Connection, revision: Revision, signed: Signed | None) -> None:
        """INVARIANT (two persons), once more: what stands in a row's state is not what is believed.

        Nor are rows that nobody sealed, where the key of this host is to sign (`pdp.revisions.approval_seal`).
        """
        authors = written_by(connection, revision)
        approvals = standing(connection, revision)
        keys = self._sealing.own_counts() if signed is None else None
        if keys is not None:
            sealed = tuple(one for one in approvals if is_sealed(one, revision.warn_days, authors, keys))
            if len(sealed) < len(approvals):
                _log.error("an approval was not sealed when it was given, or is another one", number=revision.number)
            approvals = sealed
        given = [approval.by for approval in approvals]
        others = [by for by in given if not self._people.among(by, authors)]
        if self._people.count(others) < (2 if revision.emergency else 1):
            raise ConflictError(
                "the approvals of this revision do not count: it was changed since, they are its authors', or no key "
                "that counts here sealed them",
                next_step="withdraw it, submit it again, and have it approved",
            )

    def text(self, digest: str) -> bytes:
        """The text of a policy, not yet proven. Raises RecordDamagedError where there is none."""
        with self._store.read() as connection:
            return text_of(connection, digest)

    def _warn(self, connection: Connection, revision: Revision, now: datetime) -> Warn | None:
        """Raises ConflictError where a time of warning was approved and cannot be had."""
        former = active_at(connection, newest_epoch(connection))
        return warn_of(revision, former, now, self._warn_max_days, lambda digest: text_of(connection, digest))

    def _require_former(self, connection: Connection, revision: Revision) -> None:
        """What was of record is what may be so again: a row's digest is not believed, only a statement of it.

        Attack: somebody with the database sets the digest of a revision by hand, and the next renewal has the
        service's own key sign it.
        """
        written_by(connection, revision)
        table = tables.policy_activations
        query = select(table).where(table.c.number == revision.number, table.c.digest == revision.digest)
        keys = self._sealing.keys()
        if not any(is_proven(active_of(row), revision, keys) for row in connection.execute(query)):
            raise ConflictError(
                "no activation of this revision that can be trusted names these contents",
                next_step="make a new draft of it, and have that approved",
            )

    def _enter(
        self, connection: Connection, revision: Revision, step: Step, said: Said, sealed: tuple[Statement, str]
    ) -> Active:
        statement, signatures = sealed
        former = active_at(connection, newest_epoch(connection))  # also where the counter was put back
        if former is not None and former.number != revision.number:
            replaced = Said(said.by, said.at, said.reason, {"replaced_by": revision.number, "epoch": statement.epoch})
            take(connection, revision_at(connection, former.number), "retire", replaced)
        active = Active(
            epoch=statement.epoch,
            number=revision.number,
            name=revision.name,
            digest=revision.digest,
            kind=statement.kind,
            at=said.at,
            by=said.by,
            reason=said.reason,
            statement=statement.text,
            signatures=signatures,
        )
        connection.execute(insert(tables.policy_activations), {name: getattr(active, name) for name in COLUMNS})
        connection.execute(update(tables.policy_meta).values(epoch=active.epoch))
        details = {**said.details, "epoch": active.epoch, "kind": active.kind}
        told = Said(said.by, said.at, said.reason, details)
        take(connection, revision, step, told, scheduled_at=None, scheduled=None)
        if revision.emergency and step == "activate":  # also at a time: its kind is `scheduled` then
            open_review(connection, active)
        return active
