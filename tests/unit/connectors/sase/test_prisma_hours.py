"""Business days and hours as schedules: written day by day, read minute by minute."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from connectors.sase.prisma import target
from connectors.sase.prisma_calendar import ALL, Calendar, moments, schedule
from pdp.errors import ExportError
from pdp.export.checking import MODEL, check
from pdp.export.sieves import SpaceRegion, SpaceSieve
from pdp.model.rules import Condition, Office, encode
from tests.spaces import shipped_space
from tests.unit.connectors.sase.prisma_tenant import few, mapping

if TYPE_CHECKING:
    from pdp.model.rules import RuleModel

DAYS = ("2026-11-24", "2026-11-25")
CALENDAR = Calendar(tuple(date.fromisoformat(day) for day in DAYS))
OFFICE = Office("08:30", "17:15", (5, 6), ("2026-11-23",))


def asking(*facts: str) -> RuleModel:
    """The rules of a few systems, narrowed to what these facts say."""
    extra = tuple(Condition(fact, (True,)) for fact in facts)
    rules = tuple(msgspec.structs.replace(rule, conditions=(*rule.conditions, *extra)) for rule in few().rules)
    return msgspec.structs.replace(few(), rules=rules)


def files_of(model: RuleModel, **changes: Any) -> dict[str, bytes]:
    made = target(mapping(**changes)).export(model)
    return {**made.files, MODEL: encode(model)}


def let_through(files: dict[str, bytes], fact: str, value: object) -> bool:
    """Whether anything passes while a fact has this value."""
    made = target(mapping(calendar={"days": list(DAYS)}))
    sieve = SpaceSieve(shipped_space())
    found = made.interpreter(files).permitted("finance", sieve) & sieve.where([fact], lambda held: held is value)
    assert isinstance(found, SpaceRegion)
    return found.root != shipped_space().diagram.false


@pytest.mark.parametrize("fact", ["context.business_hours", "context.business_day"])
def test_what_asks_for_business_time_has_a_schedule_and_is_on_at_no_other(fact: str) -> None:
    model = asking(fact)
    files = files_of(model, calendar={"days": list(DAYS)})
    rules = [rule for rule in json.loads(files["security-rules.json"]) if rule["action"] == "allow"]
    (made,) = json.loads(files["schedules.json"])
    assert {rule["schedule"] for rule in rules} == {made["name"]}
    assert let_through(files, fact, value=True)
    assert not let_through(files, fact, value=False)
    report = check(shipped_space(), model, target(mapping(calendar={"days": list(DAYS)})).interpreter(files))
    assert report.sound


def test_hours_that_recur_every_week_count_on_holidays_too() -> None:
    files = files_of(asking("context.business_hours"), calendar={"days": list(DAYS)})
    (made,) = json.loads(files["schedules.json"])
    made["schedule_type"] = {"recurring": {"weekly": {"monday": ["08:30-17:14"]}}}
    files["schedules.json"] = json.dumps([made]).encode()
    assert let_through(files, "context.business_hours", value=False)
    assert let_through(files, "context.business_day", value=False)


def test_without_a_calendar_business_hours_are_left_to_the_callout() -> None:
    made = target(mapping()).export(asking("context.business_hours"))
    assert "context.business_hours" in {one.what for one in made.left_out}
    assert not [rule for rule in json.loads(made.files["security-rules.json"]) if rule["action"] == "allow"]


def test_the_last_minute_is_inside_the_hours_whichever_way_the_vendor_means_it() -> None:
    held = schedule("zt-business-hours", "Prisma Access", CALENDAR, OFFICE, hours=True)
    assert held["schedule_type"]["non_recurring"][0] == "2026/11/24@08:30-2026/11/24@17:14"
    assert moments(held, OFFICE) == {(True, True)}


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        (["2026/11/24@08:30-2026/11/24@17:15"], {(True, True), (True, False)}),
        (["2026/11/24@17:15-2026/11/24@23:59"], {(True, False)}),
        (["2026/11/24@08:29-2026/11/24@08:29"], {(True, False)}),
        (["2026/11/23@00:00-2026/11/23@23:59"], {(False, False)}),
        (["2026/11/24@09:00-2026/11/25@10:00"], {(True, True), (True, False)}),
        (["2026/11/25@16:00-2026/11/26@00:00"], {(True, True), (True, False)}),
        (["2026/11/20@16:00-2026/11/21@00:00"], {(True, True), (True, False), (False, False)}),
        ([], set()),
    ],
)
def test_a_span_says_which_days_and_hours_it_can_meet(spans: list[str], found: set[tuple[bool, bool]]) -> None:
    assert moments({"schedule_type": {"non_recurring": spans}}, OFFICE) == found


def test_a_schedule_that_cannot_be_held_against_a_calendar_is_on_at_any_time() -> None:
    held = schedule("zt-business-days", "Prisma Access", CALENDAR, OFFICE, hours=False)
    assert moments(held, None) == ALL
    assert moments({"schedule_type": {"recurring": {"daily": ["08:30-17:14"]}}}, OFFICE) == ALL


@pytest.mark.parametrize(
    "kind", [{"non_recurring": ["8:30-17:15"]}, {"non_recurring": ["2020/01/01@00:00-2026/01/01@00:00"]}, {"lunar": []}]
)
def test_a_schedule_in_another_form_is_refused(kind: dict[str, Any]) -> None:
    with pytest.raises(ExportError):
        moments({"schedule_type": kind}, OFFICE)


@pytest.mark.parametrize(
    ("fact", "calendar"),
    [
        ("context.business_hours", {"days": list(DAYS), "opens": "07:00"}),
        ("context.business_hours", {"days": list(DAYS), "until": "17:16"}),
        ("context.business_hours", {"days": [*DAYS, "2026-11-23"]}),  # a holiday of the policy's calendar
        ("context.business_day", {"days": [*DAYS, "2026-11-28"]}),  # a Saturday
    ],
)
def test_a_mapping_of_longer_hours_or_more_days_than_the_policys_is_found(fact: str, calendar: dict[str, Any]) -> None:
    """The shipped policy allows nothing by the hour, so what a schedule lets through is looked at itself."""
    files = files_of(asking(fact), calendar=calendar)
    made = target(mapping(calendar=calendar))
    sieve = SpaceSieve(shipped_space())
    found = made.interpreter(files).permitted("finance", sieve) & sieve.where([fact], lambda held: held is False)
    assert isinstance(found, SpaceRegion)
    assert found.root != shipped_space().diagram.false


def test_a_mapping_of_shorter_hours_stays_within_the_policys() -> None:
    shorter = {"days": list(DAYS), "opens": "09:00", "until": "12:00"}
    files = files_of(asking("context.business_hours"), calendar=shorter)
    assert not let_through(files, "context.business_hours", value=False)


def test_a_model_with_other_office_hours_than_the_policys_is_refused() -> None:
    """Attack: longer hours in `model.json`, by which schedules are read."""
    office = few().office
    assert office is not None
    assert (office.opens, office.closes) == ("08:30", "17:15")
    longer = msgspec.structs.replace(few(), office=msgspec.structs.replace(office, opens="00:00"))
    files = files_of(longer, calendar={"days": list(DAYS)})
    with pytest.raises(ExportError, match="not the policy's"):
        check(shipped_space(), longer, target(mapping(calendar={"days": list(DAYS)})).interpreter(files))
