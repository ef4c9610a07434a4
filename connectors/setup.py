"""What a connector is given when it is made: its settings and the hands that reach outside. Never more than these.

Every connector module has `def connector(setup: Setup) -> IdentityConnector | PostureConnector`; the registry
finds the module by the `kind` of the source's table in `pdp.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from pdp.errors import SettingsError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    import httpx

Wanted = TypeVar("Wanted")


class HttpFactory(Protocol):
    """Makes a client with finite timeouts, no redirects and no proxy from the environment. The taker closes it."""

    def __call__(self, *, base_url: str = "", verify: ssl.SSLContext | None = None) -> httpx.AsyncClient: ...


@dataclass(frozen=True, slots=True)
class Setup:
    """`name`: of the source, in logs and rows. `settings`: its free table, read with `read`.

    `read_secret(path)`: the text of a small file without the line break at its end; raises SettingsError.
    `clock()`: the time now, aware. `sleep(seconds)`: waits; a test's returns at once.
    """

    name: str
    settings: Mapping[str, Any]
    read_secret: Callable[[str], str]
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    http: HttpFactory

    def read(self, wanted: type[Wanted]) -> Wanted:
        """The settings as this msgspec Struct (make it `forbid_unknown_fields=True`). Raises SettingsError."""
        try:
            return msgspec.convert(dict(self.settings), wanted, strict=True)
        except msgspec.ValidationError as fault:
            raise SettingsError(f"`connectors` `{self.name}`: {fault}") from None
