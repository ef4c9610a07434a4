"""What a keeper of tables needs of those who have them made, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.table.kept import Found

State = Literal["none", "making", "waiting", "ready", "refused"]


@dataclass(frozen=True, slots=True)
class TableStatus:
    """Of this worker. `why` there is no table, and `where` in the policy; counts since its start.

    `waiting`: it did not work, and is tried again; `refused`: it will not work with this policy. `looked_up`: answers
    given; `unread`: documents that the table has none for. Of the look-ups put to the engine too: `checked`, those that
    `differed`, and those `unchecked`, where it gave no answer.
    """

    state: State
    why: str = ""
    where: str | None = None
    facts: int = 0
    answers: int = 0
    looked_up: int = 0
    unread: int = 0
    checked: int = 0
    differed: int = 0
    unchecked: int = 0


class Tables(Protocol):
    """Where tables come from (`pdp.table.kept`). A digest is a bundle's."""

    async def table(self, bundle: Bundle) -> Found | None:
        """The bundle's table; None while another worker makes it.

        Raises SpaceError where the policy cannot be counted out, EngineError where it did not work this time.
        """
        ...

    async def doubt(self, digest: str) -> None:
        """The table is not what it should be: no worker of this host may use it from now on, and none makes it again.

        Durable when this returns. Raises EngineError where it cannot be told to the others.
        """
        ...

    async def doubted(self, digest: str) -> bool:
        """Whether any worker of this host has called it so. Raises EngineError where that cannot be known."""
        ...
