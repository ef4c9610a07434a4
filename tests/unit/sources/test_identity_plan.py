from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.port import Refused
from pdp.model.directory import Period, Post, User
from pdp.sources.identity_plan import IdentityPlan, plan_identity
from tests.unit.sources.simulated import NOW, gathered, settings, user

DAY = timedelta(days=1)


def planned(items: Any, held: tuple[User, ...] = (), owners: dict[str, str] | None = None, **rest: Any) -> IdentityPlan:
    given = {name: rest.pop(name) for name in ("removed", "refused", "complete") if name in rest}
    people = {person.id: person for person in held}
    owned = {id_: "ldap" for id_ in people} if owners is None else owners
    values = {"name": "ldap", "kind": "ldap"} | rest
    return plan_identity(gathered(items, **given), people, owned, settings(**values), NOW)


def test_people_are_added_changed_and_left_as_they_are() -> None:
    held = (user("u-1"), user("u-2"))
    plan = planned([user("u-1"), user("u-2", roles=("data_user",)), user("u-3")], held)
    assert plan.add == {"u-3": user("u-3")}
    assert plan.change == {"u-2": user("u-2", roles=("data_user",))}
    assert plan.own == {"u-3"}
    assert (plan.counts["unchanged"], plan.removals, plan.of) == (1, {}, 2)


def test_who_is_gone_from_a_complete_run_is_ended_and_not_deleted() -> None:
    plan = planned([user("u-1")], (user("u-1"), user("u-2")))
    assert plan.change == {"u-2": user("u-2", status="ended")}
    assert plan.removals == {"u-2": "gone"}


def test_who_is_ended_or_over_already_is_not_ended_again() -> None:
    over = user("u-3", employment=Period(end=NOW))
    plan = planned([], (user("u-2", status="ended"), over))
    assert (plan.change, plan.removals, plan.of) == ({}, {}, 0)


def test_an_appointment_that_lies_ahead_is_ended_too_where_it_is_gone() -> None:
    coming = user("u-1", employment=Period(start=NOW + DAY))
    assert planned([], (coming,)).removals == {"u-1": "gone"}


def test_an_incremental_run_ends_only_whom_it_names() -> None:
    plan = planned([], (user("u-1"), user("u-2")), complete=False, removed=("u-2", "u-404"))
    assert set(plan.change) == {"u-2"}
    assert plan.counts["not_ours"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"status": "ended"},
        {"status": "suspended"},
        {"kind": "unknown"},
        {"employment": Period(end=NOW)},
        {"employment": Period(start=NOW + DAY)},
    ],
)
def test_who_could_be_allowed_and_no_longer_can_is_counted_as_disabled(change: dict[str, Any]) -> None:
    plan = planned([user("u-1", **change)], (user("u-1"),))
    assert plan.removals == {"u-1": "disabled"}


def test_an_end_that_lies_ahead_takes_away_nothing_yet() -> None:
    moved = user(
        "u-1",
        employment=Period(end=NOW + DAY),
        posts=(Post("soumu", Period(end=NOW + DAY)), Post("zaisei", Period(start=NOW + DAY))),
    )
    plan = planned([moved], (user("u-1"),))
    assert plan.change == {"u-1": moved}
    assert plan.removals == {}


def test_an_end_that_came_by_itself_is_no_removal() -> None:
    before = user("u-1", employment=Period(end=NOW - DAY))
    assert planned([replace(before, status="ended")], (before,)).removals == {}


@pytest.mark.parametrize(("owner", "said"), [("scim:entra", "u-1 (scim:entra)"), (None, "u-1 (import)")])
def test_another_sources_person_and_an_imported_one_are_left_alone_and_reported(owner: str | None, said: str) -> None:
    owners = {} if owner is None else {"u-1": owner}
    plan = planned([user("u-1", roles=("server_admin",))], (user("u-1"),), owners)
    assert (plan.add, plan.change, plan.own, plan.removals) == ({}, {}, set(), {})
    assert plan.samples["conflict"] == [said]


def test_a_source_may_adopt_whom_an_import_brought_and_nobody_elses_people() -> None:
    held = (user("u-1"), user("u-2"), user("u-3"))
    plan = planned([user(f"u-{n}", name="x") for n in (1, 2)], held, {"u-2": "scim:entra"}, adopt=True)
    assert (set(plan.change), plan.own) == ({"u-1"}, {"u-1"})
    assert plan.removals == {}  # u-3 was never this source's


def test_a_person_who_stands_twice_alike_counts_once_and_twice_unlike_not_at_all() -> None:
    plan = planned([user("u-1"), user("u-1"), user("u-2"), user("u-2", status="ended")], (user("u-2"),))
    assert set(plan.add) == {"u-1"}
    assert plan.samples["refused_twice"] == ["u-2"]
    assert plan.change == {}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"id": "u 1"}, "bad_id"),
        ({"id": "ｕ-1"}, "bad_id"),
        ({"roles": ("data user",)}, "bad_id"),
        ({"posts": (Post("総務 課"),)}, "bad_id"),
        ({"organisation": ""}, "bad_id"),
        ({"kind": "boss"}, "malformed"),
        ({"status": "paused"}, "malformed"),
        ({"identity_source": "saml"}, "malformed"),
        ({"name": "a\0b"}, "malformed"),
        ({"name": "x" * 501}, "malformed"),
        ({"posts": (Post("soumu"),) * 201}, "malformed"),
        ({"employment": Period(end=datetime(2024, 3, 31))}, "malformed"),
        ({"posts": (Post("soumu", Period(datetime(2024, 3, 31))),)}, "malformed"),
    ],
)
def test_a_person_who_cannot_be_is_refused_alone(fields: dict[str, Any], fault: str) -> None:
    plan = planned(
        [
            user(**{"id_": "u-1"} | {k: v for k, v in fields.items() if k != "id"})
            if "id" not in fields
            else user(fields["id"]),
            user("u-9"),
        ]
    )
    assert set(plan.add) == {"u-9"}
    assert plan.counts[f"refused_{fault}"] == 1


def test_a_person_whose_record_is_refused_is_still_there() -> None:
    held = (user("u-1"), user("u-2"), user("u-3"))
    plan = planned(
        [user("u-1", kind="boss"), user("u-3")],  # type: ignore[arg-type]
        held,
        refused=(Refused("bad_date", "u-2"),),
    )
    assert (plan.change, plan.removals) == ({}, {})
    assert (plan.counts["refused_bad_date"], plan.counts["refused_malformed"]) == (1, 1)
