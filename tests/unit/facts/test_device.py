"""The register's word on the terminal reaches the policy as it stands there."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from pdp.facts.device import NO_DEVICE
from pdp.model.directory import Device, PostureReport
from tests.unit.facts.worlds import DEVICE, REQUEST, facts


@pytest.mark.parametrize(
    ("fact", "word"),
    [
        *(("takeout", word) for word in ("permitted", "not_permitted", "unknown")),
        *(("returned_from_outside", word) for word in (True, False)),
        *(("shared", word) for word in (True, False)),
        *(("state", word) for word in ("in_service", "lost", "lost_unconfirmed_found", "quarantined", "retired")),
        *(("class_", word) for word in ("managed_pc", "byod_phone", "mynumber_terminal")),
    ],
)
def test_the_registers_word_on_a_device_is_the_policys(fact: str, word: str | bool) -> None:
    built = facts(devices=[replace(DEVICE, **{fact: word})]).document.device
    assert getattr(built, fact) == word


@pytest.mark.parametrize(
    ("class_", "ownership"),
    [
        ("managed_pc", "organisation"),
        ("municipal_pc", "organisation"),
        ("byod_phone", "private"),
        ("byod_tablet", "private"),
        ("byod_pc", "private"),
        ("unknown", "unknown"),
    ],
)
def test_whose_a_device_is_follows_from_its_class(class_: str, ownership: str) -> None:
    assert facts(devices=[replace(DEVICE, class_=class_)]).document.device.ownership == ownership


@pytest.mark.parametrize(
    "fact",
    ["disk_encrypted", "edr_running", "av_current", "firewall", "screen_lock", "tampered"],
)
def test_every_reported_fact_of_the_posture_stands_in_its_own_place(fact: str) -> None:
    """One fact is true and its neighbours are false: two that change places are seen."""
    false = dict.fromkeys(("disk_encrypted", "edr_running", "av_current", "firewall", "screen_lock", "tampered"), False)
    report = PostureReport(**{**false, fact: True}, edr_risk="low", patch_age_days=9, source="mdm")
    posture = facts(devices=[replace(DEVICE, posture=report)]).document.device.posture
    assert {name: getattr(posture, name) for name in false} == {**false, fact: True}
    assert (posture.edr_risk, posture.patch_age_days, posture.source) == ("low", 9, "mdm")


def test_a_device_registered_under_the_name_of_no_device_answers_for_no_request_without_one() -> None:
    impostor = replace(DEVICE, id=NO_DEVICE)
    built = facts(msgspec.structs.replace(REQUEST, device_id=None), devices=[impostor]).document.device
    assert (built.id, built.registered, built.class_, built.relation) == ("unknown", False, "unknown", "none")


@pytest.mark.parametrize("claimants", [2, 3])
def test_a_certificate_that_several_devices_claim_names_none_of_them(claimants: int) -> None:
    devices = [Device(f"d-{number}", "managed_pc", certificate_sha256="ab") for number in range(claimants)]
    built = facts(
        msgspec.structs.replace(REQUEST, device_id=None, certificate_sha256="ab"), devices=devices
    ).document.device
    assert (built.id, built.registered) == ("unknown", False)


def test_a_certificate_names_nobody_where_devices_have_none_enrolled() -> None:
    built = facts(
        msgspec.structs.replace(REQUEST, device_id=None, certificate_sha256=""), devices=[DEVICE]
    ).document.device
    assert built.registered is False
