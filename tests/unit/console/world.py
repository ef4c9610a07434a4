"""A console over a real log, a real trail, a real database and the whole application; the clock is the test's."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx

from pdp.api.app import serve_app
from pdp.api.surface import Surface
from pdp.audit.desk import Desk
from pdp.audit.opening import ground_of
from pdp.audit.reception import Reception
from pdp.audit.routes import audit_router
from pdp.audit.saved import SavedQueries
from pdp.audit.saved_desk import SavedDesk
from pdp.bundle.bundle import read_bundle
from pdp.callers.caller import UnsafeAnyone
from pdp.console.opening import open_console
from pdp.console.person import Person
from pdp.console.sessions import Sessions
from pdp.errors import EngineError, SekishoError
from pdp.facts.reference import read_reference
from pdp.gates.trying import Trials
from pdp.governance.desk import Desk as PolicyDesk
from pdp.governance.drafts_desk import DraftsDesk, turns_of_trials
from pdp.governance.exceptions_desk import ExceptionsDesk
from pdp.governance.jobs_desk import Choices, JobsDesk
from pdp.governance.jobs_routes import jobs_router
from pdp.governance.reception import Reception as PolicyReception
from pdp.governance.routes import governance_router
from pdp.insight.desk import Desk as InsightDesk
from pdp.insight.percentiles import Buckets
from pdp.insight.recomputing import Recomputing
from pdp.insight.routes import insight_router
from pdp.insight.workers import Check, WorkerFile
from pdp.jobs.job import Order, Outcome, Progress
from pdp.jobs.register import JobRegister
from pdp.jobs.running import Jobs
from pdp.model.console import ConsoleSettings
from pdp.model.directory import Device, Post, PostureReport, User, snapshot_of
from pdp.parts import new_id
from pdp.privacy.pseudonym import make_key_file
from pdp.revisions.exceptions import Exceptions
from pdp.revisions.files import from_directory
from pdp.revisions.opening import Registers, open_registers
from pdp.revisions.person import People
from pdp.revisions.revision import GateResult
from pdp.settings import Settings
from pdp.trail.keeping import Trail, trail_path
from pdp.trail.reading import events_of
from pdp.wire.caller_credentials import introducing
from tests.unit.audit.world import BreakableTrail, DirectAskers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pdp.model.console import Role
    from pdp.revisions.gate import Candidate
    from pdp.store.store import Store
    from pdp.trail.event import Event

START = datetime(2026, 4, 1, 0, 30, tzinfo=UTC)  # half an hour after the log's first record
BASE = "https://pdp.test"
COOKIE = "__Host-sekisho-session"
ORIGIN = {"origin": BASE, "sec-fetch-site": "same-origin"}


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Directory:
    """As `DirectorySource`, with one person and one device, whose state was reported two hours ago."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        report = PostureReport(
            edr_running=True, patch_age_days=3, observed_at=START - timedelta(hours=2), source="asset"
        )
        self.snapshot = snapshot_of(
            epoch=7,
            users=[User("tanaka", "staff", posts=(Post("tax"),), name="田中 <b>一郎</b>")],
            devices=[Device("pc-tanaka", "managed_pc", owner="tanaka", department="tax", posture=report)],
        )

    def current(self) -> Any:
        return self.snapshot

    def age(self) -> timedelta:
        return timedelta(seconds=3)


class LoadingGate:
    """A gate as `pdp.gates` has them, without an engine: what says `broken` does not load, and says where."""

    name = "bundle"

    async def judge(self, candidate: Candidate) -> GateResult:
        for path, text in candidate.files.items():
            for number, line in enumerate(text.split("\n"), 1):
                if "broken" in line:
                    fault = {"where": f"{path}:{number}:1", "code": "x", "en": "it is <broken>", "ja": "<壊れて>います"}
                    return GateResult(self.name, "failed", "1 faults", {"faults": [fault], "count": 1})
        return GateResult(self.name, "passed", "it loads", {"faults": [], "count": 0})


CHOICES = Choices(
    contexts=[
        {"id": "office", "ja": "庁内・執務時間", "en": "in the office, office hours"},
        {"id": "remote", "ja": "在宅・SASE経由", "en": "at home, through the SASE"},
    ],
    examples=[{"id": 0, "ja": "庁内の業務端末", "en": "a managed PC in the office"}],
    targets=("matrix", "prisma"),
    deliveries=lambda: [
        {
            "tenant": "mie",
            "vendor": "prisma",
            "applied_at": "2026-04-01T00:00:00Z",
            "unfinished": False,
            "looked_at": "2026-04-01T00:10:00Z",
            "differences": 2,
            "fault": "",
        },
    ],
)


class Child:
    """Stands for the process that does long work: what it says at once, or, where it has nothing to say, never."""

    def __init__(self) -> None:
        self.says: dict[str, Outcome | SekishoError] = {}
        self.orders: list[Order] = []

    async def __call__(self, order: Order, told: Any, *, seconds: float) -> Outcome:
        self.orders.append(order)
        told(Progress("judging", 40, 160))
        said = self.says.get(order.work)
        if said is None:
            await asyncio.Event().wait()
        if isinstance(said, SekishoError):
            raise said
        assert said is not None
        return said


@dataclass
class Console:
    client: httpx.AsyncClient
    clock: Clock
    sessions: Sessions
    trail: BreakableTrail
    place: Path
    departments: dict[str, list[str]]
    registers: Registers
    child: Child
    jobs: Jobs
    revoked: set[str] = field(default_factory=set)

    def enter(self, *roles: Role, name: str = "hanako", **more: Any) -> str:
        """The cookie of a new session."""
        secret, _ = self.sessions.start(Person(f"user:{name}", name, frozenset(roles)), "oidc", **more)
        return secret

    async def get(self, secret: str | None, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"/console/{path}", headers=_headers(secret, headers))

    async def post(
        self, secret: str | None, path: str, form: dict[str, str], headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return await self.client.post(
            f"/console/{path}", data=form, headers=_headers(secret, ORIGIN if headers is None else headers)
        )

    async def csrf(self, secret: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.get(secret, "me")).text)
        assert found is not None
        return found[1]

    async def over(self) -> None:
        """Nothing is under way any more."""
        async with asyncio.timeout(60):
            while True:
                if all(job.state != "running" for job in self.jobs.register.all(self.clock())):
                    return
                await asyncio.sleep(0.01)

    def events(self) -> list[Event]:
        return sorted(events_of(trail_path(self.place)), key=lambda event: event.id)


def _headers(secret: str | None, more: dict[str, str]) -> dict[str, str]:
    cookie = {} if secret is None else {"cookie": f"{COOKIE}={secret}"}
    return {**cookie, **{name.replace("_", "-"): value for name, value in more.items()}}


@asynccontextmanager
async def a_console(
    place: Path, store: Store, settings: ConsoleSettings, base_url: str = BASE
) -> AsyncIterator[Console]:
    own = Settings(state_dir=str(place), policy_people={"sato": ["user:sato", "user:sato-admin"]})
    keys = place / "audit-pseudonyms.keys"
    make_key_file(keys)
    clock, departments = Clock(), {}
    trail = Trail(trail_path(place), node="local", clock=clock)
    breakable = BreakableTrail(trail)
    reception = Reception(introducing(UnsafeAnyone()), breakable, clock, new_id)  # type: ignore[arg-type]
    desk = Desk(reception, DirectAskers(ground_of(own, keys)), departments)  # type: ignore[arg-type]
    directory = Directory(clock)
    bundle = read_bundle(own.bundle_path)
    policy = SimpleNamespace(bundle=bundle, reference=read_reference(bundle.data))
    workers = WorkerFile(place / "workers", "local", START - timedelta(hours=1))
    for minute in range(3):
        workers.write(
            START + timedelta(minutes=minute - 2),
            [Check("policy", True, "r1"), Check("directory", True, "last seen to be current 3 s ago")],
            {"log_unrecorded": 0.0, "directory_age_s": 3.0, "log_signed_at": START.timestamp()},
            Buckets((0.001, 0.01), (minute * 10, minute, 0)),
        )
    insight = InsightDesk(
        reception=reception,
        audit=desk,
        directory=directory,  # type: ignore[arg-type]
        store=store,
        policy=lambda: policy,  # type: ignore[arg-type,return-value]
        workers=place / "workers",
        node="local",
        recomputing=Recomputing(_no_bundle, _no_engine),
        clock=clock,
    )
    registers = open_registers(own, store)
    governing = PolicyReception(introducing(UnsafeAnyone()), breakable, clock, new_id)  # type: ignore[arg-type]

    def configured() -> dict[str, str]:
        return from_directory(own.bundle_path)

    policies = PolicyDesk(governing, registers, [LoadingGate()], lambda _: None, asyncio.Lock(), configured)
    granting = ExceptionsDesk(governing, Exceptions(store, People(own.policy_people)), lambda _: None)
    drafts = DraftsDesk(governing, registers, Trials(), turns_of_trials(), configured)
    child = Child()
    jobs = Jobs(JobRegister(store), own, clock=clock, new_id=new_id, run=child, beat_s=0.01)
    foreseeing = JobsDesk(governing, registers, jobs, CHOICES, {}, asyncio.Semaphore(2), policies.checked)  # type: ignore[arg-type]
    routers = (
        audit_router(desk, SavedDesk(desk, SavedQueries(store))),
        insight_router(insight),
        governance_router(policies, granting, drafts),
        jobs_router(foreseeing),
    )
    revoked: set[str] = set()
    opened = open_console(
        settings,
        base_url=base_url,
        store=store,
        reception=reception,
        routers=routers,
        key=lambda: bytes(32),
        is_revoked=lambda session: session.person.id in revoked,
    )
    try:
        async with opened as (pages, api):
            app = serve_app(Surface(exact={}, readiness=list, metrics=bytes, routers=(*routers, pages, api)))
            sessions = Sessions(store, clock, new_id, idle=timedelta(minutes=30), most=timedelta(hours=10))
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url) as client:
                yield Console(client, clock, sessions, breakable, place, departments, registers, child, jobs, revoked)
    finally:
        await jobs.close()
        await trail.close()


def _no_bundle(_: str) -> Any:
    raise EngineError("there is no archive in this test")


def _no_engine() -> Any:
    raise EngineError("there is no engine in this test")
