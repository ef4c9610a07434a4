from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from pdp.errors import BadRequestError
from pdp.model.authentication import Authentication
from pdp.model.directory import JST, Device, Emergency, Loan, Permit, Post, PostureReport, User, WorkPermit
from pdp.model.input import check_input, decode_input, encode_input
from pdp.model.request import Network
from tests.unit.facts.worlds import DEVICE, NOW, REQUEST, USER, dates, facts


def test_what_is_built_is_always_a_well_formed_document() -> None:
    built = facts().document
    assert check_input(msgspec.to_builtins(built)) == built
    assert decode_input(encode_input(built)) == built


def test_a_person_whom_no_register_knows_is_kind_unknown_and_never_absent() -> None:
    subject = facts(msgspec.structs.replace(REQUEST, subject_id="nobody")).document.subject
    assert (subject.kind, subject.identity_source, subject.employment) == ("unknown", "none", "active")
    assert (subject.departments, subject.roles) == ([], [])


def test_a_device_that_no_register_knows_has_every_posture_fact_unknown() -> None:
    device = facts(msgspec.structs.replace(REQUEST, device_id="d-404")).document.device
    assert (device.id, device.class_, device.registered, device.relation) == ("d-404", "unknown", False, "none")
    assert {value for key, value in msgspec.to_builtins(device.posture).items()} == {"unknown"}


def test_no_device_named_is_an_unregistered_device() -> None:
    assert facts(msgspec.structs.replace(REQUEST, device_id=None)).document.device.registered is False


def test_a_system_that_no_catalogue_knows_has_unknown_group_and_segment() -> None:
    resource = facts(msgspec.structs.replace(REQUEST, resource_id="x", tenant="other-corp")).document.resource
    assert (resource.group, resource.segment, resource.status, resource.tenant) == (
        "unknown",
        "unknown",
        "in_service",
        "other",
    )


# --- dates in Japan ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "employment"),
    [
        ("2023-03-31T23:59:59+09:00", "not_started"),
        ("2023-04-01T00:00:00+09:00", "active"),
        ("2024-03-31T14:59:59+00:00", "active"),
        ("2024-03-31T15:00:00+00:00", "ended"),
    ],
)
def test_employment_begins_and_ends_at_midnight_in_japan(now: str, employment: str) -> None:
    user = replace(USER, employment=dates("2023-04-01", "2024-03-31"))
    assert facts(now=datetime.fromisoformat(now), users=[user]).document.subject.employment == employment


@pytest.mark.parametrize(
    ("status", "expected"), [("suspended", "suspended"), ("ended", "ended"), ("not_started", "not_started")]
)
def test_the_registers_own_word_counts_beside_its_dates(status: str, expected: str) -> None:
    assert facts(users=[replace(USER, status=status)]).document.subject.employment == expected


def test_an_ended_employment_stays_ended_for_a_suspended_person() -> None:
    user = replace(USER, status="suspended", employment=dates(None, "2023-07-31"))
    assert facts(users=[user]).document.subject.employment == "ended"


def test_on_the_day_of_transfer_only_the_new_post_counts() -> None:
    user = replace(
        USER, posts=(Post("soumu", dates("2022-04-01", "2024-03-31")), Post("kankyo", dates("2024-04-01", None)))
    )
    before = facts(now=datetime(2024, 3, 31, 23, 59, tzinfo=JST), users=[user])
    after = facts(now=datetime(2024, 4, 1, 0, 0, tzinfo=JST), users=[user])
    assert before.document.subject.departments == ["soumu"]
    assert before.horizon.changes["subject.departments"] == datetime(2024, 3, 31, 15, 0, tzinfo=UTC)
    assert after.document.subject.departments == ["kankyo"]


def test_the_main_post_stands_first_and_no_department_twice() -> None:
    user = replace(USER, posts=(Post("kankyo"), Post("soumu"), Post("kankyo")))
    assert facts(users=[user]).document.subject.departments == ["kankyo", "soumu"]


# --- device ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "department", "relation"),
    [("u-1", None, "own"), ("u-2", None, "assigned_to_other"), (None, "soumu", "pool"), (None, None, "none")],
)
def test_relation_to_the_subject(owner: str | None, department: str | None, relation: str) -> None:
    device = replace(DEVICE, owner=owner, department=department)
    assert facts(devices=[device]).document.device.relation == relation


@pytest.mark.parametrize(
    ("loans", "state"),
    [
        ([], "none"),
        ([Loan("d-1", "u-1", dates("2023-08-01", "2023-08-03"))], "valid"),
        ([Loan("d-1", "u-2", dates("2023-08-01", "2023-08-03"))], "mismatch"),
        ([Loan("d-1", "u-1", dates("2023-07-01", "2023-07-31"))], "expired"),
        ([Loan("d-1", "u-1", dates("2023-08-02", "2023-08-03"))], "none"),
        ([Loan("d-1", "u-2", dates("2023-07-01", "2023-07-31"))], "none"),
        (
            [Loan("d-1", "u-1", dates("2023-07-01", "2023-07-31")), Loan("d-1", "u-2", dates("2023-08-01", None))],
            "mismatch",
        ),
    ],
)
def test_loans(loans: list[Loan], state: str) -> None:
    assert facts(loans=loans).document.device.loan == state


@pytest.mark.parametrize(
    ("permits", "state"),
    [
        ([], "none"),
        ([Permit("d-1", "u-1", dates("2023-04-01", "2024-03-31"))], "valid"),
        ([Permit("d-1", "u-1", dates("2023-04-01", "2024-03-31"), held=True)], "held"),
        ([Permit("d-1", "u-1", dates("2022-04-01", "2023-03-31"))], "expired"),
        ([Permit("d-1", "u-1", dates("2022-04-01", "2023-03-31"), held=True)], "expired"),
        ([Permit("d-1", "u-2", dates("2023-04-01", "2024-03-31"))], "none"),
        ([Permit("d-1", "u-1", dates("2023-09-01", None))], "none"),
        ([Permit("d-1", "u-1", dates(None, None)), Permit("d-1", "u-1", dates(None, None), held=True)], "held"),
    ],
)
def test_permits(permits: list[Permit], state: str) -> None:
    assert facts(permits=permits).document.device.permit == state


@pytest.mark.parametrize(
    ("age", "hours"),
    [
        (timedelta(), 0),
        (timedelta(seconds=1), 1),
        (timedelta(hours=24), 24),
        (timedelta(hours=24, seconds=1), 25),
        (timedelta(minutes=-4), 0),
        (timedelta(minutes=-6), "unknown"),
    ],
)
def test_posture_age_is_rounded_up_so_that_older_than_is_exact(age: timedelta, hours: int | str) -> None:
    report = replace(DEVICE.posture, observed_at=NOW - age)
    assert facts(devices=[replace(DEVICE, posture=report)]).document.device.posture.age_hours == hours


def test_the_answer_ends_where_the_posture_becomes_an_hour_older() -> None:
    report = replace(DEVICE.posture, observed_at=NOW - timedelta(minutes=90))
    built = facts(devices=[replace(DEVICE, posture=report)])
    ends = built.horizon.changes["device.posture.age_hours"]
    older = facts(now=ends, devices=[replace(DEVICE, posture=report)])
    assert (built.document.device.posture.age_hours, older.document.device.posture.age_hours) == (2, 3)


@pytest.mark.parametrize(
    ("enrolled", "reported", "seen", "expected"),
    [
        (None, True, None, True),
        ("ab", True, "ab", True),
        ("ab", "unknown", "ab", True),
        ("ab", False, "ab", False),
        ("ab", True, "cd", False),
        (None, True, "cd", False),
    ],
)
def test_a_certificate_that_the_gateway_saw_goes_before_a_report(
    enrolled: str | None, reported: bool | str, seen: str | None, expected: bool | str
) -> None:
    device = replace(DEVICE, certificate_sha256=enrolled, posture=replace(DEVICE.posture, certificate=reported))
    built = facts(msgspec.structs.replace(REQUEST, certificate_sha256=seen), devices=[device])
    assert built.document.device.posture.certificate == expected


def test_a_device_is_found_by_its_certificate_alone() -> None:
    device = replace(DEVICE, certificate_sha256="ab")
    built = facts(msgspec.structs.replace(REQUEST, device_id=None, certificate_sha256="ab"), devices=[device])
    assert (built.document.device.id, built.document.device.posture.certificate) == ("d-1", True)


def test_another_devices_certificate_does_not_vouch_for_the_named_one() -> None:
    other = Device("d-2", "managed_pc", owner="u-1", certificate_sha256="ab", posture=PostureReport(certificate=True))
    built = facts(msgspec.structs.replace(REQUEST, certificate_sha256="ab"), devices=[DEVICE, other])
    assert (built.document.device.id, built.document.device.posture.certificate) == ("d-1", False)


# --- resource ---------------------------------------------------------------------------------------


def test_a_business_system_moves_on_its_date() -> None:
    before = facts(
        msgspec.structs.replace(REQUEST, resource_id="ledger"), now=datetime(2023, 1, 31, 23, 59, tzinfo=JST)
    )
    after = facts(msgspec.structs.replace(REQUEST, resource_id="ledger"), now=datetime(2023, 2, 1, tzinfo=JST))
    assert (before.document.resource.segment, after.document.resource.segment) == ("lgwan", "internet")
    assert before.horizon.changes["resource.segment"] == datetime(2023, 2, 1, tzinfo=JST)


@pytest.mark.parametrize(
    ("resource", "asked", "organisations"),
    [
        ("dashboard", None, ["mie"]),
        ("dashboard", "tsu", ["tsu"]),
        ("tsu-data", None, ["mie", "tsu"]),
        ("tsu-data", "tsu", ["tsu"]),
        ("tsu-data", "yokkaichi", []),
    ],
)
def test_a_request_narrows_whose_data_it_asks_for_and_never_widens_it(
    resource: str, asked: str | None, organisations: list[str]
) -> None:
    built = facts(msgspec.structs.replace(REQUEST, resource_id=resource, organisation=asked))
    assert built.document.resource.organisations == organisations


# --- context ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "tunnel", "zone"),
    [
        ("10.1.2.3", False, "office"),
        ("::ffff:10.1.2.3", False, "office"),
        ("100.64.0.9", True, "sase"),
        ("100.64.0.9", False, "public"),
        ("198.51.100.1", True, "public"),
        ("2001:db8::1", False, "public"),
        (None, True, "public"),
    ],
)
def test_the_zone_is_what_the_address_says(address: str | None, tunnel: bool, zone: str) -> None:
    assert facts(msgspec.structs.replace(REQUEST, network=Network(address, tunnel))).document.context.zone == zone


@pytest.mark.parametrize("address", ["10.0.0", "office", "", "10.0.0.1/8", "fe80::1%eth0x%", "１０.0.0.1"])
def test_an_address_that_is_none_is_bad_input(address: str) -> None:
    with pytest.raises(BadRequestError):
        facts(msgspec.structs.replace(REQUEST, network=Network(address)))


@pytest.mark.parametrize(
    "request_with",
    [
        {"action": "fly"},
        {"risk": ("bad_mood",)},
        {"network": Network("10.0.0.1", underlay="train")},
    ],
)
def test_a_word_that_is_not_listed_is_bad_input(request_with: dict[str, object]) -> None:
    with pytest.raises(BadRequestError):
        facts(msgspec.structs.replace(REQUEST, **request_with))


@pytest.mark.parametrize(
    ("now", "day", "hours"),
    [
        ("2023-08-01T08:29:59+09:00", True, False),
        ("2023-08-01T08:30:00+09:00", True, True),
        ("2023-08-01T17:14:59+09:00", True, True),
        ("2023-08-01T17:15:00+09:00", True, False),
        ("2023-08-11T10:00:00+09:00", False, False),
        ("2023-08-05T10:00:00+09:00", False, False),
        ("2023-08-03T23:30:00+00:00", True, True),
    ],
)
def test_business_time_is_japans(now: str, day: bool, hours: bool) -> None:
    context = facts(now=datetime.fromisoformat(now)).document.context
    assert (context.business_day, context.business_hours) == (day, hours)


def _permit(**changes: object) -> WorkPermit:
    values = {
        "id": "R5-012",
        "users": frozenset({"u-1"}),
        "resources": frozenset({"mail"}),
        "devices": frozenset({"d-1"}),
        "period": dates("2023-08-01", "2023-08-01"),
    }
    return WorkPermit(**(values | changes))


@pytest.mark.parametrize(
    ("permits", "state", "until"),
    [
        ([], "none", "none"),
        ([_permit()], "valid", "2023-08-02T00:00:00+09:00"),
        ([_permit(period=dates("2023-08-02", None))], "out_of_window", "none"),
        ([_permit(resources=frozenset({"x"}))], "out_of_scope", "none"),
        ([_permit(devices=frozenset())], "out_of_scope", "none"),
        ([_permit(users=frozenset({"u-2"}))], "not_named", "none"),
        ([_permit(users=frozenset({"u-2"}), period=dates(None, "2023-07-01"))], "none", "none"),
        ([_permit(users=frozenset({"u-2"}), period=dates("2023-09-01", None))], "not_named", "none"),
        ([_permit(resources=frozenset({"x"}), period=dates(None, "2023-07-01"))], "none", "none"),
        ([_permit(users=frozenset({"u-2"})), _permit()], "valid", "2023-08-02T00:00:00+09:00"),
        ([_permit(resources=frozenset({"x"})), _permit(period=dates(None, "2023-07-01"))], "out_of_window", "none"),
    ],
)
def test_work_permits(permits: list[WorkPermit], state: str, until: str) -> None:
    context = facts(work_permits=permits).document.context
    assert (context.work_permit, context.work_permit_until) == (state, until)


def test_a_declared_emergency_counts_within_its_time_only() -> None:
    declared = [Emergency(dates("2023-08-01", "2023-08-03"))]
    assert facts(emergencies=declared).document.context.disaster_mode is True
    assert facts(now=datetime(2023, 8, 4, tzinfo=JST), emergencies=declared).document.context.disaster_mode is False


def test_the_tunnel_is_an_encrypted_path_unless_the_gateway_says_otherwise() -> None:
    said = {
        Network("10.0.0.1"): "unknown",
        Network("10.0.0.1", tunnel=True): True,
        Network("10.0.0.1", tunnel=True, path_encrypted=False): False,
        Network("10.0.0.1", tunnel=True, path_encrypted="unknown"): "unknown",
    }
    for network, expected in said.items():
        assert facts(msgspec.structs.replace(REQUEST, network=network)).document.context.path_encrypted == expected


# --- identity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "minutes"),
    [
        (None, 1440),
        (NOW, 0),
        (NOW - timedelta(seconds=59), 0),
        (NOW - timedelta(minutes=12, seconds=30), 12),
        (NOW - timedelta(days=3), 1440),
        (NOW + timedelta(seconds=30), 0),
    ],
)
def test_the_age_of_the_authentication_is_whole_minutes_and_capped(at: datetime | None, minutes: int) -> None:
    assert facts(proof=Authentication(2, at)).document.subject.auth_age_min == minutes


def test_attributes_come_from_the_register_and_never_from_the_request() -> None:
    document = {"subject": {"properties": {"kind": "emergency_account", "roles": ["server_admin"]}}}
    subject = facts(msgspec.structs.replace(REQUEST, document=document)).document.subject
    assert (subject.kind, subject.roles) == ("staff", [])


def test_lists_are_the_same_whatever_their_order_was() -> None:
    one = facts(msgspec.structs.replace(REQUEST, pep=("save", "print"), risk=("malware_alert", "bulk_download")))
    two = facts(
        msgspec.structs.replace(REQUEST, pep=("print", "save", "save"), risk=("bulk_download", "malware_alert"))
    )
    assert one.document == two.document
    left, right = (User("u-1", "staff", roles=roles) for roles in (("b", "a"), ("a", "b", "a")))
    assert facts(users=[left]).document == facts(users=[right]).document


def test_a_work_permit_for_a_device_named_unknown_fits_no_request_without_a_device() -> None:
    permits = [_permit(devices=frozenset({"unknown"}))]
    assert (
        facts(msgspec.structs.replace(REQUEST, device_id=None), work_permits=permits).document.context.work_permit
        == "out_of_scope"
    )
