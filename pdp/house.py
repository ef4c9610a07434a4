"""What a decision needs from outside: the ports of `pdp.decide`, and the house that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from pdp.identity.proof import NOTHING_REVOKED, Witnesses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from pdp.active_policy import ActivePolicy
    from pdp.cache.levels import VerdictCache
    from pdp.declog.port import DecisionLog
    from pdp.declog.record import Record
    from pdp.engine.port import Engine
    from pdp.identity.levels import LevelTable
    from pdp.identity.proof import Revocations, TokenVerifier
    from pdp.model.decision import Decision
    from pdp.model.directory import Snapshot
    from pdp.model.request import Refusal


class Policies(Protocol):
    def active(self) -> ActivePolicy:
        """Raises NotReadyError where no policy is active."""
        ...


class Directory(Protocol):
    def current(self) -> Snapshot:
        """Raises NotReadyError where no directory has been read yet."""
        ...

    def is_stale(self) -> bool:
        """Whether the registers have not been seen to be current for longer than is safe to decide on."""
        ...


class Table(Protocol):
    def answer(self, document: bytes, digest: str) -> bytes | None:
        """The answer of the policy with this digest to a document, at once; None: the engine has to be asked."""
        ...


class _NoTable:
    def answer(self, document: bytes, digest: str) -> bytes | None:  # noqa: ARG002  # there is none
        return None


NO_TABLE: Final[Table] = _NoTable()  # nothing is counted out


class Observer(Protocol):
    """Who counts. It must not raise, and must cost next to nothing."""

    def decided(self, decision: Decision, wire: str, steps_us: Mapping[str, int]) -> None: ...

    def refused(self, refusal: Refusal) -> None: ...


@dataclass(frozen=True)
class House:
    """All that a decision needs from outside; `pdp.main` composes it, tests compose their own.

    `clock` gives the aware time in UTC, `stopwatch` monotonic nanoseconds, `new_id` a uuid7. Without a
    `cache` every decision is judged anew. `table` has the engine's answers where the policy was counted out. `longest`
    bounds how long an answer may be relied on, for as long as a change in the directory might be heard of late; None:
    the policy's own time is bound enough.
    `unconfirmed` says that nobody knows any longer whether this policy is still the one of record: then all is denied.
    `mask` has the last word on what a record holds; it never raises.
    """

    clock: Callable[[], datetime]
    stopwatch: Callable[[], int]
    new_id: Callable[[], str]
    policies: Policies
    directory: Directory
    levels: LevelTable
    tokens: TokenVerifier
    engine: Engine
    log: DecisionLog
    observer: Observer
    cache: VerdictCache | None = None
    table: Table = NO_TABLE
    revocations: Revocations = NOTHING_REVOKED
    longest: Callable[[], timedelta | None] = lambda: None
    unconfirmed: Callable[[Snapshot, datetime], bool] = lambda _snapshot, _now: False
    mask: Callable[[Record], Record] | None = None

    @cached_property
    def witnesses(self) -> Witnesses:
        return Witnesses(self.levels, self.tokens, self.revocations)
