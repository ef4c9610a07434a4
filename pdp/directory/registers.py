"""The registers of the directory as plain mappings: what is stored, imported, compared and generated."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, fields, replace
from datetime import UTC
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

from pdp.directory.posture import merged
from pdp.model.directory import (
    NOTHING_REPORTED,
    CatalogueRow,
    Device,
    Emergency,
    Loan,
    Permit,
    PostureReport,
    Snapshot,
    User,
    WorkPermit,
    snapshot_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pdp.model.input import SourceState

Register = Literal[
    "users", "devices", "posture", "aliases", "permits", "loans", "work_permits", "resources", "emergencies"
]
REGISTERS: Final[tuple[Register, ...]] = get_args(Register)

MAX_ID_LENGTH: Final = 128  # as long as the store's columns; longer names are no ids
_T = TypeVar("_T")
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of this device; the name itself is the key. `source`: who said so."""

    device: str
    source: str = "import"


@dataclass(frozen=True, slots=True)
class Registers:
    """The whole directory by key. A device stands without its posture, which is a register of its own.

    The keys: the row's own id; posture by device and source (`posture_key`); an alias by its kind and name
    (`pdp.directory.aliases`); a permit, loan or emergency by `key_of`.
    """

    users: Mapping[str, User] = field(default_factory=lambda: _EMPTY)
    devices: Mapping[str, Device] = field(default_factory=lambda: _EMPTY)
    posture: Mapping[str, PostureReport] = field(default_factory=lambda: _EMPTY)
    aliases: Mapping[str, Alias] = field(default_factory=lambda: _EMPTY)
    permits: Mapping[str, Permit] = field(default_factory=lambda: _EMPTY)
    loans: Mapping[str, Loan] = field(default_factory=lambda: _EMPTY)
    work_permits: Mapping[str, WorkPermit] = field(default_factory=lambda: _EMPTY)
    resources: Mapping[str, CatalogueRow] = field(default_factory=lambda: _EMPTY)
    emergencies: Mapping[str, Emergency] = field(default_factory=lambda: _EMPTY)

    def of(self, register: Register) -> Mapping[str, Any]:
        """The rows of one register by key."""
        rows: Mapping[str, Any] = getattr(self, register)
        return rows

    def is_empty(self) -> bool:
        return not any(self.of(register) for register in REGISTERS)

    def snapshot(
        self,
        epoch: int,
        *,
        loaded_at: datetime | None = None,
        posture_source: SourceState = "ok",
        identity_source: SourceState = "ok",
    ) -> Snapshot:
        """The same directory, indexed for decisions; a device carries what its sources together say."""
        posture = posture_by_device(self.posture)
        return snapshot_of(
            epoch=epoch,
            users=self.users.values(),
            devices=[with_posture(device, posture.get(id_)) for id_, device in self.devices.items()],
            permits=self.permits.values(),
            loans=self.loans.values(),
            work_permits=self.work_permits.values(),
            resources=self.resources.values(),
            emergencies=self.emergencies.values(),
            posture_source=posture_source,
            identity_source=identity_source,
            loaded_at=loaded_at,
        )


def registers_of(  # noqa: PLR0913  # the registers are many, and each has its name
    *,
    users: Iterable[User] = (),
    devices: Iterable[Device] = (),
    permits: Iterable[Permit] = (),
    loans: Iterable[Loan] = (),
    work_permits: Iterable[WorkPermit] = (),
    resources: Iterable[CatalogueRow] = (),
    emergencies: Iterable[Emergency] = (),
) -> Registers:
    """Key the rows, in the order of the store (by key); a device's posture is taken off it.

    Later rows with the same key replace earlier ones.
    """
    whole = {device.id: device for device in devices}
    return Registers(
        users=_sorted({user.id: user for user in users}),
        devices=_sorted({id_: without_posture(device) for id_, device in whole.items()}),
        posture=_sorted(
            {
                posture_key(id_, device.posture.source): device.posture
                for id_, device in whole.items()
                if device.posture != NOTHING_REPORTED
            }
        ),
        permits=_sorted({key_of(permit): permit for permit in permits}),
        loans=_sorted({key_of(loan): loan for loan in loans}),
        work_permits=_sorted({permit.id: permit for permit in work_permits}),
        resources=_sorted({row.id: row for row in resources}),
        emergencies=_sorted({key_of(emergency): emergency for emergency in emergencies}),
    )


def _sorted(rows: dict[str, _T]) -> dict[str, _T]:
    return dict(sorted(rows.items()))


def with_posture(device: Device, report: PostureReport | None) -> Device:
    return device if report is None else replace(device, posture=report)


def without_posture(device: Device) -> Device:
    return device if device.posture is NOTHING_REPORTED else replace(device, posture=NOTHING_REPORTED)


def posture_key(device: str, source: str) -> str:
    """The key of what one source says of one device. A device's id holds no space (`id_fault`)."""
    return f"{device} {source}"


def device_of(posture_key: str) -> str:
    return posture_key.partition(" ")[0]


def posture_by_device(reports: Mapping[str, PostureReport]) -> dict[str, PostureReport]:
    """What the sources of each device together say."""
    by_device: dict[str, list[PostureReport]] = {}
    for key, report in reports.items():
        by_device.setdefault(device_of(key), []).append(report)
    return {device: merged(those) for device, those in by_device.items()}


def key_of(row: Permit | Loan | Emergency) -> str:
    """The key of a row without an id: device, user and start; an emergency's start alone.

    Ids hold no space (`id_fault`), so that two rows never share a key by accident.
    """
    start = "-" if row.period.start is None else row.period.start.astimezone(UTC).isoformat()
    return start if isinstance(row, Emergency) else f"{row.device} {row.user} {start}"


def changed_fields(old: Any, new: Any) -> tuple[str, ...]:
    """The names of the fields in which two values of the same model class differ."""
    return tuple(f.name.rstrip("_") for f in fields(old) if getattr(old, f.name) != getattr(new, f.name))


def id_fault(text: str) -> str | None:
    """What is wrong with an id, or None.

    Ids are compared by their bytes in tokens, certificates and policies, so two that look alike must not
    differ: no spaces, no invisible characters, no full-width or half-width variants (NFKC).
    """
    if not text:
        return "is empty"
    if len(text) > MAX_ID_LENGTH:
        return f"is longer than {MAX_ID_LENGTH} characters"
    if not text.isprintable() or any(character.isspace() for character in text):
        return "holds a space, a control character or an invisible one"
    if unicodedata.normalize("NFKC", text) != text:
        return "holds full-width, half-width or composed characters where plain ones exist"
    return None
