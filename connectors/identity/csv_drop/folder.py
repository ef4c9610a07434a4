"""The folder on disk: which files are ready, read safely, and moved away. Blocking; the connector runs it in a thread.

Who may write into the folder may try: a link to a file that we may read and they may not, a pipe that never ends, a
file that grows while it is read, a name that climbs out of the folder. So every file is opened by its name below the
folder's own descriptor, without following links and without waiting; it must be a plain file with one name, of an
owner that is allowed and writable by nobody else, and the same before and after it was read.

FOLDER/            where files are dropped
FOLDER/done/       what was taken in: STAMP_DAY_DIGEST_SHEET_NAME; together they are the state of the directory
FOLDER/refused/    what was not, each with its report
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, get_args

from connectors.identity.csv_drop.settings import Sheet
from connectors.port import Refused
from pdp.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.identity.csv_drop.settings import CsvDropSettings

MAX_NAMES: Final = 100_000  # in one folder, ours included
DIGITS: Final = 32  # of a digest in a name: 128 bits, and the name stays within 255 bytes
_MAX_NAME_BYTES: Final = 150
_MANIFEST_BYTES: Final = 1_000_000
_HEX: Final = 64
_STAMP: Final = "%Y%m%dT%H%M%S%fZ"
_KEPT: Final = re.compile(
    rf"(\d{{8}}T\d{{12}}Z)_(\d{{8}})_([0-9a-f]{{32}})_({'|'.join(get_args(Sheet))})_(.+\.csv)", re.ASCII | re.IGNORECASE
)
_MANIFEST_LINE: Final = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_READ_ONLY: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file that is whole and was read. `marker`: the file that said so, where there is one of its own."""

    name: str
    content: bytes
    digest: str
    marker: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in `done/`. `as_of`: the day that its name said, else the day on which it came."""

    file: str
    taken: datetime
    as_of: date
    digest: str
    sheet: Sheet
    name: str


@contextmanager
def opened(settings: CsvDropSettings) -> Iterator[DropFolder]:
    """Raises ConnectorError where the folder cannot be used."""
    held: list[int] = []
    try:
        try:
            held.append(os.open(settings.folder, _FOLDER))
            for name in ("done", "refused"):
                with suppress(FileExistsError):
                    os.mkdir(name, 0o750, dir_fd=held[0])
                held.append(os.open(name, _FOLDER, dir_fd=held[0]))
        except OSError as fault:
            reason = (fault.strerror or "unknown").lower()
            raise ConnectorError(f"the drop folder cannot be used: {reason}", fault="unreachable") from None
        yield DropFolder(settings, *held)
    finally:
        for descriptor in held:
            os.close(descriptor)


class DropFolder:
    def __init__(self, settings: CsvDropSettings, root: int, done: int, refused: int) -> None:
        self._settings = settings
        self._root, self._done, self._refused = root, done, refused
        status = os.fstat(root)
        if status.st_mode & stat.S_IWOTH:
            raise ConnectorError("everybody may write into the drop folder", fault="refused")
        self._owners = frozenset(settings.owners or (status.st_uid, os.geteuid()))
        self.notes: list[Refused] = []

    def dropped(self, now: datetime) -> Iterator[Dropped]:
        """Every CSV file that is ready, by name. What may not be read is noted, and left where it lies."""
        names = sorted(self._names(self._root))
        manifests = self._manifests(names) if self._settings.ready == "manifest" else {}
        waiting = [name for name in names if self._is_candidate(name)]
        for name in waiting[: self._settings.max_files]:
            marker = self._marker(name, names)
            if self._settings.ready == "done" and marker is None:
                continue
            if self._settings.ready == "manifest" and name not in manifests:
                continue
            found = self._read(name, marker, now)
            if found is None:
                continue
            if self._settings.ready == "manifest" and found.digest != manifests[name]:
                self._note("not_whole", name, "it is not what its manifest says; it waits")
                continue
            yield found

    def kept(self) -> list[Kept]:
        """What `done/` holds, the earliest first. Other files there are none of ours."""
        found = (_kept(name) for name in self._names(self._done))
        return sorted((kept for kept in found if kept is not None), key=lambda kept: kept.file)

    def content(self, kept: Kept) -> bytes:
        """Raises ConnectorError where it is not what was taken in."""
        try:
            content = self._bytes(self._done, kept.file)[0]
        except OSError:
            raise ConnectorError(f"`{kept.file}` in `done/` cannot be read", fault="unreachable") from None
        if content is None or sha256(content).hexdigest()[:DIGITS] != kept.digest:
            raise ConnectorError(f"`{kept.file}` in `done/` is not what was taken in", fault="inconsistent")
        return content

    def keep(self, dropped: Dropped, sheet: Sheet, as_of: date, now: datetime) -> Kept:
        """Writes what was read into `done/`, then takes the file and its marker out of the folder."""
        stamp = now.astimezone(UTC).strftime(_STAMP)
        digest = dropped.digest[:DIGITS]
        file = f"{stamp}_{as_of:%Y%m%d}_{digest}_{sheet}_{dropped.name}"
        self._write(self._done, file, dropped.content)
        self.forget(dropped)
        return Kept(file, now, as_of, digest, sheet, dropped.name)

    def refuse(self, dropped: Dropped, report: str, now: datetime) -> str:
        """Moves it aside with its report; the name under which both lie there."""
        file = f"{now.astimezone(UTC).strftime(_STAMP)}_{dropped.digest[:DIGITS]}_{dropped.name}"
        self._write(self._refused, file, dropped.content)
        self._write(self._refused, f"{file}.txt", b"\xef\xbb\xbf" + report.encode())  # Notepad and Excel know it then
        self.forget(dropped)
        return file

    def forget(self, dropped: Dropped) -> None:
        """Takes the file out of the folder, unless somebody has put another under its name meanwhile."""
        with suppress(OSError):
            content, _ = self._bytes(self._root, dropped.name)
            if content != dropped.content:
                return
        for name in (dropped.name, dropped.marker):
            try:
                if name is not None:
                    os.unlink(name, dir_fd=self._root)
            except FileNotFoundError:
                continue
            except OSError:
                self._note("not_removed", name or "", "it was taken in and cannot be removed from the folder")

    def _names(self, folder: int) -> list[str]:
        """Names that are UTF-8 and hold nothing that moves a cursor or climbs. Hidden ones are somebody's half work."""
        found = os.listdir(folder)
        if len(found) > MAX_NAMES:
            raise ConnectorError(f"the drop folder holds more than {MAX_NAMES} files", fault="too_large")
        names = [name for name in found if not name.startswith(".")]
        good = [name for name in names if _is_plain(name)]
        if folder == self._root and len(good) < len(names):
            self._note("bad_name", "", f"{len(names) - len(good)} files have names that are not used")
        return good

    def _is_candidate(self, name: str) -> bool:
        if name in ("done", "refused") or name.endswith((".done", ".manifest")):
            return False
        if not name.lower().endswith(".csv"):
            self._note("not_csv", name, "only files that end with .csv are read")
            return False
        return True

    def _marker(self, name: str, names: list[str]) -> str | None:
        if self._settings.ready != "done":
            return None
        return next((m for m in (f"{name}.done", f"{name[:-4]}.done") if m in names), None)

    def _read(self, name: str, marker: str | None, now: datetime) -> Dropped | None:
        try:
            content, status = self._bytes(self._root, name)
            said = None if marker is None else os.stat(marker, dir_fd=self._root, follow_symlinks=False)
        except OSError as fault:
            self._note("not_readable", name, (fault.strerror or "unknown").lower())
            return None
        if content is None or status is None:
            return None
        if said is not None and said.st_mtime_ns < status.st_mtime_ns:
            return None  # written to after it was said to be whole
        if self._settings.ready == "quiet" and now.timestamp() - status.st_mtime < self._settings.quiet_s:
            return None
        return Dropped(name, content, sha256(content).hexdigest(), marker)

    def _bytes(self, folder: int, name: str) -> tuple[bytes | None, os.stat_result | None]:
        """(content, status); None where it may not be read or changed meanwhile. Raises OSError."""
        descriptor = os.open(name, _READ_ONLY, dir_fd=folder)
        try:
            before = os.fstat(descriptor)
            wrong = self._wrong(before)
            if wrong is not None:
                self._note("not_allowed", name, wrong)
                return None, None
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(self._settings.max_bytes + 1)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(content) != after.st_size:
            return None, None
        return content, after

    def _wrong(self, status: os.stat_result) -> str | None:
        if not stat.S_ISREG(status.st_mode):
            return "it is no plain file"
        if status.st_uid not in self._owners | {os.geteuid()}:
            return "it belongs to somebody who may not drop files here"
        if status.st_nlink != 1:
            return "it has a second name elsewhere"
        if status.st_mode & stat.S_IWOTH:
            return "everybody may write to it"
        return None if status.st_size <= self._settings.max_bytes else "it is larger than `max_bytes`"

    def _write(self, folder: int, name: str, content: bytes) -> None:
        """Whole or not at all; on disk before the dropped file goes. Raises ConnectorError."""
        part = f".{name}.part"
        try:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(part, flags, 0o640, dir_fd=folder), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except OSError as fault:
            reason = (fault.strerror or "unknown").lower()
            raise ConnectorError(f"a file cannot be put aside: {reason}", fault="unreachable") from None

    def _manifests(self, names: list[str]) -> dict[str, str]:
        """What the manifests say of each file; two that differ: neither."""
        found: dict[str, str] = {}
        for name in names:
            if not name.endswith(".manifest"):
                continue
            try:
                content = self._bytes(self._root, name)[0]
            except OSError:
                content = None
            for line in (content or b"")[:_MANIFEST_BYTES].decode("utf-8", "replace").splitlines():
                said = _MANIFEST_LINE.fullmatch(line.strip("\ufeff"))
                if said is not None:
                    digest = said[1].lower()
                    found[said[2]] = digest if found.get(said[2], digest) == digest else "0" * _HEX
        return found

    def _note(self, code: str, name: str, detail: str) -> None:
        note = Refused(code, detail=f"`{name}`: {detail}" if name else detail)
        if note not in self.notes:
            self.notes.append(note)


def _is_plain(name: str) -> bool:
    if not name.isprintable() or "\\" in name or ".." in name:
        return False
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(_KEPT.fullmatch(name)) or len(encoded) <= _MAX_NAME_BYTES


def _kept(file: str) -> Kept | None:
    found = _KEPT.fullmatch(file)
    if found is None:
        return None
    try:
        taken = datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC)
        as_of = datetime.strptime(found[2], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    sheet: Sheet = "roster" if found[4] == "roster" else "orders"
    return Kept(file, taken, as_of, found[3], sheet, found[5])
