"""Exports delivered to simulated tenants of three vendors, and what each moment of a delivery lets through."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from connectors.sase import couriers
from connectors.sase.joined_models import joined_model
from connectors.sase.registry import make
from connectors.setup import Setup
from pdp.delivery.applying import Bounds, apply
from pdp.delivery.applying import Hands as Given
from pdp.delivery.drift import Difference, drift
from pdp.delivery.journal import Applied, InHand, Journal
from pdp.delivery.plan import Plan, Step
from pdp.delivery.planning import make_plan
from pdp.export.checking import MODEL
from pdp.export.sieves import SpaceRegion, SpaceSieve
from pdp.model.rules import Rule, RuleModel, encode
from tests.http_server import serving
from tests.simulators.tenants import Tenant
from tests.simulators.worlds import Hands
from tests.spaces import shipped_model, shipped_space

_NEVER: Final = frozenset({"action.name", "context.underlay", "context.business_hours"})  # what no vendor can say
Files = Mapping[str, bytes]
AT = "2026-11-23T16:00:00+09:00"


FIRST: Final = frozenset({"record_session", "alert"})
MORE: Final = FIRST | {"clipboard", "save", "print", "download"}
_EACH: Final = 1  # rules of a system that both exports have, and that only the second has


@cache
def few(systems: tuple[str, ...]) -> RuleModel:
    """A few rules of a few systems, half of which only the second export has: a delivery of some twenty steps."""
    model = shipped_model()
    kept = [rule for name in systems for rule in (*_some(name, FIRST, frozenset()), *_some(name, MORE, FIRST))]
    resources = tuple(one for one in model.resources if one.id in systems)
    return msgspec.structs.replace(model, resources=resources, rules=tuple(kept))


def _some(resource: str, within: frozenset[str], beyond: frozenset[str]) -> list[Rule]:
    """Ordinary rules whose controls are within these and not within those, of different devices first."""
    found = [
        rule
        for rule in shipped_model().rules
        if rule.resource == resource and rule.mode == "ordinary" and not rule.controls.keys() - within
        and (not beyond or rule.controls.keys() - beyond) and not _NEVER & {one.fact for one in rule.conditions}
    ]  # fmt: skip
    classes: dict[str, list[Rule]] = {}
    for rule in found:
        classes.setdefault(rule.device_class, []).append(rule)
    turns = [rule for at in range(_EACH) for rules in classes.values() for rule in rules[at : at + 1]]
    return turns[:_EACH]


@cache
def _sieve() -> SpaceSieve:
    return SpaceSieve(shipped_space())


@dataclass(frozen=True, eq=False)
class Vendor:
    """What the suites need to know of one vendor.

    `mapped(of)`: the mapping of the export `first` or `second`, which differ in what they allow. `tenant()`: one that has nothing of
    ours. `held(state)`: the vendor's files for what a copy of the tenant's state lets count. `drifted`: what somebody
    did to what was delivered; `foreign`: puts things of others there and gives a function that shows them now.
    """

    name: str
    mapped: Callable[[str], dict[str, Any]]
    tenant: Callable[[], Tenant]
    settings: dict[str, Any]
    urls: Callable[[str], dict[str, Any]]
    secret: str
    held: Callable[[Any, Sequence[Files]], dict[str, bytes]]
    drifted: Callable[[Any], None]
    foreign: Callable[[Any], Callable[[], Any]]
    systems: tuple[str, ...] = ("mail", "soumu-ledger")  # communication, and a system of a single department

    def mapping(self, of: str) -> dict[str, Any]:
        return json.loads(_mapping(self.mapped, of))  # type: ignore[no-any-return]  # it was one

    def files(self, of: str) -> Files:
        return _files(self.name, _mapping(self.mapped, of), self.systems)

    def permitted(self, state: Any) -> dict[str, SpaceRegion]:
        """What a state of the tenant lets through to each system, by the target's own reading."""
        exports = [self.files("second"), self.files("first")]
        return _permitted(self, tuple(sorted(self.held(state, exports).items())))

    @cached_property
    def model(self) -> bytes:
        return joined_model([self.files(of)[MODEL] for of in ("second", "first")])


@cache
def _permitted(vendor: Vendor, held: tuple[tuple[str, bytes], ...]) -> dict[str, SpaceRegion]:
    """Kept: deliveries that end at different writes go through the same states."""
    reading = make(vendor.name, vendor.mapping("second")).interpreter({MODEL: vendor.model, **dict(held)})
    found = {name: reading.permitted(name, _sieve()) for name in vendor.systems}
    assert all(isinstance(one, SpaceRegion) for one in found.values())
    return found  # type: ignore[return-value]  # seen in the line above


@cache
def _mapping(mapped: Callable[[str], dict[str, Any]], of: str) -> str:
    return json.dumps(mapped(of))


@cache
def _files(name: str, mapping: str, systems: tuple[str, ...]) -> Files:
    return {**make(name, json.loads(mapping)).export(few(systems)).files, MODEL: encode(few(systems))}


@dataclass
class Scene:
    """One tenant, and the folder of its delivery."""

    vendor: Vendor
    there: Any  # the simulator
    state: Path
    url: str = "http://127.0.0.1:1"
    transport: httpx.AsyncBaseTransport | None = None  # None: the network
    hands: Hands = field(default_factory=Hands)
    told: list[Step] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        return Journal(self.state, "tenant")

    def setup(self) -> Setup:
        self.hands.secrets["secret"] = self.vendor.secret
        settings = {**self.vendor.settings, **self.vendor.urls(self.url)}
        setup = self.hands.setup("tenant", settings)
        if self.transport is None:
            return setup

        def client(*, base_url: str = "", verify: Any = None) -> httpx.AsyncClient:
            del verify
            return httpx.AsyncClient(base_url=base_url, transport=self.transport)

        return with_client(setup, client)

    @asynccontextmanager
    async def opened(self, of: str) -> AsyncIterator[tuple[Any, Any]]:
        courier = couriers.courier_of(self.vendor.name, self.vendor.mapping(of))
        async with couriers.tenant_of(self.vendor.name, self.setup(), courier) as tenant:
            yield courier, tenant

    async def plan(self, of: str, *, known: bool = False, quiet_only: bool = False) -> Plan:
        async with self.opened(of) as (courier, tenant):
            return self.make_plan(courier, of, await tenant.read(), known=known, quiet_only=quiet_only)

    def make_plan(self, courier: Any, of: str, standing: Any, *, known: bool = False, quiet_only: bool = False) -> Plan:
        return make_plan(
            courier.things(self.vendor.files(of)),
            standing,
            courier.capabilities,
            courier.stand_in,
            vendor=self.vendor.name,
            tenant="tenant",
            export=of,
            known=self.journal.known() if known else None,
            quiet_only=quiet_only,
        )

    async def deliver(self, of: str, *, anew: bool = False, quiet_only: bool = False) -> Applied:
        """Plan and apply, or go on with the plan in hand."""
        async with self.opened(of) as (courier, tenant):
            in_hand = None if anew else self.journal.in_hand()
            if in_hand is None:
                standing = await tenant.read()
                plan = self.make_plan(courier, of, standing, known=False, quiet_only=quiet_only)
                in_hand = InHand(plan, standing.held)
                self.journal.take(in_hand)
            return await apply(in_hand, tenant, self.journal, self.given(), Bounds())

    def given(self) -> Given:
        async def told(step: Step) -> None:
            self.told.append(step)

        return Given(now=lambda: AT, sleep=self.hands.sleep, told=told)

    async def drift(self, of: str) -> tuple[Difference, ...]:
        applied = self.journal.applied()
        assert applied is not None
        async with self.opened(of) as (_, tenant):
            return drift(applied.held, await tenant.read())

    def refuse_wider(self) -> None:
        """No moment of the history lets through what neither its first nor its last moment does."""
        states = [msgspec.json.decode(one) for one in self.there.history]
        before, after = self.vendor.permitted(states[0]), self.vendor.permitted(states[-1])
        for number, state in enumerate(states):
            for name, region in self.vendor.permitted(state).items():
                wider = region & ~(before[name] | after[name])
                assert wider.root == shipped_space().diagram.false, f"{name} after write {number} of {len(states)}"


class EndedError(Exception):
    """The process that delivers is gone."""


class Ending(httpx.AsyncBaseTransport):
    """Ends the process at a write: before it is sent, or when it is done and nobody has heard of it."""

    def __init__(self, way: httpx.AsyncBaseTransport, at: int, *, done: bool) -> None:
        self._way = way
        self._left = at
        self._done = done

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" or request.url.path.endswith("/token"):
            return await self._way.handle_async_request(request)
        self._left -= 1
        if self._left or self._done:
            answer = await self._way.handle_async_request(request)
            if self._left:
                return answer
        raise EndedError


def with_client(setup: Setup, client: Any) -> Setup:
    """The same setup with another way to the network."""
    return Setup(setup.name, setup.settings, setup.read_secret, setup.clock, setup.sleep, client)


def scene_in_process(vendor: Vendor, state: Path) -> Scene:
    """Without sockets: for suites that deliver many times."""
    there = vendor.tenant()
    there.base_url = "http://127.0.0.1:1"
    there.begin()
    scene = Scene(vendor, there, state)
    scene.transport = httpx.ASGITransport(app=there)
    return scene


def copied(scene: Scene, state: Path) -> Scene:
    """The same tenant once more, with its folder, for another way to go on."""
    there = copy.deepcopy(scene.there)
    shutil.copytree(scene.state, state)
    other = Scene(scene.vendor, there, state)
    other.transport = httpx.ASGITransport(app=there)
    return other


@contextmanager
def scene_on_loopback(vendor: Vendor, state: Path) -> Iterator[Scene]:
    """Over a real connection, which can break."""
    there = vendor.tenant()
    there.begin()
    with serving(there) as port:
        there.base_url = f"http://127.0.0.1:{port}"
        yield Scene(vendor, there, state, there.base_url)
