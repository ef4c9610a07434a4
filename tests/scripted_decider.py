"""A `Decider` that answers by the subject's id, and remembers what it was asked."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.callers.credentials import Credentials
from pdp.errors import NotAuthenticatedError, NotReadyError
from pdp.model.decision import Decision, Outcome, Text, Verdict

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping
    from typing import Any

    from pdp.callers.caller import Permission
    from pdp.model.request import AccessRequest, Refusal

AT = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
UNTIL = datetime(2023, 8, 1, 1, 5, 0, 999_999, tzinfo=UTC)

VERDICTS: Mapping[str, Verdict] = {
    "u-allow": Verdict(Outcome.ALLOW, ("OK",)),
    "u-warn": Verdict(Outcome.ALLOW, ("OK_REMOTE", "PATCH_OVERDUE_WARN"), {"warn": "PATCH_OVERDUE_WARN"}),
    "u-limit": Verdict(
        Outcome.LIMIT,
        ("OK_MAINTENANCE",),
        {"clipboard": "off", "session_max_minutes": 60, "end_at": "2023-08-01T18:00:00+09:00", "warn": "A;b=c,\r\nd"},
    ),
    "u-step": Verdict(Outcome.STEP_UP, ("STEPUP_AUTH_STRENGTH",), required_auth_level=3),
    "u-deny": Verdict(Outcome.DENY, ("DEVICE_LOST",)),
}
REASON = Text(ja="紛失届のある端末です<&>", en="this terminal is reported lost <&>")


class ScriptedDecider:
    """Who is not in `VERDICTS` is denied, except: `u-late` (no answer before `release`), `u-broken` (a fault
    that nobody foresaw) and `u-not-ready`. The reason's text needs escaping in HTML, on purpose.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[AccessRequest, Caller]] = []
        self.refused: list[tuple[Refusal, Caller]] = []
        self.record_fails = False
        self.release = anyio.Event()
        self._numbers = itertools.count(1)

    async def decide(self, request: AccessRequest, caller: Caller) -> Decision:
        self.asked.append((request, caller))
        match request.subject_id:
            case "u-late":
                await self.release.wait()
            case "u-broken":
                raise RuntimeError("a secret detail")
            case "u-not-ready":
                raise NotReadyError("no policy is active")
        return Decision(
            id=f"decision-{next(self._numbers)}",
            at=AT,
            verdict=VERDICTS.get(request.subject_id, VERDICTS["u-deny"]),
            reason_user=REASON,
            reason_admin=Text(ja="管理者向け", en="for administrators only"),
            expires_at=UNTIL,
            policy_revision="r1",
            bundle_digest="0" * 64,
            directory_epoch=1,
            cache="bypass",
            input=b"null",
            fix="security_office",
            subject_id=request.subject_id,
        )

    def begin(self, request: AccessRequest, caller: Caller) -> Coroutine[Any, Any, Decision]:
        return self.decide(request, caller)

    async def refuse(self, refusal: Refusal, caller: Caller) -> str:
        if self.record_fails:
            raise NotReadyError("the log is full")
        self.refused.append((refusal, caller))
        return f"refusal-{len(self.refused)}"


class OneKey:
    """A `Callers` with one gateway."""

    def __init__(self, key: str, permissions: Iterable[Permission] = PERMISSIONS) -> None:
        self._key = key
        self._caller = Caller("gateway-1", frozenset(permissions))

    def authenticate(self, presented: Credentials | str | None) -> Caller:
        if (presented.key if isinstance(presented, Credentials) else presented) != self._key:
            raise NotAuthenticatedError("no such key")
        return self._caller

    async def introduce(self, presented: Credentials) -> Caller:
        return self.authenticate(presented)
