"""A receiver's stream as one value, and as the stream API shows it (SSF 1.0 section 8.1.1). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pdp.ssf.sending.happenings import SUPPORTED

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.model.ssf_transmitter import SubjectFormat

PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"
POLL_PATH: Final = "/ssf/poll"
Method = Literal["push", "poll"]
Status = Literal["enabled", "paused", "disabled"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a receiver says of its stream: all that it may supply. `events` None: all that are supported."""

    method: Method = "poll"
    endpoint_url: str = ""
    authorization_header: str = ""
    events: tuple[str, ...] | None = None
    description: str = ""
    subject_format: SubjectFormat = "iss_sub"

    def __repr__(self) -> str:
        return f"Wish(method={self.method!r}, endpoint_url={self.endpoint_url!r})"  # never the header: it is a secret


@dataclass(frozen=True, slots=True)
class Stream:
    """`caller` made it and owns it. `held`: an operator paused it, and only an operator lets it go on.

    The numbers are since it was made; `failures` are pushes that failed one after another, up to now.
    """

    id: str
    caller: str
    audience: str
    wish: Wish
    created_at: datetime
    changed_at: datetime
    status: Status = "enabled"
    reason: str = ""
    held: bool = False
    verified_at: datetime | None = None
    delivered: int = 0
    delivered_at: datetime | None = None
    refused: int = 0
    dropped: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    fault: str = ""

    @property
    def delivers(self) -> tuple[str, ...]:
        """The event types that it gets."""
        asked = self.wish.events
        return SUPPORTED if asked is None else tuple(one for one in SUPPORTED if one in asked)


def shown(stream: Stream, issuer: str, base: str, verification_s: int) -> dict[str, Any]:
    """The stream configuration; `base`: where it is polled. The authorization header is never in it."""
    wish = stream.wish
    delivery = {"method": PUSH if wish.method == "push" else POLL, "endpoint_url": wish.endpoint_url}
    if wish.method == "poll":
        delivery["endpoint_url"] = poll_url(base, stream.id)
    told: dict[str, Any] = {
        "stream_id": stream.id,
        "iss": issuer,
        "aud": stream.audience,
        "delivery": delivery,
        "events_supported": list(SUPPORTED),
        "events_requested": list(SUPPORTED if wish.events is None else wish.events),
        "events_delivered": list(stream.delivers),
        "format": wish.subject_format,
    }
    if verification_s:
        told["min_verification_interval"] = verification_s
    if wish.description:
        told["description"] = wish.description
    return told


def shown_status(stream: Stream) -> dict[str, Any]:
    told = {"stream_id": stream.id, "status": stream.status}
    return {**told, "reason": stream.reason} if stream.reason else told


def poll_url(base: str, stream_id: str) -> str:
    return f"{base}{POLL_PATH}/{stream_id}"
