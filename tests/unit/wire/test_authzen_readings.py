"""What is remembered of bodies: never another call's, another caller's or another policy's reading, never a token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.errors import BadRequestError, NotPermittedError
from pdp.recent import MOVES_EACH
from pdp.wire.authzen_call import Call
from pdp.wire.authzen_mapping import access_request
from pdp.wire.authzen_readings import MAX_BYTES, Readings
from tests.unit.wire.authzen_world import EVALUATION, KNOWN, World, question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.callers.caller import Permission

pytestmark = pytest.mark.anyio

TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1LWFsbG93In0.c2ln"


def call(
    body: object,
    permissions: Iterable[Permission] = PERMISSIONS,
    *,
    caller: str = "gateway-1",
    request_id: str | None = None,
    fresh: bool = False,
) -> Call:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Call(Caller(caller, frozenset(permissions)), request_id, None, raw, fresh=fresh)


def with_claims(who: str = "u-allow") -> dict[str, Any]:
    return question(who, subject={"type": "user", "id": who, "properties": {"claims": {"acr": "urn:x:2"}}})


def test_the_same_bytes_are_read_once_and_ask_the_same() -> None:
    readings = Readings()
    first = readings.asked(call(question()), "zta")
    again = readings.asked(call(question()), "zta")
    assert again == first
    assert msgspec.structs.replace(again, reading=None) == access_request(question(), "zta", call(question()))
    assert len(readings) == 1
    assert readings.asked(call(question()), "zta") is again


def test_a_reading_stands_for_one_question_in_one_form_of_words_and_rights() -> None:
    """What hangs on a reading is given to whoever has it (`pdp.recollection`)."""
    readings = Readings()
    asked = [
        readings.asked(call(question()), "zta"),
        readings.asked(call(question("u-other")), "zta"),
        readings.asked(call(question(), PERMISSIONS - {"assert_identity"}), "zta"),
        readings.asked(call(question()), "plain"),
        readings.asked(call(question(), caller="gateway-2"), "zta"),
        readings.asked(call(json.dumps(question(), indent=1).encode()), "zta"),
    ]
    assert len({one.reading for one in asked}) == len(asked)
    assert None not in {one.reading for one in asked}
    again = readings.asked(call(question(), request_id="r-1", fresh=True), "zta")
    assert again.reading is asked[0].reading


def test_a_question_with_a_token_or_a_long_one_has_no_reading() -> None:
    readings = Readings()
    for profile in ("zta", "plain"):
        with_token = question(subject={"type": "user", "id": "u", "properties": {"token": TOKEN}})
        assert readings.asked(call(with_token), profile).reading is None
    long = json.dumps(question()).encode() + b" " * MAX_BYTES
    assert [readings.asked(call(long), "zta").reading for _ in range(2)] == [None, None]


def test_what_belongs_to_one_call_stays_with_that_call() -> None:
    readings = Readings()
    told = readings.asked(call(question(), request_id="r-1", fresh=True), "zta")
    assert (told.request_id, told.fresh) == ("r-1", True)
    plain = readings.asked(call(question()), "zta")
    assert (plain.request_id, plain.trace_id, plain.fresh) == (None, None, False)
    other = readings.asked(call(question(), request_id="r-2"), "zta")
    assert (other.request_id, other.fresh) == ("r-2", False)


def test_another_profile_reads_for_itself() -> None:
    readings = Readings()
    assert readings.asked(call(with_claims()), "zta").document == {}
    plain = readings.asked(call(with_claims()), "plain")
    assert plain.identity is None
    assert plain.document == with_claims()
    assert readings.asked(call(with_claims()), "zta").identity is not None


def test_a_caller_that_may_say_less_is_refused_what_another_was_believed() -> None:
    readings = Readings()
    readings.asked(call(with_claims()), "zta")
    with pytest.raises(NotPermittedError):
        readings.asked(call(with_claims(), PERMISSIONS - {"assert_identity"}), "zta")
    assert readings.asked(call(with_claims()), "zta").identity is not None


def test_a_permission_that_is_taken_away_counts_at_once() -> None:
    readings, body = Readings(), question(context={"network": {"source_ip": "10.0.0.1"}})
    readings.asked(call(body), "zta")
    with pytest.raises(NotPermittedError):
        readings.asked(call(body, {"decide"}), "zta")


@pytest.mark.parametrize("profile", ["zta", "plain"])
def test_a_body_that_holds_a_token_is_never_kept(profile: Any) -> None:
    readings = Readings()
    body = question(subject={"type": "user", "id": "u-allow", "properties": {"token": TOKEN}})
    assert readings.asked(call(body), profile) == readings.asked(call(body), profile)
    assert len(readings) == 0


def test_a_question_of_several_is_remembered_by_what_it_came_to_and_not_by_where_it_stood() -> None:
    readings = Readings()
    first = readings.asked_by_item(question(), call(b""), "zta", "/evaluations/0")
    assert readings.asked_by_item(question(), call(b"", request_id="r-9"), "zta", "/evaluations/7").request_id == "r-9"
    assert msgspec.structs.replace(first, reading=None) == access_request(question(), "zta", call(b""))
    assert len(readings) == 1
    with pytest.raises(BadRequestError) as refused:
        readings.asked_by_item({**question(), "subject": 1}, call(b""), "zta", "/evaluations/7")
    assert refused.value.pointer == "/evaluations/7/subject"


def test_a_question_of_several_that_holds_a_token_is_never_kept() -> None:
    readings = Readings()
    body = question(subject={"type": "user", "id": "u-allow", "properties": {"token": TOKEN}})
    readings.asked_by_item(body, call(b""), "zta", "/evaluations/0")
    assert len(readings) == 0


def test_a_body_that_is_refused_is_refused_again() -> None:
    readings = Readings()
    for _ in range(2):
        with pytest.raises(BadRequestError):
            readings.asked(call(b'{"subject":1,"subject":1}'), "zta")
        with pytest.raises(BadRequestError):
            readings.asked(call(b"[]"), "zta")
    assert len(readings) == 0


def test_a_large_body_is_not_kept() -> None:
    readings = Readings()
    readings.asked(call(question(context={"x": "a" * MAX_BYTES})), "zta")
    assert len(readings) == 0


def test_the_memory_is_bounded_and_keeps_what_is_asked_for() -> None:
    readings = Readings(2 * MOVES_EACH)
    readings.asked(call(question("u-popular")), "zta")
    popular = readings.asked(call(question("u-popular")), "zta")
    for number in range(9 * MOVES_EACH):
        readings.asked(call(question(f"u-{number}")), "zta")
        assert readings.asked(call(question("u-popular")), "zta") is popular
        assert len(readings) <= 2 * MOVES_EACH
    readings.asked(call(question("u-0")), "zta")  # long forgotten, and read anew
    assert len(readings) == 2 * MOVES_EACH


async def test_a_service_that_changes_its_profile_reads_the_same_bytes_anew() -> None:
    world = World()
    assert "context" in await world.ask(question())
    world.profile = "plain"
    assert await world.ask(question()) == {"decision": True}


async def test_a_request_id_comes_back_with_every_answer_to_the_same_bytes() -> None:
    world = World()
    for request_id in ("r-1", "r-2"):
        answer = await world.send(EVALUATION, question(), {**KNOWN, "x-request-id": request_id})
        assert dict(answer.headers)["x-request-id"] == request_id
    assert [request.request_id for request, _ in world.decider.asked] == ["r-1", "r-2"]


@pytest.mark.parametrize(
    ("permissions", "headers", "fresh"),
    [
        (PERMISSIONS, {"cache-control": "no-cache"}, True),
        (PERMISSIONS, {"cache-control": "max-age=0, No-Cache"}, True),
        (PERMISSIONS, {}, False),
        (PERMISSIONS, {"cache-control": "no-store"}, False),
        (PERMISSIONS - {"bypass_cache"}, {"cache-control": "no-cache"}, False),
    ],
)
async def test_a_fresh_evaluation_is_for_those_who_may_ask_for_one(
    permissions: Iterable[Permission], headers: dict[str, str], fresh: bool
) -> None:
    world = World(permissions=permissions)
    for path in (EVALUATION, EVALUATION, "/access/v1/evaluations"):
        assert (await world.send(path, question(), {**KNOWN, **headers})).status == 200
    assert [request.fresh for request, _ in world.decider.asked] == [fresh] * 3


async def test_a_fresh_evaluation_is_asked_for_on_any_of_several_lines() -> None:
    world = World()
    answer = await world.send(
        EVALUATION, question(), [*KNOWN.items(), ("cache-control", "max-age=0"), ("cache-control", "no-cache")]
    )
    assert answer.status == 200
    assert world.decider.asked[0][0].fresh
