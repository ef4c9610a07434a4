"""From the rows of the files and the directory as it is to the directory as it would be. Pure.

A field that a file does not name keeps what the directory holds; an empty one is cleared. `replace` takes
away the rows that the files do not bring, of the registers that they bring; `merge` takes away nothing.
A posture report is never patched: an old fact under a new time would look fresh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pdp.directory.aliases import STORED_KINDS, split_key
from pdp.directory.building import DEFAULT_SOURCE, Builder
from pdp.directory.files.fields import FIELDS
from pdp.directory.registers import Alias, Registers, device_of, key_of, posture_key
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
        aliases=merging.aliases(devices),
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
        """Of the devices that there are; a report on any other is a fault.

        A replacement takes away only what the sources that the files name had said: a file of the asset register
        says nothing of what the EDR's console reports.
        """
        entries = self.rows.get("posture", {})
        brought = {_source(entry) for entry in entries.values()}
        kept = {key: report for key, report in self._current.posture.items() if report.source not in brought}
        rows = kept | self.register("posture", self._current.posture, self._build.report)
        for key, entry in entries.items():
            id_ = device_of(key)
            if id_ not in devices and id_ not in self.rows.get("devices", {}) and "devices" not in self._unsure:
                step = "add the device, or correct the id"
                self._faults.add(entry.fault("device", f"there is no device `{id_}`", step))
        return {key: report for key, report in sorted(rows.items()) if device_of(key) in devices}

    def aliases(self, devices: Mapping[str, Device]) -> dict[str, Alias]:
        """The other names that the rows of devices give; a kind of name that a row does not speak of stays."""
        given = {id_: said for id_, entry in self.rows.get("devices", {}).items() if (said := _Said.of(entry))}
        found = {
            key: alias
            for key, alias in self._current.aliases.items()
            if alias.device in devices
            and not (alias.device in given and split_key(key)[0] in given[alias.device].kinds)
        }
        for id_, said in given.items():
            for key, column in said.keys.items():
                other = found.setdefault(key, Alias(id_)).device
                if other != id_:
                    message = f"`{split_key(key)[1]}` is a name of `{other}` too"
                    self._faults.add(said.entry.fault(column, message, "correct one of the two"))
        return dict(sorted((key, alias) for key, alias in found.items() if alias.device in devices))


@dataclass(frozen=True, slots=True)
class _Said:
    """What a row says of its device's other names: `keys` with the column of each, of these `kinds`."""

    entry: Entry
    kinds: frozenset[str]
    keys: Mapping[str, str]

    @classmethod
    def of(cls, entry: Entry) -> _Said | None:
        named = [kind for kind in STORED_KINDS if kind in entry.fields]
        keys = dict.fromkeys(entry.fields.get("aliases", ()), "aliases")
        keys |= {f"{kind} {entry.fields[kind]}": kind for kind in named if entry.fields[kind] is not None}
        kinds = STORED_KINDS if "aliases" in entry.fields else named
        return cls(entry, frozenset(kinds), keys) if kinds else None


def _source(entry: Entry) -> str:
    source: str = entry.fields.get("source", DEFAULT_SOURCE)
    return source


def _key(entry: Entry) -> str:
    fields = entry.fields
    if entry.sheet in ("permits", "loans", "emergencies"):
        begins = Period(period_of_dates(fields["from"], None).start)
        row = Emergency(begins) if entry.sheet == "emergencies" else Loan(fields["device"], fields["user"], begins)
        return key_of(row)
    if entry.sheet == "posture":
        return posture_key(fields["device"], _source(entry))
    key: str = fields["id"]
    return key
