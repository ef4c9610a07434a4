"""What must hold between the rows of the directory as it would be: who is named exists, and is of the right kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pdp.directory.files.faults import THE_DIRECTORY, Fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pdp.directory.files.entry import Entry
    from pdp.directory.files.faults import Faults
    from pdp.directory.files.fields import Sheet
    from pdp.directory.merging import Merged
    from pdp.directory.registers import Registers


def check_references(
    merged: Merged,
    unsure: Collection[Sheet],
    faults: Faults,
    known_resources: Collection[str] | None = None,
) -> None:
    """Add a fault for every id that names nobody, and every certificate that two devices have.

    `known_resources`: the ids of the bundle's catalogue, so that a work permit's systems can be checked;
    without them they are not. Where rows of a register were lost to other faults (`unsure`), an id that
    seems missing there is not reported: its row may only be misread.
    """
    checking = _Checking(merged, unsure, faults, known_resources)
    for reference in (*_references(merged.target), *_of_unbuilt(merged)):
        checking.exists(reference)
    checking.private_and_lent()
    checking.certificates()


_Checked = Literal["users", "devices", "permits", "loans", "work_permits", "resources"]


class _Reference(NamedTuple):
    """In this row of this register, this column names this id, which that other register must hold."""

    register: _Checked
    key: str
    column: str
    of: _Checked
    id: str


def _references(target: Registers) -> Iterator[_Reference]:
    for id_, device in target.devices.items():
        if device.owner is not None:
            yield _Reference("devices", id_, "owner", "users", device.owner)
    registers: tuple[tuple[_Checked, Mapping[str, Any]], ...] = (("permits", target.permits), ("loans", target.loans))
    for register, rows in registers:
        for key, row in rows.items():
            yield _Reference(register, key, "device", "devices", row.device)
            yield _Reference(register, key, "user", "users", row.user)
    for key, permit in target.work_permits.items():
        yield from (_Reference("work_permits", key, "users", "users", id_) for id_ in sorted(permit.users))
        yield from (_Reference("work_permits", key, "devices", "devices", id_) for id_ in sorted(permit.devices))
        yield from (_Reference("work_permits", key, "resources", "resources", id_) for id_ in sorted(permit.resources))


def _of_unbuilt(merged: Merged) -> Iterator[_Reference]:
    """The references of rows that other faults kept out, so that one correction need not wait for the other."""
    registers: tuple[Literal["permits", "loans"], ...] = ("permits", "loans")
    for register in registers:
        for key, entry in merged.rows.get(register, {}).items():
            if key not in merged.target.of(register):
                yield _Reference(register, key, "device", "devices", entry.fields["device"])
                yield _Reference(register, key, "user", "users", entry.fields["user"])


class _Checking:
    def __init__(
        self,
        merged: Merged,
        unsure: Collection[Sheet],
        faults: Faults,
        known_resources: Collection[str] | None,
    ) -> None:
        self._target = merged.target
        self._rows = merged.rows
        self._unsure = unsure
        self._faults = faults
        self._catalogue = known_resources

    def exists(self, reference: _Reference) -> None:
        of, id_, column = reference.of, reference.id, reference.column
        if id_ in self._target.of(of) or of in self._unsure or id_ in self._rows.get(of, {}):
            return
        if of == "resources" and (self._catalogue is None or id_ in self._catalogue):
            return
        noun = of.removesuffix("s")
        entry = self._entry(reference.register, reference.key)
        if entry is not None:
            self._faults.add(entry.fault(column, f"there is no {noun} `{id_}`", "add it, or correct the id"))
            return
        # a row of the directory, whose user or device this import takes away
        message = f"{reference.register} `{reference.key}` names the {noun} `{id_}`, which would be removed"
        self._faults.add(Fault(THE_DIRECTORY, None, column, message, f"keep the {noun}, or change that row too"))

    def private_and_lent(self) -> None:
        """Only what the files bring: a permit is for a private device, a loan for a mobile terminal."""
        self._of_class("permits", "byod_", "private device")
        self._of_class("loans", "mobile_pc", "mobile terminal")

    def _of_class(self, register: Literal["permits", "loans"], prefix: str, kind: str) -> None:
        for entry in self._rows.get(register, {}).values():
            device = self._target.devices.get(entry.fields["device"])
            if device is not None and not device.class_.startswith(prefix):
                message = f"`{device.id}` is a {device.class_}, not a {kind}"
                self._faults.add(entry.fault("device", message, "correct the device, or leave the row out"))

    def certificates(self) -> None:
        owner: dict[str, str] = {}
        for id_, device in self._target.devices.items():
            if device.certificate_sha256 is None or owner.setdefault(device.certificate_sha256, id_) == id_:
                continue
            other = owner[device.certificate_sha256]
            entry = self._entry("devices", id_) or self._entry("devices", other)
            if entry is not None:
                message = f"`{id_}` and `{other}` have the same certificate"
                self._faults.add(entry.fault("certificate_sha256", message, "correct one of the two"))

    def _entry(self, register: _Checked, key: str) -> Entry | None:
        return self._rows.get(register, {}).get(key)
