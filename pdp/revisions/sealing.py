"""The statement of an activation, signed by a key that is here or somewhere else.

INVARIANT (no leap of epochs): whoever could name any epoch could name the last one there is, after which nothing is
ever of record again; so one step leads at most `MAX_JUMP` above the next epoch.

INVARIANT (signed or not at all): where there are trusted keys, nothing becomes of record without a signature that
they verify. Workers would refuse it, and a service that nobody can steer would not say so by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.declog.marks import rfc3339
from pdp.errors import BadRequestError, BundleError, ConflictError
from pdp.revisions.statement import (
    Statement,
    read_signatures,
    read_statement,
    signer_of,
    statement_of,
    write_signatures,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pdp.revisions.revision import ActivationKind, Revision
    from pdp.revisions.statement import Signature, SigningKey, TrustedKey, Warn
    from pdp.revisions.states import Step


MAX_JUMP: Final = 1_000_000  # more activations than any old copy of a database can lie behind


class UnsealedError(ConflictError):
    """No key here signs it, or none that is trusted here signed it: true of this host's files, not of the revision."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement that somebody signed elsewhere, for the epoch that it names. `signatures`: as `write_signatures`."""

    statement: str
    signatures: str


@dataclass(frozen=True, slots=True)
class Sealing:
    """`keys`: who may say what is of record; none: it need not be signed. `own`: a key that is here."""

    keys: Callable[[], Sequence[TrustedKey]] = tuple
    own: Callable[[], SigningKey | None] = lambda: None

    def own_counts(self) -> Sequence[TrustedKey] | None:
        """Whose seals count where the key of this host signs; None where none is here. Raises SettingsError."""
        own = self.own()
        return None if own is None else (*self.keys(), own.trusted)

    def sealed(  # noqa: PLR0913, PLR0917  # what a statement says, and who signs it
        self,
        revision: Revision,
        kind: ActivationKind,
        epoch: int,
        now: datetime,
        signed: Signed | None,
        warn: Warn | None = None,
    ) -> tuple[Statement, str]:
        """The statement with its signatures, which a worker will believe. `warn`: as it was approved.

        Raises UnsealedError where none would, SettingsError where a key file cannot be read, ConflictError where
        the epoch is another one, BadRequestError where what was signed elsewhere is something else.
        """
        if signed is None:
            statement = unsealed(revision, kind, epoch, now, warn)
            own = self.own()
            signatures: tuple[Signature, ...] = () if own is None else (own.sign(statement.text),)
        else:
            statement, signatures = _brought(signed, unsealed(revision, kind, epoch, now, warn))
        keys = self.keys()
        if keys and signer_of(statement.text, signatures, keys) is None:
            why = "no trusted key made the signature" if signatures else "it must be signed, and there is no key here"
            raise UnsealedError(why, next_step="sign it with `pdp bundle sign`, or set `bundle_signing_key_file`")
        return statement, write_signatures(signatures)


def _brought(signed: Signed, wanted: Statement) -> tuple[Statement, tuple[Signature, ...]]:
    try:
        statement, signatures = read_statement(signed.statement), read_signatures(signed.signatures)
    except BundleError as fault:
        raise BadRequestError(fault.message) from None
    if _meaning(statement) != _meaning(wanted):
        raise BadRequestError("the signed statement speaks of another revision, or of another step")
    # What was signed before it is activated ends earlier, never later: the approved time is the longest.
    if statement.warning and wanted.warning and statement.warning.end > wanted.warning.end:
        raise BadRequestError("the signed statement warns for longer than was approved")
    if statement.epoch < wanted.epoch:
        raise ConflictError(
            f"the signed statement is for epoch {statement.epoch}, and the next one is {wanted.epoch}",
            next_step="sign again, for the epoch that is next now",
        )
    check_jump(statement.epoch, wanted.epoch)
    return statement, signatures


def check_jump(epoch: int, least: int) -> None:
    """Raises ConflictError for an epoch too far above the next one, `least`."""
    if epoch - least >= MAX_JUMP:
        raise ConflictError(
            f"epoch {epoch} lies more than {MAX_JUMP} above the highest that is known, {least - 1}",
            next_step="name one above the epoch that workers have seen",
        )


def _meaning(statement: Statement) -> tuple[Any, ...]:
    """All that a statement says but its times and its epoch."""
    former = None if statement.warning is None else statement.warning.former
    return (statement.number, statement.name, statement.digest, statement.profile, statement.kind, former)


def unsealed(
    revision: Revision, kind: ActivationKind, epoch: int, now: datetime, warn: Warn | None = None
) -> Statement:
    """What there is to sign."""
    return statement_of(
        epoch=epoch,
        number=revision.number,
        name=revision.name,
        digest=revision.digest,
        profile=revision.profile,
        kind=kind,
        at=rfc3339(now),
        warn=warn,
    )


def kind_of(revision: Revision, step: Step) -> ActivationKind:
    """The kind of activation that this step is for this revision."""
    if step == "rollback":
        return "rollback"
    if step == "schedule":
        return "scheduled"
    return "emergency" if revision.emergency and step == "activate" else "activate"
