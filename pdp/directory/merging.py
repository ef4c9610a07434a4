"""From the rows of the files and the directory as it is to the directory as it would be. Pure.

A field that a file does not name keeps what the directory holds; an empty one is cleared. `replace` takes
away the rows that the files do not bring, of the registers that they bring; `merge` takes away nothing.
A posture report is never patched: an old fact under a new time would look fresh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pdp.directory.building import Builder
from pdp.directory.files.fields import FIELDS
from pdp.directory.registers import Registers, key_of
from pdp.model.directory import Emergency, Loan, Period, period_of_dates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from pdp.directory.files.entry import Entry
    from pdp.directory.files.faults import Faults
    from pdp.directory.files.fields import Sheet
    from pdp.directory.files.reading import Reading
    from pdp.model.directory import Device, PostureReport, User


@dataclass(frozen=True, slots=True)
class Merged:
    """`rows` are the entries by sheet and key; `kept_newer` the devices whose held posture is newer than the file's."""

    target: Registers
    rows: Mapping[Sheet, Mapping[str, Entry]]
    kept_newer: tuple[str, ...]


def merge(
    current: Registers,
    reading: Reading,
    *,
    remove_the_rest: bool,
    now: datetime,
    faults: Faults,
) -> Merged:
    """The directory after the import, complete only where no fault was added."""
    build = Builder(now, faults)
    merging = _Merging(current, reading, reading.brought if remove_the_rest else (), build, faults)
    users, devices = merging.users(), merging.devices()
    posture = merging.posture(devices)
    target = Registers(
        users=users,
        devices=devices,
        posture=posture,
        permits=merging.register("permits", current.permits, build.permit),
        loans=merging.register("loans", current.loans, build.loan),
        work_permits=merging.register("work_permits", current.work_permits, build.work_permit),
        resources=merging.register("resources", current.resources, build.resource),
        emergencies=merging.register("emergencies", current.emergencies, build.emergency),
    )
    return Merged(target, merging.rows, tuple(build.kept_newer))


class _Merging:
    def __init__(
        self,
        current: Registers,
        reading: Reading,
        replaced: Collection[Sheet],
        build: Builder,
        faults: Faults,
    ) -> None:
        self._current = current
        self._replaced = replaced
        self._build = build
        self._faults = faults
        self._posts: dict[str, list[Entry]] = {}
        self._unsure = reading.unsure
        self.rows: dict[Sheet, dict[str, Entry]] = {}
        for entry in reading.entries:
            self._index(entry)

    def _index(self, entry: Entry) -> None:
        if entry.sheet == "posts":
            self._posts.setdefault(entry.fields["user"], []).append(entry)
            return
        key = _key(entry)
        first = self.rows.setdefault(entry.sheet, {}).setdefault(key, entry)
        if first is not entry:
            self._faults.add(entry.fault(None, f"`{key}` stands in {first.place} too", "leave one of the two out"))

    def register(self, sheet: Sheet, current: Mapping[str, Any], build: Callable[[Entry, Any], Any]) -> dict[str, Any]:
        """The rows of one register: what stays, and what the entries make of theirs."""
        rows = self.rows.get(sheet, {})
        target = dict(current) if sheet not in self._replaced else {k: v for k, v in current.items() if k in rows}
        for key, entry in rows.items():
            held = current.get(key)
            if held is None and self._lacks(entry):
                continue
            built = build(entry, held)
            if built is not None:
                target[key] = built
        return dict(sorted(target.items()))

    def _lacks(self, entry: Entry) -> bool:
        """Adds a fault for every field that a new row needs and the file does not name."""
        lacking = dict.fromkeys(
            field.target for field in FIELDS[entry.sheet] if field.needed and field.target not in entry.fields
        )
        for name in lacking:
            if name not in entry.columns:  # where it was named, its own fault says more
                self._faults.add(entry.fault(name, "is missing, and the row is new", "say it"))
        return bool(lacking)

    def users(self) -> dict[str, User]:
        users: dict[str, User] = self.register("users", self._current.users, self._build.user)
        for id_, entries in self._posts.items():
            user = users.get(id_)
            own = self.rows.get("users", {}).get(id_)
            if user is None:
                if own is None and "users" not in self._unsure:
                    missing = entries[0].fault("user", f"there is no user `{id_}`", "add the user, or correct the id")
                    self._faults.add(missing)
            elif own is not None and (own.fields.get("posts") or own.fields.get("department")):
                self._faults.add(entries[0].fault("user", f"{own.place} gives posts of this user too", "say them once"))
            else:
                ordered = sorted(entries, key=lambda e: (e.fields.get("order") is None, e.fields.get("order") or 0))
                users[id_] = replace(user, posts=self._build.posts(ordered))
        if "posts" in self._replaced:
            self._drop_posts(users)
        return users

    def _drop_posts(self, users: dict[str, User]) -> None:
        """Of the users whom no posts file names: they hold no post any more."""
        own = self.rows.get("users", {})
        for id_, user in users.items():
            said = id_ in own and not {"posts", "department"}.isdisjoint(own[id_].fields)
            if user.posts and id_ not in self._posts and not said:
                users[id_] = replace(user, posts=())

    def devices(self) -> dict[str, Device]:
        return self.register("devices", self._current.devices, self._build.device)

    def posture(self, devices: Mapping[str, Device]) -> dict[str, PostureReport]:
        """Of the devices that there are; a report on any other is a fault."""
        rows = self.register("posture", self._current.posture, self._build.report)
        for id_, entry in self.rows.get("posture", {}).items():
            if id_ not in devices and id_ not in self.rows.get("devices", {}) and "devices" not in self._unsure:
                step = "add the device, or correct the id"
                self._faults.add(entry.fault("device", f"there is no device `{id_}`", step))
        return {id_: report for id_, report in rows.items() if id_ in devices}


def _key(entry: Entry) -> str:
    fields = entry.fields
    if entry.sheet in ("permits", "loans", "emergencies"):
        begins = Period(period_of_dates(fields["from"], None).start)
        row = Emergency(begins) if entry.sheet == "emergencies" else Loan(fields["device"], fields["user"], begins)
        return key_of(row)
    key: str = fields["device"] if entry.sheet == "posture" else fields["id"]
    return key
