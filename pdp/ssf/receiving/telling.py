"""How an event that was taken stands in the trail, for auditors: who sent it, what it says, what it did. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pdp.declog.marks import rfc3339
from pdp.ssf.events import short_name
from pdp.trail.event import Actor, event_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pdp.ssf.receiving.inbox import Taken
    from pdp.trail.event import Event


def told(event_id: str, now: datetime, taken: Taken, outcome: str, effects: Sequence[str]) -> Event:
    """`ssf.receive`, once for each SET. `reason` is what the transmitter tells administrators, as it says it."""
    return event_of(
        event_id,
        now,
        Actor(kind="system", id=f"ssf:{taken.stream}"),
        "ssf.receive",
        "done",
        object=taken.stream,
        parameters={
            "issuer": taken.issuer,
            "jti": taken.jti,
            "txn": taken.txn or None,
            "event": short_name(taken.event.type),
            "type": taken.event.type,
            "subject": msgspec.json.encode(taken.subject.to_json()).decode(),
            "happened_at": rfc3339(taken.happened_at),
            "received_at": rfc3339(taken.received_at),
            "result": outcome,
            "effects": list(effects),
        },
        reason=reason_of(taken.event.members),
    )


def reason_of(members: Mapping[str, Any]) -> str | None:
    """What `reason_admin` says, in Japanese or English where it does, else in its first language."""
    reasons = members.get("reason_admin")
    if isinstance(reasons, str):
        return reasons or None
    if not isinstance(reasons, dict):
        return None
    texts = {name: text for name, text in reasons.items() if isinstance(text, str) and text}
    return texts.get("ja") or texts.get("en") or next(iter(texts.values()), None)
