"""News as entries of one Redis stream, `PREFIX:news`: `kind` and `mark`, and now and then a beat.

Whatever else stands there, from a newer version or from nobody of ours, is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.signals.port import KINDS, LONGEST_MARK

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

    from pdp.signals.port import Kind

KEPT: Final = 1_000  # entries: twenty seconds of every terminal's reports, or most of an hour of beats
START: Final = b"0-0"  # before the first entry of any stream
_BEAT: Final = "beat"
_KIND_OF: Final[dict[bytes, Kind]] = {kind.encode(): kind for kind in KINDS}


class Entry(NamedTuple):
    """`kind` is None for a beat, and for what this version does not know. `at_ms`: the server's Unix time."""

    id: bytes
    kind: Kind | None
    at_ms: int


class NewsStream:
    """The commands of one stream over one client. Every method raises what the client raises.

    The user needs `~PREFIX:news +xadd +xread +xrange +xrevrange`, and `+select` for a database other than 0.
    """

    def __init__(self, redis: Redis | RedisCluster, prefix: str) -> None:
        self._redis: Any = redis  # both clients have the same commands, with types of their own
        self._key = f"{prefix}:news"

    async def post(self, kind: Kind, mark: str) -> None:
        await self._add(kind, mark[:LONGEST_MARK])

    async def beat(self) -> bytes:
        """The id of a new entry without news: whoever could write it could be heard."""
        return await self._add(_BEAT, "")

    async def newest(self) -> bytes:
        """The id of the last entry, START where there is none."""
        found = await self._redis.xrevrange(self._key, count=1)
        return bytes(found[0][0]) if found else START

    async def has(self, entry_id: bytes) -> bool:
        return bool(await self._redis.xrange(self._key, min=entry_id, max=entry_id, count=1))

    async def after(self, entry_id: bytes, *, at_most: int, block_s: float) -> list[Entry]:
        """The entries after this one, in order; waits up to `block_s` for the first."""
        block_ms = max(1, int(block_s * 1_000))  # 0 would be for ever
        answer = await self._redis.xread({self._key: entry_id}, count=at_most, block=block_ms)
        return [_entry(entry_id, fields) for entry_id, fields in _rows(answer)]

    async def _add(self, kind: str, mark: str) -> bytes:
        return bytes(await self._redis.xadd(self._key, {"kind": kind, "mark": mark}, maxlen=KEPT, approximate=True))


def _rows(answer: Any) -> list[Any]:
    """The entries of the one stream that was read; redis-py wraps them once more than the server does."""
    return next(iter(answer.values()))[0] if answer else []


def _entry(entry_id: bytes, fields: dict[bytes, bytes] | None) -> Entry:
    kind = _KIND_OF.get((fields or {}).get(b"kind", b""))
    return Entry(entry_id, kind, int(entry_id.partition(b"-")[0]))
