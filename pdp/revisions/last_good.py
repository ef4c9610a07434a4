"""What was of record here last, on this host's own disk: from which a service starts when the database cannot say.

    STATE/policy/last-good.json     the statement, its signatures and the rest of the activation
    STATE/policy/confirmed.json     when the database last said that this is still of record
    STATE/policy/lock               held while one of them is written

The policy itself is in the archive (`pdp.bundle_archive`), under the digest that the statement names. The file also
holds the highest epoch that was taken on this host, so that an old activation is not taken again after a restart.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.disk import Disk, PosixDisk, write_durably
from pdp.declog.lock import held_lock
from pdp.errors import NotReadyError
from pdp.revisions.revision import Active

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_BYTES: Final = 65_536
_WAIT_S: Final = 5.0


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`at`: when some worker of this host saw that `epoch` was the one of record."""

    epoch: int
    at: datetime


class LastGood:
    """The file of one host; its workers share it. Every method blocks."""

    def __init__(self, directory: Path, *, disk: Disk | None = None) -> None:
        self._directory = directory
        self._disk = disk or PosixDisk()

    def read(self) -> Active | None:
        """None where there is none. Raises NotReadyError for a file that cannot be read, or is none of ours."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_BYTES), type=Active)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.MsgspecError) as fault:
            raise NotReadyError(
                f"the file that says which policy was active here last cannot be read: {type(fault).__name__}",
                next_step="put a copy in its place; without it an old revision could be replayed to this host",
            ) from None

    def keep(self, active: Active) -> None:
        """Have it durably there, unless a later one is. Raises NotReadyError where it cannot be written."""
        with self._alone():
            held = self.read()
            if held is None or held.epoch < active.epoch:
                write_durably(self._disk, self._path, msgspec.json.encode(asdict(active)))

    def confirmed_at(self, epoch: int) -> datetime | None:
        """When this epoch was last seen to be of record; None where no file says so: then nobody knows."""
        held = self._confirmation()
        return held.at if held is not None and held.epoch == epoch and held.at.tzinfo is not None else None

    def confirm(self, epoch: int, at: datetime) -> None:
        """Write down that this epoch is of record. Raises NotReadyError where it cannot be written."""
        with self._alone():
            held = self._confirmation()
            if held is None or held.epoch <= epoch:
                write_durably(self._disk, self._confirmed, msgspec.json.encode(Confirmation(epoch, at)))

    def _confirmation(self) -> Confirmation | None:
        try:
            with self._confirmed.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_BYTES), type=Confirmation)
        except (OSError, ValueError, msgspec.MsgspecError):  # it only ever prolongs: without it the lease is over
            return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            late = NotReadyError("another process has been writing which policy is active for 5 s")
            with held_lock(self._directory / "lock", wait_s=_WAIT_S, late=late):
                yield
        except OSError as fault:
            raise NotReadyError(f"which policy is active cannot be kept on disk: {fault.strerror}") from None

    @property
    def _path(self) -> Path:
        return self._directory / "last-good.json"

    @property
    def _confirmed(self) -> Path:
        return self._directory / "confirmed.json"
