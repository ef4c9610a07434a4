"""Under which circumstances everybody is imagined to ask: stated once, and the same for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.errors import BadRequestError
from pdp.model.input import ActionName, AuthLevel, Known, RiskSignal, SourceState, Underlay, Zone
from pdp.plain_yaml import load_one

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CONTEXTS: Final = 50  # each is one more of everything
EVERY_LIMIT: Final = (
    "browser_only",
    "clipboard",
    "download",
    "print",
    "record_session",
    "save",
    "screen_transfer_only",
    "session_max_minutes",
)


class Stated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One set of circumstances. What is None is as the directory and the calendar have it at that time.

    `pep`: the limits that the enforcement point on the way can apply; without a word every one that there is.
    """

    id: str
    zone: Zone
    underlay: Underlay
    auth_level: AuthLevel
    ja: str = ""
    en: str = ""
    path_encrypted: Known = True
    country: str = "JP"
    auth_age_min: int = 10
    action: ActionName = "access"
    business_day: bool | None = None
    business_hours: bool | None = None
    risk: tuple[RiskSignal, ...] = ()
    pep: tuple[str, ...] = EVERY_LIMIT
    disaster_mode: bool | None = None
    posture_source: SourceState | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    contexts: list[Stated]
    schema: Literal["pdp.contexts/v1"] = "pdp.contexts/v1"


USUAL: Final[tuple[Stated, ...]] = (
    Stated("office", "office", "office", 2, "庁内・執務時間", "in the office, office hours",
           business_day=True, business_hours=True),
    Stated("office-screen", "office", "office", 2, "庁内・画面転送", "in the office, by screen transfer",
           action="screen_transfer", business_day=True, business_hours=True),
    Stated("remote", "sase", "home", 2, "在宅・SASE経由", "at home, through the SASE",
           business_day=True, business_hours=True),
    Stated("remote-strong", "sase", "home", 3, "在宅・SASE経由・強い認証", "at home, through the SASE, strong log-in",
           business_day=True, business_hours=True),
    Stated("mobile", "public", "carrier", 2, "携帯電話回線", "over a mobile line",
           business_day=True, business_hours=True),
    Stated("night", "sase", "home", 3, "在宅・休日", "at home, on a day off", business_day=False, business_hours=False),
    Stated("remote-screen", "sase", "home", 2, "在宅・画面転送", "at home, by screen transfer",
           action="screen_transfer", business_day=True, business_hours=True),
    Stated("remote-read", "sase", "home", 2, "在宅・閲覧だけ", "at home, only reading",
           action="read", business_day=True, business_hours=True),
    Stated("maintenance", "ip_vpn", "carrier", 3, "保守用の閉域網（IP-VPN）", "maintenance over the IP-VPN",
           action="administer", business_day=True, business_hours=True),
    Stated("no-posture", "office", "office", 2,
           "端末の状態を確認できないとき・庁内", "no source of posture, in the office",
           business_day=True, business_hours=True, posture_source="unavailable"),
    Stated("no-posture-remote", "sase", "home", 3,
           "端末の状態を確認できないとき・在宅", "no source of posture, at home",
           business_day=True, business_hours=True, posture_source="unavailable"),
)  # fmt: skip
"""Without a file of one's own: where people of a prefecture usually sit."""


def read_contexts(text: str) -> tuple[Stated, ...]:
    """The contexts of a file: `contexts:`, a list of `Stated`. Raises BadRequestError."""
    try:
        stated = msgspec.convert(load_one(text), _File).contexts
    except (msgspec.ValidationError, ValueError) as fault:
        raise BadRequestError(f"not a file of contexts: {fault}") from None
    return checked(stated)


def checked(stated: Sequence[Stated]) -> tuple[Stated, ...]:
    """Raises BadRequestError for none, too many, or one name twice."""
    if not 1 <= len(stated) <= MAX_CONTEXTS or len({one.id for one in stated}) != len(stated):
        raise BadRequestError(f"1 to {MAX_CONTEXTS} contexts are needed, each with a name of its own")
    return tuple(stated)
