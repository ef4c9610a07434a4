"""Several decisions in one answer are made by one policy.

INVARIANT (one answer, one policy): where a revision becomes active between the first and the last decision of one
answer, all of them are made anew. Those that were made before stand in the decision log, and nobody is told them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from pdp.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ATTEMPTS: Final = 3  # an activation takes longer than any answer: a second one in a row is already strange
_A = TypeVar("_A")


async def under_one_policy(attempt: Callable[[set[str]], Awaitable[_A]]) -> _A:
    """What the attempt gives, once all of its decisions come from one policy; it adds the digest of each to the set.

    Raises NotReadyError where policies change faster than it can be decided.
    """
    for _ in range(ATTEMPTS):
        digests: set[str] = set()
        found = await attempt(digests)
        if len(digests) <= 1:
            return found
    raise NotReadyError("the policy has changed again and again while this was decided")
