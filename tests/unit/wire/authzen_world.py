"""AuthZEN handlers over a scripted decider, without a socket."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pdp.callers.caller import PERMISSIONS
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.candidates import Candidate, ListedCandidates
from pdp.wire.exchange import HttpRequest
from pdp.wire.page_token import PageTokens
from tests.scripted_decider import OneKey, ScriptedDecider

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Permission
    from pdp.wire.candidates import Candidates
    from pdp.wire.exchange import HttpAnswer

KEY = "key-of-gateway-1"
JSON = {"content-type": "application/json"}
KNOWN = {**JSON, "authorization": f"Bearer {KEY}"}
EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
SEARCH = "/access/v1/search/"


def question(who: str = "u-allow", /, **changes: Any) -> dict[str, Any]:
    """A well-formed evaluation; a change of None leaves the member out."""
    body = {
        "subject": {"type": "user", "id": who},
        "action": {"name": "access"},
        "resource": {"type": "application", "id": "mail"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


class World:
    """The routes of one service, its decider, and a clock that stands until it is moved."""

    def __init__(
        self,
        *,
        profile: Profile = "zta",
        permissions: Iterable[Permission] = PERMISSIONS,
        candidates: Candidates | None = None,
        decider: ScriptedDecider | None = None,
    ) -> None:
        self.decider = decider or ScriptedDecider()
        self.now = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
        self.candidates: Candidates = candidates or listed()
        self.profile: Profile = profile
        self.routes = authzen_routes(
            self.decider,
            OneKey(KEY, permissions),
            profile=lambda: self.profile,
            public_url="https://pdp.example.jp",
            searching=Searching(lambda: self.candidates, PageTokens(b"k" * 32), lambda: self.now),
        )

    def later(self, passed: timedelta) -> None:
        self.now += passed

    async def send(
        self,
        path: str,
        body: object = b"",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = KNOWN,
        method: str = "POST",
    ) -> HttpAnswer:
        pairs = headers.items() if hasattr(headers, "items") else headers
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.routes[path](HttpRequest(method, path, "", tuple(pairs), raw))

    async def ask(self, body: object, path: str = EVALUATION) -> Any:
        """The answer's JSON; the status must be 200."""
        answer = await self.send(path, body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def refused(self, body: object, path: str = EVALUATION, status: int = 400) -> str:
        """The message of the error; the refusal must be recorded, and nothing decided."""
        before = len(self.decider.refused)
        answer = await self.send(path, body)
        assert answer.status == status, answer.body
        error = json.loads(answer.body)["error"]
        assert len(self.decider.refused) == before + 1
        assert error["id"] == header(answer, "x-decision-id")
        return str(error["message"])


def header(answer: HttpAnswer, name: str) -> str | None:
    return dict(answer.headers).get(name)


def listed(users: Iterable[str] = ("u-allow", "u-deny", "u-limit", "u-step")) -> ListedCandidates:
    return ListedCandidates(
        subjects_by_type={"user": [Candidate(name) for name in users]},
        resources_by_type={"application": [Candidate("mail"), Candidate("chat", {"class": "known"})]},
        action_names=[Candidate("access"), Candidate("read", {"soft": True})],
    )
