"""The `warn` state of a revision (警告期間): for a bounded time, what it newly refuses stays permitted, and says so.

A revision in this state is of record like any other. Where it permits, its own answer counts. Where it does not, and
the revision that was of record before it would have permitted the very same document, that former answer counts until
`Grace.until`, with a notice of what comes and from when on.

INVARIANT (no invention): what is enforced is a well-formed answer of one of two approved policies, whole: the former's
reasons and obligations with it. An error, a timeout or a missing engine of the former's leaves the refusal standing.
INVARIANT (never held over): `is_hard` refuses the time to documents about lost devices, ended accounts, private devices
outside their scope, the My Number layer, compromise. Wherever one of these facts is dangerous, its absence is too, so
dropping a fact makes a document hard and never soft: if neither policy turns a deny into an allow when a fact is
dropped, the two together do not (held by a property test).
Both policies judge one document: a revision that changes what documents are built from cannot have this state
(`pdp.revisions.warning`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.bundle.footprint import WHOLE, Footprint
from pdp.model.decision import Verdict
from pdp.model.directory import JST
from pdp.reasons import Wording, reason_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.errors import EngineError
    from pdp.model.input import Device, InputV1

WARNED: Final = "warned"  # the member of an answer's context, and of the record's `policy_context`
_PRIVATE: Final = frozenset({"byod_phone", "byod_tablet", "byod_pc"})
_SIGNS_OF_ATTACK: Final = frozenset({"malware_alert", "impersonation", "impossible_travel"})
_PRIVATE_SCOPE: Final = frozenset({"communication", "home_working"})  # access-rules, section 4
_SEPARATED: Final = frozenset({"mynumber", "unknown"})
_OUT_OF_SERVICE: Final = frozenset({"not_started", "ended"})
# Everything that `is_hard` reads: a verdict that is remembered depends on it too (a test holds the two together).
HARD: Final = Footprint(
    tuple(
        sorted(
            tuple(path.split("."))
            for path in (
                *("subject.kind", "subject.identity_source", "subject.employment"),
                *("device.registered", "device.class", "device.ownership", "device.state"),
                *("device.posture.tampered", "device.posture.edr_running", "device.posture.edr_risk"),
                *("resource.group", "resource.segment", "resource.status", "context.risk"),
            )
        )
    )
)


@dataclass(frozen=True)
class Grace:
    """Beside an active policy: the one before it, on an engine of its own, until `until` (aware; not at it)."""

    former: Bundle
    engine: Engine
    until: datetime
    footprint: Footprint = WHOLE
    failed: Callable[[EngineError], None] = lambda _: None  # the former gave no answer, and the refusal stood
    told: Callable[[str, str], None] = lambda _outcome, _code: None  # what was held over: outcome and first code

    @property
    def sight(self) -> Footprint:
        """What it can depend on beside the active policy's own sight."""
        return self.footprint.together(HARD)

    def tell(self, verdict: Verdict) -> None:
        """Have it counted, where this verdict is one that was held over."""
        held = warned(verdict)
        if held is not None:
            self.told(held["outcome"], held["reasons"][0])

    @cached_property
    def wording(self) -> Wording:
        return Wording(self.former.reasons)

    @property
    def mode(self) -> str:
        """What the key of a verdict has beside the active bundle: a verdict of this time is none of another."""
        return f"warn {self.former.digest} {rfc3339(self.until)}"


class Opinion(NamedTuple):
    """What one policy says of a document."""

    verdict: Verdict
    bundle: Bundle


def is_hard(document: InputV1) -> bool:
    """Whether a refusal of this document counts at once, whatever was permitted before."""
    subject, device, resource, context = document.subject, document.device, document.resource, document.context
    return (
        subject.kind in ("shared_account", "unknown")
        or subject.identity_source == "none"
        or subject.employment != "active"
        or _is_hard_device(device)
        or resource.group in _SEPARATED
        or resource.segment in _SEPARATED
        or resource.status in _OUT_OF_SERVICE
        or (_is_private(device) and resource.group not in _PRIVATE_SCOPE)
        or not _SIGNS_OF_ATTACK.isdisjoint(context.risk)
    )


def _is_private(device: Device) -> bool:
    return device.ownership != "organisation" or device.class_ in _PRIVATE


def _is_hard_device(device: Device) -> bool:
    posture = device.posture
    watched = device.ownership != "private" and posture.edr_running != "not_managed"
    return (
        not device.registered
        or device.class_ in ("unknown", "mynumber_terminal")
        or device.ownership == "unknown"
        or device.state != "in_service"
        or posture.tampered is not False
        or (watched and posture.edr_risk in ("high", "unknown"))
    )


def held_over(document: InputV1, newer: Opinion, former: Opinion, until: datetime) -> Verdict:
    """The verdict that counts: the newer one, or the former's permission with the notice. Pure.

    A verdict that is held over has `context` {"warned": {...}}: what the revision of record says itself, until when
    that does not count, whose permission stands in its place, and what the person is told.
    """
    said, permission = newer.verdict, former.verdict
    if said.permits or not permission.permits or is_hard(document):
        return said
    told: dict[str, Any] = {
        "outcome": said.outcome.value,
        "reasons": list(said.reasons),
        "until": rfc3339(until),
        "former": {"revision": former.bundle.revision, "digest": former.bundle.digest},
        "notice": _notice(newer, until),
    }
    if said.required_auth_level is not None:
        told["required_auth_level"] = said.required_auth_level
    obligations = dict(permission.obligations)
    obligations.setdefault("warn", said.reasons[0])  # access-rules, section 5; one that stands there stays
    return Verdict(permission.outcome, permission.reasons, obligations, None, {WARNED: told})


def warned(verdict: Verdict) -> Mapping[str, Any] | None:
    """What was put in the place of a refusal; None for every other verdict of profile `zta`."""
    found = None if verdict.context is None else verdict.context.get(WARNED)
    return found if isinstance(found, dict) else None


def _notice(newer: Opinion, until: datetime) -> dict[str, str]:
    """What the person is told: from when on, and why."""
    user, _ = reason_texts(newer.verdict.reasons, newer.bundle.reasons)
    at = until.astimezone(JST)
    day = f"{at.year}年{at.month}月{at.day}日{at.hour}時{at.minute:02}分"
    when = f"from {at:%Y-%m-%d %H:%M} (Japan) on"
    if newer.verdict.required_auth_level is not None:
        return {
            "ja": f"{day}から追加の本人確認が必要になります。{user.ja}",
            "en": f"{when} this needs a stronger login: {user.en}",
        }
    return {"ja": f"{day}から利用できなくなります。{user.ja}", "en": f"{when} this is refused: {user.en}"}


def rfc3339(at: datetime) -> str:
    """UTC, whole seconds: the form in which an end is signed."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
