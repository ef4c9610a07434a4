"""What a connector is: it reads one system and says what it saw, as values. It never writes the directory.

`pdp.sources` runs connectors, finds our devices for theirs, bounds what a run may remove, and writes each run
whole or not at all. A connector that fails half-way raises, and nothing of its run counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from pdp.model.directory import PostureReport, User

Item = TypeVar("Item")

# How a source may name a device. `id` is the directory's own id; the others are found among the aliases of devices.
NameKind = Literal[
    "id", "serial", "udid", "entra_device_id", "host_name", "asset_tag", "certificate_sha256", "vendor_id"
]


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """One device as a source saw it. `names` is what the source calls it, the most trustworthy first.

    A fact that the source did not give, or gave in a word that the mapping does not know, is "unknown".
    `posture.source` is the connector's name and `posture.observed_at` when the source saw the device (not when we
    asked); None where the source does not say.
    """

    names: Mapping[NameKind, str]
    posture: PostureReport
    platform: str = ""  # the source's word for what it is (`windows`, `ios`); a source that may register goes by it


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that the source holds and that cannot be used. `code`: a short word, counted by it in metrics.

    `key`: the id that the record has, where it could be read: a person whose record is refused is still there,
    and so is not removed. `detail`: for the operator, without secrets.
    """

    code: str
    key: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a run. `removed` names what the source says is gone (ids, or the source's own stable names)."""

    items: tuple[Item, ...]
    removed: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(slots=True)
class Cursor:
    """Filled by the connector while its pages are read."""

    value: str | None = None


@dataclass(frozen=True, slots=True)
class Run(Generic[Item]):
    """What one look at a source brings: its pages, read as they are needed.

    `complete`: the pages together are everything that the source holds, so that what is missing is gone from it.
    `cursor` is asked for after the last page: where the next incremental run goes on, or None.
    """

    pages: AsyncIterator[Page[Item]]
    complete: bool
    cursor: Cursor = field(default_factory=Cursor)


class IdentityConnector(Protocol):
    """Reads people. `name` stands in logs, metrics and the record of each run."""

    @property
    def name(self) -> str: ...

    async def run(self, cursor: str | None, now: datetime) -> Run[User]:
        """Everything (`cursor` None), or what changed since `cursor`. Raises ConnectorError."""
        ...


class PostureConnector(Protocol):
    """Reads devices' states."""

    @property
    def name(self) -> str: ...

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:
        """Everything (`cursor` None), or what changed since `cursor`. Raises ConnectorError."""
        ...
