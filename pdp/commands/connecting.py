"""The composition of the process that runs sources: the only place in `pdp` that makes connectors.

They run beside the service, never in it: the vendors' secrets do not lie in the process that gateways talk to,
and 16,000 records are not read where decisions have milliseconds.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from pdp.model.source import Brings, SourceSettings
    from pdp.settings import Settings
    from pdp.sources.runner import Ending, Source


def run_sources(settings: Settings, names: Sequence[str], *, once: bool, full: bool) -> list[Ending] | None:
    """Run these sources (all, where none is named) once, or until SIGTERM or SIGINT; None then.

    Raises SettingsError, DirectoryError.
    """
    from pdp.logs import configure_logs

    configure_logs(settings.log_level)
    return asyncio.run(_run(settings, names, once=once, full=full))


def check_sources(
    settings: Settings, names: Sequence[str]
) -> list[tuple[str, Mapping[str, int], Mapping[str, list[str]]]]:
    """(name, counts, samples) of what a complete run of each would do. Raises ConnectorError, too."""
    from pdp.parts import open_directory, utc_now
    from pdp.sources.applying import lay
    from pdp.sources.gathering import gather

    sources = chosen(configured(settings), names)
    store = open_directory(settings)

    async def read(source: Source) -> tuple[str, Mapping[str, int], Mapping[str, list[str]]]:
        async with asyncio.timeout(source.settings.timeout_s):
            gathered = await gather(await source.connector.run(None, utc_now()))
        with store.read() as connection:
            laid = lay(connection, source.brings, source.settings, gathered, utc_now())
        counts = {what: count for what, count in laid.counts.items() if count}
        return source.settings.name, counts | {"would_remove": len(laid.removals)}, laid.samples

    try:
        return [asyncio.run(read(source)) for source in sources]
    finally:
        store.close()


def configured(settings: Settings) -> list[tuple[SourceSettings, Brings]]:
    """Every source of the settings. Raises SettingsError for a name that stands twice, or an unknown kind."""
    from connectors import registry

    names = [source.name for source in settings.connectors]
    if len(set(names)) < len(names):
        raise SettingsError("two `connectors` have the same name")
    if not names:
        raise SettingsError("no source is configured", next_step="add a `[[connectors]]` table to `pdp.toml`")
    return [(source, registry.brings(source.kind)) for source in settings.connectors]


def chosen(every: Sequence[tuple[SourceSettings, Brings]], names: Sequence[str]) -> list[Source]:
    """Those of these names, or all, each with its connector. Raises SettingsError, also as a connector does."""
    known = {source.name: (source, brings) for source, brings in every}
    for name in names:
        if name not in known:
            listed = ", ".join(f"`{known_name}`" for known_name in known)
            raise SettingsError(f"there is no source `{name}` in the settings; there are {listed}")
    return [_made(*known[name]) for name in names or known]


def _made(source: SourceSettings, brings: Brings) -> Source:
    from connectors import registry
    from pdp.sources.runner import Source

    setup = registry.real_setup(source.name, source.settings)
    return Source(source, brings, registry.make(source.kind, setup))


async def _run(settings: Settings, names: Sequence[str], *, once: bool, full: bool) -> list[Ending] | None:
    import random

    from pdp.parts import new_id, open_directory, utc_now
    from pdp.sources.runner import Runner, Surroundings, enrol_all

    every = configured(settings)
    wanted = chosen(every, names)
    store = open_directory(settings)
    try:
        async with _telling(settings) as tell:
            epoch = enrol_all(store, every, utc_now())
            await tell(epoch)
            around = Surroundings(
                store=store,
                clock=utc_now,
                sleep=asyncio.sleep,
                chance=random.random,
                tell=tell,
                holder=new_id(),
            )
            runner = Runner(wanted, around)
            if once:
                return await runner.once(full=full)
            await _until_ended(runner.forever())
            return None
    finally:
        store.close()


async def _until_ended(running: Awaitable[None]) -> None:
    """A supervisor's SIGTERM ends a run between two awaits: what it read counts for nothing, and leases are freed."""
    task = asyncio.ensure_future(running)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def _telling(settings: Settings) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """What tells the workers of an epoch; without Redis they see it at their next poll."""
    if not settings.redis_url:
        yield _tell_nobody
        return
    from pdp.logs import get_log
    from pdp.parts import redis_place
    from pdp.signals.announcing import DEADLINE_S
    from pdp.signals.teller import Teller

    log = get_log("pdp.sources")
    teller = Teller(redis_place(settings), settings.redis_prefix, deadline_s=DEADLINE_S)
    await teller.prepare()

    async def tell(epoch: int) -> None:
        fault = await teller.tell("directory", str(epoch))
        if fault is not None:
            log.warning("the workers could not be told; they see the change at their next poll", reason=fault)

    try:
        yield tell
    finally:
        await teller.close()


async def _tell_nobody(_epoch: int) -> None:
    return None
