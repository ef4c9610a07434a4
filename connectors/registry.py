"""Which module makes the connector of a `kind`. Modules are loaded when they are asked for: a site has two or three.

To add a kind: a module with `def connector(setup: Setup) -> IdentityConnector | PostureConnector`, and a line here.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from connectors.setup import Setup
from pdp.errors import SettingsError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    import httpx

    from connectors.port import IdentityConnector, PostureConnector
    from connectors.setup import HttpFactory

Brings = Literal["identity", "posture"]

MODULES: Final[Mapping[str, str]] = {
    "ldap": "connectors.identity.ldap",
    "csv_drop": "connectors.identity.csv_drop",
    "intune": "connectors.posture.intune",
    "jamf": "connectors.posture.jamf",
    "fleet": "connectors.posture.fleet",
    "google": "connectors.posture.google",
    "android_management": "connectors.posture.android_management",
    "asset_csv": "connectors.posture.asset_csv",
    "hip": "connectors.posture.hip",
}
_MAX_SECRET_BYTES: Final = 65_536  # a private key with its chain is a tenth of it
_CONNECT_S: Final = 10.0
_READ_S: Final = 60.0  # between two pieces of one answer: a large page of a busy tenant


def brings(kind: str) -> Brings:
    """Whether connectors of this kind bring people or devices' states. Raises SettingsError for an unknown kind."""
    return "identity" if _module(kind).startswith("connectors.identity.") else "posture"


def make(kind: str, setup: Setup) -> IdentityConnector | PostureConnector:
    """The connector. Raises SettingsError for an unknown kind or settings that it cannot use."""
    made: IdentityConnector | PostureConnector = import_module(_module(kind)).connector(setup)
    return made


def real_setup(name: str, settings: Mapping[str, Any], *, http: HttpFactory | None = None) -> Setup:
    """A setup with the real clock, files and network; the composition root's choice."""
    return Setup(
        name=name,
        settings=settings,
        read_secret=read_secret,
        clock=lambda: datetime.now(UTC),
        sleep=asyncio.sleep,
        http=http or http_client,
    )


def read_secret(path: str) -> str:
    """The file's text without the line break at its end. Raises SettingsError, which never names the content."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MAX_SECRET_BYTES + 1)
    except OSError as fault:
        raise SettingsError(f"a secret's file cannot be read: {fault.strerror}") from None
    if len(raw) > _MAX_SECRET_BYTES:
        raise SettingsError("a secret's file is larger than 64 KiB")
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError("a secret's file is not UTF-8") from None
    if not text:
        raise SettingsError("a secret's file is empty")
    return text


def http_client(*, base_url: str = "", verify: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """Finite timeouts, no redirects, no proxy or credentials from the environment."""
    import httpx

    return httpx.AsyncClient(
        base_url=base_url,
        verify=True if verify is None else verify,
        timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S),
        limits=httpx.Limits(max_connections=4),
        follow_redirects=False,
        trust_env=False,
    )


def _module(kind: str) -> str:
    try:
        return MODULES[kind]
    except KeyError:
        known = ", ".join(f"`{name}`" for name in sorted(MODULES))
        raise SettingsError(f"`{kind}` is not a kind of connector; there are {known}") from None
