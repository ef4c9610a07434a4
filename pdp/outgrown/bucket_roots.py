"""The newest root of a node's index in an object store, and the days that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.errors import CopyUnavailableError, RecordDamagedError
from pdp.outgrown.bucket_index import MAX_OBJECT, NO_ROOT, Day, DayRef, Root, encoded, read_day, read_root

if TYPE_CHECKING:
    from pdp.s3_client import Bucket

_MOST_ROOTS: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Head:
    """The newest root and the digest of its bytes; number 0 and no digest where nothing was ever published."""

    root: Root
    digest: str


NOTHING: Final = Head(NO_ROOT, "")


class Roots:
    """`folder` is `PREFIX/NODE`. Reads what it is asked for each time, but days, which never change."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self.bucket: Final = bucket
        self.folder: Final = folder
        self._days: dict[str, Day] = {}

    def newest(self, known: int = 0) -> Head:
        """`known`: a root that was seen before, where the search begins.

        Raises CopyUnavailableError, and RecordDamagedError where it is damaged, or where less is there than was
        known: somebody has taken roots away.
        """
        if known and not self._is_there(known):
            raise RecordDamagedError(f"the object store has lost the index `{known}`, which it had")
        there = self._last(known)
        return self.root(there) if there else NOTHING

    def root(self, number: int) -> Head:
        """Raises as `newest`."""
        from hashlib import sha256

        body = self.bucket.get(self.root_key(number), MAX_OBJECT)
        if body is None:
            raise RecordDamagedError(f"the object store has lost the index `{number}`, which it had")
        return Head(read_root(body, number), sha256(body).hexdigest())

    def day(self, ref: DayRef) -> Day:
        """Raises CopyUnavailableError, RecordDamagedError."""
        if ref.sha256 not in self._days:
            body = self.bucket.get(self.day_key(ref.sha256), MAX_OBJECT)
            if body is None:
                raise RecordDamagedError(f"the object store has lost the index of `{ref.day}`")
            self._days[ref.sha256] = read_day(body, ref)
        return self._days[ref.sha256]

    def forget_days_but(self, refs: tuple[DayRef, ...]) -> None:
        """Keep in memory what counts now."""
        wanted = {ref.sha256 for ref in refs}
        self._days = {digest: day for digest, day in self._days.items() if digest in wanted}

    def commit(self, root: Root) -> Head:
        """Write the next root. Raises CopyUnavailableError, also where another was faster (`conflict`)."""
        body, digest = encoded(root)
        if not self.bucket.put(self.root_key(root.number), body, digest):
            there = self.bucket.get(self.root_key(root.number), MAX_OBJECT)
            if there != body:  # ours may have arrived although its answer did not
                raise CopyUnavailableError("another process publishes to the same place", fault="conflict")
        return Head(root, digest)

    def root_key(self, number: int) -> str:
        return f"{self.folder}/index/{number:09d}.json"

    def day_key(self, digest: str) -> str:
        return f"{self.folder}/days/{digest}.json"

    def _is_there(self, number: int) -> bool:
        return self.bucket.find(self.root_key(number)) is not None

    def _last(self, known: int) -> int:
        """Roots have no gaps: ever longer steps until one is not there, then halve the rest."""
        low, step = known, 1
        while low + step < _MOST_ROOTS and self._is_there(low + step):
            low, step = low + step, step * 2
        high = low + step  # is not there
        while high - low > 1:
            middle = (low + high) // 2
            if self._is_there(middle):
                low = middle
            else:
                high = middle
        return low
