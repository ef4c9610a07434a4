"""What happened, and the events that say so. Pure.

| what changed in our registers | events |
|---|---|
| a subject, session or token was revoked (command, API, back-channel logout, another house) | `session-revoked` |
| a person is not employed any more: left, suspended, out of the register | `account-disabled`, `session-revoked` |
| this person is employed again | `account-enabled` |
| a device no longer has what every decision asks of a posture, or has it again | `device-compliance-change` |
| a device is lost or stolen | the same, and `session-revoked` of each of its users |
| a device is quarantined, retired, or taken out of the register | the same, and `session-revoked` of its users on it |

Events of one happening have one `txn`. Credentials are the identity provider's: this house sees no change of them, and
so offers no `credential-change`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal

from pdp.ssf.events import (
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    COMPLIANT,
    DEVICE_COMPLIANCE_CHANGE,
    NOT_COMPLIANT,
    SESSION_REVOKED,
)
from pdp.ssf.sending.naming import Person, Session, Terminal, Token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pdp.ssf.sending.naming import About

SUPPORTED: Final = (SESSION_REVOKED, DEVICE_COMPLIANCE_CHANGE, ACCOUNT_DISABLED, ACCOUNT_ENABLED)

Cause = Literal[
    "subject_revoked",
    "session_revoked",
    "token_revoked",
    "suspended",
    "ended",
    "not_started",
    "absent",
    "returned",
    "device_lost",
    "device_withdrawn",
    "device_not_compliant",
    "device_compliant",
]
Initiator = Literal["admin", "policy"]
# For an administrator and for the person: Japanese and English.
_TEXTS: Final[Mapping[Cause, tuple[str, str, str, str]]] = {
    "subject_revoked": (
        "この利用者のセッションが失効した",
        "the sessions of this subject were revoked",
        "セッションが終了しました。もう一度ログインしてください",
        "your session has ended; please log in again",
    ),
    "session_revoked": (
        "このセッションが失効した（ログアウトを含む）",
        "this session was revoked, or somebody logged out of it",
        "セッションが終了しました。もう一度ログインしてください",
        "your session has ended; please log in again",
    ),
    "token_revoked": (
        "このトークンが失効した",
        "this token was revoked",
        "セッションが終了しました。もう一度ログインしてください",
        "your session has ended; please log in again",
    ),
    "suspended": (
        "台帳で休職・停止となった",
        "the register says that the account is suspended",
        "アカウントは現在利用できません。所属の担当者に確認してください",
        "your account cannot be used at present; please ask your section",
    ),
    "ended": (
        "台帳で退職・契約終了となった",
        "the register says that the employment has ended",
        "アカウントの利用期間が終了しました",
        "the time for which your account could be used has ended",
    ),
    "not_started": (
        "台帳で利用開始前となった",
        "the register says that the employment has not begun",
        "アカウントの利用開始前です",
        "your account cannot be used yet",
    ),
    "absent": (
        "台帳から削除された",
        "the account is no longer in the register",
        "アカウントは利用できません。所属の担当者に確認してください",
        "your account cannot be used; please ask your section",
    ),
    "returned": (
        "台帳で利用可能に戻った",
        "the register says that the account may be used again",
        "アカウントを再び利用できます",
        "your account can be used again",
    ),
    "device_lost": (
        "端末の紛失・盗難が届け出られた",
        "the device is reported lost or stolen",
        "端末の紛失が届け出られたため、セッションを終了しました",
        "your session has ended because the device is reported lost",
    ),
    "device_withdrawn": (
        "端末が隔離・廃止・台帳から削除された",
        "the device was quarantined, retired or taken out of the register",
        "この端末は利用できなくなりました。ヘルプデスクに確認してください",
        "this device can no longer be used; please ask the help desk",
    ),
    "device_not_compliant": (
        "端末の状態がポリシーの求める水準を満たさない",
        "the state of the device is not what the policy asks for",
        "端末の状態を確認してください（更新・暗号化・セキュリティソフト）",
        "please check this device: updates, encryption, security software",
    ),
    "device_compliant": (
        "端末の状態がポリシーの求める水準を満たした",
        "the state of the device is what the policy asks for",
        "この端末を利用できます",
        "this device can be used",
    ),
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that one event says. `at`: when it happened, as far as is known. `members`: beside the common ones."""

    type: str
    about: About
    cause: Cause
    at: datetime
    initiator: Initiator | None = None
    members: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The event as it stands in `events` (CAEP 1.0 section 2). Seconds are rounded up.

        Whoever reads `event_timestamp` as "issued until then" must not let in what was issued in that very second.
        """
        admin_ja, admin_en, user_ja, user_en = _TEXTS[self.cause]
        return {
            "event_timestamp": ceil(self.at.timestamp()),
            **({} if self.initiator is None else {"initiating_entity": self.initiator}),
            "reason_admin": {"ja": admin_ja, "en": admin_en},
            "reason_user": {"ja": user_ja, "en": user_en},
            **self.members,
        }


def of_mark(about: About, at: datetime) -> list[Happening]:
    """A mark was made (`pdp.identity.revocations`)."""
    cause: Cause = "subject_revoked"
    if isinstance(about, Session):
        cause = "session_revoked"
    elif isinstance(about, Token):
        cause = "token_revoked"
    return [Happening(SESSION_REVOKED, about, cause, at)]


_WITHOUT_WORK: Final[Mapping[str, Cause]] = {
    "suspended": "suspended",
    "ended": "ended",
    "not_started": "not_started",
    "absent": "absent",
}
ACTIVE: Final = "active"
ABSENT: Final = "absent"


def of_person(user_id: str, before: str | None, now_is: str, at: datetime) -> list[Happening]:
    """`before`, `now_is`: an employment of `pdp.input/v1`, or `absent`; None: nobody has looked yet."""
    if before is None or (before == ACTIVE) == (now_is == ACTIVE):
        return []
    person = Person(user_id)
    if now_is == ACTIVE:
        return [Happening(ACCOUNT_ENABLED, person, "returned", at, "admin")]
    cause = _WITHOUT_WORK[now_is]
    return [Happening(one, person, cause, at, "admin") for one in (ACCOUNT_DISABLED, SESSION_REVOKED)]


LOST: Final = "lost"
WITHDRAWN: Final = "withdrawn"
_GONE: Final[Mapping[str, Cause]] = {LOST: "device_lost", WITHDRAWN: "device_withdrawn"}


def of_device(device_id: str, users: Sequence[str], before: str | None, now_is: str, at: datetime) -> list[Happening]:
    """`before`, `now_is`: `compliant`, `not-compliant`, `lost` or `withdrawn`. None: nobody has looked yet.

    Who lost a device may be logged in anywhere from it: a receiver that knows no device ends all of this person's
    sessions. Of a device that is only withdrawn, those on the device end.
    """
    if before is None or before == now_is:
        return []
    found: list[Happening] = []
    was, status = _status(before), _status(now_is)
    gone = _GONE.get(now_is)
    if was != status:
        cause: Cause = gone or ("device_compliant" if status == COMPLIANT else "device_not_compliant")
        members = {"previous_status": was, "current_status": status}
        by: Initiator = "policy" if gone is None else "admin"
        found.append(Happening(DEVICE_COMPLIANCE_CHANGE, Terminal(device_id), cause, at, by, members))
    if gone is not None and (before != LOST or now_is == LOST):
        abouts = [Person(user) if now_is == LOST else Terminal(device_id, user) for user in users]
        found += [Happening(SESSION_REVOKED, about, gone, at, "admin") for about in abouts]
    return found


def _status(state: str) -> str:
    return COMPLIANT if state == COMPLIANT else NOT_COMPLIANT
