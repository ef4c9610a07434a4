"""A small prefecture for the tests of the cache: its registers, who asks for what, three policies, and the truth.

The truth is `Oracle.answer`: the facts of one instant, shown to the policy, with no memory but of what a
policy has said of one and the same document.
"""

from __future__ import annotations

import asyncio
import copy
import json
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from pdp.active_policy import ActivePolicy
from pdp.bundle.bundle import Bundle, make_bundle, read_bundle
from pdp.callers.belief import believable
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.engine.footprint_check import bundle_footprint
from pdp.engine.port import Engine
from pdp.engine.regorus import RegorusEngine
from pdp.errors import BadRequestError, EngineError
from pdp.facts.document import Facts, build_facts
from pdp.facts.reference import read_reference
from pdp.identity.levels import LevelTable
from pdp.identity.proof import asserted
from pdp.judging import judge_raw
from pdp.model.decision import BAD_INPUT, Verdict, denied
from pdp.model.directory import (
    JST,
    Device,
    Emergency,
    Loan,
    Period,
    Permit,
    Post,
    PostureReport,
    Snapshot,
    User,
    WorkPermit,
    snapshot_of,
)
from pdp.model.input import encode_input
from pdp.model.request import AccessRequest, AssertedClaims, Network, Reading
from pdp.settings import load_settings

T = TypeVar("T")
START = datetime(2023, 8, 1, 9, 0, tzinfo=JST)  # a Tuesday
STEP = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


# --- Registers --------------------------------------------------------------------------------------------------------


def healthy(observed_at: datetime | None) -> PostureReport:
    return PostureReport(
        certificate=True,
        disk_encrypted=True,
        edr_running=True,
        edr_risk="none",
        av_current=True,
        firewall=True,
        screen_lock=True,
        tampered=False,
        patch_age_days=3,
        observed_at=observed_at,
        source="asset",
    )


def _device(id_: str, class_: Any, owner: str | None, **other: Any) -> Device:
    posture = healthy(START - timedelta(hours=2, minutes=20))
    return Device(id_, class_, owner=owner, takeout="permitted", posture=posture, **other)


@dataclass
class Registers:
    """What may change. `u-1` and `u-2` look alike to the shipped policy, and so do their terminals."""

    users: dict[str, User] = field(
        default_factory=lambda: {
            "u-1": User("u-1", "staff", posts=(Post("soumu"),), roles=("server_admin", "disaster_response")),
            "u-2": User("u-2", "staff", posts=(Post("soumu"),), roles=("server_admin", "disaster_response")),
            "u-3": User("u-3", "contractor", organisation="vendor-a", identity_source="federated"),
        }
    )
    devices: dict[str, Device] = field(
        default_factory=lambda: {
            "d-1": _device("d-1", "managed_pc", "u-1"),
            "d-2": _device("d-2", "managed_pc", "u-2"),
            "d-3": _device("d-3", "byod_phone", "u-1"),
            "d-4": _device("d-4", "mobile_pc", None, department="soumu"),
            "d-5": _device("d-5", "maintenance_pc", "u-3"),
        }
    )
    permits: dict[str, Permit] = field(
        default_factory=lambda: {"d-3": Permit("d-3", "u-1", Period(None, START + 30 * HOUR))}
    )
    loans: dict[str, Loan] = field(default_factory=lambda: {"d-4": Loan("d-4", "u-2", Period(None, START + 8 * HOUR))})
    work: dict[str, WorkPermit] = field(
        default_factory=lambda: {
            "w-1": WorkPermit(
                "w-1",
                frozenset({"u-1", "u-3"}),
                frozenset({"consolidated-server-x"}),
                frozenset({"d-1", "d-5"}),
                Period(START - HOUR, START + 3 * HOUR),
            )
        }
    )
    emergencies: dict[str, Emergency] = field(default_factory=dict)
    posture_source: Any = "ok"

    def snapshot(self, epoch: int) -> Snapshot:
        return snapshot_of(
            epoch=epoch,
            users=self.users.values(),
            devices=self.devices.values(),
            permits=self.permits.values(),
            loans=self.loans.values(),
            work_permits=self.work.values(),
            emergencies=self.emergencies.values(),
            posture_source=self.posture_source,
        )


# --- Who asks ---------------------------------------------------------------------------------------------------------

OFFICE = Network(source_ip="10.1.2.3", underlay="office")
SASE = Network(source_ip="100.64.0.9", tunnel=True, underlay="home", country="JP")
CAFE = Network(source_ip="100.64.0.9", tunnel=True, underlay="public_wifi", country="JP")
VPN = Network(source_ip="172.16.0.9", tunnel=True, underlay="carrier", path_encrypted=True, country="JP")
STRONG = AssertedClaims(acr="urn:sekisho:auth-level:3")
RECENT = AssertedClaims(acr="urn:sekisho:auth-level:2", auth_time=START - timedelta(minutes=5))
AHEAD = AssertedClaims(acr="urn:sekisho:auth-level:3", auth_time=START + 2 * HOUR)  # a clock must come so far first
PEP = ("browser_only", "clipboard", "download", "print", "record_session", "save")


def _asks(user: str, device: str | None, resource: str, network: Network = OFFICE, **other: Any) -> AccessRequest:
    asked: dict[str, Any] = {"action": "access", "identity": STRONG, "pep": PEP, "reading": Reading()} | other
    return AccessRequest(subject_id=user, device_id=device, resource_id=resource, network=network, **asked)


REQUESTS: tuple[AccessRequest, ...] = (
    _asks("u-1", "d-1", "mail", SASE),
    _asks("u-2", "d-2", "mail", SASE),  # these two look alike to the shipped policy
    _asks("u-2", "d-2", "mail"),
    _asks("u-2", "d-2", "mail", identity=RECENT),
    _asks("u-1", "d-1", "mail", SASE, pep=("save",)),
    _asks("u-1", "d-1", "mail", CAFE),
    _asks("u-1", "d-1", "chat", SASE),
    _asks("u-2", "d-2", "soumu-ledger"),
    _asks("u-1", "d-1", "soumu-ledger", CAFE, identity=RECENT),
    _asks("u-1", "d-3", "mail", SASE),
    _asks("u-2", "d-4", "mail"),
    _asks("u-1", "d-1", "consolidated-server-x", VPN, action="administer"),
    _asks("u-3", "d-5", "consolidated-server-x", VPN, action="administer"),
    _asks("u-1", "d-1", "disaster-system", SASE, identity=RECENT),
    _asks("u-2", "d-2", "disaster-system", identity=AHEAD),
    _asks("u-2", "d-2", "mail", risk=("bulk_download",)),
    _asks("u-9", None, "mail"),
    _asks("u-1", "d-1", "mail", action="fly"),
)
GATEWAY = Caller("gateway", PERMISSIONS)
WEAK = Caller("weak", frozenset({"decide"}))  # its word on identity and network does not count, nor may it ask afresh


# --- Policies ---------------------------------------------------------------------------------------------------------


@cache
def policies() -> tuple[ActivePolicy, ...]:
    """The shipped one; one with other parameters, times and office hours; one that reads who asks, for whom it denies."""
    shipped = read_bundle(load_settings(environ={}).bundle_path)
    data = copy.deepcopy(dict(shipped.data))
    data["zta"]["parameters"] |= {"posture_stale_hours": 3, "trusted_underlays": ["office"]}
    data["zta"]["calendar"]["office_hours"] = {"from": "09:30", "until": "10:30"}
    personal = 'package pdp.context\n\nfound contains "COUNTRY_NOT_ALLOWED" if input.subject.id == "u-2"\n'
    bundles = (
        shipped,
        _variant(shipped, "stricter", data=data, ttl_seconds=60, deny_ttl_seconds=20, step_up_ttl_seconds=1),
        _variant(shipped, "personal", modules={**shipped.modules, "rules/pdp/personal.rego": personal}),
    )
    return tuple(ActivePolicy(bundle, read_reference(bundle.data), bundle_footprint(bundle)) for bundle in bundles)


def _variant(shipped: Bundle, revision: str, *, modules: Any = None, data: Any = None, **metadata: int) -> Bundle:
    return make_bundle(
        manifest={
            "revision": revision,
            "metadata": {"profile": "zta", "entrypoint": shipped.entrypoint, "ttl_seconds": shipped.ttl_s, **metadata},
        },
        modules=shipped.modules if modules is None else modules,
        data=shipped.data if data is None else data,
    )


# --- The truth --------------------------------------------------------------------------------------------------------

LEVELS = LevelTable()
_CONTRARY = json.dumps(
    {"outcome": "deny", "reasons": ["IMPERSONATION"], "obligations": {"terminate_sessions": "on"}}
).encode()
CONTRARY = "contrary"  # the name of an engine that disagrees with every other: nothing of it may reach anybody else


@dataclass(frozen=True)
class Question:
    """One request as one engine meets it: in this directory, under this policy."""

    request: AccessRequest
    caller: Caller
    snapshot: Snapshot
    policy: ActivePolicy
    engine: str

    def facts(self, now: datetime) -> Facts:
        """Raises BadRequestError where the request is none at this instant."""
        assert self.policy.reference is not None
        believed = believable(self.request, self.caller)
        proof = asserted(believed, self.caller, LEVELS, now)
        return build_facts(believed, proof, self.snapshot, self.policy.reference, now)


class Oracle:
    """Real engines, one for each policy. What was said of a document is said again: an engine has no memory either.

    They run in a loop of their own, so that the turns of the loop that is tested do not depend on their haste.
    """

    def __init__(self, active: Iterable[ActivePolicy]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="oracle")
        self._engines: dict[str, Engine] = {}
        self._said: dict[tuple[str, bytes], bytes | EngineError] = {}
        self._thread.start()
        for policy in active:
            self._engines[policy.bundle.digest] = engine = RegorusEngine(deadline=timedelta(seconds=20))
            self._wait(engine.activate(policy.bundle))

    def close(self) -> None:
        for engine in self._engines.values():
            self._wait(engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def raw(self, digest: str, document: bytes, engine: str) -> bytes | EngineError:
        if engine == CONTRARY:
            return _CONTRARY
        if (digest, document) not in self._said:
            (answer,) = self._wait(self._engines[digest].evaluate([document], digest=digest))
            self._said[digest, document] = answer
        return self._said[digest, document]

    def verdict(self, policy: ActivePolicy, document: bytes, engine: str) -> Verdict:
        """Raises EngineError where the engine has no verdict, which none should."""
        return judge_raw(self.raw(policy.bundle.digest, document, engine), policy.bundle)

    def answer(self, question: Question, now: datetime) -> Verdict:
        """What somebody without a cache is told."""
        try:
            document = encode_input(question.facts(now).document)
        except BadRequestError:
            return denied(BAD_INPUT)
        return self.verdict(question.policy, document, question.engine)

    def _wait(self, answer: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result(timeout=30)


def with_posture(device: Device, **facts: Any) -> Device:
    return replace(device, posture=replace(device.posture, **facts))
