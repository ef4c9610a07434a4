"""The reads of one turn of the event loop, asked together; and the count of what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis.exceptions import AskError, InvalidResponse, MovedError

from pdp.cache.seal import MAX_SEALED_BYTES

if TYPE_CHECKING:
    from asyncio import Future, TimerHandle

MAX_KEYS: Final = 128  # of one batch; more gain little, and a reply stays well under `redis_client.MAX_REPLY_BYTES`

Waiters = list["Future[bytes | None]"]


@dataclass(slots=True)
class Counts:
    """Every read is counted once, in one of the first five."""

    hits: int = 0
    misses: int = 0
    failures: int = 0
    timeouts: int = 0
    skipped: int = 0
    corrupted: int = 0  # of the misses: what was there could not be a value of ours
    written: int = 0
    dropped: int = 0


class Batch:
    """Keys that are asked together, each once, and who waits for them.

    INVARIANT (nobody waits twice): the first of `take`, `fail`, `expire` and `skip` ends the waiting; an answer
    that comes later is read off the connection and goes nowhere.

    `waiting` until then. `fault`: why the server gave no value, in one word. `moved`: a node of a cluster said
    that a key is not its own (of one server, that is a fault: its URL is the wrong one).
    """

    __slots__ = (
        "_counts",
        "_found",
        "_singly",
        "_waiters",
        "fault",
        "grace",
        "keys",
        "moved",
        "timer",
        "waiting",
    )

    def __init__(self, keys: dict[bytes, Waiters], counts: Counts, *, singly: bool = False) -> None:
        self.keys = list(keys)
        self.waiting = True
        self.fault: str | None = None
        self.moved = False
        self.grace = 0  # how often the deadline may still be put off
        self.timer: TimerHandle | None = None
        self._waiters = list(keys.values())
        self._counts = counts
        self._singly = singly  # one reply for each key, as a cluster wants it; else one array for all
        self._found: list[object] = []

    def command(self, head: bytes) -> bytes:
        """The bytes for the server (RESP). `head` begins every key."""
        names = [b"$%d\r\n%b%b\r\n" % (len(head) + len(key), head, key) for key in self.keys]
        if self._singly:
            return b"".join([b"*2\r\n$3\r\nGET\r\n" + name for name in names])
        return b"*%d\r\n$4\r\nMGET\r\n%b" % (len(names) + 1, b"".join(names))

    def take(self, reply: object) -> bool:
        """One reply of the server, a value or the error. True where it was the last of this batch.

        Raises InvalidResponse for a reply that cannot be one to our question: then no order can be relied on.
        """
        if self._singly:
            self._found.append(reply)
        elif isinstance(reply, list) and len(reply) == len(self.keys):
            self._found = reply
        elif isinstance(reply, Exception):
            self._found = [reply] * len(self.keys)
        else:
            raise InvalidResponse("the answer does not fit the question")
        if len(self._found) < len(self.keys):
            return False
        if self.waiting:
            self._end()
            for waiters, value in zip(self._waiters, self._found, strict=True):
                _wake(waiters, self._judged(value, len(waiters)))
        return True

    def _judged(self, value: object, readers: int) -> bytes | None:
        if type(value) is bytes and len(value) <= MAX_SEALED_BYTES:
            self._counts.hits += readers
            return value
        if isinstance(value, Exception):
            self._counts.failures += readers
            if self._singly and isinstance(value, MovedError | AskError):
                self.moved = True
            else:
                self.fault = type(value).__name__
            return None
        if value is not None:
            self._counts.corrupted += readers
        self._counts.misses += readers
        return None

    def fail(self, fault: str) -> None:
        """The connection is gone."""
        if self.waiting:
            self.fault = fault
            self._counts.failures += self._give_up()

    def expire(self) -> None:
        """The deadline has passed."""
        if self.waiting:
            self.fault = "timeout"
            self._counts.timeouts += self._give_up()

    def skip(self) -> None:
        """It was never asked."""
        if self.waiting:
            self._counts.skipped += self._give_up()

    def _give_up(self) -> int:
        self._end()
        for waiters in self._waiters:
            _wake(waiters, None)
        return sum(map(len, self._waiters))

    def _end(self) -> None:
        self.waiting = False
        self.cancel_timer()

    def cancel_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def _wake(waiters: Waiters, value: bytes | None) -> None:
    for waiter in waiters:
        if not waiter.done():  # done: who waited was cancelled
            waiter.set_result(value)
