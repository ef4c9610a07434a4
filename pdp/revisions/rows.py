"""Rows of the control database as values, and the few ways in which they are written.

INVARIANT (one at a time): every change begins with `begin`, whose row is where changes of policies queue.
INVARIANT (nothing is forgotten): texts, history, approvals and activations are added and never changed or removed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, insert, or_, select, update

from pdp.errors import BadRequestError, NotFoundError, RecordDamagedError
from pdp.revisions.revision import MAX_REASON, MIN_REASON, Active, Approval, GateResult, HistoryEntry, Revision
from pdp.revisions.states import after
from pdp.revisions.trust import RevisionRefusedError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.revisions.states import Step

_REVISIONS: Final = tables.policy_revisions
_META: Final = tables.policy_meta
_NEWEST: Final = select(func.max(tables.policy_activations.c.epoch)).scalar_subquery()
_EPOCHS: Final = select(_META.c.epoch, _NEWEST.label("newest"))
_MAX_CHAIN: Final = 1_000  # drafts that were made one from another; only a table put together by hand has more


def begin(connection: Connection) -> None:
    """Move the version, and wait for whoever changes something meanwhile."""
    connection.execute(update(_META).values(version=_META.c.version + 1))


def checked_reason(reason: str) -> str:
    """Raises BadRequestError where it says nothing, or too much."""
    said = reason.strip()
    if not MIN_REASON <= len(said) <= MAX_REASON or not said.replace("\n", " ").isprintable():
        raise BadRequestError(f"a reason has {MIN_REASON} to {MAX_REASON} characters, in words")
    return said


def put_text(connection: Connection, text: bytes, now: datetime) -> str:
    """Keep a text under its SHA-256, once."""
    digest = sha256(text).hexdigest()
    texts = tables.policy_texts
    if connection.execute(select(texts.c.digest).where(texts.c.digest == digest)).first() is None:
        connection.execute(insert(texts), {"digest": digest, "body": text, "created_at": now})
    return digest


def text_of(connection: Connection, digest: str) -> bytes:
    """The text as it stands there, not yet proven. Raises RecordDamagedError where there is none."""
    texts = tables.policy_texts
    found = connection.execute(select(texts.c.body).where(texts.c.digest == digest)).scalar()
    if found is None:
        raise RecordDamagedError(f"the text {digest} of a revision is not there")
    return bytes(found)


def enter(connection: Connection, values: Mapping[str, Any]) -> Revision:
    """A new revision, with the next number."""
    made = connection.execute(insert(_REVISIONS).values(**values)).inserted_primary_key
    assert made is not None
    return revision_at(connection, made[0])


def revision_at(connection: Connection, number: int) -> Revision:
    """Raises NotFoundError."""
    row = connection.execute(select(_REVISIONS).where(_REVISIONS.c.number == number)).first()
    if row is None:
        raise NotFoundError(f"there is no revision {number}", next_step="`pdp bundle history` names them")
    return revision_of(row)


def revision_of(row: Any) -> Revision:
    return Revision(
        number=row.number,
        name=row.name,
        profile=row.profile,
        digest=row.digest,
        source_digest=row.source_digest,
        state=row.state,
        author=row.author,
        reason=row.reason,
        parent=row.parent,
        round=row.round,
        emergency=row.emergency,
        created_at=row.created_at,
        changed_at=row.changed_at,
        scheduled_at=row.scheduled_at,
        warn_days=row.warn_days,
    )


@dataclass(frozen=True, slots=True)
class Said:
    """Who takes a step, when and why, and what of it is worth keeping."""

    by: str
    at: datetime
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


def take(connection: Connection, revision: Revision, step: Step, said: Said, **changes: Any) -> Revision:
    """One step of one revision, written into its history. Raises ConflictError where its state does not take it."""
    state = after(revision.state, step)
    values = {"state": state, "changed_at": said.at, **changes}
    connection.execute(update(_REVISIONS).where(_REVISIONS.c.number == revision.number).values(**values))
    entry = HistoryEntry(revision.number, said.at, said.by, step, revision.state, state, said.reason, said.details)
    remember(connection, entry)
    return revision_at(connection, revision.number)


def remember(connection: Connection, entry: HistoryEntry) -> None:
    connection.execute(
        insert(tables.policy_history),
        {
            "number": entry.number,
            "at": entry.at,
            "by": entry.by,
            "step": entry.step,
            "before": entry.before,
            "after": entry.after,
            "reason": entry.reason,
            "details": json.dumps(dict(entry.details), ensure_ascii=False, sort_keys=True),
        },
    )


def history_of(connection: Connection, number: int) -> tuple[HistoryEntry, ...]:
    history = tables.policy_history
    rows = connection.execute(select(history).where(history.c.number == number).order_by(history.c.id))
    return tuple(
        HistoryEntry(r.number, r.at, r.by, r.step, r.before, r.after, r.reason, json.loads(r.details)) for r in rows
    )


def authors_of(connection: Connection, number: int) -> frozenset[str]:
    """Whoever wrote any of the contents of the revision, there or before they came into it.

    Attack: a copy of somebody's draft, made by another person, is approved by who wrote it. So these count too: who
    wrote the same contents anywhere, and who wrote a revision that it was made from, up to the first one of these that
    was of record: that text has been approved by a second person already.
    """
    history = tables.policy_history
    numbers = _drafts_behind(connection, number)
    digests = connection.execute(
        select(_REVISIONS.c.digest, _REVISIONS.c.source_digest).where(_REVISIONS.c.number == number)
    ).first()
    same = [history.c.details.contains(digest) for digest in digests or ()]
    wrote = select(history.c.by).where(
        history.c.step.in_(("create", "edit")), or_(history.c.number.in_(numbers), *same)
    )
    own = select(history.c.id).where(history.c.number == number, history.c.step == "create")
    if connection.execute(own).first() is None:  # what others wrote alike does not make up for it
        return frozenset()
    return frozenset(connection.execute(wrote).scalars())


def _drafts_behind(connection: Connection, number: int) -> list[int]:
    """The revision, and those that it was made from without any of them having been of record."""
    activations, found = tables.policy_activations, [number]
    while len(found) < _MAX_CHAIN:
        parent = connection.execute(select(_REVISIONS.c.parent).where(_REVISIONS.c.number == found[-1])).scalar()
        if parent is None or parent in found:
            break
        if connection.execute(select(activations.c.epoch).where(activations.c.number == parent)).first() is not None:
            break
        found.append(parent)
    return found


def approvals_of(connection: Connection, revision: Revision) -> tuple[Approval, ...]:
    """Those of every round."""
    approvals = tables.policy_approvals
    rows = connection.execute(
        select(approvals).where(approvals.c.number == revision.number).order_by(approvals.c.round, approvals.c.at)
    )
    return tuple(
        Approval(r.number, r.round, r.by, r.at, r.kind, r.reason, r.digest, r.source_digest, r.seal) for r in rows
    )


def standing(connection: Connection, revision: Revision) -> tuple[Approval, ...]:
    """The approvals that count: of this round, for these very contents."""
    now = (revision.round, revision.digest, revision.source_digest)
    return tuple(a for a in approvals_of(connection, revision) if (a.round, a.digest, a.source_digest) == now)


def gates_of(connection: Connection, revision: Revision) -> tuple[GateResult, ...]:
    """What the gates found in the contents as they are now."""
    gates = tables.policy_gates
    rows = connection.execute(
        select(gates)
        .where(
            gates.c.number == revision.number,
            gates.c.round == revision.round,
            gates.c.source_digest == revision.source_digest,
        )
        .order_by(gates.c.name)
    )
    return tuple(GateResult(r.name, r.result, r.summary, json.loads(r.details)) for r in rows)


def epoch_of(connection: Connection) -> int:
    """Of the revision of record; 0 where none was ever activated."""
    found: int = connection.execute(select(_META.c.epoch)).scalar_one()
    return found


def whole_epoch_of(connection: Connection) -> int:
    """As `epoch_of`. Raises RevisionRefusedError where an activation lies above it.

    Attack: somebody puts the counter back after a roll-back, and every worker that has not looked yet would see its
    own revision confirmed, for ever. Both are written in one transaction, and read here in one statement, which sees
    one state of the database: apart, they were not written by us.
    """
    row = connection.execute(_EPOCHS).one()
    if (row.newest or 0) > row.epoch:
        raise RevisionRefusedError(
            "replayed",
            f"epoch {row.epoch} is said to be of record, and epoch {row.newest} was activated: it was put back",
        )
    return int(row.epoch)


def active_at(connection: Connection, epoch: int) -> Active | None:
    activations = tables.policy_activations
    row = connection.execute(select(activations).where(activations.c.epoch == epoch)).first()
    return None if row is None else active_of(row)


def active_of(row: Any) -> Active:
    return Active(
        row.epoch, row.number, row.name, row.digest, row.kind, row.at, row.by, row.reason, row.statement, row.signatures
    )


def newest_epoch(connection: Connection) -> int:
    """The highest epoch that an activation has, whatever the counter says."""
    found = connection.execute(select(func.max(tables.policy_activations.c.epoch))).scalar()
    return int(found or 0)
