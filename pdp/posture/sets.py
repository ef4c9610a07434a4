"""What the sets of devices mean that exported rules ask about, from the `sets.json` of the export that is in force."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import NotFoundError, NotReadyError
from pdp.model.rules import Condition  # msgspec reads it at run time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_BYTES: Final = 4 * 1024 * 1024  # the demonstration's 25 sets have 20 KB
_NAME: Final = re.compile(r"(class|device|posture|session)-[A-Za-z0-9_]{1,64}", re.ASCII)


class _Set(msgspec.Struct, frozen=True):
    """The members of a set that this service needs; what the vendor's side of it is, the export knows."""

    name: str
    all_of: tuple[Condition, ...]


class ExportedSets:
    """Sets by name. A file that has changed is read again, so that a new export counts without a restart.

    Several files: of the export that is in force, and of the one that is being delivered. A name that stands in two of
    them means what both say.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._seen: tuple[tuple[int, int], ...] = ()
        self._sets: dict[str, tuple[Condition, ...]] = {}

    def conditions(self, name: str) -> tuple[Condition, ...]:
        """What a device has to be. Raises NotFoundError for no set, NotReadyError where a file cannot be read."""
        if _NAME.fullmatch(name) is None:
            raise NotFoundError("there is no such set")
        try:
            self._look()
        except (OSError, msgspec.DecodeError):
            self._seen = ()
            raise NotReadyError("the sets of the export cannot be read") from None
        if name not in self._sets:
            raise NotFoundError("there is no such set")
        return self._sets[name]

    def _look(self) -> None:
        statuses = [path.stat() for path in self._paths]
        seen = tuple((one.st_mtime_ns, one.st_size) for one in statuses)
        if seen == self._seen:
            return
        if any(one.st_size > MAX_BYTES for one in statuses):
            raise NotReadyError(f"the sets of the export are larger than {MAX_BYTES} bytes")
        found: dict[str, tuple[Condition, ...]] = {}
        for path in self._paths:
            for one in msgspec.json.decode(path.read_bytes(), type=list[_Set]):
                found[one.name] = (*found.get(one.name, ()), *one.all_of)
        self._sets, self._seen = found, seen
