"""A small policy with every kind of fact, its decision space and its engine, for tests of the decision table."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import Any

from pdp.bundle.bundle import Bundle, make_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.errors import EngineError
from pdp.model.input import check_input, encode_input
from pdp.space.space import DecisionSpace
from pdp.table.decision_table import DecisionTable, table_of
from pdp.table.laid import laid_out
from tests.oracle.documents import random_document, set_at
from tests.unit.space.policy import build

EVERY_KIND = """package pdp

default decision := {"outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {}}

decision := {"outcome": "deny", "reasons": [reason | some reason in denied], "obligations": {}} if {
	count(denied) > 0
} else := {"outcome": "limit", "reasons": ["OK"], "obligations": {"end_at": input.context.work_permit_until}} if {
	input.context.work_permit_until != "none"
} else := {"outcome": "allow", "reasons": ["OK"], "obligations": {}}

denied contains "EDR" if not input.device.posture.edr_running in {true, "not_managed"}

denied contains "AUTH" if input.subject.auth_level < 2

denied contains "AGE" if not input.device.posture.patch_age_days <= data.most

denied contains "AGE" if input.subject.auth_age_min > 1439

denied contains "SECRET" if input.resource.sensitivity > -3

denied contains "WHERE" if not input.context.country in {"JP", "日本", "か\\u3099"}

denied contains "WHO" if not "server_admin" in input.subject.roles

denied contains "WHO" if "malware_alert" in input.context.risk

denied contains "WHO" if not input.subject.organisation in input.resource.organisations

denied contains "POST" if {
	count(input.resource.departments) > 0
	not input.subject.departments[0] in input.resource.departments
	not by_another_post
}

by_another_post if {
	input.device.registered
	some department in input.subject.departments
	department in input.resource.departments
}
"""
VALUES: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("device", "posture", "patch_age_days"): (0, 1, 13, 14, 15, 999_999, 1_000_000, 1_000_001, 2**62, "unknown"),
    ("subject", "auth_age_min"): (0, 1438, 1439, 1440),
    ("resource", "sensitivity"): (-(2**62), -1_000_001, -1_000_000, -4, -3, -2, 0, 3, 1_000_000, 2**62),
    ("context", "country"): ("JP", "jp", "日本", "か\u3099", "が", "unknown", "(other)", "", "JP\x00"),
    ("subject", "roles"): ([], ["server_admin"], ["x", "server_admin", "server_admin"], ["Server_admin"], ["x", "x"]),
    ("context", "risk"): ([], ["malware_alert"], ["bulk_download", "malware_alert", "malware_alert"]),
    ("subject", "departments"): ([], ["a"], ["b", "a"], ["b", "b"], ["", "a"], ["dept-named"]),
    ("resource", "departments"): ([], ["a"], ["a", "a"], ["c", "a"], ["", ""], ["dept-named"]),
    ("subject", "organisation"): ("o", "unknown", "", "org-own"),
    ("resource", "organisations"): ([], ["o"], ["o", "o"], ["p", ""], ["org-own", "unknown"]),
    ("context", "work_permit_until"): (
        "none",
        "2026-11-23T21:00:00Z",
        "2026-11-23T21:00:00.123456789+09:00",
        "0001-01-01T00:00:00-23:59",
        "9999-12-31T00:00:00Z",
    ),
    ("context", "work_permit"): ("none", "valid", "out_of_window"),
    ("subject", "auth_level"): (0, 1, 2, 3),
    ("device", "posture", "edr_running"): (True, False, "unknown", "not_managed"),
    ("device", "registered"): (True, False),
}
FINE = {
    ("device", "posture", "patch_age_days"): 14,
    ("subject", "auth_age_min"): 0,
    ("resource", "sensitivity"): -3,
    ("context", "country"): "JP",
    ("subject", "roles"): ["server_admin"],
    ("context", "risk"): [],
    ("subject", "organisation"): "o",
    ("resource", "organisations"): ["o"],
    ("subject", "departments"): ["a"],
    ("resource", "departments"): ["a"],
    ("subject", "auth_level"): 2,
    ("device", "posture", "edr_running"): True,
    ("context", "work_permit_until"): "none",
}


def policy(text: str, data: dict[str, Any] | None = None, *, revision: str = "t", profile: str = "zta") -> Bundle:
    return make_bundle(
        manifest={"revision": revision, "metadata": {"profile": profile, "entrypoint": "pdp/decision"}},
        modules={"pdp.rego": text},
        data=data or {},
    )


@cache
def every_kind() -> Bundle:
    return policy(EVERY_KIND, {"most": 14})


@cache
def space() -> DecisionSpace:
    return build(every_kind())


@cache
def table() -> DecisionTable:
    found = space()
    return table_of(laid_out(found.bundle.digest, found.facts, found.diagram, found.verdict))


def fine() -> dict[str, Any]:
    """A document that this policy allows."""
    document = random_document(random.Random(1))
    for path, value in FINE.items():
        set_at(document, path, value)
    return document


def documents(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Valid ones: half of them near one that is allowed, the rest anywhere."""
    found = []
    for number in range(count):
        document = fine() if number % 2 else random_document(rng)
        for path in rng.sample(list(VALUES), rng.randint(1, 3) if number % 2 else len(VALUES)):
            set_at(document, path, rng.choice(VALUES[path]))
        check_input(document)
        found.append(document)
    return found


def encoded(document: dict[str, Any]) -> bytes:
    return encode_input(check_input(document))


def engine_answers(bundle: Bundle, asked: Sequence[bytes]) -> list[bytes | EngineError]:
    """What the engine says of documents as they are, valid or not."""

    async def ask() -> list[bytes | EngineError]:
        engine = RegorusEngine(timedelta(seconds=20), 1, patience=timedelta(minutes=1))
        try:
            await engine.activate(bundle)
            return await engine.evaluate(asked)
        finally:
            await engine.close()

    with ThreadPoolExecutor(1) as other:  # a loop may run in this thread
        return other.submit(lambda: asyncio.run(ask())).result()


def same(answer: bytes | None, said: bytes | EngineError) -> bool:
    """Whether the table's answer is the engine's; none differs from none."""
    if answer is None or isinstance(said, EngineError):
        return False
    return bool(json.loads(answer) == json.loads(said))
