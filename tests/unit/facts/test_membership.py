"""Who is in a set of exported rules: by the registers, for everybody who can use the device, and never by not knowing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from pdp.export.sieves import DocumentSieve
from pdp.facts.horizon import Horizon
from pdp.facts.membership import device_is_in, holds, user_is_in
from pdp.model.directory import Device, Loan, Period, Permit, Post, PostureReport, User, snapshot_of
from pdp.model.rules import Condition, Profile, Words
from tests.spaces import shipped_model, shipped_space
from tests.unit.facts.worlds import NOW

GOOD = PostureReport(disk_encrypted=True, tampered=False, patch_age_days=3, observed_at=NOW - timedelta(hours=2))
PC = Device("pc", "managed_pc", owner="taro", posture=GOOD)
CURRENT = Period(NOW - timedelta(days=1), NOW + timedelta(days=1))
PAST = Period(NOW - timedelta(days=9), NOW - timedelta(days=1))
OWN = (Condition("device.relation", ("own",)),)
LENT = (Condition("device.loan", ("valid",)),)
PERMITTED = (Condition("device.permit", ("valid",)),)


def inside(*conditions: Condition, device: Device = PC, **registers: Any) -> bool:
    snapshot = snapshot_of(epoch=1, devices=[device], **registers)
    return device_is_in(device.id, conditions, snapshot, Horizon(NOW))


def test_it_agrees_with_the_decision_space_about_every_profile() -> None:
    """The other reading of a condition, which exports are compared by, over random documents."""
    space, model, rng = shipped_space(), shipped_model(), Random(12)
    profiles = [one for one in model.profiles if one.section in ("device", "posture")]
    seen = set()
    for _ in range(400):
        vector = {level: rng.randrange(len(fact.values)) for level, fact in space.facts.items()}
        document = space.document(vector)
        for level, fact in space.facts.items():
            if fact.kind == "number":
                fact.write(document, vector[level], last=rng.random() < 0.5)
        sieve = DocumentSieve(space.named(space.vector(document)))
        for profile in profiles:
            for condition in profile.conditions:
                expected = sieve.holding([condition]).holds
                assert holds(condition, document) == expected, (condition, document)
                seen.add((condition, expected))
    assert len(seen) == 2 * len({condition for condition, _ in seen})  # each was true and false


def test_a_device_is_in_the_sets_of_its_class_and_posture() -> None:
    assert inside(Condition("device.class", ("managed_pc", "section_pc")))
    assert inside(Condition("device.posture.age_hours", ("0-23",)), Condition("device.posture.tampered", (False,)))
    assert not inside(Condition("device.posture.edr_running", (True,)))  # nobody has said that it runs
    assert not inside(Condition("device.posture.patch_age_days", ("0-2", "4+")))


def test_posture_that_grows_old_leaves_its_set() -> None:
    fresh = Condition("device.posture.age_hours", ("0-23", "24"))
    assert inside(fresh)
    assert not inside(fresh, device=replace(PC, posture=replace(GOOD, observed_at=NOW - timedelta(hours=25))))


def test_a_pair_has_to_be_so_for_everybody_who_can_use_the_device() -> None:
    lent = Loan("pc", "hanako", CURRENT)
    assert inside(*OWN)
    assert not inside(*OWN, loans=[lent])  # hanako holds it now, and it is not hers
    assert inside(*LENT, device=replace(PC, owner=None), loans=[lent])
    assert not inside(*LENT, device=replace(PC, owner=None), loans=[Loan("pc", "hanako", PAST)])
    phone = Device("phone", "byod_phone", owner="taro")
    assert inside(*PERMITTED, device=phone, permits=[Permit("phone", "taro", CURRENT)])
    assert not inside(*PERMITTED, device=phone, permits=[Permit("phone", "taro", CURRENT, held=True)])
    assert not inside(*PERMITTED, device=phone, permits=[Permit("phone", "hanako", CURRENT)])  # of somebody else
    assert not inside(*OWN, device=replace(PC, owner=None))


@pytest.mark.parametrize(
    "condition",
    [
        Condition("context.risk∋malware_alert", (False,)),
        Condition("context.zone", ("office", "public")),
        Condition("context.country", ("unknown",)),
        Condition("action.name", ("read",)),
        Condition("device.no_such_fact", (False,)),
        Condition("device.posture.patch_age_days", ("whatever",)),
        Condition("device.shared", (0,)),  # false is not 0
    ],
)
def test_what_no_register_knows_puts_nobody_in(condition: Condition) -> None:
    assert not inside(condition)
    assert not user_is_in("taro", _group(condition), _people(), Horizon(NOW))


def test_nobody_is_in_a_set_without_conditions_and_no_stranger_in_any() -> None:
    everything = Condition("device.shared", (True, False))
    assert inside(everything)
    assert not inside()
    assert not device_is_in("other", [everything], snapshot_of(epoch=1, devices=[PC]), Horizon(NOW))
    assert not user_is_in("taro", _group(), _people(), Horizon(NOW))
    employed = Condition("subject.employment", ("active", "ended", "suspended", "not_started"))
    assert user_is_in("taro", _group(employed), _people(), Horizon(NOW))
    assert not user_is_in("stranger", _group(employed), _people(), Horizon(NOW))


def test_people_are_in_groups_of_their_departments_roles_and_organisations() -> None:
    ours = Condition("departments", ("first", "later"))
    assert user_is_in("taro", _group(ours, departments=("soumu", "zeimu")), _people(), Horizon(NOW))
    assert user_is_in("taro", _group(ours, departments=("kikaku",)), _people(), Horizon(NOW))  # his second
    assert not user_is_in("taro", _group(ours, departments=("zeimu",)), _people(), Horizon(NOW))
    assert not user_is_in("taro", _group(ours), _people(), Horizon(NOW))
    named = Condition("organisation", ("named",))
    assert user_is_in("taro", _group(named, organisations=("mie",)), _people(), Horizon(NOW))
    assert not user_is_in("taro", _group(named, organisations=("tsu",)), _people(), Horizon(NOW))
    assert not user_is_in("taro", _group(named), _people(), Horizon(NOW))  # whose data, each request says
    assert user_is_in("taro", _group(Condition("subject.roles∋data_user", (True,))), _people(), Horizon(NOW))
    assert not user_is_in("taro", _group(Condition("subject.roles∋server_admin", (True,))), _people(), Horizon(NOW))
    assert not user_is_in("taro", _group(Condition("subject.auth_level", (0, 1, 2, 3))), _people(), Horizon(NOW))


def _people() -> Any:
    posts = (Post("soumu"), Post("kikaku"))
    user = User("taro", "staff", organisation="mie", posts=posts, roles=("data_user",), identity_source="federated")
    return snapshot_of(epoch=1, users=[user])


def _group(*conditions: Condition, departments: tuple[str, ...] = (), organisations: tuple[str, ...] = ()) -> Profile:
    return Profile("users-1", "user", conditions, Words("", ""), departments, organisations)
