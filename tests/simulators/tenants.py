"""What the simulators of management APIs share: a tenant that is written to, with faults on demand.

A simulator is an ASGI application for `tests.http_server.serving`. A test lists the `Trouble`s that it wants, each at
the number of a request of its kind (the first is 1; token requests do not count). `tenant.history` holds the tenant (as
JSON) at first and after every write that was carried out: what a plan must never have opened, not for a moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import msgspec

READS = frozenset({"GET", "HEAD"})
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """One request, its path without quoting."""

    method: str
    path: str
    params: dict[str, str]
    body: Any
    authorization: str

    @property
    def writes(self) -> bool:
        return self.method not in READS


@dataclass(frozen=True)
class Said:
    """What a tenant answers; no document: an empty body."""

    status: int
    document: Any = None
    headers: Headers = ()


@dataclass(frozen=True)
class Trouble:
    """What happens to request number `at` of its kind, and to the `times` - 1 after it.

    `done`: the request is carried out all the same. `status` None: the connection is cut instead of an answer.
    """

    at: int
    times: int = 1
    of: Literal["read", "write", "any"] = "write"
    status: int | None = 503
    done: bool = False
    headers: Headers = ()
    expire: bool = False  # every token that was given so far is refused from now on; nothing else goes wrong

    def meets(self, number: int) -> bool:
        return self.at <= number < self.at + self.times


@dataclass
class Tenant:
    """`answer` carries out one authenticated request. `state` is what a copy is kept of."""

    troubles: list[Trouble] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    history: list[bytes] = field(default_factory=list)
    token_path: str = "/token"
    token_life_s: int = 3600
    base_url: str = ""  # set by the test, once the port is known
    tokens: set[str] = field(default_factory=set)
    given: int = 0  # tokens so far
    numbers: dict[str, int] = field(default_factory=lambda: {"read": 0, "write": 0, "any": 0})
    limit: Callable[[Asked], Said | None] = lambda _: None  # the answer to a request beyond the vendor's rate

    def answer(self, asked: Asked) -> Said:
        raise NotImplementedError

    def admits(self, form: dict[str, str]) -> bool:
        """Whether these are the credentials of a client that is known."""
        raise NotImplementedError

    def state(self) -> Any:
        """What there is at this moment, as the vendor holds it."""
        raise NotImplementedError

    def refused(self, status: int) -> Any:
        """The vendor's envelope of a fault."""
        return {"error": status}

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Method and path of every write that was asked for."""
        return [(one.method, one.path) for one in self.asked if one.writes]

    def begin(self) -> None:
        """From here on: no request, no trouble met, one state in the history."""
        self.asked.clear()
        self.troubles.clear()
        self.numbers.update(read=0, write=0, any=0)
        self.history.clear()
        self.remember()

    def remember(self) -> None:
        """The tenant as it stands, into the history."""
        self.history.append(msgspec.json.encode(self.state()))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        asked, raw = await _read(scope, receive)
        if asked.path == self.token_path:
            await _say(send, self._token(dict(parse_qsl(raw.decode()))))
            return
        self.asked.append(asked)
        trouble = self._trouble(asked)
        if trouble is not None and trouble.expire:
            self.tokens.clear()
            trouble = None
        said = self._said(asked, trouble)
        if said is None:
            raise ConnectionAbortedError  # the server closes what it has not answered
        await _say(send, said)

    def _said(self, asked: Asked, trouble: Trouble | None) -> Said | None:
        if asked.authorization.removeprefix("Bearer ") not in self.tokens:
            return Said(401, self.refused(401))
        beyond = self.limit(asked)
        if beyond is not None:
            return beyond
        said = None if trouble is not None and not trouble.done else self.answer(asked)
        if said is not None and asked.writes and said.status < 300:
            self.remember()
        if trouble is None:
            return said
        return None if trouble.status is None else Said(trouble.status, self.refused(trouble.status), trouble.headers)

    def _trouble(self, asked: Asked) -> Trouble | None:
        kind = "write" if asked.writes else "read"
        for one in ("any", kind):
            self.numbers[one] += 1
        return next((one for one in self.troubles if one.of in ("any", kind) and one.meets(self.numbers[one.of])), None)

    def _token(self, form: dict[str, str]) -> Said:
        if not self.admits(form):
            return Said(401, {"error": "invalid_client", "error_description": "secret details"})
        self.given += 1
        token = f"t-{self.given}"
        self.tokens.add(token)
        return Said(200, {"access_token": token, "token_type": "Bearer", "expires_in": self.token_life_s})


async def _read(scope: Any, receive: Any) -> tuple[Asked, bytes]:
    raw = b""
    while True:
        message = await receive()
        raw += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    params = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    is_json = "json" in headers.get("content-type", "")
    body = json.loads(raw) if raw and is_json else None
    return Asked(scope["method"], unquote(scope["path"]), params, body, headers.get("authorization", "")), raw


async def _say(send: Any, said: Said) -> None:
    body = b"" if said.document is None else json.dumps(said.document, ensure_ascii=False).encode()
    fields = [("content-length", str(len(body))), *said.headers]
    if body:
        fields.append(("content-type", "application/json;charset=utf-8"))
    headers = [(name.encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": said.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
