"""How the transmitter is put together for one worker."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import SettingsError
from pdp.identity.signing import SigningKeys
from pdp.model.ssf_transmitter import check_issuer
from pdp.ssf.sending.desk import Place, StreamDesk
from pdp.ssf.sending.metadata import Metadata
from pdp.ssf.sending.naming import Names
from pdp.ssf.sending.outbox import Post
from pdp.ssf.sending.poll_desk import PollDesk
from pdp.ssf.sending.push_client import PushClient
from pdp.ssf.sending.routes import transmitter_router
from pdp.ssf.sending.sender import Sender
from pdp.ssf.sending.teller import Teller
from pdp.ssf.sending.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from fastapi import APIRouter

    from pdp.callers.caller import Caller
    from pdp.model.directory import Snapshot
    from pdp.model.issuer import Issuer
    from pdp.model.ssf_transmitter import SsfTransmitter
    from pdp.posture.score import Thresholds
    from pdp.ssf.sending.metrics import SendingMetrics
    from pdp.ssf.sending.outbox import Waiting
    from pdp.ssf.sending.streams import Stream
    from pdp.store.store import Store
    from pdp.wire.exchange import HttpRequest

TYP: Final = "secevent+jwt"


@dataclass(frozen=True)
class Ground:
    """What the transmitter stands on. `registers`: None while the directory cannot be relied on."""

    store: Store
    introduce: Callable[[HttpRequest], Awaitable[Caller]]
    registers: Callable[[], tuple[Snapshot, Thresholds] | None]
    keys_file: Path
    base_url: str
    issuers: Sequence[Issuer]
    worker: str
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    metrics: SendingMetrics


@asynccontextmanager
async def open_transmitter(settings: SsfTransmitter, ground: Ground) -> AsyncIterator[tuple[APIRouter, Sender]]:
    """The paths, and the task that tells and pushes, while the block runs. Raises SettingsError."""
    issuer = settings.issuer or ground.base_url
    try:
        check_issuer(issuer)
    except ValueError as fault:
        raise SettingsError(str(fault)) from None
    keys = await asyncio.to_thread(SigningKeys, ground.keys_file, ground.clock, time.monotonic)

    def sign(stream: Stream, event: Waiting) -> str:
        claims: dict[str, Any] = {"iss": issuer, "aud": stream.audience, **event.claims}
        return keys.sign(claims, ground.clock(), TYP)

    post = Post(names_of(settings, ground.issuers), settings.outbox_events, ground.new_id)
    teller = Teller(ground.store, post, ground.registers, ground.clock, f"{ground.worker}/{ground.new_id()}")
    sender = Sender(
        ground.store,
        teller,
        PushClient(settings),
        sign,
        clock=ground.clock,
        stopwatch=time.monotonic,
        longest_retry_s=settings.retry_s,
        metrics=ground.metrics,
    )
    threads = Threads("ssf-api")
    place = Place(
        ground.introduce,
        ground.store,
        settings,
        issuer,
        ground.base_url,
        post,
        ground.clock,
        ground.new_id,
        threads,
    )
    public = Metadata(issuer, ground.base_url, keys, ground.clock)
    router = transmitter_router(StreamDesk(place), PollDesk(place, sign, ground.metrics), public, issuer)
    try:
        async with sender.working():
            yield router, sender
    finally:
        threads.close()


def names_of(settings: SsfTransmitter, issuers: Sequence[Issuer]) -> Names:
    """How people are named, by what the settings say of identity providers."""
    return Names(
        issuers=tuple(one.issuer for one in issuers),
        by_sub=tuple(one.issuer for one in issuers if one.subject_claim == "sub"),
        email_domain=settings.email_domain,
    )
