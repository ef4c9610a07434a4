"""The store's files into an object store: first the files, then what names them, the root last.

    1 rows and hourly counts, each under its digest, checked by the store as it takes them, and asked for again
    2 the days that have changed, under their digests
    3 the next root: from here on readers see the files, and those that they replace are gone

A process that dies between any two of these leaves objects that nobody names, and the next run finds them there.
"""

from __future__ import annotations

from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.archive.schema import STORE_SCHEMA
from pdp.errors import CopyUnavailableError, RecordDamagedError
from pdp.logs import get_log
from pdp.outgrown.bucket_index import SCHEMA, Day, DayRef, File, Root, day_of, encoded, file_of, ref_of
from pdp.outgrown.bucket_roots import NOTHING, Head, Roots
from pdp.transparency.seal import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from pdp.archive.entries import StoredFile
    from pdp.archive.store import LocalStore
    from pdp.declog.layout import SegmentName
    from pdp.s3_client import Bucket


_log = get_log("pdp.outgrown")


class BucketSink:
    """A `SegmentSink` of what the store has: a segment that is not stored yet is published once it is.

    One process for each log. Where the store merges files or removes them, the next `publish` says so too.
    """

    name: Final = "object_store"
    at_once: Final = 4_096  # one commit of the index for four days of a busy node

    def __init__(self, store: LocalStore, bucket: Bucket, folder: str) -> None:
        self._store: Final = store
        self._bucket: Final = bucket
        self._roots: Final = Roots(bucket, folder)
        self._head: Head = NOTHING

    def close(self) -> None:
        self._bucket.close()

    def stored(self, names: Iterable[SegmentName]) -> frozenset[str]:
        """See `SegmentSink.stored`."""
        there = self._segments(self._files())
        return frozenset(str(name) for name in names if str(name) in there)

    def publish(self, names: Sequence[SegmentName], now: datetime) -> int:
        """See `SegmentSink.publish`. Segments that the store lacks are passed over.

        Where a file is damaged, the others are published before it is told.
        """
        before = self._files()
        damaged: dict[str, RecordDamagedError] = {}
        brought: set[str] = set()
        while True:
            after, new = self._planned(before, frozenset(map(str, names)), damaged)
            odd = len(damaged)
            for stored in new:
                if stored.name not in brought:
                    try:
                        self._upload(stored)
                        brought.add(stored.name)
                    except RecordDamagedError as fault:
                        damaged[stored.name] = fault
            if len(damaged) == odd:
                break
        if after != before:
            self._commit(after, now)
            self._drop(before, after)
        for told in damaged.values():
            raise told
        return len(self._segments(after)) - len(self._segments(before))

    def lacking(self) -> list[str]:
        """Objects that the index names and that are not there whole. Asks for each."""
        named = dict.fromkeys(entry for file in self._files().values() for entry in self._objects(file))
        return [key for key, size, digest in named if not self._is_whole(key, size, digest)]

    def mend(self, lacking: Sequence[str], now: datetime) -> None:  # noqa: ARG002  # as the other sink
        """Bring these again, as far as the store has them. Raises RecordDamagedError where an object is another."""
        wanted = frozenset(lacking)
        local = {stored.name: stored for stored in self._store.manifest.files()}
        for name, file in self._files().items():
            if name in local and any(key in wanted for key, _, _ in self._objects(file)):
                self._upload(local[name])

    def _objects(self, file: File) -> list[tuple[str, int | None, str]]:
        if file.removed:
            return []
        return [
            (self._rows(file.sha256), file.bytes, file.sha256),
            (self._hourly(file.hourly_sha256), None, file.hourly_sha256),
        ]

    # -- what is to be there ---------------------------------------------------------------------------

    def _files(self) -> dict[str, File]:
        """By name, as the newest root has them."""
        self._head = self._roots.newest(self._head.root.number)
        days = self._head.root.days
        self._roots.forget_days_but(days)
        return {file.name: file for ref in days for file in self._roots.day(ref).files}

    @staticmethod
    def _segments(files: dict[str, File]) -> frozenset[str]:
        return frozenset(segment.name for file in files.values() for segment in file.segments)

    def _planned(
        self, before: dict[str, File], names: frozenset[str], damaged: Collection[str]
    ) -> tuple[dict[str, File], list[StoredFile]]:
        """The files that are to be named, and those of them whose objects have to be brought."""
        manifest = self._store.manifest
        local = {stored.name: stored for stored in manifest.files()}
        known = self._segments(before)
        after = {name: file for name, file in before.items() if name in local or file.removed}
        new: list[StoredFile] = []
        for name, stored in local.items():
            segments = manifest.segments_of(name)
            inside = {str(segment.name) for segment in segments}
            if name not in after and name not in damaged and (inside & names or inside <= known):
                after[name] = file_of(stored, segments)
                new.append(stored)
        covered = self._segments(after)
        for name, file in before.items():  # replaced by one that is not to be published yet, or removed for good
            if name not in after and not {segment.name for segment in file.segments} <= covered:
                gone = all(manifest.file_of(segment.name) not in local for segment in file.segments)
                after[name] = _removed(file) if gone else file
        return after, new

    # -- the steps -------------------------------------------------------------------------------------

    def _upload(self, stored: StoredFile) -> None:
        self._bring(self._store.rows_path(stored), self._rows(stored.sha256), stored.sha256)
        self._bring(self._store.hourly_path(stored), self._hourly(stored.hourly_sha256), stored.hourly_sha256)

    def _bring(self, path: Path, key: str, digest: str) -> None:
        """Raises RecordDamagedError where the file is not what was stored: a copy of that would be no help."""
        if digest_of(path) != digest:
            raise RecordDamagedError(f"the stored file `{path.name}` is not what was stored; it is not published")
        size = path.stat().st_size
        with path.open("rb") as file:
            self._bucket.put(key, file, digest)
        if not self._is_whole(key, size, digest):
            raise RecordDamagedError(f"the object store does not give `{path.name}` back as it was")

    def _is_whole(self, key: str, size: int | None, digest: str) -> bool:
        found = self._bucket.find(key)
        if found is None or (size is not None and found.size != size):
            return False
        if found.sha256 is not None:
            return found.sha256 == digest
        read = sha256()  # a store that keeps no digest: it is read whole
        for block in self._bucket.blocks(key, found.size):
            read.update(block)
        return read.hexdigest() == digest

    def _commit(self, files: dict[str, File], now: datetime) -> None:
        before = {ref.day: ref for ref in self._head.root.days}
        by_day: dict[str, list[File]] = {}
        for file in files.values():
            by_day.setdefault(day_of(file), []).append(file)
        refs = [self._day(day, found, before.get(day)) for day, found in sorted(by_day.items())]
        root = Root(
            SCHEMA,
            STORE_SCHEMA,
            self._head.root.number + 1,
            self._head.digest,
            now.astimezone(UTC).isoformat(),
            tuple(refs),
        )
        self._head = self._roots.commit(root)

    def _drop(self, before: dict[str, File], after: dict[str, File]) -> None:
        """Delete what no root names any more: records whose time has passed, or that have pseudonyms now.

        A bucket that does not let us (a lock, no right to) has a lifecycle rule, or should have.
        """
        kept = {key for file in after.values() for key, _, _ in self._objects(file)}
        gone = {key for file in before.values() for key, _, _ in self._objects(file)} - kept
        try:
            for key in sorted(gone):
                self._bucket.delete(key)
        except CopyUnavailableError as fault:
            _log.warning("objects that count no more stay in the object store", fault=fault.fault)

    def _day(self, name: str, files: list[File], before: DayRef | None) -> DayRef:
        day = Day(SCHEMA, name, tuple(sorted(files, key=lambda file: file.name)))
        body, digest = encoded(day)
        if before is None or before.sha256 != digest:
            self._bucket.put(self._roots.day_key(digest), body, digest)
            if not self._is_whole(self._roots.day_key(digest), len(body), digest):
                raise CopyUnavailableError(f"the object store did not keep the index of `{name}`", fault="incomplete")
        return ref_of(day, digest)

    def _rows(self, digest: str) -> str:
        return f"{self._roots.folder}/rows/{digest}.parquet"

    def _hourly(self, digest: str) -> str:
        return f"{self._roots.folder}/hourly/{digest}.parquet"


def _removed(file: File) -> File:
    return msgspec.structs.replace(file, removed=True)
