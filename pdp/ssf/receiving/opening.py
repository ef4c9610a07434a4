"""The receiving side of one worker, made of its parts."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from pdp.errors import SettingsError
from pdp.identity.fetching import GuardedFetch
from pdp.identity.provider import IssuerKeys
from pdp.ssf.receiving.acting import Acting
from pdp.ssf.receiving.incoming import Incoming
from pdp.ssf.receiving.keeping import Keeper
from pdp.ssf.receiving.metrics import ReceivingMetrics
from pdp.ssf.receiving.push import PREFIX, PushEndpoint
from pdp.ssf.receiving.resolving import Resolver
from pdp.ssf.receiving.secret import Secret
from pdp.ssf.receiving.taking import Desk
from pdp.ssf.receiving.transmitter import Transmitter
from pdp.ssf.token import SetVerifier
from pdp.trail.keeping import Trail, trail_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from pdp.model.signal_stream import SignalStream
    from pdp.settings import Settings
    from pdp.signals.port import Kind
    from pdp.store.store import Store


class Around(NamedTuple):
    """What the receiving side takes from outside. `holder`: a name on leases, unlike any other worker's."""

    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    new_state: Callable[[], str]
    chance: Callable[[], float]
    holder: str
    registry: CollectorRegistry
    look: Callable[[frozenset[Kind]], Awaitable[None]]


class Receiving(NamedTuple):
    """`endpoint` is at `PREFIX`; None where no stream is pushed."""

    endpoint: PushEndpoint | None
    keeper: Keeper


def incoming_of(stream: SignalStream, clock: Callable[[], datetime]) -> Incoming:
    """One stream, whose keys nobody has begun to fetch. Raises SettingsError."""
    pushed = stream.delivery == "push"
    token = Secret(stream.token_file, f"signal_streams.{stream.name}.token_file")
    management = (
        Secret(stream.management_token_file, f"signal_streams.{stream.name}.management_token_file")
        if stream.management_token_file
        else (None if pushed else token)
    )
    issuer = stream.as_issuer()
    try:
        fetch = GuardedFetch(issuer)
    except ValueError as fault:
        raise SettingsError(f"the stream `{stream.name}`: {fault}") from None
    transmitter = Transmitter(stream, fetch, management)
    keys = IssuerKeys(issuer, transmitter.keys, clock)
    return Incoming(stream, keys, SetVerifier(keys, legacy=stream.legacy), transmitter, fetch, token)


def check_streams(streams: Sequence[SignalStream]) -> None:
    """Raises SettingsError for what two streams cannot both be."""
    names = [stream.name for stream in streams]
    if len(set(names)) < len(names):
        raise SettingsError("`signal_streams` has one name twice")


@asynccontextmanager
async def open_receiving(settings: Settings, store: Store, around: Around) -> AsyncIterator[Receiving]:
    """Every configured stream, while the block runs. Raises SettingsError, DirectoryError."""
    check_streams(settings.signal_streams)
    issuers = {issuer.issuer: issuer for issuer in settings.issuers}
    metrics = ReceivingMetrics(around.registry)
    async with AsyncExitStack() as stack:
        trail = Trail(trail_path(settings.state_path), node=settings.node, clock=around.clock)
        stack.push_async_callback(trail.close)
        streams = [incoming_of(stream, around.clock) for stream in settings.signal_streams]
        for one in streams:
            stack.push_async_callback(one.keys.close)
            one.keys.refresh()
        desk = Desk(
            store,
            {one.stream.name: Acting(one.stream, Resolver(one.stream, issuers)) for one in streams},
            clock=around.clock,
            new_id=around.new_id,
            trail=trail,
            metrics=metrics,
            look=around.look,
        )
        keeper = Keeper(
            store,
            streams,
            desk,
            clock=around.clock,
            new_state=around.new_state,
            chance=around.chance,
            holder=around.holder,
            metrics=metrics,
        )
        await keeper.start()
        stack.push_async_callback(keeper.close)
        desk.start()
        stack.push_async_callback(desk.close)
        pushed = {one.stream.name: one for one in streams if one.stream.delivery == "push"}
        yield Receiving(PushEndpoint(desk, pushed) if pushed else None, keeper)


__all__ = ["PREFIX", "Around", "Receiving", "check_streams", "incoming_of", "open_receiving"]
