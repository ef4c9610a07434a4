"""How many people and devices a gap can concern."""

from __future__ import annotations

from pdp.export.checking import Gap, Report
from pdp.export.population import weigher
from pdp.model.directory import Device, Period, Post, User, snapshot_of
from pdp.model.rules import Condition, Words
from tests.spaces import DAY, shipped_model, shipped_space

ALWAYS = Period(None, None)


def weighed(resource: str, *conditions: Condition) -> Gap:
    snapshot = snapshot_of(
        epoch=1,
        users=[
            User(id="a", kind="staff", organisation="mie", posts=(Post("soumu", ALWAYS),), roles=("data_user",)),
            User(id="b", kind="staff", organisation="mie", posts=(Post("kankyo", ALWAYS), Post("soumu", ALWAYS))),
            User(id="c", kind="contractor", organisation="vendor", identity_source="federated"),
        ],
        devices=[Device(id="p", class_="byod_phone", owner="a"), Device(id="m", class_="managed_pc", owner="b")],
    )
    weigh = weigher(shipped_space(), shipped_model(), snapshot, DAY)
    gap = Gap(resource, conditions, Words("", ""), "1")
    return weigh(Report((), (), (gap,))).gaps[0]


def test_a_gap_counts_those_whose_registered_facts_it_asks_for() -> None:
    staff = Condition("subject.kind", ("staff",))
    phone = Condition("device.class", ("byod_phone",))
    found = weighed("mail", staff, phone, Condition("context.zone", ("public",)))
    assert (found.users, found.devices) == (2, 1)
    assert weighed("mail", Condition("subject.roles∋data_user", (True,))).users == 1
    assert weighed("mail", Condition("device.posture.tampered", (False,))).devices == 2


def test_departments_are_those_of_the_system() -> None:
    assert weighed("soumu-ledger", Condition("departments", ("first", "later"))).users == 2
    assert weighed("soumu-ledger", Condition("departments", ("first",))).users == 1
    assert weighed("mail", Condition("departments", ("open",))).users == 2


def test_an_empty_directory_says_nothing() -> None:
    gap = Gap("mail", (), Words("", ""), "1")
    weigh = weigher(shipped_space(), shipped_model(), snapshot_of(epoch=0), DAY)
    assert weigh(Report((), (), (gap,))).gaps[0].users is None
