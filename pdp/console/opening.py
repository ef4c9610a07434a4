"""The console of one worker, made of its parts."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI

from pdp.console.accounts import Accounts
from pdp.console.attempts import Attempts
from pdp.console.deeds import Deeds
from pdp.console.front import Front
from pdp.console.guard import Origin
from pdp.console.house import House
from pdp.console.inner import InnerApi
from pdp.console.oidc import Provider
from pdp.console.sealing import LoginSeal
from pdp.console.session_api import sessions_router
from pdp.console.sessions import Sessions
from pdp.console.site import PAGES
from pdp.console.view import View
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from fastapi import APIRouter

    from pdp.audit.reception import Reception
    from pdp.console.sessions import Session
    from pdp.model.console import ConsoleSettings
    from pdp.store.store import Store

_KEY_BYTES: Final = 32
_MAX_SECRET: Final = 4_096


@asynccontextmanager
async def open_console(  # noqa: PLR0913  # the composition root names each
    settings: ConsoleSettings,
    *,
    base_url: str,
    store: Store,
    reception: Reception,
    routers: Sequence[APIRouter],
    key: Callable[[], bytes],
    is_revoked: Callable[[Session], bool],
) -> AsyncIterator[tuple[APIRouter, APIRouter]]:
    """(its pages, its part of the API). `routers`: the API that pages ask; `key` makes the key where no file is named.

    Raises SettingsError.
    """
    clock, new_id = reception.clock, reception.new_id
    try:
        origin = Origin(base_url)
    except ValueError as fault:
        raise SettingsError(str(fault)) from None
    idle, most = timedelta(minutes=settings.idle_minutes), timedelta(hours=settings.session_hours)
    sessions = Sessions(store, clock, new_id, idle=idle, most=most)
    ours = sessions_router(reception, sessions)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    for router in (*routers, ours):
        app.include_router(router)
    accounts = Accounts(Path(settings.accounts_file)) if settings.accounts_file else None
    if accounts is not None:
        accounts.read()  # a file that cannot be read is found at the start, and not in the emergency
    async with AsyncExitStack() as stack:
        provider = _provider(settings, origin, clock)
        if provider is not None:
            stack.push_async_callback(provider.close)
        house = House(
            origin=origin,
            api=InnerApi(app),
            view=View(origin, PAGES, targets=_targets(settings)),
            sessions=sessions,
            seal=LoginSeal(_key(settings) or key()),
            deeds=Deeds(reception.trail, clock, new_id),
            clock=clock,
            attempts=Attempts(),
            is_revoked=is_revoked,
            provider=provider,
            accounts=accounts,
        )
        yield Front(house, PAGES).router, ours


def _provider(settings: ConsoleSettings, origin: Origin, clock: Callable[[], datetime]) -> Provider | None:
    if not settings.issuer:
        return None
    secret = (
        _read(settings.client_secret_file, "client_secret_file").strip().decode() if settings.client_secret_file else ""
    )
    try:
        return Provider(settings, secret=secret, redirect=f"{origin.url}/console/login/back", clock=clock)
    except (ValueError, OSError) as fault:
        raise SettingsError(f"`console`: {fault}") from None


def _targets(settings: ConsoleSettings) -> tuple[str, ...]:
    """Where the form of the logout may lead in the end: browsers hold `form-action` against redirects too."""
    if not settings.issuer:
        return ()
    from urllib.parse import urlsplit

    parts = urlsplit(settings.issuer)
    return (f"{parts.scheme}://{parts.netloc}", *(f"https://{host}" for host in settings.hosts))


def _key(settings: ConsoleSettings) -> bytes | None:
    if not settings.key_file:
        return None
    found = _read(settings.key_file, "key_file")
    if len(found) != _KEY_BYTES:
        raise SettingsError(
            f"`console.key_file` has not {_KEY_BYTES} bytes", next_step="make one with `openssl rand 32`"
        )
    return found


def _read(name: str, setting: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(_MAX_SECRET)
    except OSError as fault:
        raise SettingsError(f"`console.{setting}` cannot be read: {fault.strerror}") from None
