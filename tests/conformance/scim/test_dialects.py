"""The 18 PATCH dialects that were measured, with the results that they have behind the normaliser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scim_service import ENTERPRISE, ScimService

pytestmark = pytest.mark.anyio

# What the resource holds afterwards, in the order of the cases; None: refused, and as it was.
AFTER: tuple[tuple[str, Any], ...] = (
    ("active", False),
    ("active", False),
    ("active", False),
    ("name", {"familyName": "FF", "givenName": "GG"}),
    (ENTERPRISE, {"department": "D1"}),
    (ENTERPRISE, {"department": "D2"}),
    ("emails", [{"type": "work", "value": "w@x"}]),
    ("emails", [{"type": "work", "value": "w2@x"}]),
    ("members", ["{userId}"]),
    ("members", None),
    ("members", ["{userId}"]),
    ("members", ["{userId}"]),
    ("members", None),
    ("members", None),
    (ENTERPRISE, {"department": "D2", "manager": {"value": "abc"}}),
    ("displayName", "x"),
    ("displayName", "x"),
    ("displayName", "x"),
)
REFUSED = {16: "invalidPath", 17: "mutability"}


async def test_every_dialect_has_its_result(scim: ScimService, vectors: Path) -> None:
    place = vectors / "entra-patch-dialects-observed-scim2-server-0.8.3.json"
    cases = json.loads(place.read_text(encoding="utf-8"))["cases"]
    assert len(cases) == len(AFTER) == 18
    ids = {"{userId}": await scim.user("u-1"), "{groupId}": await scim.group("g-1")}
    for number, (case, (attribute, expected)) in enumerate(zip(cases, AFTER, strict=True)):
        path = put_in(case["path"], ids).removeprefix("/v2")
        answer = await scim.send("PATCH", path, json.loads(put_in(json.dumps(case["body"]), ids)))
        if number in REFUSED:
            assert (answer.status, answer.body["scimType"]) == (400, REFUSED[number]), case["case"]
        else:
            assert answer.status == 204, (case["case"], answer.body)
        held = (await scim.send("GET", path)).body.get(attribute)
        if attribute == "members":
            held = None if held is None else [member["value"] for member in held]
        assert held == known(expected, ids), case["case"]


def known(expected: Any, ids: dict[str, str]) -> Any:
    return [ids.get(str(one), one) for one in expected] if isinstance(expected, list) else expected


def put_in(text: str, ids: dict[str, str]) -> str:
    for name, id_ in ids.items():
        text = text.replace(name, id_)
    return text
