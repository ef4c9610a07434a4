"""What is known of a revision, as plain values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003  # msgspec reads the types of `Active`
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.revisions.states import State

Result = Literal["passed", "failed", "not_run"]
ActivationKind = Literal["activate", "rollback", "scheduled", "emergency"]
MIN_REASON: Final = 5  # characters: a word at least
MAX_REASON: Final = 500
BUNDLE_GATE: Final = "bundle"  # the gate that nothing waives: what does not load cannot decide


@dataclass(frozen=True, slots=True)
class Revision:
    """`number` names it for ever; `name` is the `revision` of its manifest. Times are aware.

    `digest` names what decides, `source_digest` all of its files, its tests and comments too. `round` counts how
    often it came back to its author: an approval counts for its own round alone.
    """

    number: int
    name: str
    profile: str
    digest: str
    source_digest: str
    state: State
    author: str
    reason: str
    parent: int | None
    round: int
    emergency: bool
    created_at: datetime
    changed_at: datetime
    scheduled_at: datetime | None = None
    warn_days: int = 0  # for so long, from its activation on, its new refusals are announced and do not count


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step of one revision: who, when, why. Never changed once it is written."""

    number: int
    at: datetime
    by: str
    step: str
    before: str | None
    after: str
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Approval:
    """`kind`: `approve`, or `endorse` for one of the two persons of an emergency."""

    number: int
    round: int
    by: str
    at: datetime
    kind: Literal["approve", "endorse"]
    reason: str
    digest: str
    source_digest: str
    seal: str | None = None  # `pdp.revisions.approval_seal`


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate found. `summary` is one line for people; `details` is data (JSON)."""

    name: str
    result: Result
    summary: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Active:
    """The revision of record from `at` on. `statement` is the text that `signatures` are over."""

    epoch: int
    number: int
    name: str
    digest: str
    kind: ActivationKind
    at: datetime
    by: str
    reason: str
    statement: str
    signatures: str


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody has to look at afterwards: an emergency activation. Closed by a person who took no part in it."""

    id: int
    number: int
    epoch: int
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One worker, and what it serves. `fault`: why it does not serve the revision of record; None: it does."""

    id: str
    epoch: int
    number: int | None
    name: str
    digest: str
    seen_at: datetime
    fault: str | None = None
    lapsed: bool = False


@dataclass(frozen=True, slots=True)
class Detail:
    """One revision with all that belongs to it, oldest first."""

    revision: Revision
    history: tuple[HistoryEntry, ...]
    approvals: tuple[Approval, ...]
    gates: tuple[GateResult, ...]
    authors: frozenset[str]  # whoever wrote any of its contents: none of them may approve it
