"""When each fact could change by itself: the border is noted, the fact is another one there, and none before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from pdp.facts.horizon import Horizon
from pdp.model.authentication import Authentication
from pdp.model.directory import (
    JST,
    CatalogueRow,
    Emergency,
    Loan,
    Period,
    Permit,
    Post,
    SegmentFrom,
    WorkPermit,
)
from tests.unit.facts.worlds import DEVICE, NOW, REQUEST, USER, facts

STEP = timedelta(microseconds=1)
AT = NOW + timedelta(seconds=30)  # before every border that the healthy world has by itself
UNTIL, FROM = Period(None, AT), Period(AT, None)
MAIL = CatalogueRow("mail", "communication", (SegmentFrom("cloud"),))
NEVER_AUTHENTICATED = Authentication(0)


def work_permit(user: str, resource: str, period: Period) -> WorkPermit:
    return WorkPermit("R5-012", frozenset({user}), frozenset({resource}), frozenset({"d-1"}), period)


def reported(age: timedelta) -> dict[str, Any]:
    return {"devices": [replace(DEVICE, posture=replace(DEVICE.posture, observed_at=NOW - age))]}


BORDERS: tuple[tuple[str, datetime, Mapping[str, Any]], ...] = (
    ("subject.employment", AT, {"users": [replace(USER, employment=UNTIL)]}),
    ("subject.employment", AT, {"users": [replace(USER, employment=FROM)]}),
    ("subject.departments", AT, {"users": [replace(USER, posts=(Post("soumu", UNTIL),))]}),
    ("subject.departments", AT, {"users": [replace(USER, posts=(Post("soumu"), Post("kankyo", FROM)))]}),
    ("subject.auth_age_min", AT, {"proof": Authentication(2, AT - timedelta(minutes=3))}),
    ("subject.auth_age_min", AT, {"proof": Authentication(2, AT - timedelta(minutes=1440))}),
    ("device.loan", AT, {"loans": [Loan("d-1", "u-1", UNTIL)]}),
    ("device.loan", AT, {"loans": [Loan("d-1", "u-1", FROM)]}),
    ("device.loan", AT, {"loans": [Loan("d-1", "u-2", UNTIL)]}),
    ("device.loan", AT, {"loans": [Loan("d-1", "u-2", FROM)]}),
    ("device.permit", AT, {"permits": [Permit("d-1", "u-1", UNTIL)]}),
    ("device.permit", AT, {"permits": [Permit("d-1", "u-1", FROM, held=True)]}),
    ("device.posture.age_hours", AT + STEP, reported(NOW - AT + timedelta(hours=2))),
    ("resource.segment", AT, {"resources": [replace(MAIL, segments=(SegmentFrom("cloud"), SegmentFrom("lgwan", AT)))]}),
    ("resource.status", AT, {"resources": [replace(MAIL, service=UNTIL)]}),
    ("resource.status", AT, {"resources": [replace(MAIL, service=FROM)]}),
    ("resource.status", AT, {"resources": [replace(MAIL, readonly_from=AT)]}),
    ("context.work_permit", AT, {"work_permits": [work_permit("u-1", "mail", UNTIL)]}),
    ("context.work_permit_until", AT, {"work_permits": [work_permit("u-1", "mail", UNTIL)]}),
    ("context.work_permit", AT, {"work_permits": [work_permit("u-1", "mail", FROM)]}),
    ("context.work_permit", AT, {"work_permits": [work_permit("u-1", "ledger", UNTIL)]}),
    ("context.work_permit", AT, {"work_permits": [work_permit("u-2", "mail", UNTIL)]}),
    ("context.disaster_mode", AT, {"emergencies": [Emergency(UNTIL)]}),
    ("context.disaster_mode", AT, {"emergencies": [Emergency(FROM)]}),
    ("context.business_day", datetime(2023, 8, 5, tzinfo=JST), {"now": datetime(2023, 8, 4, 20, tzinfo=JST)}),
    ("context.business_hours", datetime(2023, 8, 1, 8, 30, tzinfo=JST), {"now": datetime(2023, 8, 1, 7, tzinfo=JST)}),
    ("context.business_hours", datetime(2023, 8, 1, 17, 15, tzinfo=JST), {"now": datetime(2023, 8, 1, 17, tzinfo=JST)}),
)


def fact(document: Any, path: str) -> Any:
    at = msgspec.to_builtins(document)
    for name in path.split("."):
        at = at[name]
    return at


@pytest.mark.parametrize(
    ("path", "border", "world"), BORDERS, ids=[f"{path}-{number}" for number, (path, *_) in enumerate(BORDERS)]
)
def test_the_border_of_a_fact_is_noted_and_the_fact_is_another_one_there(
    path: str, border: datetime, world: Mapping[str, Any]
) -> None:
    built = facts(**world)
    assert built.horizon.changes[path] == border
    before, there = (facts(**{**world, "now": now}) for now in (border - STEP, border))
    assert fact(built.document, path) == fact(before.document, path) != fact(there.document, path)
    assert there.horizon.changes.get(path) != border, "a border that has been reached is no longer ahead"


def test_every_path_that_is_ever_noted_stands_in_the_table_of_borders() -> None:
    """`subject.auth_level` is the one fact that changes by itself elsewhere: in step 2, where the token ends."""
    noted = {path for _, _, world in BORDERS for path in facts(**world).horizon.changes}
    assert noted == {path for path, *_ in BORDERS}


def test_after_closing_the_business_hours_are_known_until_midnight_and_no_longer() -> None:
    built = facts(now=datetime(2023, 8, 1, 20, tzinfo=JST))
    assert built.horizon.changes["context.business_hours"] == datetime(2023, 8, 2, tzinfo=JST)


def test_an_authentication_ends_with_its_token() -> None:
    ends = {end: facts(proof=Authentication(2, expires_at=end)).horizon.changes for end in (AT, NOW, NOW - STEP)}
    assert ends[AT]["subject.auth_level"] == AT
    assert "subject.auth_level" not in ends[NOW] | ends[NOW - STEP]


def test_an_unknown_person_whose_token_ends_has_that_border_too() -> None:
    built = facts(msgspec.structs.replace(REQUEST, subject_id="nobody"), proof=Authentication(2, expires_at=AT))
    assert built.horizon.changes["subject.auth_level"] == AT


@pytest.mark.parametrize(
    ("path", "world"),
    [
        ("device.permit", {"permits": [Permit("d-1", "u-2", UNTIL)]}),
        ("device.permit", {"permits": [Permit("d-2", "u-1", UNTIL)]}),
        ("device.loan", {"loans": [Loan("d-2", "u-1", UNTIL)]}),
        ("context.work_permit", {"work_permits": [work_permit("u-2", "ledger", UNTIL)]}),
        ("device.permit", {"permits": [Permit("d-1", "u-1", Period(None, NOW))]}),
        ("resource.status", {"resources": [replace(MAIL, service=Period(NOW, None), readonly_from=NOW)]}),
        ("subject.auth_age_min", {"proof": NEVER_AUTHENTICATED}),
        ("subject.auth_age_min", {"proof": Authentication(2, NOW - timedelta(minutes=1440))}),
        ("device.posture.age_hours", {"devices": [replace(DEVICE, posture=replace(DEVICE.posture, observed_at=None))]}),
    ],
)
def test_what_cannot_change_the_fact_notes_no_border(path: str, world: Mapping[str, Any]) -> None:
    assert path not in facts(**world).horizon.changes


def test_of_several_borders_of_one_fact_the_first_is_noted_whatever_their_order() -> None:
    loans = [Loan("d-1", "u-1", Period(None, AT + timedelta(hours=n))) for n in (1, 0, 2)]
    for order in (loans, loans[::-1]):
        assert facts(loans=order).horizon.changes["device.loan"] == AT


def test_the_earliest_change_is_that_of_any_fact_and_none_where_there_is_none() -> None:
    horizon = Horizon(NOW)
    assert horizon.earliest() is None
    horizon.at("b", AT + STEP)
    horizon.at("a", AT)
    horizon.at("c", AT + STEP)
    horizon.at("d", None)
    horizon.at("e", NOW)
    assert (horizon.earliest(), set(horizon.changes)) == (AT, {"a", "b", "c"})


def test_a_report_from_the_future_notes_when_its_age_becomes_known() -> None:
    world = reported(timedelta(minutes=-6))
    built = facts(**world)
    assert built.document.device.posture.age_hours == "unknown"
    assert built.horizon.changes["device.posture.age_hours"] == NOW + timedelta(minutes=1)
