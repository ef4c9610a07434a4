"""The SCIM service with a real store, without sockets: what a provider sends goes through the lane and the desk."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx

from pdp.api.body import Limits
from pdp.api.lane import Lane
from pdp.callers.caller import Caller
from pdp.directory.snapshot import load_snapshot
from pdp.errors import NotAuthenticatedError
from pdp.model.directory import User
from pdp.model.provisioning import GroupRule, ScimTenant
from pdp.scim import limits
from pdp.scim.desk import PREFIX, Desk, Place
from pdp.store.store import Store, open_store

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
NOW = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)

PREFECTURE = ScimTenant(
    kinds={"Employee": "staff", "Contractor": "contractor"},
    departments={"総務部": "soumu", "税務課": "zeimu"},
    groups=(
        GroupRule(external_id="g-server", role="server_admin"),
        GroupRule(display_name="災害対策", role="disaster_response"),
        GroupRule(display_name="Vendors", kind="contractor"),
    ),
)


_ids = itertools.count(1)


@cache
def _template() -> Path:
    place = Path(mkdtemp(prefix="scim-template-")) / "store.db"
    store = open_store(f"sqlite:///{place}")
    store.migrate()
    store.close()
    return place


def new_store(folder: Path) -> Store:
    """A migrated SQLite store of its own."""
    shutil.copy(_template(), folder / "store.db")
    return open_store(f"sqlite:///{folder / 'store.db'}")


class KnownCallers:
    """The callers of a test, by key."""

    def __init__(self, **callers: Caller) -> None:
        self._callers = callers

    def authenticate(self, presented: Any) -> Caller:
        caller = self._callers.get(getattr(presented, "key", None) or "")
        if caller is None:
            raise NotAuthenticatedError("a valid API key is needed")
        return caller

    async def introduce(self, presented: Any) -> Caller:
        return self.authenticate(presented)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class ScimService:
    """`send` speaks for the tenant whose name is its key: entra, okta; `gate` is a caller without the permission."""

    store: Store
    tenants: Mapping[str, ScimTenant]
    now: datetime = NOW
    told: list[int] = field(default_factory=list)
    counted: list[tuple[str, str, str]] = field(default_factory=list)  # client, resource, outcome
    seconds: float = 0.0
    wait_s: float = limits.WAIT_S
    pace: float = 0.0  # seconds that pass with each look at the stopwatch

    def __post_init__(self) -> None:
        self.begun = asyncio.Event()  # a request is worked on
        self.heard = asyncio.Event()  # a change was told
        provisioners = {name: Caller(name, frozenset({"provision"})) for name in ("entra", "okta", "stray")}
        self.place = Place(
            store=self.store,
            callers=KnownCallers(**provisioners, gate=Caller("gate", frozenset({"decide"}))),
            tenants=self.tenants,
            public_url="https://pdp.example.jp",
            secret=b"s" * 32,
            clock=self._clock,
            stopwatch=self._stopwatch,
            new_id=lambda: f"0192f000-0000-7000-8000-{next(_ids):012d}",
            tell=self.told.append,
            look=self._look,
            count=lambda client, resource, outcome, _now: self.counted.append((client, resource, outcome)),
        )
        self.desk = Desk(self.place, wait_s=self.wait_s)
        below, own = f"{PREFIX}/", Limits(body_bytes=limits.READ_BYTES)
        self.app = Lane(_nothing, exact={PREFIX: self.desk}, prefixes={below: self.desk}, prefix_limits={below: own})

    def _clock(self) -> datetime:
        self.begun.set()
        return self.now

    def _stopwatch(self) -> float:
        self.seconds += self.pace
        return self.seconds

    async def _look(self) -> None:
        self.heard.set()

    async def send(
        self, method: str, path: str, body: Any = None, *, key: str | None = "entra", **headers: str
    ) -> Answer:
        """`path` is below /scim/v2; `body` a value, or bytes as they are. Headers: `if_match` is If-Match."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            said["authorization"] = f"Bearer {key}"
        if body is not None:
            said.setdefault("content-type", "application/scim+json")
        raw = body if isinstance(body, bytes | None) else json.dumps(body, ensure_ascii=False).encode()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="https://pdp.example.jp"
        ) as client:
            answer = await client.request(method, PREFIX + path, content=raw, headers=said)
        return Answer(answer.status_code, answer.headers, answer.json() if answer.content else None)

    async def made(self, path: str, body: Any, **options: Any) -> str:
        """The id of a resource that is created."""
        answer = await self.send("POST", path, body, **options)
        assert answer.status == 201, answer.body
        return answer.body["id"]

    async def user(self, user_name: str, /, *, key: str = "entra", **attributes: Any) -> str:
        return await self.made("/Users", {"schemas": [CORE], "userName": user_name, **attributes}, key=key)

    async def group(
        self, display_name: str, members: tuple[str, ...] = (), /, *, key: str = "entra", **attributes: Any
    ) -> str:
        listed = [{"value": member} for member in members]
        return await self.made(
            "/Groups", {"schemas": [GROUP], "displayName": display_name, "members": listed, **attributes}, key=key
        )

    async def patch(self, path: str, *operations: Mapping[str, Any], **options: Any) -> Answer:
        return await self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, **options)

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    def person(self, user_id: str) -> User | None:
        """The directory's row, as decisions see it."""
        return load_snapshot(self.store, loaded_at=self.now).users.get(user_id)

    def everything(self) -> bytes:
        """Every text that the store holds anywhere."""
        url = str(self.store._engine.url.database)
        with sqlite3.connect(url) as connection:
            return "\n".join(connection.iterdump()).encode()


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})
