"""A cluster's keys: each primary node has a lane of its own, so that one node's fault costs its own keys only.

redis-py asks the cluster which node serves which slot, and makes the connections. Its own reads
(`mget_nonatomic`) are not used: they wait for the slowest node, fail with the first that fails, and do not look
again where the slots are when a node is gone.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from redis.crc import key_slot

from pdp.cache.lane import Lane
from pdp.cache.word import word
from pdp.ending import end
from pdp.logs import get_log

if TYPE_CHECKING:
    from redis.asyncio import RedisCluster
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.connection import AbstractConnection

    from pdp.cache.batch import Counts

LOOK_S: Final = 3.0  # of one look at the cluster, whichever of its nodes answers
BETWEEN_LOOKS_S: Final = 0.5  # at the most that often, whatever a node says about slots that moved
LOOK_ANYWAY_S: Final = 30.0

_log = get_log(__name__)


class ClusterLanes:
    """To be made inside a running event loop; `close` ends it. Until the first look, no key has a lane.

    `fault`: why the last look found nothing out.
    """

    def __init__(self, client: RedisCluster, *, head: bytes, deadline_s: float, counts: Counts) -> None:
        self._client = client
        self._head = head
        self._deadline_s = deadline_s
        self._counts = counts
        self._lanes: dict[str, Lane] = {}
        self._slots: dict[int, Lane] = {}
        self._is_stale = asyncio.Event()
        self.fault: str | None = None
        self._was_seen: bool | None = None
        self._watch = asyncio.create_task(self._keep())

    @property
    def all(self) -> list[Lane]:
        return list(self._lanes.values())

    def of(self, key: bytes) -> Lane | None:
        return self._slots.get(key_slot(self._head + key))

    async def close(self) -> None:
        await end(self._watch)
        await self._retire(list(self._lanes))

    async def _keep(self) -> None:
        while True:
            self._is_stale.clear()
            # A broad except: nothing that a node or the client library raises may end this task.
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._client.initialize()
                    await self._client.nodes_manager.initialize()
                await self._follow()
                self._say(None)
            except Exception as failure:  # noqa: BLE001
                self._say(word(failure))
                self._is_stale.set()
            await asyncio.sleep(BETWEEN_LOOKS_S)
            try:
                async with asyncio.timeout(LOOK_ANYWAY_S):
                    await self._is_stale.wait()
            except TimeoutError:
                continue

    async def _follow(self) -> None:
        """Lanes for the primaries of now, and for nobody else."""
        primaries: dict[int, ClusterNode] = {
            slot: nodes[0] for slot, nodes in self._client.nodes_manager.slots_cache.items() if nodes
        }
        for node in set(primaries.values()):
            if node.name not in self._lanes:
                self._lanes[node.name] = self._lane(node)
        self._slots = {slot: self._lanes[node.name] for slot, node in primaries.items()}
        serving = {node.name for node in primaries.values()}
        await self._retire([name for name in self._lanes if name not in serving])

    def _lane(self, node: ClusterNode) -> Lane:
        return Lane(
            partial(_connected, node),
            partial(_release, node),
            head=self._head,
            deadline_s=self._deadline_s,
            counts=self._counts,
            singly=True,
            node=node.name,
            on_fault=self._is_stale.set,
        )

    async def _retire(self, names: list[str]) -> None:
        gone = [self._lanes.pop(name) for name in names]
        await asyncio.gather(*(lane.close() for lane in gone), return_exceptions=True)

    def _say(self, fault: str | None) -> None:
        self.fault = fault
        seen = fault is None
        if seen is not self._was_seen:
            self._was_seen = seen
            if seen:
                _log.info("the redis cluster is known", primaries=len(self._lanes))
            else:
                _log.warning("the redis cluster does not say where its slots are", fault=fault)


async def _connected(node: ClusterNode) -> AbstractConnection:
    connection: Any = node.acquire_connection()
    try:
        await connection.disconnect(nowait=True)  # an idle one may hold an answer that nobody read
        await connection.connect()
    except BaseException:
        node.release(connection)
        raise
    return connection  # type: ignore[no-any-return]


async def _release(node: ClusterNode, connection: AbstractConnection) -> None:
    node.release(connection)  # type: ignore[arg-type]  # it is one of the node's own
