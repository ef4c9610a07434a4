"""What an activation reads and writes beside its own row: epochs, authors, proofs of former ones, plans, reviews."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select

from pdp.errors import BundleError, ConflictError
from pdp.revisions.rows import authors_of, epoch_of, newest_epoch
from pdp.revisions.sealing import Signed, check_jump
from pdp.revisions.statement import read_signatures, read_statement, signer_of
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from pdp.revisions.revision import Active, Revision
    from pdp.revisions.statement import TrustedKey

REVIEW_DAYS: Final = 7  # after an emergency, somebody else looks at what was done
MAX_EPOCH: Final = 1 << 62
COLUMNS: Final = tuple(column.name for column in tables.policy_activations.columns)


def next_epoch(connection: Connection, epoch: int | None) -> int:
    """The next epoch, or a later one that was asked for."""
    least = max(epoch_of(connection), newest_epoch(connection)) + 1
    if epoch is None:
        return least
    if not least <= epoch <= MAX_EPOCH:
        raise ConflictError(f"the next epoch is {least}, and {epoch} is asked for")
    check_jump(epoch, least)
    return epoch


def written_by(connection: Connection, revision: Revision) -> frozenset[str]:
    """Never empty: of a row that was put into the database by hand nobody is the author, and anybody approves it."""
    authors = authors_of(connection, revision.number)
    if not authors:
        raise ConflictError("nobody wrote this revision: its history is not there", next_step="make a new draft of it")
    return authors


def is_proven(active: Active, revision: Revision, keys: Sequence[TrustedKey]) -> bool:
    """Whether a statement that is trusted here says that these contents were of record."""
    try:
        said, signatures = read_statement(active.statement), read_signatures(active.signatures)
    except BundleError:
        return False
    if (said.epoch, said.number, said.name, said.digest) != (
        active.epoch,
        revision.number,
        revision.name,
        revision.digest,
    ):
        return False
    return not keys or signer_of(active.statement, signatures, keys) is not None


def plan_of(connection: Connection, number: int) -> tuple[str, str, Signed | None]:
    table = tables.policy_revisions
    plan = json.loads(connection.execute(select(table.c.scheduled).where(table.c.number == number)).scalar_one())
    return plan["by"], plan["reason"], None if plan["signed"] is None else Signed(*plan["signed"])


def open_review(connection: Connection, active: Active) -> None:
    connection.execute(
        insert(tables.policy_reviews),
        {
            "number": active.number,
            "epoch": active.epoch,
            "opened_at": active.at,
            "due_at": active.at + timedelta(days=REVIEW_DAYS),
            "note": "",
        },
    )
