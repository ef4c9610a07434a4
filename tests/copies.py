"""Copies of a decision log for tests: a database of their own in one ClickHouse, a folder of their own in one bucket."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from pdp.archive.store import LocalStore
from pdp.model.log_copy import ClickHouseServer
from pdp.outgrown.bucket_queries import BucketQueries, Mirror
from pdp.outgrown.bucket_sink import BucketSink
from pdp.outgrown.clickhouse_client import ClickHouse
from pdp.outgrown.clickhouse_queries import ClickHouseQueries
from pdp.outgrown.clickhouse_sink import ClickHouseSink
from pdp.s3_client import Bucket
from tests.chdb_server import PASSWORD, USER
from tests.unit.declog.disks import HastyDisk

if TYPE_CHECKING:
    from pdp.archive.duck import EngineLimits
    from pdp.archive.port import QueryEngine
    from tests.chdb_server import ChdbServer
    from tests.s3_server import S3Server

_NUMBERS = count(1)
BUCKET = "logs"


class ClickHouseCopy:
    """`port`: of a proxy before the server."""

    def __init__(self, server: ChdbServer, root: Path, *, port: int | None = None) -> None:
        (root / "password").write_text(PASSWORD, encoding="utf-8")
        self.root = root
        self.server = ClickHouseServer(
            url=f"http://127.0.0.1:{port or server.port}",
            user=USER,
            password_file=str(root / "password"),
            database=f"log_{next(_NUMBERS)}",
            deadline_s=20,
        )
        self.clickhouse = ClickHouse(self.server)

    def sink(self, store: LocalStore) -> ClickHouseSink:
        return ClickHouseSink(store, self.clickhouse)

    def engine(self, limits: EngineLimits | None = None) -> QueryEngine:
        return ClickHouseQueries(self.clickhouse, limits)

    def close(self) -> None:
        self.clickhouse.close()


class BucketCopy:
    def __init__(self, server: S3Server, root: Path, *, port: int | None = None, folder: str = "") -> None:
        self.root = root
        self.folder = folder or f"copy/{next(_NUMBERS)}"
        server.make_bucket(BUCKET)
        self.bucket = Bucket(server.store(BUCKET, port=port, deadline_s=10))

    def sink(self, store: LocalStore) -> BucketSink:
        return BucketSink(store, self.bucket, self.folder)

    def engine(self, limits: EngineLimits | None = None) -> QueryEngine:
        return BucketQueries([Mirror(self.bucket, self.folder, self.root / "mirror")], limits)

    def close(self) -> None:
        self.bucket.close()


Copy = ClickHouseCopy | BucketCopy


def local_store(root: Path) -> LocalStore:
    return LocalStore(root, disk=HastyDisk())
