"""One simulated vendor with its connector, alike for all five, so that one test can be asked of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.http import LIMITS, Limits
from connectors.port import DeviceReport, PostureConnector, Refused, Run
from connectors.posture import android_management, fleet, google, intune, jamf
from connectors.registry import http_client
from connectors.setup import Setup
from tests.http_server import serving
from tests.simulators import fleet_server, google_apis, graph, jamf_pro
from tests.simulators.vendor import Simulator

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
PRIVATE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Hands:
    """The clock, the pauses and the secrets that a connector is given. A pause takes no time and moves the clock."""

    now: datetime = NOW
    pauses: list[float] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)

    def setup(self, name: str, settings: dict[str, Any]) -> Setup:
        return Setup(
            name=name,
            settings=settings,
            read_secret=self.secrets.__getitem__,
            clock=lambda: self.now,
            sleep=self.sleep,
            http=http_client,
        )


@dataclass
class World:
    kind: str
    simulator: Simulator
    hands: Hands
    connect: Callable[[Limits, dict[str, Any]], PostureConnector]
    device: Callable[..., dict[str, Any]]
    rows: list[dict[str, Any]]
    time_at: tuple[str, ...]  # where a record has its time

    def connector(self, limits: Limits = LIMITS, **settings: Any) -> PostureConnector:
        return self.connect(limits, settings)

    def fill(self, count: int) -> None:
        self.rows[:] = [self.device(number) for number in range(1, count + 1)]


@dataclass
class Outcome:
    reports: list[DeviceReport]
    refused: list[Refused]
    pages: int
    run: Run[DeviceReport]

    @property
    def serials(self) -> list[str]:
        return [report.names["serial"] for report in self.reports]


async def outcome(connector: PostureConnector, cursor: str | None = None, now: datetime = NOW) -> Outcome:
    run = await connector.run(cursor, now)
    reports: list[DeviceReport] = []
    refused: list[Refused] = []
    pages = 0
    async for page in run.pages:
        pages += 1
        reports.extend(page.items)
        refused.extend(page.refused)
    return Outcome(reports, refused, pages, run)


def key_file(base_url: str) -> str:
    pem = PRIVATE_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "pdp@project.iam.example",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "token_uri": f"{base_url}/token",
        }
    )


@contextmanager
def world(kind: str, devices: int = 5, page: int = 2) -> Iterator[World]:
    """A simulator on loopback with this many healthy devices in pages of `page`."""
    with _simulated(kind) as made:
        made.fill(devices)
        if isinstance(made.simulator, graph.Graph):
            made.simulator.page = page
        if isinstance(made.simulator, google_apis.CloudIdentity | google_apis.AndroidManagement):
            made.simulator.page_size = page
        original = made.connect
        sized = {"jamf", "fleet"}
        if kind in sized:
            made.connect = lambda limits, settings: original(limits, {"page_size": page, **settings})
        yield made


class Stage:
    """One server for many simulators, one after the other: a server's start and end take longer than most tests."""

    def __init__(self) -> None:
        self.port: int | None = None
        self.simulator: Simulator | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.simulator is not None
        await self.simulator(scope, receive, send)

    @contextmanager
    def open(self) -> Iterator[None]:
        with serving(self) as self.port:
            yield
        self.port = None

    @contextmanager
    def playing(self, simulator: Simulator) -> Iterator[int]:
        """The port of the stage, or of a server of its own where the stage is not open."""
        if self.port is None:
            with serving(simulator) as port:
                yield port
            return
        self.simulator = simulator
        try:
            yield self.port
        finally:
            self.simulator = None


STAGE = Stage()


@contextmanager
def _simulated(kind: str) -> Iterator[World]:
    simulator = {
        "intune": graph.Graph,
        "jamf": jamf_pro.JamfPro,
        "fleet": fleet_server.FleetServer,
        "google": google_apis.CloudIdentity,
        "android_management": google_apis.AndroidManagement,
    }[kind]()
    with STAGE.playing(simulator) as port:
        simulator.base_url = f"http://127.0.0.1:{port}"
        yield _worlds(simulator)[kind]


def _worlds(simulator: Any) -> dict[str, World]:
    url, hands = simulator.base_url, Hands()
    hands.secrets.update(
        graph=graph.SECRET, jamf=jamf_pro.SECRET, fleet=fleet_server.TOKEN, google=key_file(simulator.base_url)
    )

    def connect(module: Any, kind: str, made: Any, base: dict[str, Any]) -> Any:
        def connected(limits: Limits, settings: dict[str, Any]) -> PostureConnector:
            setup = hands.setup(kind, {**base, **settings})
            return made(setup, setup.read(module.Settings), limits)

        return connected

    login = {"tenant": graph.TENANT, "client_id": "app", "client_secret_file": "graph"}
    login |= {"graph_url": f"{url}/v1.0", "login_url": url}
    account = {"key_file": "google", "url": url}
    plain: dict[str, Any] = {"device_users": False, "administrator": google_apis.ADMINISTRATOR}
    worlds: dict[str, tuple[str, Any, tuple[str, ...], Any, Any, dict[str, Any]]] = {
        "intune": (
            "devices",
            graph.managed_device,
            ("lastSyncDateTime",),
            intune,
            intune.Intune,
            {**login, "protection_state": False},
        ),
        "jamf": (
            "computers",
            jamf_pro.computer,
            ("general", "reportDate"),
            jamf,
            jamf.Jamf,
            {"url": url, "client_id": "app", "client_secret_file": "jamf", "mobile_devices": False},
        ),
        "fleet": (
            "hosts",
            fleet_server.host,
            ("detail_updated_at",),
            fleet,
            fleet.Fleet,
            {"url": url, "api_token_file": "fleet"},
        ),
        "google": ("devices", google_apis.cloud_device, ("lastSyncTime",), google, google.Google, {**account, **plain}),
        "android_management": (
            "devices",
            google_apis.android_device,
            ("lastStatusReportTime",),
            android_management,
            android_management.AndroidManagement,
            {**account, "enterprise": google_apis.ENTERPRISE},
        ),
    }
    found = {}
    for kind, (rows, device, time_at, module, made, base) in worlds.items():
        if hasattr(simulator, rows):
            connected = connect(module, kind, made, base)
            found[kind] = World(kind, simulator, hands, connected, device, getattr(simulator, rows), time_at)
    return found
