"""An audit API over a real log and a real trail, asked through the whole application; the engine runs in the test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from pdp.api.app import serve_app
from pdp.api.surface import Surface
from pdp.audit.answering import Answering
from pdp.audit.askers import Answer
from pdp.audit.desk import Desk
from pdp.audit.document import audit_document
from pdp.audit.metrics import NoWatch
from pdp.audit.opening import ground_of
from pdp.audit.question import BYTES, TAIL, Export, Head
from pdp.audit.reception import Reception
from pdp.audit.routes import audit_router
from pdp.audit.saved import SavedQueries
from pdp.audit.saved_desk import SavedDesk
from pdp.callers.caller import Caller
from pdp.errors import NotAuthenticatedError, RecordFailedError
from pdp.parts import new_id, utc_now
from pdp.privacy.pseudonym import Pseudonyms, make_key_file, read_pseudonyms
from pdp.settings import Settings
from pdp.trail.keeping import Trail, trail_path
from pdp.trail.reading import events_of
from tests.unit.archive.logs import DENY, PERMIT, Worker, record
from tests.unit.declog.samples import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from pdp.audit.metrics import Watch
    from pdp.audit.question import Ground, Question
    from pdp.store.store import Store
    from pdp.trail.event import Event

SINCE, UNTIL = "2026-04-01T00:00:00Z", "2026-04-01T01:00:00Z"
DAY = {"since": SINCE, "until": UNTIL}
READ, OPERATE = "audit_read", "audit_operate"
# person: departments
PEOPLE = {"tanaka": ["tax"], "suzuki": ["tax", "welfare"], "sato": ["welfare"], "kato": []}


class DirectAskers:
    """Asks as the process does, without one. `asked`: what came as far as that."""

    def __init__(self, ground: Ground) -> None:
        self._answering = Answering.on(ground)
        self.asked: list[Question] = []

    @asynccontextmanager
    async def asking(self, question: Question, who: str) -> AsyncIterator[Answer]:
        question = msgspec.msgpack.decode(msgspec.msgpack.encode(question), type=type(question))  # as over the pipe
        self.asked.append(question)
        frames: list[tuple[int, bytes]] = []
        if isinstance(question.ask, Export):
            give = lambda data: frames.append((BYTES, data))  # noqa: E731
            tail = self._answering.export(question.ask, question.sight, lambda: None, give)
            head = Head()
        else:
            answer = self._answering.answer(question)
            head, tail = answer.head, answer.tail
            frames.append((BYTES, answer.body))
        frames.append((TAIL, msgspec.msgpack.encode(tail)))
        yield Answer(_Frames(frames), head, 1.0)  # type: ignore[arg-type]


class _Frames:
    def __init__(self, frames: list[tuple[int, bytes]]) -> None:
        self._frames = frames

    async def frame(self, _: float) -> tuple[int, bytes]:
        return self._frames.pop(0)


class BreakableTrail:
    """A trail that is real until it is told to fail."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        self.broken = False

    async def append(self, event: Event) -> None:
        if self.broken:
            raise RecordFailedError("the decision log cannot be written")
        await self._trail.append(event)


@dataclass
class World:
    client: httpx.AsyncClient
    callers: dict[str, Caller]
    trail: BreakableTrail
    place: Path
    askers: Any
    departments: dict[str, list[str]]
    pseudonyms: Pseudonyms

    def caller(self, name: str, *permissions: str, within: list[str] | None = None) -> str:
        self.callers[name] = Caller(name, frozenset(permissions))  # type: ignore[arg-type]
        if within is not None:
            self.departments[name] = within
        return name

    async def get(self, who: str, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(f"/audit/v1{path}", params=params, headers={"x-who": who})

    async def send(self, who: str, method: str, path: str, body: Any) -> httpx.Response:
        return await self.client.request(method, f"/audit/v1{path}", json=body, headers={"x-who": who})

    def events(self) -> list[Event]:
        return sorted(events_of(trail_path(self.place)), key=lambda event: event.id)


def some_log(place: Path) -> list[str]:
    """Records of four people of different departments, sealed and open; gives the ids of theirs."""
    worker = Worker(place / "decisions")
    ids: list[str] = []
    for half in range(2):
        lines: list[bytes] = []
        for n, (person, departments) in enumerate(PEOPLE.items()):
            for k in range(3):
                number = half * 100 + n * 10 + k
                verdict = DENY if k == 0 else PERMIT
                lines.append(
                    record(
                        START + timedelta(seconds=number), number, verdict,
                        person=person, device=f"pc-{person}", subject__departments=departments,
                    )
                )  # fmt: skip
        worker.write(lines)
        ids += [msgspec.json.decode(line)["id"] for line in lines]
        if half == 0:
            worker.seal()
    return ids


@asynccontextmanager
async def world(place: Path, store: Store, watch: Watch | None = None) -> AsyncIterator[World]:
    settings = Settings(state_dir=str(place))
    keys = place / "audit-pseudonyms.keys"
    make_key_file(keys)
    callers: dict[str, Caller] = {}
    departments: dict[str, list[str]] = {}

    async def introduce(request: Any) -> Caller:
        try:
            return callers[request.header("x-who") or ""]
        except KeyError:
            raise NotAuthenticatedError("a valid API key is needed") from None

    trail = Trail(trail_path(place), node="local", clock=utc_now)
    breakable = BreakableTrail(trail)
    askers = DirectAskers(ground_of(settings, keys))
    desk = Desk(Reception(introduce, breakable, utc_now, new_id, watch or NoWatch()), askers, departments)  # type: ignore[arg-type]
    router = audit_router(desk, SavedDesk(desk, SavedQueries(store)))
    app = serve_app(Surface(exact={}, readiness=list, metrics=bytes, routers=(router,), documents=(audit_document(),)))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://audit.test") as client:
            yield World(client, callers, breakable, place, askers, departments, read_pseudonyms(keys))
    finally:
        await trail.close()


def people_in(rows: Iterable[dict[str, Any]]) -> set[str]:
    return {row["person"] for row in rows}
