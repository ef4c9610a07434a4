"""What was used last stays: a bounded memory, nearly in the order of use.

Only one look-up in eight moves what it found: each move touches four more places, and with ten thousand questions none
of them is in the processor's cache. What is asked for often is moved often enough.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")

# Of readings, premises and grounds alike: as many different questions as a prefecture's gateway asks in some minutes.
# All three of one question have some 5 KB.
MAX_QUESTIONS: Final = 10_240
MOVES_EACH: Final = 8  # look-ups that found something


class Recent(Generic[K, V]):
    """At most `most` values. Not for several threads."""

    __slots__ = ("_found", "_held", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[K, V] = OrderedDict()
        self._found = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        value = self._held.get(key)
        if value is not None:
            self._found += 1
            if self._found % MOVES_EACH == 0:
                self._held.move_to_end(key)
        return value

    def keep(self, key: K, value: V) -> None:
        self._held[key] = value
        self._held.move_to_end(key)
        if len(self._held) > self._most:
            self._held.popitem(last=False)

    def clear(self) -> None:
        self._held.clear()


class Recurring(Recent[K, V]):
    """Keeps what comes a second time: what never comes back pushes nothing out that does.

    INVARIANT (no loss): it is the whole key that is compared; a hash alone decides only whether to remember.
    """

    __slots__ = ("_glimpsed",)

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._glimpsed: set[int] = set()

    def keep(self, key: K, value: V) -> None:
        glimpse = hash(key)
        if glimpse in self._glimpsed:
            self._glimpsed.discard(glimpse)
            super().keep(key, value)
            return
        if len(self._glimpsed) >= self._most:
            self._glimpsed.clear()
        self._glimpsed.add(glimpse)
