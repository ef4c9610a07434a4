"""How the directory is changed: in one transaction that also moves the epoch and says what it touched.

Every change, an import as well as one posture report, goes through `change`. Workers poll the epoch and
then read only what the change log names (`pdp.directory.snapshot`).
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from pdp.directory.reading import read_posture
from pdp.directory.registers import MAX_ID_LENGTH, device_of, id_fault, key_of, posture_key, without_posture
from pdp.directory.rows import PARTS, Reader
from pdp.errors import DirectoryError
from pdp.model.directory import NOTHING_REPORTED
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.directory.registers import Register
    from pdp.directory.rows import Part, Row
    from pdp.model.directory import CatalogueRow, Device, Emergency, Loan, Permit, PostureReport, User, WorkPermit
    from pdp.model.input import SourceState
    from pdp.store.store import Store

RETAINED_EPOCHS: Final = 2_000  # at 53 posture reports a second, a worker may sleep for half a minute
MAX_LOGGED: Final = 2_000  # rows of one change; beyond it reading everything is as quick
_TRIM_EVERY: Final = 100
_CHUNK: Final = 500
_LOG: Final = tables.directory_changes
_EPOCH: Final = select(tables.directory_meta.c.epoch).with_for_update()  # SQLite: the transaction itself is the lock

_MOVED: Final = update(tables.directory_meta)
_LOGGED: Final = insert(_LOG)


@contextmanager
def change(store: Store, now: datetime) -> Iterator[Change]:
    """One change of the directory: committed whole at the end of the block, or not at all.

    Changes queue; whoever is inside has the directory for themselves, so keep it short. Raises DirectoryError.
    """
    with store.write() as connection:
        yield (inside := Change(connection, now))
        inside.finish()


class Change:
    """What may be done inside `change`. `connection` reads the directory as it stands in this transaction."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.epoch: int = connection.execute(_EPOCH).scalar_one()
        self._now = now
        self._touched: dict[str, set[str]] = defaultdict(set)
        self._states: dict[str, str] = {}

    def put_user(self, user: User) -> None:
        """Add the user, or replace every field and post of the one with this id."""
        self._put("users", user.id, user)

    def put_device(self, device: Device) -> None:
        """Add or replace the device; its posture too, where the value carries one."""
        self._put("devices", device.id, without_posture(device))
        if device.posture != NOTHING_REPORTED:
            self._put("posture", posture_key(device.id, device.posture.source), device.posture)

    def put_permit(self, permit: Permit) -> None:
        """Add the permit, or replace the one of the same device, user and start."""
        self._put("permits", key_of(permit), permit)

    def put_loan(self, loan: Loan) -> None:
        """Add the loan, or replace the one of the same device, user and start."""
        self._put("loans", key_of(loan), loan)

    def put_work_permit(self, permit: WorkPermit) -> None:
        self._put("work_permits", permit.id, permit)

    def put_resource(self, row: CatalogueRow) -> None:
        self._put("resources", row.id, row)

    def put_emergency(self, emergency: Emergency) -> None:
        """Declare, or replace the declaration with the same start (to end it, put it with an earlier end).

        Raises DirectoryError for a declaration without start or end: it relaxes rules, so it cannot be for ever.
        """
        if emergency.period.start is None or emergency.period.end is None:
            raise DirectoryError("a declaration needs its start and its end", next_step="name both times")
        self._put("emergencies", key_of(emergency), emergency)

    def report_posture(self, device_id: str, report: PostureReport) -> bool:
        """Keep the report as the latest of its source; False where a newer one is held, or there is no such device.

        An old report that comes late (or is sent again on purpose) must not hide what was seen after it. One
        without a time replaces nothing that has one. What other sources said stays beside it.
        """
        row = select(tables.devices.c.id).where(tables.devices.c.id == device_id)
        if self.connection.execute(row).first() is None:
            return False
        key = posture_key(device_id, report.source)
        held = read_posture(self.connection, Reader(), [device_id]).get(key)
        if held is not None and not is_newer(report, held):
            return False
        self._put("posture", key, report)
        return True

    def set_source(self, source: str, state: SourceState) -> None:
        """Say whether a source of facts (`posture` or `identity`) answers."""
        if source not in ("posture", "identity"):
            raise ValueError(source)
        column = f"{source}_source"
        held = self.connection.execute(select(tables.directory_meta.c[column])).scalar_one()
        if held != state:
            self._states[column] = state

    def note_sources(self) -> None:
        """The health of a source has changed: workers read it with the next snapshot."""
        self._touched["sources"].add("")

    def note(self, register: Register, key: str) -> None:
        """This row counts as another from now on, though the register itself says what it said."""
        self._touched[register].add(key)

    def add(self, register: Register, rows: Mapping[str, Any]) -> None:
        """Insert rows whose keys are known to be new."""
        for part in PARTS[register]:
            self._insert(part, rows)
        self._touch(register, rows)

    def replace(self, register: Register, rows: Mapping[str, Any]) -> None:
        """Overwrite rows whose keys are known to exist."""
        if not rows:
            return
        if register == "devices":  # two devices may swap certificates, which are unique at every moment
            for keys in _chunks(rows):
                these = update(tables.devices).where(tables.devices.c.id.in_(keys))
                self.connection.execute(these.values(certificate_sha256=None))
        main, *children = PARTS[register]
        written: Row = {c.name: bindparam(c.name) for c in main.table.columns if c.name != main.key.name}
        statement = update(main.table).where(main.key == bindparam("_key")).values(written)
        named = [row | {"_key": row.pop(main.key.name)} for key, value in rows.items() for row in main.rows(key, value)]
        self.connection.execute(statement, named)
        for part in children:
            self._delete(part, rows)
            self._insert(part, rows)
        self._touch(register, rows)

    def remove(self, register: Register, rows: Mapping[str, Any]) -> None:
        """Delete rows; what belongs to them (posts, posture, names on a work permit) goes with them."""
        self._delete(PARTS[register][0], rows)
        self._touch(register, rows)

    def finish(self) -> None:
        """Move the epoch, and write the change log, where anything was touched. Called by `change`."""
        touched = [(register, key) for register, keys in sorted(self._touched.items()) for key in sorted(keys)]
        if not touched and not self._states:
            return
        self.epoch += 1
        values: dict[str, Any] = {"epoch": self.epoch, "changed_at": self._now, **self._states}
        if len(touched) > MAX_LOGGED:
            values["kept_from"] = self.epoch
            self.connection.execute(delete(_LOG))
        else:
            if touched:
                logged = [{"epoch": self.epoch, "register": register, "key": key} for register, key in touched]
                self.connection.execute(_LOGGED, logged)
            if self.epoch % _TRIM_EVERY == 0 and self.epoch > RETAINED_EPOCHS:
                self._trim(self.epoch - RETAINED_EPOCHS)
        self.connection.execute(_MOVED, values)

    def _trim(self, oldest: int) -> None:
        """Forget which rows changed up to `oldest`: whoever is further behind reads everything."""
        self.connection.execute(delete(_LOG).where(_LOG.c.epoch <= oldest))
        stale = tables.directory_meta.c.kept_from < oldest
        self.connection.execute(update(tables.directory_meta).where(stale).values(kept_from=oldest))

    def _put(self, register: Register, key: str, value: Any) -> None:
        for name in names_in(register, value):
            if fault := id_fault(name):
                raise DirectoryError(f"the id `{name[:MAX_ID_LENGTH]}` {fault}", next_step="choose another id")
        main = PARTS[register][0]
        exists = self.connection.execute(select(main.key).where(main.key == key)).first() is not None
        (self.replace if exists else self.add)(register, {key: value})

    def _insert(self, part: Part, rows: Mapping[str, Any]) -> None:
        stored = [row for key, value in rows.items() for row in part.rows(key, value)]
        if stored:
            self.connection.execute(insert(part.table), stored)

    def _delete(self, part: Part, keys: Iterable[str]) -> None:
        for chunk in _chunks(keys):
            self.connection.execute(delete(part.table).where(part.key.in_(chunk)))

    def _touch(self, register: Register, rows: Mapping[str, Any]) -> None:
        if register in ("permits", "loans"):
            self._touched[register].update(row.device for row in rows.values())
        elif register == "posture":
            self._touched["devices"].update(map(device_of, rows))
        elif register in ("users", "devices"):
            self._touched[register].update(rows)
        elif rows:
            self._touched[register].add("")  # a short register: it is read whole


def is_newer(report: PostureReport, held: PostureReport) -> bool:
    """Whether a report may replace the one that is held: not older than it, and not timeless beside a dated one."""
    if held.observed_at is None:
        return True
    return report.observed_at is not None and report.observed_at >= held.observed_at


def names_in(register: Register, value: Any) -> tuple[str, ...]:
    """The ids that a row brings into the directory: its own, and those that nothing else vouches for."""
    if register == "users":
        return (value.id, value.organisation, *value.roles, *(post.department for post in value.posts))
    if register == "devices":
        return (value.id,) if value.department is None else (value.id, value.department)
    if register == "posture":
        return (value.source,)
    if register == "work_permits":
        return (value.id, *value.resources)
    return (value.id, *value.departments, *value.organisations) if register == "resources" else ()


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
