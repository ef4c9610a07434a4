"""One stream as a worker receives it: what verifies, what it asks, what the transmitter shows us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pdp.identity.fetching import GuardedFetch
    from pdp.identity.provider import IssuerKeys
    from pdp.model.signal_stream import SignalStream
    from pdp.ssf.receiving.secret import Secret
    from pdp.ssf.receiving.transmitter import Transmitter
    from pdp.ssf.token import SetVerifier


@dataclass(frozen=True, slots=True)
class Incoming:
    """`token`: with push what is shown to us, with poll what we show."""

    stream: SignalStream
    keys: IssuerKeys
    verifier: SetVerifier
    transmitter: Transmitter
    fetch: GuardedFetch
    token: Secret
