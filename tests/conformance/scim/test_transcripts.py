"""The recorded requests of Microsoft's Postman collection and of Okta's test, replayed.

The answers on record are those of the bare library. Where ours differ, they do on purpose, and `DIFFERS` says how.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.scim_service import ScimService

pytestmark = pytest.mark.anyio

RUNS = (
    "ms_entra/test_endpoints",
    "ms_entra/test_users",
    "ms_entra/test_groups",
    "ms_entra/test_complex_attributes",
    "ms_entra/test_users_with_garbage",
    "ms_entra/test_groups_with_garbage",
    "okta/test_okta_integration",
)
# (run, number of the exchange): the status that the normaliser makes of a request that the bare library refuses.
DIFFERS = {("ms_entra/test_groups", 8): 204, ("ms_entra/test_groups", 10): 204}
UNCOMPARED = frozenset({"meta", "authenticationSchemes", "pagination", "detail", "changePassword", "bulk", "filter"})
ID = re.compile(r"\b[0-9a-f]{32}\b")


def read(vectors: Path) -> dict[str, list[dict[str, Any]]]:
    return json.loads((vectors / "entra-okta-transcripts.json").read_text(encoding="utf-8"))["transcripts"]


def test_every_run_on_record_is_replayed(vectors: Path) -> None:
    transcripts = read(vectors)
    assert set(transcripts) == set(RUNS)
    assert sum(map(len, transcripts.values())) == 56


@pytest.mark.parametrize("run", RUNS)
async def test_a_recorded_run_gets_the_answers_on_record(scim: ScimService, vectors: Path, run: str) -> None:
    ids: dict[str, str] = {}
    for number, exchange in enumerate(read(vectors)[run]):
        request, recorded = exchange["request"], exchange["response"]
        url = urlsplit(mapped(request["url"], ids))
        path = url.path.removeprefix("/v2") + (f"?{url.query}" if url.query else "")
        body = request["body"]
        if isinstance(body, str):
            body = body.encode()
        elif body is not None:
            body = json.loads(mapped(json.dumps(body), ids))
        answer = await scim.send(request["method"], path, body)
        assert answer.status == DIFFERS.get((run, number), recorded["status"]), (number, answer.body)
        if answer.status == 201:
            ids[recorded["body"]["id"]] = answer.body["id"]
        if (run, number) not in DIFFERS and isinstance(recorded["body"], dict):
            expected = json.loads(mapped(json.dumps(recorded["body"]), ids))
            assert_holds(plain(answer.body), plain(expected), run, number)


def mapped(text: str, ids: dict[str, str]) -> str:
    return ID.sub(lambda found: ids.get(found[0], found[0]), text)


def plain(value: Any) -> Any:
    """Without what two services may say differently: times, versions, places, wording, limits."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items() if name not in UNCOMPARED}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def assert_holds(ours: Any, theirs: Any, run: str, number: int) -> None:
    """Everything on record is there, and nothing contradicts it; we may say more (the type of a member)."""
    place = f"{run} {number}: {ours} for {theirs}"
    if isinstance(theirs, dict):
        for name, entry in theirs.items():
            if name == "members" and number == 11:  # the additions that the bare library refused
                continue
            if name == "Resources" and not entry:
                assert not ours.get(name), place
                continue
            assert name in ours, place
            assert_holds(ours[name], entry, run, number)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), place
        if theirs and isinstance(theirs[0], dict) and "id" in theirs[0]:  # ids differ, and lists are ordered by them
            ours, theirs = sorted(ours, key=_id), sorted(theirs, key=_id)
        for our, their in zip(ours, theirs, strict=True):
            assert_holds(our, their, run, number)
    else:
        assert ours == theirs, place


def _id(resource: dict[str, Any]) -> str:
    return resource["id"]
