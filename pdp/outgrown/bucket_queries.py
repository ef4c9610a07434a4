"""A further reader: the log as an object store has it, brought here as far as a question needs it.

What is brought is an ordinary store in a directory (`Mirror`): the files under their names, each held against the
digest that the index names before it counts, and a manifest. So every question and export that works on a store
works here; no byte that was not proven answers anything. The directory is a cache: it may be thrown away.

Not through a remote file system: DuckDB 2.0 has no httpfs wheel, and ranges of a file cannot be held against the
digest of the whole.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp, mkstemp
from typing import TYPE_CHECKING, Final

from pdp.archive.duck import DuckQueries, EngineLimits
from pdp.archive.queries import asked
from pdp.archive.snapshot import Scope
from pdp.archive.store import LocalStore
from pdp.declog.disk import PosixDisk
from pdp.errors import CopyUnavailableError, RecordDamagedError
from pdp.outgrown.bucket_index import stored_of
from pdp.outgrown.bucket_roots import NOTHING, Roots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from pdp.outgrown.bucket_roots import Head
    from pdp.s3_client import Bucket

_READ_YET_S: Final = 3_600.0  # a question that began before is over
_MAX_FILE: Final = 8 << 30


class Mirror:
    """`folder` is `PREFIX/NODE` in the bucket, `root` a directory of ours; several processes may share it.

    root/objects/SHA256.parquet    what was brought, proven
    root/ROOT/                     a store as one root of the index has it, complete with its first appearance
    """

    def __init__(self, bucket: Bucket, folder: str, root: Path) -> None:
        self._roots: Final = Roots(bucket, folder)
        self._bucket: Final = bucket
        self._root: Final = root
        self._head: Head = NOTHING

    def bring(self, scope: Scope, *, rows: bool, hourly: bool) -> Path:
        """Have here what a question about this needs; the directory of a decision log that has it.

        Raises CopyUnavailableError, RecordDamagedError, OSError.
        """
        self._head = self._roots.newest(self._head.root.number)
        if self._head.root.number == 0:
            raise CopyUnavailableError("nothing was published there yet", fault="empty")
        log = self._root / f"{self._head.root.number:09d}-{self._head.digest[:16]}"
        (self._root / "objects").mkdir(mode=0o700, parents=True, exist_ok=True)
        if not log.is_dir():
            self._make(log)
        store = LocalStore(log)
        for file in store.manifest.files():
            if scope.may_hold(file):
                if rows:
                    self._fetch("rows", file.sha256, store.rows_path(file))
                if hourly:
                    self._fetch("hourly", file.hourly_sha256, store.hourly_path(file))
        return log

    def _make(self, log: Path) -> None:
        """A store without its files, beside, and then under its name."""
        now = datetime.now(UTC)
        aside = Path(mkdtemp(prefix="new-", dir=self._root))
        store = LocalStore(aside)
        store.layout.make(PosixDisk())
        with store.held():
            for ref in self._head.root.days:
                for file in self._roots.day(ref).files:
                    stored, segments = stored_of(file)
                    store.manifest.add(stored, segments, now)
                    if file.removed:
                        store.manifest.removed(stored, now, "removed at its source")
        try:
            aside.rename(log)
        except OSError:  # another process was faster: the same root gives the same store
            rmtree(aside)
        self._sweep(log)

    def _sweep(self, log: Path) -> None:
        """Remove stores of older roots, but for what a question may be reading yet, and objects that none names."""
        old = time.time() - _READ_YET_S
        for path in self._root.iterdir():
            if path != log and path.name != "objects" and path.stat().st_mtime < old:
                rmtree(path, ignore_errors=True)
        for path in (self._root / "objects").iterdir():
            if path.stat().st_nlink == 1 and path.stat().st_mtime < old:
                path.unlink(missing_ok=True)

    def _fetch(self, part: str, digest: str, path: Path) -> None:
        """One object, written aside and named only when its digest is right."""
        if path.exists():
            return  # it was proven when it came
        there = self._root / "objects" / f"{digest}.parquet"
        if not there.exists():
            self._download(f"{self._roots.folder}/{part}/{digest}.parquet", digest, there)
        with suppress(FileExistsError):
            path.hardlink_to(there)

    def _download(self, key: str, digest: str, there: Path) -> None:
        found = sha256()
        descriptor, aside = mkstemp(prefix="new-", dir=there.parent)  # for the owner alone: it holds personal data
        try:
            with os.fdopen(descriptor, "wb") as file:
                for block in self._bucket.blocks(key, _MAX_FILE):
                    found.update(block)
                    file.write(block)
            if found.hexdigest() != digest:
                raise RecordDamagedError("an object of the store is not what was published under its name")
            Path(aside).replace(there)
        finally:
            Path(aside).unlink(missing_ok=True)


class BucketQueries:
    """A `QueryEngine` over one or more nodes' logs in an object store."""

    def __init__(self, mirrors: Sequence[Mirror], limits: EngineLimits | None = None) -> None:
        self._mirrors: Final = tuple(mirrors)
        self._limits: Final = limits

    def run(self, name: str, params: Mapping[str, object], *, within: Sequence[str] | None = None) -> pa.Table:
        """See `QueryEngine.run`. Also raises RecordDamagedError where an object is not what was published."""
        query, values = asked(name, params)
        person = values.get("person") if query.by_person else None
        scope = Scope(since=values.get("since"), until=values.get("until"), person=person)
        # The stored counts are not those of a bound: its records are counted again.
        counted = within is not None and "hourly" in query.views
        needed = {"rows": "decisions" in query.views or counted, "hourly": "hourly" in query.views and not counted}
        logs = [self._brought(mirror, scope, needed) for mirror in self._mirrors]
        return DuckQueries(logs, self._limits).run(name, params, within=within)

    @staticmethod
    def _brought(mirror: Mirror, scope: Scope, needed: dict[str, bool]) -> Path:
        """An object that is gone may have been replaced a moment ago; the root that says so is read then."""
        try:
            return mirror.bring(scope, **needed)
        except CopyUnavailableError as fault:
            if fault.fault != "NoSuchKey":
                raise
            return mirror.bring(scope, **needed)
