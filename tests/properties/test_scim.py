"""Whatever a provider sends, the service answers in SCIM's form, and the directory holds what SCIM holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.scim_service import CORE, ENTERPRISE, ERROR, GROUP, PATCH, PREFECTURE, ScimService, new_store

ROOT = "/scim/v2"
NAMES = st.sampled_from(["u-1", "u-2", "U-1", "ｕ-1", "", " ", "u 1", "é", "山田", "a" * 300, "\u202e", "x/y"])
ATTRIBUTES = st.sampled_from(
    [
        "userName",
        "USERNAME",
        "active",
        "externalId",
        "displayName",
        "emails",
        "emails.value",
        "name",
        "name.givenName",
        "groups",
        "id",
        "meta",
        "meta.version",
        "schemas",
        "password",
        "roles",
        "members",
        "members.value",
        "title",
        "x509Certificates",
        "nonsuch",
        "userType",
        ENTERPRISE,
        f"{ENTERPRISE}:manager",
        f"{ENTERPRISE}:department",
        f"{CORE}:active",
        "$ref",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | NAMES
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ATTRIBUTES | st.just("value"), inner, max_size=3),
    max_leaves=6,
)
FILTERS = st.sampled_from(
    [
        "[",
        "[]",
        "[value eq]",
        '[value eq "u-1"]',
        '[type eq "work"]',
        "[primary eq true].value",
        "[value pr]",
        ".",
        "..a",
        '[value eq "\\u0000"]',
        "[not (value pr)]",
        "[value eq 1e999]",
        '[a eq "b"',
        "[value eq null]",
    ]
)
PATHS = st.none() | ATTRIBUTES | st.builds(str.__add__, ATTRIBUTES, FILTERS) | st.text(max_size=12)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove", "REMOVE", "move", ""])},
    optional={"path": PATHS, "value": VALUES, "name": NAMES},
)


class World:
    """One service for all examples, with two people and a group whose member is the first."""

    def __init__(self, place: Any) -> None:
        self.runner = asyncio.Runner()
        self.service = ScimService(new_store(place), {"entra": PREFECTURE})
        self.users = [self.runner.run(self.service.user(name, userType="Employee")) for name in ("u-1", "u-2")]
        self.group = self.runner.run(self.service.group("災害対策", (self.users[0],)))

    def send(self, method: str, path: str, body: Any) -> HttpAnswer:
        raw = json.dumps(body).encode()
        headers = (("authorization", "Bearer entra"), ("content-type", "application/json"))
        return self.runner.run(self.service.desk(HttpRequest(method, ROOT + path, "", headers, raw)))

    def check(self, answer: HttpAnswer) -> None:
        """In SCIM's form; never a bug. And whoever SCIM holds is in the directory as SCIM says."""
        assert answer.status < 500 or answer.status == 501, answer.body
        if answer.status >= 400:
            told = json.loads(answer.body)
            assert (told["schemas"], told["status"]) == ([ERROR], str(answer.status))
        listed = json.loads(self.send("POST", "/Users/.search", {"schemas": []}).body)["Resources"]
        members = json.loads(self.send("POST", "/Groups/.search", {"schemas": []}).body)["Resources"]
        in_group = {
            member["value"]
            for group in members
            for member in group.get("members", ())
            if group.get("displayName") == "災害対策"
        }
        for user in listed:
            person = self.service.person(user["userName"])
            assert person is not None
            assert person.status == ("active" if user.get("active") is True else "suspended")
            assert person.roles == (("disaster_response",) if user["id"] in in_group else ())
            assert person.kind == ("staff" if user.get("userType") == "Employee" else "unknown")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("scim"))
    yield made
    made.service.store.close()
    made.runner.close()


# Half of what the profile says: each example is several requests to a real store.
modest = settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.too_slow])


@modest
@given(which=st.sampled_from([0, 1]), operations=st.lists(OPERATIONS, min_size=1, max_size=3))
def test_any_patch_of_a_user_leaves_the_directory_as_scim_says(world: World, which: int, operations: Any) -> None:
    body = {"schemas": [PATCH], "Operations": operations}
    world.check(world.send("PATCH", f"/Users/{world.users[which]}", body))


@modest
@given(operations=st.lists(OPERATIONS, min_size=1, max_size=3))
def test_any_patch_of_a_group_leaves_the_directory_as_scim_says(world: World, operations: Any) -> None:
    world.check(world.send("PATCH", f"/Groups/{world.group}", {"schemas": [PATCH], "Operations": operations}))


@modest
@given(body=st.dictionaries(ATTRIBUTES, VALUES, max_size=5), method=st.sampled_from(["POST", "PUT"]), name=NAMES)
def test_any_resource_is_taken_or_refused(world: World, body: Any, method: str, name: str) -> None:
    path = "/Users" if method == "POST" else f"/Users/{world.users[1]}"
    world.check(world.send(method, path, {"schemas": [CORE], "userName": name, **body}))
    group = "/Groups" if method == "POST" else f"/Groups/{world.group}"
    world.check(world.send(method, group, {"schemas": [GROUP], "displayName": name, **body}))


@modest
@given(body=VALUES, text=PATHS, sort=PATHS)
def test_any_search_is_answered_or_refused(world: World, body: Any, text: Any, sort: Any) -> None:
    for asked in (body, {"schemas": [], "filter": text, "sortBy": sort}, {"schemas": [], "attributes": [text]}):
        for path in ("/.search", "/Users/.search", "/Groups/.search"):
            answer = world.send("POST", path, asked)
            assert answer.status < 500, (asked, answer.body)


@modest
@given(
    operations=st.lists(
        st.fixed_dictionaries(
            {"method": st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "GET", ""]), "path": NAMES},
            optional={"data": VALUES, "bulkId": NAMES, "version": NAMES},
        ),
        max_size=3,
    )
)
def test_any_bulk_request_is_answered_or_refused(world: World, operations: Any) -> None:
    schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]
    world.check(world.send("POST", "/Bulk", {"schemas": schemas, "Operations": operations}))
