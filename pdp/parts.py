"""The parts of a service that a command needs too, each made without the others.

Imports are late: `pdp eval` needs an engine and no database, no client of OPA and no web framework, which
together take most of a second to load.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.cache.levels import VerdictCache
    from pdp.engine.port import Engine
    from pdp.identity.levels import LevelTable
    from pdp.settings import Settings
    from pdp.store.store import Store


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    """A uuid7 (RFC 9562): its first 48 bits are the time, by which the decision log finds it again."""
    import uuid_utils

    return str(uuid_utils.uuid7())


def open_engine(settings: Settings, *, children: int = 1) -> Engine:
    """The chosen engine, with nothing loaded. Raises SettingsError where its token cannot be read."""
    from pdp.errors import SettingsError

    deadline = timedelta(milliseconds=settings.engine_deadline_ms)
    if settings.engine == "regorus":
        from pdp.engine.regorus import RegorusEngine

        return RegorusEngine(deadline=deadline, children=children)
    from pdp.engine.opa_server import OpaServerEngine

    token = None
    if settings.opa_token_file:
        try:
            with open(settings.opa_token_file, encoding="utf-8") as file:  # noqa: PTH123  # a name from the settings
                token = file.read().strip()
        except OSError as fault:
            raise SettingsError(f"`opa_token_file` cannot be read: {fault.strerror}") from None
    return OpaServerEngine(settings.opa_url, deadline=deadline, token=token)


def open_cache(settings: Settings) -> VerdictCache | None:
    """The decision cache with its level in this process; None where it is switched off."""
    from pdp.cache.levels import VerdictCache
    from pdp.cache.local import LocalLevel

    if settings.cache == "off":
        return None
    return VerdictCache(LocalLevel(settings.cache_entries))


def open_directory(settings: Settings) -> Store:
    """The control plane's database, migrated. Raises DirectoryError."""
    from pdp.store.store import open_store

    if not settings.database_url:
        settings.state_path.mkdir(parents=True, exist_ok=True)
    store = open_store(settings.store_url)
    store.migrate()
    return store


def configured_bundle(settings: Settings) -> Bundle:
    """The bundle that the settings name. Raises BundleError, also where it is of another profile."""
    from pdp.bundle.bundle import read_bundle
    from pdp.errors import BundleError

    bundle = read_bundle(settings.bundle_path)
    if settings.profile and bundle.profile != settings.profile:
        raise BundleError(f"the bundle is of profile {bundle.profile}, and {settings.profile} is asked for")
    return bundle


def level_table(settings: Settings) -> LevelTable:
    """How this deployment reads its identity provider: our own names, and what the settings add."""
    from pdp.identity.levels import DEFAULT_ACR, LevelTable

    return LevelTable({**DEFAULT_ACR, **settings.acr_levels})
