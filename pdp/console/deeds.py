"""What is done at the console itself, written into the audit trail: logins, logouts, ended sessions, refusals.

What a page asks of the API is written down by the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.trail.event import Actor, event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pdp.console.person import Person
    from pdp.trail.event import Action, Outcome
    from pdp.trail.keeping import TrailWriter


class Deeds:
    def __init__(self, trail: TrailWriter, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._trail: Final = trail
        self._clock: Final = clock
        self._new_id: Final = new_id

    async def write(  # noqa: PLR0913  # what an event says is much, and each has its name
        self,
        person: Person,
        action: Action,
        outcome: Outcome = "done",
        *,
        object: str | None = None,  # noqa: A002  # the word of the record
        parameters: Mapping[str, Any] | None = None,
        error: str | None = None,
        peer: str | None = None,
    ) -> None:
        """Returns once it is on the disk. Raises RecordFailedError: then it is not done."""
        actor = Actor(kind="person", id=person.id, roles=sorted(person.roles))
        await self._trail.append(
            event_of(
                self._new_id(),
                self._clock(),
                actor,
                action,
                outcome,
                object=object,
                parameters=parameters,
                error=error,
                peer=peer,
            )
        )
