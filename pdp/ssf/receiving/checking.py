"""Whether a SET would count, for people who wonder why one did not. Nothing is taken, and nothing is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.errors import NotReadyError
from pdp.identity.keys import MAX_JWKS, read_jwks
from pdp.ssf.events import REQUIRED, short_name
from pdp.ssf.receiving.acting import unread
from pdp.ssf.receiving.meaning import intents_of
from pdp.ssf.receiving.opening import incoming_of
from pdp.ssf.token import SetRefusedError, judged, opened

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pdp.model.signal_stream import SignalStream
    from pdp.ssf.token import SecurityEventToken


async def check_set(stream: SignalStream, text: str, now: datetime, jwks: Path | None) -> dict[str, Any]:
    """`ok`, and what it says and asks for, or `err` and `why`. Raises NotReadyError where the keys cannot be had.

    Not asked: whether it was taken before, and whether the registers know whom it is about.
    """
    critical = frozenset(stream.critical_members)
    try:
        if jwks is not None:
            jws, _ = opened(text, stream.as_issuer())
            token = judged(jws, read_jwks(_bounded(jwks)), stream.as_issuer(), now, legacy=stream.legacy)
        else:
            incoming = incoming_of(stream, lambda: now)
            try:
                token = await incoming.verifier.verify(text, now)
            finally:
                await incoming.keys.close()
            critical = incoming.transmitter.critical
    except SetRefusedError as fault:
        return {"ok": False, "err": fault.err, "reason": fault.reason, "why": fault.message}
    return {"ok": True, **_said(stream, token, critical)}


def _said(stream: SignalStream, token: SecurityEventToken, critical: frozenset[str]) -> dict[str, Any]:
    event = token.event
    return {
        "jti": token.jti,
        "txn": token.txn or None,
        "event": short_name(event.type),
        "type": event.type,
        "subject": token.subject.to_json(),
        "issued_at": token.issued_at.isoformat(),
        "happened_at": token.happened_at.isoformat(),
        "asks_for": [f"{one.deed}:{one.cause}" if one.cause else one.deed for one in intents_of(event)],
        "allowed": sorted({one.effect for one in intents_of(event)} & set(stream.effects)),
        "not_for_us": unread(stream, critical, token) or None,
        "missing_members": [name for name in REQUIRED.get(event.type, ()) if name not in event.members],
    }


def _bounded(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_JWKS + 1)
    except OSError as fault:
        raise NotReadyError(f"the keys cannot be read: {fault.strerror}") from None
