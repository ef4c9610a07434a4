"""The trail on its disk: segments of the decision log's own kind under STATE/trail, with the same writer and recovery.

INVARIANT (no answer without an event): where `append` or `record_query` raised, the question is not answered.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import uuid_utils

from pdp.declog.segments import SegmentLog, first_free
from pdp.errors import RecordFailedError, SekishoError
from pdp.trail.event import Actor, encode_event, event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pdp.settings import Settings
    from pdp.trail.event import Action, Event, Outcome

_COMMANDS: Final = "c"  # workers of commands are c0, c1, …; those of services w0, w1, …


class TrailWriter(Protocol):
    """What writes events down."""

    async def append(self, event: Event) -> None:
        """Returns once the event is on the disk. Raises RecordFailedError."""
        ...


def trail_path(state: Path) -> Path:
    """The directory of the trail in a state directory: a decision log's layout."""
    return state / "trail"


class Trail:
    """The trail of one serving process. Opened at the first event: who asks nothing leaves no file."""

    def __init__(self, directory: Path, *, node: str, clock: Callable[[], datetime], prefix: str = "w") -> None:
        """`prefix`: of the worker's name; `c` for a command that writes more than one event."""
        self._prefix: Final = prefix
        self._directory: Final = directory
        self._node: Final = node
        self._clock: Final = clock
        self._log: SegmentLog | None = None
        self._opening: Final = asyncio.Lock()

    async def append(self, event: Event) -> None:
        """As the port says. Raises RecordFailedError also where the trail cannot be opened."""
        line = encode_event(event)
        if self._log is None:
            async with self._opening:
                if self._log is None:
                    self._log = await asyncio.to_thread(_open, self._directory, self._node, self._clock, self._prefix)
        await self._log.append(line)

    async def close(self) -> None:
        """Seal what is open. May be called twice."""
        log, self._log = self._log, None
        if log is not None:
            await log.close()


def record_query(  # noqa: PLR0913  # what an event says is much, and each has its name
    settings: Settings,
    action: Action,
    parameters: Mapping[str, Any],
    *,
    object: str | None = None,  # noqa: A002  # the word of the record
    reason: str | None = None,
    outcome: Outcome = "done",
    rows: int | None = None,
    answer_sha256: str | None = None,
    error: str | None = None,
    of: str | None = None,
) -> str:
    """For commands: write down what this user of the operating system asked or did; gives the event's id.

    Call it when the answer is known and before it is shown; where the answer is handed over bit by bit, once with
    `begun` before the first bit and once after the last, with that id as `of`. Blocks for some milliseconds.
    Raises RecordFailedError: then the answer must not be given. Not within a running event loop.
    """
    event = event_of(
        str(uuid_utils.uuid7()),
        datetime.now(UTC),
        os_user(),
        action,
        outcome,
        object=object,
        parameters=parameters,
        reason=reason,
        rows=rows,
        answer_sha256=answer_sha256,
        error=error,
        of=of,
    )
    line = encode_event(event)
    asyncio.run(_append_once(trail_path(settings.state_path), settings.node, line))
    return event.id


class Noted:
    """What becomes known of something while it is done. `rows` and `object` are written down with its end."""

    rows: int | None = None
    object: str | None = None


@contextmanager
def noted(
    settings: Settings,
    action: Action,
    parameters: Mapping[str, Any],
    *,
    object: str | None = None,  # noqa: A002  # the word of the record
    reason: str | None = None,
) -> Iterator[Noted]:
    """For commands that change something, or hand over bit by bit: an event before, and one that says how it ended.

    Raises RecordFailedError before anything is done; and at the end, where what was done stands written as begun.
    """
    begun = record_query(settings, action, parameters, object=object, reason=reason, outcome="begun")
    found = Noted()
    found.object = object

    def end(outcome: Outcome, error: str | None = None) -> None:
        record_query(
            settings, action, parameters,
            object=found.object, reason=reason, outcome=outcome, rows=found.rows, error=error, of=begun,
        )  # fmt: skip

    try:
        yield found
    except BaseException as fault:
        end("failed", getattr(fault, "code", "ended"))
        raise
    end("done")


def os_user() -> Actor:
    """Who runs this process, by the kernel's word; behind `sudo` who called it, and in the roles as whom it runs."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid:{uid}"
    caller = os.environ.get("SUDO_USER") if uid == 0 else None  # anybody but root could have written it
    return Actor(kind="os_user", id=caller or name, roles=[f"runs_as:{name}"] if caller else [])


async def _append_once(directory: Path, node: str, line: bytes) -> None:
    log = await asyncio.to_thread(_open, directory, node, lambda: datetime.now(UTC), _COMMANDS)
    try:
        await log.append(line)
    finally:
        await log.close()


def _open(directory: Path, node: str, clock: Callable[[], datetime], prefix: str) -> SegmentLog:
    try:
        return first_free(lambda worker: SegmentLog(directory, worker, clock=clock, node=node), prefix=prefix)
    except RecordFailedError:
        raise
    except SekishoError as fault:
        raise RecordFailedError(f"the trail cannot be written: {fault.message}") from fault
