"""What a connector looks like from here; `connectors.port` says the same for the other side, and neither knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from pdp.model.directory import PostureReport
    from pdp.model.source import NameKind


class Report(Protocol):
    """One device as the source saw it; `names`: the most trustworthy first."""

    @property
    def names(self) -> Mapping[NameKind, str]: ...
    @property
    def posture(self) -> PostureReport: ...
    @property
    def platform(self) -> str: ...


class Refusal(Protocol):
    """A record that cannot be used. `key`: its id, where it could be read."""

    @property
    def code(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def detail(self) -> str: ...


class Page(Protocol):
    @property
    def items(self) -> tuple[Any, ...]: ...
    @property
    def removed(self) -> tuple[str, ...]: ...
    @property
    def refused(self) -> tuple[Refusal, ...]: ...


class Cursor(Protocol):
    @property
    def value(self) -> str | None: ...


class Run(Protocol):
    """`complete`: what is in no page is gone from the source. `cursor` is asked for after the last page."""

    @property
    def pages(self) -> AsyncIterator[Any]: ...
    @property
    def complete(self) -> bool: ...
    @property
    def cursor(self) -> Cursor: ...


class Connector(Protocol):
    """Its items are `User` or `Report`, as the source's settings say."""

    @property
    def name(self) -> str: ...

    async def run(self, cursor: str | None, now: datetime) -> Run:
        """Everything (`cursor` None), or what changed since. Raises ConnectorError."""
        ...
