"""Where the files of a decision log lie, and what their names say.

    segments/NODE.WORKER.EPOCH.NUMBER.CREATED.open      being written, or left by a process that died
    segments/NODE.WORKER.EPOCH.NUMBER.CREATED.ndjson    sealed: whole lines only, never written again
    segments/….recovery.json                            beside a segment that was sealed after its process died
    torn/….torn                                         the incomplete last line of such a segment; ….2.torn: another
    locks/NODE.WORKER.lock, locks/start.lock            held while a process lives, or starts

EPOCH is the instant at which the worker started, CREATED that at which the segment was begun (UTC,
microseconds), NUMBER counts the segments of an epoch from 1. A reader finds the segments of a time by
their names alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.declog.disk import Disk

OPEN: Final = ".open"
SEALED: Final = ".ndjson"
_STAMP: Final = "%Y%m%dT%H%M%S%fZ"
_WORD: Final = r"[A-Za-z0-9_-]{1,64}"  # no dot, which parts the name; no slash, which would leave the directory
_NAME: Final = re.compile(
    rf"({_WORD})\.({_WORD})\.([0-9]{{8}}T[0-9]{{12}}Z)\.([0-9]{{6,9}})\.([0-9]{{8}}T[0-9]{{12}}Z)", re.ASCII
)
_TORN: Final = re.compile(r"(.+?\.[0-9]{8}T[0-9]{12}Z)(?:\.[1-9][0-9]?)?\.torn", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """Sorts by node, worker, epoch and number: the order in which one worker wrote."""

    node: str
    worker: str
    epoch: str
    number: int
    created: str

    def __str__(self) -> str:
        return f"{self.node}.{self.worker}.{self.epoch}.{self.number:06d}.{self.created}"

    @property
    def owner(self) -> tuple[str, str]:
        return self.node, self.worker

    @property
    def created_at(self) -> datetime:
        return instant_of(self.created)


def stamp_of(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime(_STAMP)


def instant_of(stamp: str) -> datetime:
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)


def segment_name(text: str) -> SegmentName | None:
    """The parts of a segment's name without its ending, or None where it is no such name."""
    shape = _NAME.fullmatch(text)
    if shape is None:
        return None
    return SegmentName(shape[1], shape[2], shape[3], int(shape[4]), shape[5])


def torn_of(text: str) -> SegmentName | None:
    """The segment that a file of `torn/` belongs to, or None where that is no such name."""
    shape = _TORN.fullmatch(text)
    return None if shape is None else segment_name(shape[1])


def check_word(what: str, word: str) -> None:
    """Raises SettingsError where the name of a node or a worker cannot stand in a file name."""
    if re.fullmatch(_WORD, word, re.ASCII) is None:
        raise SettingsError(f"the {what} `{word}` must be 1 to 64 letters, digits, `-` or `_`")


@dataclass(frozen=True, slots=True)
class Layout:
    root: Path

    @property
    def segments(self) -> Path:
        return self.root / "segments"

    @property
    def torn(self) -> Path:
        return self.root / "torn"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    def make(self, disk: Disk) -> None:
        """Create the directories, durably and for the owner alone: records hold personal data. Raises OSError.

        Synced also where they are there: another process may have made them a moment ago, and not waited.
        """
        for directory in (self.segments, self.torn, self.locks):
            missing = [path for path in (directory, *directory.parents) if not path.exists()]
            for path in reversed(missing):
                path.mkdir(mode=0o700, exist_ok=True)
        device = self.root.stat().st_dev
        for directory in (self.root, *self.root.parents):
            if directory.stat().st_dev != device:
                return  # whoever mounted it sees to the rest
            try:
                disk.sync_directory(directory)
            except PermissionError:  # not ours to read, so not made by us
                if directory in (self.root, self.root.parent):
                    raise
                return

    def open_path(self, name: SegmentName) -> Path:
        return self.segments / f"{name}{OPEN}"

    def sealed_path(self, name: SegmentName) -> Path:
        return self.segments / f"{name}{SEALED}"

    def recovery_path(self, name: SegmentName) -> Path:
        return self.segments / f"{name}.recovery.json"

    def torn_path(self, name: SegmentName, number: int = 1) -> Path:
        """What was cut off at one recovery; a second time is seldom: a cut that a power failure took back."""
        return self.torn / (f"{name}.torn" if number == 1 else f"{name}.{number}.torn")

    def torn_paths(self, name: SegmentName) -> list[Path]:
        """All of them that are there, in their order."""
        found: list[Path] = []
        while (path := self.torn_path(name, len(found) + 1)).exists():
            found.append(path)
        return found

    def lock_path(self, node: str, worker: str) -> Path:
        return self.locks / f"{node}.{worker}.lock"

    def names(self, ending: str | None = None) -> list[SegmentName]:
        """The segments that lie here, in the order of writing; only open or sealed ones where asked."""
        endings = (OPEN, SEALED) if ending is None else (ending,)
        found = {
            name
            for path in self.segments.iterdir()
            if path.suffix in endings and (name := segment_name(path.name.removesuffix(path.suffix))) is not None
        }
        return sorted(found)
