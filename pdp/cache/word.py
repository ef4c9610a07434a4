"""What failed, in one short word for the operator."""

from __future__ import annotations

from redis.exceptions import TimeoutError as RedisTimeoutError


def word(failure: BaseException) -> str:
    """The class of the failure, never its message: that may hold addresses and names."""
    return "timeout" if isinstance(failure, TimeoutError | RedisTimeoutError) else type(failure).__name__
