"""Every policy that ever decided here, for as long as its decisions are to be recomputed.

    STATE/bundles/DIGEST.json               the canonical text of a bundle, whose SHA-256 is its name
    STATE/bundles/DIGEST.damaged-SHORT      what stood under that name and was something else, kept as evidence
    STATE/bundles/lock                      held while something is written here

A file proves itself: `sha256sum` says whether it is what a record's `bundle_digest` names. So nothing here has to
be trusted, and nothing is ever written twice. A bundle's tests and its list of capabilities decide nothing and are
not kept.

INVARIANT (replayable): a bundle is here, durably and read back, before the first decision under it is answered
(`pdp.activation`). Where it cannot be kept, it does not become active: a service that decides what nobody can ever
recompute would not say so by itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pdp.bundle.bundle import bundle_of_canonical
from pdp.declog.disk import Disk, PosixDisk, write_durably
from pdp.declog.lock import held_lock
from pdp.errors import BundleError, NotReadyError, RecordDamagedError
from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.bundle.bundle import Bundle, Profile

MAX_BYTES: Final = 64 * 1024 * 1024  # what an evaluator process takes in one frame: no larger bundle ever decided
_WAIT_S: Final = 10.0  # for others that keep the same bundle: a write of a hundred kilobytes
_DIGITS: Final = frozenset("0123456789abcdef")
_DIGEST_DIGITS: Final = 64
_ENDING: Final = ".json"
_log = get_log("pdp.bundle_archive")


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept bundle. `since` is when it was written here; `revision` and `profile` are None where it is damaged."""

    digest: str
    since: datetime
    bytes: int
    revision: str | None
    profile: Profile | None

    @property
    def damaged(self) -> bool:
        return self.revision is None


class BundleArchive:
    """A directory of bundles by their digest. Processes may share it. Every method blocks."""

    def __init__(self, root: Path, *, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or PosixDisk()

    def keep(self, bundle: Bundle) -> None:
        """Have this bundle on the disk when this returns.

        What stands under its name and is something else is put aside, not overwritten. Raises NotReadyError where
        it cannot be written, and BundleError where its digest is not that of its contents.
        """
        text = bundle.canonical
        if sha256(text).hexdigest() != bundle.digest:
            raise BundleError("the digest of the bundle is not that of its contents")
        path = self._path(bundle.digest)
        try:
            self._make()
            with self._held():
                if not self._stands(path, text):
                    write_durably(self._disk, path, text)
                    if path.read_bytes() != text:
                        raise NotReadyError("the archived policy does not read back as it was written")
                self._disk.sync_directory(self._root)  # also of one that a process wrote that died before this
        except OSError as fault:
            raise NotReadyError(
                f"the policy cannot be archived, and what it decides could not be recomputed: {fault.strerror}",
                next_step="make room in the state directory, or make it writable",
            ) from None

    def load(self, digest: str) -> Bundle:
        """The bundle of this digest, proven. It has no tests and no list of capabilities.

        Raises NotReadyError where it is not here or cannot be read, RecordDamagedError where it is not what its
        name says.
        """
        try:
            text = self._read(self._path(digest))
        except FileNotFoundError:
            raise NotReadyError(
                f"the policy with the digest {digest} is not in the archive",
                next_step="name a copy of it with `--bundle`, or add it with `pdp bundle archive --add DIR`",
            ) from None
        except OSError as fault:
            raise NotReadyError(f"the archive of policies cannot be read: {fault.strerror}") from None
        bundle = _proven(digest, text)
        if bundle is None:
            raise RecordDamagedError(
                f"the archived policy {digest} is not what was kept: its SHA-256 is not its name",
                next_step="keep the file as it is, and put a copy whose SHA-256 is its name in its place",
            )
        return bundle

    def entries(self) -> list[Kept]:
        """All that is kept, the newest first. Raises NotReadyError where the archive cannot be read."""
        try:
            paths = [path for path in self._root.iterdir() if _digest_in(path) is not None]
            found = [self._entry(path) for path in paths]
        except FileNotFoundError:
            return []
        except OSError as fault:
            raise NotReadyError(f"the archive of policies cannot be read: {fault.strerror}") from None
        return sorted(found, key=lambda kept: (kept.since, kept.digest), reverse=True)

    def _entry(self, path: Path) -> Kept:
        digest, facts = path.name.removesuffix(_ENDING), path.stat()
        bundle = _proven(digest, self._read(path))
        since = datetime.fromtimestamp(facts.st_mtime, UTC)
        if bundle is None:
            return Kept(digest, since, facts.st_size, None, None)
        return Kept(digest, since, facts.st_size, bundle.revision, bundle.profile)

    def _path(self, digest: str) -> Path:
        if len(digest) != _DIGEST_DIGITS or not _DIGITS.issuperset(digest):  # from a record: never a way out of here
            raise NotReadyError("a policy's digest is 64 digits of hex", next_step="look at the record")
        return self._root / f"{digest}{_ENDING}"

    def _read(self, path: Path) -> bytes:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)

    def _make(self) -> None:
        missing = [path for path in (self._root, *self._root.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            self._disk.sync_directory(path.parent)

    @contextmanager
    def _held(self) -> Iterator[None]:
        late = NotReadyError("another process has been writing the archive of policies for 10 s")
        with held_lock(self._root / "lock", wait_s=_WAIT_S, late=late):
            yield

    def _stands(self, path: Path, text: bytes) -> bool:
        """Whether the bundle is there already; something else is put aside."""
        try:
            found = self._read(path)
        except FileNotFoundError:
            return False
        if found == text:
            return True
        aside = path.with_name(f"{path.name.removesuffix(_ENDING)}.damaged-{sha256(found).hexdigest()[:16]}")
        self._disk.rename(path, aside)
        _log.error("an archived policy was not what was kept, and was put aside", file=aside.name)
        return False


def _digest_in(path: Path) -> str | None:
    digest = path.name.removesuffix(_ENDING)
    named = path.name.endswith(_ENDING) and len(digest) == _DIGEST_DIGITS and _DIGITS.issuperset(digest)
    return digest if named else None


def _proven(digest: str, text: bytes) -> Bundle | None:
    """The bundle in a text whose SHA-256 this is; None for any other text."""
    if sha256(text).hexdigest() != digest:
        return None
    try:
        bundle = bundle_of_canonical(text)
    except BundleError:
        return None
    return bundle if bundle.digest == digest else None
