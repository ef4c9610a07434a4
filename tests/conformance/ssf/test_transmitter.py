"""What our transmitter says and takes, held against the shared vectors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pdp.ssf.events import REQUIRED, read_event
from pdp.ssf.sending.happenings import SUPPORTED, of_device, of_person
from tests.unit.ssf.sending.conftest import Transmitter, clock, settings, store, transmitter

__all__ = ["clock", "settings", "store", "transmitter"]  # fixtures

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
NOW = datetime(2026, 11, 24, 1, 2, 3, 400_000, tzinfo=UTC)
COMMON = {"event_timestamp", "initiating_entity", "reason_admin", "reason_user"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def vectors(shared: Path, name: str) -> Any:
    return json.loads((shared / "vectors" / "ssf" / f"{name}.json").read_text(encoding="utf-8"))


async def test_the_configuration_has_the_members_of_the_specifications_example(
    transmitter: Transmitter,  # a fixture
    shared: Path,
) -> None:
    examples = vectors(shared, "ssf-spec-examples")["http_examples"]
    [text] = [one["text"] for one in examples if one["title"] == "Example: Transmitter Configuration Response"]
    told = (await transmitter.api.get("/.well-known/ssf-configuration")).json()
    assert told.keys() == json.loads(text.partition("\n\n")[2]).keys()


async def test_subjects_of_every_shape_are_removed_and_added_and_nothing_is_learnt_of_them(
    transmitter: Transmitter,
    shared: Path,
) -> None:
    at = {"stream_id": (await transmitter.stream())["stream_id"]}
    cases = vectors(shared, "subject-identifiers")
    for subject in [*cases["valid"], {"format": "phone", "phone_number": "+12065550123"}]:
        asked = {**at, "subject": subject, "verified": True}
        removed = await transmitter.api.post("/ssf/subjects:remove", json=asked)
        assert (removed.status_code, removed.content) == (204, b""), subject
        added = await transmitter.api.post("/ssf/subjects:add", json=asked)
        assert (added.status_code, added.content) == (200, b""), subject
    for case in cases["invalid"]:
        answer = await transmitter.api.post("/ssf/subjects:add", json={**at, "subject": case["value"]})
        assert answer.status_code == 400, case
    assert (await transmitter.api.post("/ssf/subjects:add", json=at)).status_code == 400


async def test_the_polls_of_the_specification_are_taken(
    transmitter: Transmitter,
    shared: Path,
) -> None:
    made = await transmitter.stream()
    found = _objects(vectors(shared, "rfc8936-poll-examples"))
    bodies = [one for one in found if one.keys() & {"ack", "setErrs", "maxEvents", "returnImmediately"}]
    assert bodies
    for body in bodies:
        answer = await transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={**body, "returnImmediately": True})
        assert answer.status_code == 200, body
        assert answer.json() == {"sets": {}}


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(one for member in value.values() for one in _objects(member))]
    if isinstance(value, list):
        return [one for member in value for one in _objects(member)]
    if isinstance(value, str) and "{" in value:
        try:
            return _objects(json.loads(value[value.index("{") :]))
        except ValueError:
            return []
    return []


def test_what_is_sent_has_the_members_that_the_texts_require_and_their_examples_have(shared: Path) -> None:
    allowed: dict[str, set[str]] = {}
    for one in vectors(shared, "caep-spec-examples")["set_claims"]:
        for event_type, members in one["json"]["events"].items():
            allowed.setdefault(event_type, set()).update(members)
    happened = [*of_person("u", "active", "ended", NOW), *of_person("u", "ended", "active", NOW)]
    happened += [*of_device("d", ["u"], "compliant", "lost", NOW), *of_device("d", ["u"], "lost", "compliant", NOW)]
    assert {one.type for one in happened} == set(SUPPORTED)
    for one in happened:
        told = one.to_json()
        assert set(REQUIRED.get(one.type, ())) <= told.keys()
        read_event(one.type, told)
        if one.type in allowed:
            assert told.keys() <= allowed[one.type] | COMMON
