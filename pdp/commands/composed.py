"""What a command takes from the composition root: settings, a bundle, an engine that is ready, and an end to it all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from pdp.activation import Activation
    from pdp.archive.session import EngineLimits
    from pdp.archive.store import LocalStore
    from pdp.bundle.bundle import Bundle
    from pdp.model.directory import Snapshot
    from pdp.settings import Settings
    from pdp.store.store import Store

_T = TypeVar("_T")


def settings_of(config: Path | None, **overrides: object) -> Settings:
    """The settings with what the command line says on top. Raises SettingsError."""
    from pdp.settings import load_settings

    return load_settings(config, None, **overrides)


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a command's asynchronous part. What the libraries have to say goes to stderr as JSON lines."""
    from pdp.logs import configure_logs

    configure_logs("warning")
    return asyncio.run(coroutine)


def bundle_of(settings: Settings) -> Bundle:
    """The configured bundle. Raises BundleError."""
    from pdp.parts import configured_bundle

    return configured_bundle(settings)


@contextmanager
def store_of(settings: Settings) -> Iterator[Store]:
    """The configured database, for the time of a block. Raises DirectoryError."""
    from pdp.parts import open_directory

    with closing(open_directory(settings)) as store:
        yield store


def directory_of(settings: Settings, now: datetime, *, demo: bool) -> Snapshot:
    """The directory, or the demonstration prefecture as it is at `now`. Raises DirectoryError."""
    from pdp.commands.composed import store_of
    from pdp.directory.demo import demonstration
    from pdp.directory.snapshot import load_snapshot

    if demo:
        return demonstration(now).snapshot(epoch=1, loaded_at=now)
    with store_of(settings) as store:
        return load_snapshot(store, now)


def log_store_of(settings: Settings) -> LocalStore:
    """Where the decision log of this host is stored."""
    from pdp.archive.store import LocalStore

    return LocalStore(settings.decisions_path)


def limits_of(settings: Settings) -> EngineLimits:
    """What a question to the log may take of this machine."""
    from pdp.archive.session import EngineLimits

    return EngineLimits(memory_mb=settings.audit_memory_mb, threads=settings.audit_threads)


@asynccontextmanager
async def engine_for(settings: Settings, bundle: Bundle, *, children: int = 1) -> AsyncIterator[Activation]:
    """The configured engine with this bundle checked, loaded, proved and active.

    `children`: evaluator processes, where the engine has some. Raises BundleError and EngineError.
    """
    from pdp.activation import Activation
    from pdp.parts import open_engine

    engine = open_engine(settings, children=children)
    try:
        activation = Activation(engine)
        await activation.activate(bundle)
        yield activation
    finally:
        await engine.close()
