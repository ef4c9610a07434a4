"""What is on the disk of one tenant's delivery, so that an apply that was cut off goes on where it ended.

    STATE/delivery/TENANT/plan.json      the plan in hand, and what the tenant had before it
                          journal.jsonl  one line for each step that was begun, for its job, and for each that was done
                          applied.json   what the tenant has had since the last apply that ended: drift is held to it
                          drift.json     how the last look at the tenant came out
                          lock           held by whoever applies

INVARIANT (written first): a line is on the disk (fsync) before what it speaks of is asked for, and a step counts as
done once its line is. A line that a crash cut off is the last one and counts as not written.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec

from pdp.delivery.plan import SCHEMA, Plan
from pdp.delivery.port import Held
from pdp.errors import ConflictError, RecordDamagedError, RecordFailedError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.delivery.port import Key

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_PLAN: Final = "plan.json"
_JOURNAL: Final = "journal.jsonl"
_APPLIED: Final = "applied.json"
_DRIFT: Final = "drift.json"

Kept = TypeVar("Kept", bound=msgspec.Struct)


class InHand(msgspec.Struct, frozen=True):
    """A plan that was begun, with what the tenant had before."""

    plan: Plan
    before: tuple[Held, ...]


class Applied(msgspec.Struct, frozen=True):
    """What the tenant has since `at` (RFC 3339)."""

    schema: str
    vendor: str
    tenant: str
    export: str
    plan: str
    at: str
    held: tuple[Held, ...]

    @property
    def keys(self) -> frozenset[Key]:
        """The names of all of it."""
        return frozenset(one.thing.key for one in self.held)


class Looked(msgspec.Struct, frozen=True):
    """How a look at the tenant came out: the number of differences, or None where it could not be looked at."""

    at: str
    differences: int | None
    fault: str = ""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the journal."""

    step: int
    is_: Literal["begun", "job", "done"] = msgspec.field(name="is")
    at: str
    note: str = ""


class Journal:
    """The folder of one tenant. Blocks for some milliseconds at each write."""

    def __init__(self, state: Path, tenant: str) -> None:
        """Raises SettingsError for a name that is no name of a folder."""
        if _NAME.fullmatch(tenant) is None:
            raise SettingsError(f"`{tenant}` is no name of a tenant: small letters, digits, `-` and `_`, 64 at most")
        self._folder = state / "delivery" / tenant

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One apply for a tenant at a time on this machine. Raises ConflictError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConflictError("another process delivers to this tenant now") from None
            yield

    # The plan in hand.

    def take(self, in_hand: InHand) -> None:
        """Begin a plan."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = self._folder / _JOURNAL
        journal.unlink(missing_ok=True)  # never emptied in place: lines of another plan must not come back
        journal.touch(mode=0o600)  # its name is on the disk with the plan's: a line of it is then no lost file
        self._write(_PLAN, in_hand)

    def in_hand(self) -> InHand | None:
        """The plan that was begun and has not ended. Raises RecordDamagedError."""
        return self._read(_PLAN, InHand)

    def is_unfinished(self) -> bool:
        """Whether a plan was begun and has not ended. Reads nothing: a plan may have megabytes."""
        return (self._folder / _PLAN).exists()

    def lines(self) -> list[Line]:
        """What was written of the plan in hand. Raises RecordDamagedError for a damaged line that is not the last."""
        try:
            whole = (self._folder / _JOURNAL).read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for line in whole[:-1]:  # behind the last line break stands nothing, or half a line
            try:
                found.append(msgspec.json.decode(line, type=Line))
            except msgspec.DecodeError:
                raise RecordDamagedError("a line of the journal of this delivery cannot be read") from None
        return found

    def note(self, line: Line) -> None:
        """On the disk when it returns. Raises RecordFailedError."""
        try:
            handle = os.open(self._folder / _JOURNAL, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                size = os.lseek(handle, 0, os.SEEK_END)
                while size and os.pread(handle, 1, size - 1) != b"\n":  # half a line of a crash
                    size -= 1
                os.ftruncate(handle, size)
                os.pwrite(handle, msgspec.json.encode(line) + b"\n", size)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as fault:
            raise RecordFailedError(f"the journal of this delivery cannot be written: {fault.strerror}") from None

    def end(self, applied: Applied) -> None:
        """The plan in hand has ended: from now on this is what the tenant has."""
        self._write(_APPLIED, applied)
        self.drop()

    def drop(self) -> None:
        """Put the plan in hand away, as it stands."""
        (self._folder / _PLAN).unlink(missing_ok=True)
        (self._folder / _JOURNAL).unlink(missing_ok=True)
        self._sync()

    # What stands.

    def applied(self) -> Applied | None:
        """Raises RecordDamagedError."""
        return self._read(_APPLIED, Applied)

    def known(self) -> frozenset[Key]:
        """Everything that was ever asked for from here and may still be there."""
        applied, in_hand = self.applied(), self.in_hand()
        keys = set() if applied is None else set(applied.keys)
        if in_hand is not None:
            keys |= {step.key for step in in_hand.plan.steps if step.key is not None}
            keys |= {one.thing.key for one in in_hand.before}
        return frozenset(keys)

    def looked(self, looked: Looked | None = None) -> Looked | None:
        """How the last look came out; or write that."""
        if looked is not None:
            self._write(_DRIFT, looked)
        return self._read(_DRIFT, Looked)

    def _read(self, name: str, kind: type[Kept]) -> Kept | None:
        try:
            return msgspec.json.decode((self._folder / name).read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            raise RecordDamagedError(f"`{name}` of this delivery cannot be read") from None

    def _write(self, name: str, value: msgspec.Struct) -> None:
        """Whole or not at all: beside it, on the disk, then in its place."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._folder / f"{name}.new"
        try:
            with beside.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(msgspec.json.encode(value))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._folder / name)
            self._sync()
        except OSError as fault:
            raise RecordFailedError(f"`{name}` of this delivery cannot be written: {fault.strerror}") from None

    def _sync(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def tenants_in(state: Path) -> list[str]:
    """The names of all tenants that were delivered to from this state directory. What somebody put aside is none."""
    folder = state / "delivery"
    names = sorted(one.parent.name for one in folder.glob(f"*/{_APPLIED}")) if folder.is_dir() else []
    return [name for name in names if _NAME.fullmatch(name)]


def applied_of(in_hand: InHand, held: tuple[Held, ...], at: str) -> Applied:
    """What is written once a plan has ended."""
    plan = in_hand.plan
    return Applied(SCHEMA, plan.vendor, plan.tenant, plan.export, plan.digest, at, held)
