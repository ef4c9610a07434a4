from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pdp.api.openapi import CALLER
from pdp.callers.caller import PERMISSIONS
from pdp.errors import BadRequestError
from pdp.model.request import AccessRequest, AssertedClaims, ClientRequest, Network, UnverifiedToken
from pdp.strict_json import parse_json
from pdp.wire.authzen_mapping import _Asked, _explained
from tests.fuzz.wire import _warp
from tests.unit.wire.authzen_world import World, question

pytestmark = pytest.mark.anyio

USER = {"type": "user", "id": "u-allow"}
APPLICATION = {"type": "application", "id": "mail"}


def with_claims(**claims: Any) -> dict[str, Any]:
    return question(subject={**USER, "properties": {"claims": claims}})


async def mapped(body: dict[str, Any], **world: Any) -> AccessRequest:
    service = World(**world)
    await service.ask(body)
    return msgspec.structs.replace(service.decider.asked[0][0], reading=None)  # which says nothing of what is asked


async def test_the_least_request_says_nothing_more_than_it_says() -> None:
    assert await mapped(question()) == AccessRequest("u-allow", "mail", "access", wire="authzen")


async def test_the_fullest_request_is_read_whole() -> None:
    body = question(
        subject={
            **USER,
            "properties": {
                "claims": {"acr": "phr", "amr": ["pwd", "otp"], "auth_time": 1690848000, "iss": "https://i"}
            },
        },
        resource={**APPLICATION, "properties": {"tenant": "t", "path": "/a?b", "organisation": "tsu"}},
        action={"name": "read"},
        context={
            "device": {"id": "d-1", "certificate_sha256": "AB" * 32},
            "network": {
                "source_ip": "10.1.2.3",
                "tunnel": True,
                "underlay": "home",
                "country": "JP",
                "path_encrypted": False,
            },
            "risk": ["bulk_download"],
            "pep": ["print", "a-new-word"],
            "session_id": "s-1",
        },
    )
    assert await mapped(body) == AccessRequest(
        subject_id="u-allow",
        resource_id="mail",
        action="read",
        identity=AssertedClaims("phr", ("pwd", "otp"), datetime(2023, 8, 1, tzinfo=UTC), "https://i"),
        device_id="d-1",
        certificate_sha256="ab" * 32,
        network=Network("10.1.2.3", tunnel=True, underlay="home", path_encrypted=False, country="JP"),
        risk=("bulk_download",),
        pep=("print", "a-new-word"),
        tenant="t",
        organisation="tsu",
        path="/a?b",
        session_id="s-1",
        wire="authzen",
    )


async def test_a_token_is_taken_unverified_and_stands_nowhere_else() -> None:
    asked = await mapped(question(subject={**USER, "properties": {"token": "a.b.c"}}))
    assert asked.identity == UnverifiedToken("a.b.c")
    assert "a.b.c" not in repr(asked)
    assert asked.document == {}


async def test_attributes_and_posture_that_the_caller_gives_are_ignored() -> None:
    plain = await mapped(question())
    body = question(
        subject={**USER, "properties": {"kind": "staff", "departments": ["soumu"], "auth_level": 3}, "roles": ["x"]},
        resource={**APPLICATION, "properties": {"group": "communication", "sensitivity": 1}},
        context={"device": {"posture": {"tampered": False}, "class": "managed_pc"}, "zone": "office", "x": [None]},
        futureField={"a": 1},
    )
    assert await mapped(body) == plain


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1690848000.5, datetime(2023, 8, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2023-08-01T09:00:00+09:00", datetime(2023, 8, 1, tzinfo=UTC)),
        ("2023-08-01t00:00:00z", datetime(2023, 8, 1, tzinfo=UTC)),
        ("2023-08-01T00:00:00.123456789Z", datetime(2023, 8, 1, 0, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
async def test_auth_time_is_read_in_both_forms(value: object, instant: datetime) -> None:
    identity = (await mapped(with_claims(auth_time=value))).identity
    assert isinstance(identity, AssertedClaims)
    assert identity.auth_time == instant


@pytest.mark.parametrize(
    "value",
    [
        "1690848000",
        "2023-08-01",
        "2023-08-01T00:00:00",
        "2023-02-30T00:00:00Z",
        "2023-08-01T00:00:60Z",
        "20230801T000000Z",
        "",
        1e300,
        10**15,
        True,
        None,
        [1],
        {},
    ],
)
async def test_an_auth_time_that_is_no_instant_is_400(value: object) -> None:
    assert "`/subject/properties/claims/auth_time`" in await World().refused(with_claims(auth_time=value))


@pytest.mark.parametrize("address", ["10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3"])
async def test_an_address_is_taken(address: str) -> None:
    asked = await mapped(question(context={"network": {"source_ip": address}}))
    assert asked.network.source_ip is not None


@pytest.mark.parametrize("address", ["", "10.1.2", "10.1.2.3/8", "010.1.2.3", "fe80::1%eth0", "localhost", " 10.1.2.3"])
async def test_what_is_no_address_is_400(address: str) -> None:
    message = await World().refused(question(context={"network": {"source_ip": address}}))
    assert "`/context/network/source_ip`" in message


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"subject": None}, "the member `subject` is missing"),
    ({"action": None}, "the member `action` is missing"),
    ({"resource": None}, "the member `resource` is missing"),
    ({"subject": "u-1"}, "`/subject`"),
    ({"subject": []}, "`/subject`"),
    ({"subject": {"id": "u-1"}}, "`/subject`"),
    ({"subject": {"type": "user"}}, "`/subject`"),
    ({"subject": {"type": 1, "id": "u-1"}}, "`/subject/type`"),
    ({"subject": {"type": "user", "id": None}}, "`/subject/id`"),
    ({"subject": {"type": "user", "id": True}}, "`/subject/id`"),
    ({"subject": {"type": "user", "id": "x" * 1025}}, "`/subject/id`"),
    ({"subject": {**USER, "properties": []}}, "`/subject/properties`"),
    ({"subject": {**USER, "properties": {"token": 1}}}, "`/subject/properties/token`"),
    ({"subject": {**USER, "properties": {"token": "x" * 16_385}}}, "`/subject/properties/token`"),
    ({"subject": {**USER, "properties": {"claims": []}}}, "`/subject/properties/claims`"),
    ({"subject": {**USER, "properties": {"claims": {"acr": 2}}}}, "`/subject/properties/claims/acr`"),
    ({"subject": {**USER, "properties": {"claims": {"amr": "pwd"}}}}, "`/subject/properties/claims/amr`"),
    ({"subject": {**USER, "properties": {"claims": {"amr": ["pwd", 1]}}}}, "`/subject/properties/claims/amr/1`"),
    ({"subject": {**USER, "properties": {"claims": {"amr": ["x"] * 65}}}}, "`/subject/properties/claims/amr`"),
    ({"subject": {**USER, "properties": {"claims": {"iss": {}}}}}, "`/subject/properties/claims/iss`"),
    ({"subject": {**USER, "properties": {"token": "a", "claims": {}}}}, "`/subject/properties`"),
    ({"action": "read"}, "`/action`"),
    ({"action": {}}, "`/action`"),
    ({"action": {"name": 123}}, "`/action/name`"),
    ({"action": {"name": "read", "properties": 1}}, "`/action/properties`"),
    ({"resource": {"type": "application"}}, "`/resource`"),
    ({"resource": {**APPLICATION, "properties": {"tenant": 1}}}, "`/resource/properties/tenant`"),
    ({"resource": {**APPLICATION, "properties": {"path": ["/"]}}}, "`/resource/properties/path`"),
    ({"resource": {**APPLICATION, "properties": {"organisation": False}}}, "`/resource/properties/organisation`"),
    ({"context": []}, "`/context`"),
    ({"context": {"device": "d-1"}}, "`/context/device`"),
    ({"context": {"device": {"id": 1}}}, "`/context/device/id`"),
    ({"context": {"device": {"certificate_sha256": "ab"}}}, "`/context/device/certificate_sha256`"),
    ({"context": {"device": {"certificate_sha256": "g" * 64}}}, "`/context/device/certificate_sha256`"),
    ({"context": {"device": {"certificate_sha256": "a" * 64 + "\n"}}}, "`/context/device/certificate_sha256`"),
    ({"context": {"network": "10.1.2.3"}}, "`/context/network`"),
    ({"context": {"network": {"source_ip": 1}}}, "`/context/network/source_ip`"),
    ({"context": {"network": {"tunnel": "true"}}}, "`/context/network/tunnel`"),
    ({"context": {"network": {"tunnel": 1}}}, "`/context/network/tunnel`"),
    ({"context": {"network": {"underlay": 0}}}, "`/context/network/underlay`"),
    ({"context": {"network": {"country": None}}}, "`/context/network/country`"),
    ({"context": {"network": {"path_encrypted": "yes"}}}, "`/context/network/path_encrypted`"),
    ({"context": {"risk": "bulk_download"}}, "`/context/risk`"),
    ({"context": {"risk": [{}]}}, "`/context/risk/0`"),
    ({"context": {"pep": {"print": True}}}, "`/context/pep`"),
    ({"context": {"pep": ["x" * 1025]}}, "`/context/pep/0`"),
    ({"context": {"session_id": 7}}, "`/context/session_id`"),
]


@pytest.mark.parametrize(("change", "place"), WRONG)
async def test_a_wrong_type_in_a_known_member_is_400_at_its_place(change: dict[str, Any], place: str) -> None:
    world = World()
    body = {name: value for name, value in {**question(), **change}.items() if value is not None}
    assert place in await world.refused(body)
    assert not world.decider.asked


@pytest.mark.parametrize("member", ["context"])
async def test_null_is_no_value(member: str) -> None:
    assert f"`/{member}`" in await World().refused({**question(), member: None})


@pytest.mark.parametrize(
    ("body", "permission"),
    [
        (with_claims(), "assert_identity"),
        (with_claims(acr="phr"), "assert_identity"),
        (question(context={"network": {}}), "assert_network"),
        (question(context={"network": {"source_ip": "10.1.2.3"}}), "assert_network"),
        (question(context={"client_request": {"method": "GET", "uri": "https://a/"}}), "assert_network"),
    ],
)
async def test_what_a_caller_may_not_say_is_403(body: dict[str, Any], permission: Any) -> None:
    world = World(permissions=PERMISSIONS - {permission})
    assert f"`{permission}`" in await world.refused(body, status=403)
    assert not world.decider.asked


async def test_a_token_needs_no_permission_to_assert() -> None:
    asked = await mapped(question(subject={**USER, "properties": {"token": "a.b.c"}}), permissions=["decide"])
    assert asked.identity == UnverifiedToken("a.b.c")


async def test_a_token_with_a_proof_comes_with_the_request_that_it_is_about() -> None:
    seen = {"method": "GET", "uri": "https://app.example/x", "dpop": "a.b.c"}
    with_token = {**USER, "properties": {"token": "t.o.k"}}
    asked = await mapped(question(subject=with_token, context={"client_request": seen}))
    assert asked.identity == UnverifiedToken("t.o.k", "dpop")
    assert asked.client_request == ClientRequest("GET", "https://app.example/x", "a.b.c")
    bare = {"method": "GET", "uri": "https://app.example/x"}
    assert (await mapped(question(subject=with_token, context={"client_request": bare}))).identity == UnverifiedToken(
        "t.o.k"
    )
    assert (await mapped(question(context={"client_request": seen}))).client_request is None, "nobody would judge it"


@pytest.mark.parametrize(
    "seen", [None, {}, {"method": "GET"}, {"method": 1, "uri": "x"}, {"method": "G", "uri": "x", "dpop": None}]
)
async def test_half_a_request_of_the_client_is_refused(seen: Any) -> None:
    assert await World().refused(question(context={"client_request": seen}))


async def test_another_kind_of_thing_is_decided_under_a_name_that_no_register_holds() -> None:
    asked = await mapped(question(subject={"type": "group", "id": "u-allow"}, resource={"type": "todo", "id": "mail"}))
    assert (asked.subject_id, asked.resource_id) == ("group:u-allow", "todo:mail")


async def test_an_action_that_nobody_knows_is_for_the_decision_not_for_a_400() -> None:
    assert (await mapped(question(action={"name": "fly"}))).action == "fly"


async def test_profile_plain_passes_the_four_members_on_as_they_came_and_reads_nothing() -> None:
    body = question(
        subject={"type": "user", "id": "u-allow", "properties": {"claims": 1, "token": 2}, "extra": [1.5]},
        context={"network": "anything", "risk": 3},
        unknown={"a": 1},
    )
    asked = await mapped(body, profile="plain", permissions=["decide"])
    assert asked.document == {name: body[name] for name in ("subject", "action", "resource", "context")}
    assert asked == AccessRequest("u-allow", "mail", "access", wire="authzen", document=asked.document)


async def test_profile_plain_invents_no_context() -> None:
    assert "context" not in (await mapped(question(), profile="plain")).document


def test_what_is_no_question_is_refused_in_our_words_and_what_is_one_has_no_fault() -> None:
    """The one conversion and the careful reading, which only explains, must draw the same line."""
    chance = random.Random(20260401)
    refused = taken = 0
    for _ in range(4_000):
        body: Any = copy.deepcopy(CALLER)
        for _ in range(chance.randrange(1, 4)):
            body = _warp(body, chance)
        try:
            body = parse_json(json.dumps(body).encode())
        except BadRequestError:  # half a character, a number that is none
            continue
        if not isinstance(body, dict):
            continue
        try:
            msgspec.convert(body, _Asked)
        except msgspec.ValidationError as fault:
            refused += 1
            explained = _explained(body, "", fault)
            assert explained.message != str(fault), body
        else:
            taken += 1
            assert _explained(body, "", msgspec.ValidationError("nothing is wrong")).message == "nothing is wrong"
    assert refused > 500
    assert taken > 500
