"""News: "look at the database now", told to every worker on every host. Adapters: `local` (none), `stream` (Redis).

INVARIANT (news carry no facts): what a worker decides on, it reads from the database, which stays the truth.
News that are lost, doubled, late, reordered or forged can therefore never make an answer wrong. Lost ones
leave the change to the next poll; forged ones cause a look that finds nothing new, at most `LOOKS_PER_S`
times a second. This is also why news need no seal, unlike the values of the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

Kind = Literal["directory", "policy", "callers", "revocations"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
State = Literal["up", "lost", "off"]
LOOKS_PER_S: Final = 20  # of one worker, however much is heard: less than a percent of a core where nothing is new
LONGEST_MARK: Final = 64  # characters of a mark


@dataclass(frozen=True, slots=True)
class NewsStatus:
    """For metrics, `/readyz` and `pdp doctor`. The counts are of this process since its start.

    `state`: off (there is no stream: changes are seen by polling), up (a change anywhere is heard within
    milliseconds), lost (it may not be: polling sees it). `since` is when the state began.
    """

    state: State
    since: datetime
    heard: int = 0  # pieces of news, our own and doubled ones too
    published: int = 0
    unsent: int = 0  # pieces that the stream did not take; the other workers see the change by polling
    gaps: int = 0  # how often news were missed, or may have been: each time everything was looked at
    lag_ms: float | None = None  # of the latest piece, from the server's clock to ours; two clocks may differ
    fault: str | None = None  # while lost: a short word for the operator, never an address


class News(Protocol):
    """One worker's ear and mouth. To be used from the event loop's thread."""

    @property
    def state(self) -> State:
        """As in `status`; cheap enough to be asked for every decision."""
        ...

    def publish(self, kind: Kind, mark: str) -> None:
        """Say that something of this kind has changed. Call it after the commit: a listener looks at once.

        `mark` is for people who read the stream, such as the new epoch; no listener believes it. Never raises
        and never waits. This process hears it directly, whatever becomes of the stream. Pieces of one kind
        that queue are sent as one, the latest; a piece that the stream does not take is counted and forgotten.
        """
        ...

    def following(self, hear: Callable[[Collection[Kind]], None]) -> AbstractAsyncContextManager[None]:
        """While the block runs, `hear` is called with each kind that was heard of, on the event loop.

        It is called with every kind at the start, after each interruption, and wherever news may have been
        missed: whoever then looks at everything has missed nothing. Does not wait for a connection.
        """
        ...

    def status(self) -> NewsStatus: ...
