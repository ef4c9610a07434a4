"""Whatever a source says: a run raises nothing, is the same said twice, and touches only what its source owns."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.port import DeviceReport, Refused
from pdp.directory.registers import device_of
from pdp.model.directory import Period, Post, PostureReport, User
from pdp.model.source import SourceSettings
from pdp.sources.gathering import Gathered
from pdp.sources.identity_plan import plan_identity
from pdp.sources.matching import KnownNames, match
from pdp.sources.posture_plan import find_devices, plan_posture

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
MDM = SourceSettings(name="mdm", kind="intune", learn_aliases=["vendor_id"])
LDAP = SourceSettings(name="ldap", kind="ldap")
IDS = [f"d-{n}" for n in range(6)]
KNOWN = KnownNames(
    ids=set(IDS),
    certificates={"ab" * 32: "d-0"},
    aliases={f"serial sn-{n}": f"d-{n}" for n in range(6)} | {f"host_name pc-{n}": f"d-{n}" for n in range(6)},
)
KINDS = st.sampled_from(
    ["id", "serial", "udid", "entra_device_id", "host_name", "asset_tag", "certificate_sha256", "vendor_id"]
)
NAMES = st.one_of(
    st.sampled_from([*IDS, *(f"SN-{n}" for n in range(8)), *(f"PC-{n}" for n in range(8)), "none", "0000", "ab" * 32]),
    st.text(max_size=12),
)
TIMES = st.one_of(
    st.none(),
    st.integers(-2 * 86_400, 30 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    st.just(datetime(2023, 8, 1)),
)
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(-5, 99_999),
    st.floats(),
    st.sampled_from(["unknown", "low", "not_managed", ""]),
)
REPORTS = st.builds(
    DeviceReport,
    st.dictionaries(KINDS, NAMES, max_size=3),
    st.builds(
        PostureReport,
        certificate=ANYTHING,
        edr_running=ANYTHING,
        edr_risk=ANYTHING,
        tampered=st.one_of(st.booleans(), st.just("unknown"), ANYTHING),
        patch_age_days=ANYTHING,
        observed_at=TIMES,
    ),
)


def gathered(items: list[Any], complete: bool, **rest: Any) -> Gathered:
    return Gathered(
        **{"items": tuple(items), "removed": (), "refused": (), "complete": complete, "cursor": None, "pages": 1} | rest
    )


def after(held: dict[str, PostureReport], run: Gathered) -> tuple[dict[str, PostureReport], bool]:
    found = find_devices(run, KNOWN, MDM, NOW)
    plan = plan_posture(run, found, held, KNOWN, "mdm")
    assert plan.remove.keys() <= held.keys()
    assert plan.change.keys() <= held.keys()
    assert not plan.add.keys() & held.keys()
    assert {device_of(key) for key in plan.add} <= KNOWN.ids  # type: ignore[operator]
    left = {key: report for key, report in held.items() if key not in plan.remove}
    return left | dict(plan.change) | dict(plan.add), bool(plan.add or plan.change or plan.remove)


@given(st.lists(REPORTS, max_size=12), st.lists(REPORTS, max_size=12), st.booleans(), st.lists(NAMES, max_size=3))
def test_a_run_of_posture_said_twice_is_said_once_and_its_order_does_not_matter(
    first: list[Any], second: list[Any], complete: bool, removed: list[str]
) -> None:
    held, _ = after({}, gathered(first, complete=True))
    run = gathered(second, complete, removed=tuple(removed))
    once, _ = after(held, run)
    twice, changed = after(once, run)
    assert (twice, changed) == (once, False)
    shuffled = random.Random(0).sample(second, len(second))
    assert after(held, gathered(shuffled, complete, removed=tuple(removed)))[0] == once


@given(st.lists(REPORTS, max_size=12))
def test_what_is_kept_is_known_dated_and_not_of_the_future(items: list[Any]) -> None:
    held, _ = after({}, gathered(items, complete=True))
    for report in held.values():
        assert report.observed_at is None or report.observed_at <= NOW + timedelta(minutes=5)
        assert report.tampered in (True, False, "unknown")
        assert report.edr_risk in ("none", "low", "medium", "high", "unknown")
        assert report.source == "mdm"


@given(st.dictionaries(KINDS, NAMES, max_size=4))
def test_one_more_name_never_moves_a_record_from_one_device_to_another(names: dict[Any, str]) -> None:
    whole = match(names, KNOWN, "mdm")
    for kind in names:
        part = match({k: v for k, v in names.items() if k != kind}, KNOWN, "mdm")
        if whole.device is not None and part.device is not None:
            assert whole.device == part.device


WORDS = st.sampled_from(["u-0", "u-1", "u-2", "u-3", "u-4", "u 5", "", "ｕ-6", "x" * 200, "a\0b"])
PERIODS = st.sampled_from(
    [Period(), Period(end=NOW), Period(start=NOW), Period(end=NOW + timedelta(days=1)), Period(datetime(2023, 1, 1))]
)
USERS = st.builds(
    User,
    id=WORDS,
    kind=st.sampled_from(["staff", "unknown", "boss"]),
    roles=st.lists(WORDS, max_size=2).map(tuple),
    posts=st.lists(st.builds(Post, WORDS, PERIODS), max_size=2).map(tuple),
    employment=PERIODS,
    status=st.sampled_from(["active", "suspended", "ended", "gone"]),
    name=st.text(max_size=5),
)


@settings(max_examples=300)
@given(
    st.lists(USERS, max_size=8),
    st.lists(USERS, max_size=8),
    st.lists(WORDS, max_size=3),
    st.lists(WORDS, max_size=3),
    st.booleans(),
)
def test_a_run_of_people_touches_only_its_own_and_ends_nobody_whom_it_names(
    first: list[User], second: list[User], removed: list[str], refused: list[str], complete: bool
) -> None:
    begun = plan_identity(gathered(first, complete=True), {}, {}, LDAP, NOW)
    held = dict(begun.add) | {"u-4": User("u-4", "staff", name="another's")}
    owners = dict.fromkeys(begun.own, "ldap") | {"u-4": "scim:entra"}
    run = gathered(second, complete, removed=tuple(removed), refused=tuple(Refused("x", key) for key in refused))
    plan = plan_identity(run, held, owners, LDAP, NOW)
    assert "u-4" not in plan.change.keys() | plan.add.keys() | plan.own | plan.removals.keys()
    named = {user.id for user in second} | set(refused)
    gone = {id_ for id_, how in plan.removals.items() if how == "gone"}
    assert not gone & named
    assert all(plan.change[id_].status == "ended" for id_ in gone)
    assert plan.removals.keys() <= {id_ for id_, owner in owners.items() if owner == "ldap"}
    # The same again, over what it made of the directory, is no change.
    now_held = held | dict(plan.add) | dict(plan.change)
    again = plan_identity(run, now_held, owners | dict.fromkeys(plan.own, "ldap"), LDAP, NOW)
    assert (again.add, again.change, again.own, again.removals) == ({}, {}, set(), {})
