"""The copies that the settings name: what `pdp audit publish` brings up to date, and what may be asked instead."""

from __future__ import annotations

import random
import re
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.archive.store import LocalStore
from pdp.errors import SettingsError
from pdp.logs import get_log
from pdp.outgrown.publisher import Publisher
from pdp.outgrown.standing import CLICKHOUSE, OBJECT_STORE, Standing, Standings
from pdp.side_by_side import side_by_side

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from pdp.archive.port import QueryEngine
    from pdp.archive.session import EngineLimits
    from pdp.model.log_copy import ObjectStore
    from pdp.outgrown.publisher import CopySink
    from pdp.settings import Settings

_ADDRESS: Final = re.compile(r"s3://([a-z0-9.-]{3,63})/([A-Za-z0-9/._-]{1,512})")
_END_S: Final = 360.0  # the longest statement, and a file's way
_log = get_log("pdp.outgrown")


def open_copy(settings: Settings, name: str) -> CopySink:
    """Nothing is sent yet. Raises SettingsError where its settings or its client cannot be used."""
    store = LocalStore(settings.decisions_path)
    if name == CLICKHOUSE and settings.audit_clickhouse is not None:
        from pdp.outgrown.clickhouse_client import ClickHouse
        from pdp.outgrown.clickhouse_sink import ClickHouseSink

        return ClickHouseSink(store, ClickHouse(settings.audit_clickhouse))
    if name == OBJECT_STORE and settings.audit_object_store is not None:
        from pdp.outgrown.bucket_sink import BucketSink
        from pdp.s3_client import Bucket

        place = settings.audit_object_store
        return BucketSink(store, Bucket(place), folder_of(place, settings.node))
    raise SettingsError(
        f"the settings name no copy `{name}`", next_step="add `[audit_clickhouse]` or `[audit_object_store]`"
    )


@contextmanager
def open_engine(settings: Settings, source: str, limits: EngineLimits) -> Iterator[QueryEngine]:
    """Who answers from a copy. `source`: the name of a copy, or `s3://BUCKET/PREFIX/NODE`. Raises SettingsError."""
    if source == CLICKHOUSE and settings.audit_clickhouse is not None:
        from pdp.outgrown.clickhouse_client import ClickHouse
        from pdp.outgrown.clickhouse_queries import ClickHouseQueries

        with closing(ClickHouse(settings.audit_clickhouse)) as clickhouse:
            yield ClickHouseQueries(clickhouse, limits)
        return
    place, folder = _place(settings, source)
    from pdp.outgrown.bucket_queries import BucketQueries, Mirror
    from pdp.s3_client import Bucket

    cache = settings.state_path / "mirror" / place.bucket / folder.replace("/", "%")
    with closing(Bucket(place)) as bucket:
        yield BucketQueries([Mirror(bucket, folder, cache)], limits)


def _place(settings: Settings, source: str) -> tuple[ObjectStore, str]:
    place = settings.audit_object_store
    if place is None or not (source == OBJECT_STORE or source.startswith("s3://")):
        raise SettingsError(
            f"the settings name no copy `{source}`",
            next_step="add `[audit_clickhouse]` or `[audit_object_store]`; its access serves for `s3://` as well",
        )
    if source == OBJECT_STORE:
        return place, folder_of(place, settings.node)
    address = _ADDRESS.fullmatch(source.rstrip("/"))
    if address is None or ".." in address[2]:
        raise SettingsError(f"`{source}` is not `s3://BUCKET/PREFIX/NODE`")
    return msgspec.structs.replace(place, bucket=address[1]), address[2]


def folder_of(place: ObjectStore, node: str) -> str:
    """Where a node writes: each has its own, as each has its own store."""
    return f"{place.prefix}/{node}" if place.prefix else node


class Publishers:
    """Holds the locks of its copies until `close`. Raises SettingsError, OSError."""

    def __init__(self, settings: Settings, names: Sequence[str]) -> None:
        store = LocalStore(settings.decisions_path)
        if not store.layout.segments.is_dir():
            raise SettingsError("there is no decision log here yet", next_step="start the service first")
        standings = Standings(settings.state_path / "copies")
        self._locks = []
        self._sinks: list[CopySink] = []
        self._publishers: list[Publisher] = []
        try:
            for name in names:
                self._locks.append(standings.lock(name))
                sink = open_copy(settings, name)
                self._sinks.append(sink)
                self._publishers.append(
                    Publisher(sink, store, standings, clock=lambda: datetime.now(UTC), chance=random.random)
                )
        except BaseException:
            self.close()
            raise

    def once(self) -> dict[str, str]:
        """Bring each up to date; the fault of each that could not be."""
        ended = {publisher.name: publisher.once() for publisher in self._publishers}
        return {name: fault for name, fault in ended.items() if fault}

    def lacking(self) -> dict[str, list[str]]:
        """What each says it has and has not. Raises CopyUnavailableError, RecordDamagedError."""
        return {sink.name: found for sink in self._sinks if (found := sink.lacking())}

    def mend(self, lacking: dict[str, list[str]]) -> None:
        """Raises CopyUnavailableError, RecordDamagedError, OSError."""
        for sink in self._sinks:
            if sink.name in lacking:
                sink.mend(lacking[sink.name], datetime.now(UTC))

    def standings(self) -> dict[str, Standing]:
        return {publisher.name: publisher.standing for publisher in self._publishers}

    def forever(self, stop: threading.Event) -> None:
        """Each copy in a thread of its own, so that one that is dead delays no other. Returns after `stop`."""
        works = {publisher.name: publisher.forever for publisher in self._publishers}
        side_by_side(works, stop, end_s=_END_S, failed=_failed)

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()
        for lock in self._locks:
            lock.release()


def _failed(copy: str) -> None:
    _log.exception("the publishing to a copy ended with a fault of ours", copy=copy)
