"""What a command takes from the composition root: settings, a bundle, an engine that is ready, and an end to it all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path
    from typing import Any

    from pdp.activation import Activation
    from pdp.bundle.bundle import Bundle
    from pdp.settings import Settings

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
