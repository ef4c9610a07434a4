"""From a story's short form to registers and a request: what stands in the file is what the house sees."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest

from pdp.errors import ScenarioError
from pdp.facts.reference import KnownNetwork
from pdp.model.directory import JST, Period, Snapshot
from pdp.scenario.format import DirectoryEntry, RequestEntry
from pdp.scenario.world import address_in, request_of, world_at
from tests.unit.facts.worlds import NOW, REFERENCE

REQUEST = {"user": "u-1", "auth_level": 2, "resource": "mail", "action": "access", "zone": "office"}


def asked(**changes: Any) -> RequestEntry:
    return msgspec.convert(REQUEST | changes, RequestEntry)


def world(*parts: dict[str, Any], request: RequestEntry | None = None) -> Snapshot:
    return world_at([msgspec.convert(part, DirectoryEntry) for part in parts], request or asked(), REFERENCE, NOW)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=JST)


AUGUST = Period(day("2023-08-01"), day("2023-09-01"))
BOOKED = {"device": "d-1", "user": "u-1", "from": "2023-08-01", "until": "2023-08-31"}


# --- times


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2023-08-01", datetime(2023, 8, 1, 15, tzinfo=UTC)),
        ("2023-08-01T24:00", datetime(2023, 8, 1, 15, tzinfo=UTC)),
        ("2023-08-01T24:00:00+09:00", datetime(2023, 8, 1, 15, tzinfo=UTC)),
        ("2023-08-01 24:00", datetime(2023, 8, 1, 15, tzinfo=UTC)),
        ("2023-08-31T24:00", datetime(2023, 8, 31, 15, tzinfo=UTC)),
        ("2023-08-01T18:30", datetime(2023, 8, 1, 9, 30, tzinfo=UTC)),
        ("2023-08-01 18:30:00 +09:00", datetime(2023, 8, 1, 9, 30, tzinfo=UTC)),
        ("2023-08-01T18:30:00+00:00", datetime(2023, 8, 1, 18, 30, tzinfo=UTC)),
        ("2023-08-01T18:30:00Z", datetime(2023, 8, 1, 18, 30, tzinfo=UTC)),
        ("9999-12-31", None),
    ],
)
def test_an_end_in_each_of_its_spellings(written: str, instant: datetime | None) -> None:
    (declared,) = world({"disaster": {"until": written}}).emergencies
    assert declared.period == Period(None, instant)


@pytest.mark.parametrize(
    "written", ["2023-02-30", "2023-08-01T25:00", "2023-08-01T10:00+99:00", "tomorrow", "2023-8-1"]
)
def test_a_time_that_is_none_is_told(written: str) -> None:
    with pytest.raises(ScenarioError):
        world({"disaster": {"until": written}})


# --- emergencies


@pytest.mark.parametrize(
    ("said", "periods"),
    [
        ([None], []),
        ([{"from": "2023-08-01", "until": "2023-08-31"}], [AUGUST]),
        (
            [[{"until": "2023-07-31"}, {"from": "2023-08-01", "until": "2023-08-31"}]],
            [Period(None, AUGUST.start), AUGUST],
        ),
        ([[]], []),
        ([{"until": "2023-07-31"}, {"from": "2023-08-01", "until": "2023-08-31"}], [AUGUST]),
        ([{"from": "2023-08-01", "until": "2023-08-31"}, None], [AUGUST]),
        ([{"from": "2023-08-01", "until": "2023-08-31"}, []], []),
    ],
)
def test_emergencies_are_one_or_several_and_the_last_part_that_names_any_counts(
    said: list[Any], periods: list[Period]
) -> None:
    parts = [{} if one is None else {"disaster": one} for one in said]
    assert [declared.period for declared in world(*parts).emergencies] == periods


# --- permits and loans


def test_a_loan_that_is_held_is_no_loan_and_a_permit_that_is_held_is_a_held_permit() -> None:
    held = {**BOOKED, "held": True}
    seen = world({"permits": [held], "loans": [held]})
    assert (seen.loans, [permit.held for permit in seen.permits["d-1"]]) == ({}, [True])
    plain = world({"permits": [BOOKED], "loans": [BOOKED]})
    assert [permit.held for permit in plain.permits["d-1"]] == [False]
    assert [(loan.user, loan.period) for loan in plain.loans["d-1"]] == [("u-1", AUGUST)]


def test_a_later_hold_takes_a_loan_away() -> None:
    assert world({"loans": [BOOKED]}, {"loans": [{**BOOKED, "held": True}]}).loans == {}


@pytest.mark.parametrize("register", ["permits", "loans"])
def test_a_later_part_replaces_all_bookings_of_the_same_device_and_user_and_no_others(register: str) -> None:
    def booking(device: str, user: str, until: str) -> dict[str, str]:
        return {"device": device, "user": user, "until": until}

    first = [
        booking("d-1", "u-1", "2023-08-01"),
        booking("d-1", "u-1", "2023-08-02"),
        booking("d-1", "u-2", "2023-08-03"),
        booking("d-2", "u-1", "2023-08-04"),
    ]
    seen = getattr(world({register: first}, {register: [booking("d-1", "u-1", "2023-08-09")]}), register)
    ends = {(one.device, one.user, one.period.end.astimezone(JST).day) for ones in seen.values() for one in ones}
    assert ends == {("d-1", "u-1", 10), ("d-1", "u-2", 4), ("d-2", "u-1", 5)}
    alone = getattr(world({register: first}), register)
    assert len(alone["d-1"]) == 3, "several bookings in one part stand side by side"


def test_people_devices_and_work_permits_are_replaced_by_their_id() -> None:
    def part(department: str, class_: str) -> dict[str, Any]:
        return {
            "users": [{"id": "u-1", "kind": "staff", "posts": [{"department": department}]}],
            "devices": [{"id": "d-1", "class": class_}],
            "work_permits": [{"id": "w-1", "users": [department], "resources": [], "devices": []}],
        }

    seen = world(part("soumu", "managed_pc"), {}, part("kankyo", "byod_phone"))
    assert [post.department for post in seen.users["u-1"].posts] == ["kankyo"]
    assert seen.devices["d-1"].class_ == "byod_phone"
    assert [permit.users for permit in seen.work_permits] == [{"kankyo"}]


# --- people


@pytest.mark.parametrize("source", ["integrated", "federated", "none"])
def test_the_source_of_an_identity_is_the_storys(source: str) -> None:
    seen = world({"users": [{"id": "u-1", "kind": "municipal_staff", "identity_source": source}]})
    assert seen.users["u-1"].identity_source == source


def test_the_narrowest_of_employment_contract_and_appointment_counts() -> None:
    dates = {
        "employment": {"from": "2023-04-01", "until": "2024-03-31", "status": "suspended"},
        "contract_until": "2023-12-31",
        "appointment_until": "2023-08-31",
    }
    user = world({"users": [{"id": "u-1", "kind": "contractor", **dates}]}).users["u-1"]
    assert (user.employment, user.status) == (Period(day("2023-04-01"), day("2023-09-01")), "suspended")


# --- systems


@pytest.mark.parametrize(
    ("status", "service", "readonly_from"),
    [
        ("in_service", Period(), None),
        ("readonly", Period(), NOW),
        ("ended", Period(None, NOW), None),
        ("not_started", Period(NOW + timedelta(days=1)), None),
        (None, Period(None, day("2023-08-01")), day("2023-07-01")),
    ],
)
def test_the_status_that_a_story_names_overrules_the_dates(
    status: str | None, service: Period, readonly_from: datetime | None
) -> None:
    entry = {"id": "mail", "until": "2023-07-31", "readonly_from": "2023-07-01"}
    row = world({"resources": [entry if status is None else {**entry, "status": status}]}).resources["mail"]
    assert (row.service, row.readonly_from, row.group) == (service, readonly_from, "communication")


def test_a_later_part_changes_a_system_as_the_earlier_one_left_it() -> None:
    seen = world(
        {"resources": [{"id": "mail", "sensitivity": 3, "status": "ended"}]},
        {"resources": [{"id": "mail", "departments": ["soumu"]}]},
    )
    row = seen.resources["mail"]
    assert (row.sensitivity, row.departments, row.service) == (3, ("soumu",), Period(None, NOW))


def test_a_new_system_without_a_group_is_told() -> None:
    with pytest.raises(ScenarioError, match="group is missing"):
        world({"resources": [{"id": "x"}]})


# --- posture and sources


@pytest.mark.parametrize(
    ("posture", "age", "patch"),
    [
        (None, None, None),
        ("unknown", None, None),
        ("healthy", timedelta(hours=1), 3),
        ({"age_hours": 24, "patch_age_days": 0}, timedelta(hours=24), 0),
        ({"age_hours": "unknown", "patch_age_days": "unknown"}, None, None),
    ],
)
def test_a_report_is_as_old_as_the_story_says(posture: Any, age: timedelta | None, patch: int | None) -> None:
    entry = {"id": "d-1", "class": "managed_pc"} | ({} if posture is None else {"posture": posture})
    report = world({"devices": [entry]}).devices["d-1"].posture
    assert (report.observed_at, report.patch_age_days) == (None if age is None else NOW - age, patch)


def test_sources_that_cannot_be_asked_are_so_in_the_world() -> None:
    seen = world({}, request=asked(sources={"posture": "unavailable", "identity": "ok"}))
    assert (seen.posture_source, seen.identity_source) == ("unavailable", "ok")
    seen = world({}, request=asked(sources={"identity": "unavailable"}))
    assert (seen.posture_source, seen.identity_source) == ("ok", "unavailable")


# --- the request


def test_a_zone_is_an_address_of_that_zone_and_of_no_narrower_one() -> None:
    nested = replace(
        REFERENCE,
        networks=(
            KnownNetwork(ip_network("10.0.0.0/16"), "sase", needs_tunnel=True, country=None),
            KnownNetwork(ip_network("10.0.0.0/8"), "office", needs_tunnel=False, country=None),
            KnownNetwork(ip_network("192.168.0.0/16"), "office", needs_tunnel=False, country=None),
        ),
    )
    assert address_in("sase", nested) == ("10.0.0.1", True)
    assert address_in("office", nested) == ("192.168.0.1", False)
    assert address_in("public", nested) == ("203.0.113.10", False)
    with pytest.raises(ScenarioError, match="carrier"):
        address_in("carrier", nested)


def test_a_request_carries_what_the_story_says_and_its_age_of_authentication() -> None:
    entry = asked(
        auth_level=3,
        auth_age_min=12,
        device="d-1",
        tenant="x",
        organisation="tsu",
        risk=["malware_alert"],
        pep=["save"],
    )
    request = request_of(entry, REFERENCE, NOW)
    assert request.identity is not None
    assert (request.identity.acr, request.identity.auth_time) == (
        "urn:sekisho:auth-level:3",
        NOW - timedelta(minutes=12),
    )  # type: ignore[union-attr]
    assert (request.device_id, request.tenant, request.organisation) == ("d-1", "x", "tsu")
    assert (request.risk, request.pep, request.network.country) == (("malware_alert",), ("save",), "JP")
    assert request_of(entry, REFERENCE, NOW, pep=()).pep == ()
