"""Whatever a vendor writes, a mapping refuses the record or says nothing better than the record gives."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.port import DeviceReport
from connectors.posture import android_management_facts, fleet_facts, google_facts, intune_facts, jamf_facts
from connectors.posture.reading import Options, RecordRefusedError, Verdicts
from pdp.model.directory import PostureReport
from tests.simulators import fleet_server, google_apis, graph, jamf_pro

OPTIONS = Options("vendor", host_names=True)
POLICIES: Any = {"1": "edr_running", "2": "screen_lock", "3": "not_tampered"}
ATTRIBUTES = {"EDR": Verdicts("edr_running", ("Running",), ("Stopped",))}

Mapping = Callable[[dict[str, Any]], DeviceReport]


def _intune(record: dict[str, Any]) -> DeviceReport:
    mapped: Any = {"setting": "firewall"}
    settings = record.get("settings")
    extras = intune_facts.Extras(
        protection=record["protection"] if isinstance(record.get("protection"), dict) else None,
        settings=tuple(entry for entry in settings if isinstance(entry, dict)) if isinstance(settings, list) else (),
    )
    return intune_facts.device_report(record, extras, OPTIONS, mapped)


def _google(record: dict[str, Any]) -> DeviceReport:
    def rows(name: str) -> tuple[dict[str, Any], ...]:
        found = record.get(name)
        return tuple(row for row in found if isinstance(row, dict)) if isinstance(found, list) else ()

    return google_facts.device_report(record, google_facts.Extras(rows("users"), rows("states")), OPTIONS)


# Per vendor: the mapping, a record that says only good of a device, and one of which every witness says only bad:
# where two fields can give one fact, either may give it alone.
VENDORS: dict[str, tuple[Mapping, dict[str, Any], dict[str, Any]]] = {
    "intune": (
        _intune,
        graph.managed_device(
            1, protection=graph.protection_state(), settings=[{"setting": "setting", "state": "compliant"}]
        ),
        graph.managed_device(
            1,
            isEncrypted=False,
            jailBroken="True",
            partnerReportedThreatState="compromised",
            deviceHealthAttestationState={"codeIntegrity": "disabled", "testSigning": "enabled"},
            protection=graph.protection_state(
                realTimeProtectionEnabled=False, signatureUpdateOverdue=True, productStatus="productExpired"
            ),
            settings=[{"setting": "setting", "state": "nonCompliant"}],
        ),
    ),
    "jamf": (
        lambda record: jamf_facts.computer_report(record, OPTIONS, ATTRIBUTES),
        jamf_pro.computer(1, extensionAttributes=[{"name": "EDR", "values": ["Running"]}]),
        jamf_pro.computer(
            1,
            extensionAttributes=[{"name": "EDR", "values": ["Stopped"]}],
            operatingSystem={"version": "15.1", "fileVault2Status": "NOT_ENCRYPTED"},
            diskEncryption={"bootPartitionEncryptionDetails": {"partitionFileVault2State": "UNENCRYPTED"}},
            security={"sipStatus": "DISABLED", "secureBootLevel": "NO_SECURITY", "firewallEnabled": False},
        ),
    ),
    "jamf mobile": (
        lambda record: jamf_facts.mobile_report(record, OPTIONS, ATTRIBUTES),
        jamf_pro.mobile_device(1),
        jamf_pro.mobile_device(
            1,
            security={
                "dataProtected": False,
                "passcodePresent": False,
                "passcodeCompliant": False,
                "jailBreakDetected": True,
            },
        ),
    ),
    "fleet": (
        lambda record: fleet_facts.device_report(record, OPTIONS, POLICIES),
        fleet_server.host(1),
        fleet_server.host(
            1,
            disk_encryption_enabled=False,
            policies=[{"id": n, "name": str(n), "response": "fail"} for n in (1, 2, 3)],
        ),
    ),
    "google": (
        _google,
        google_apis.cloud_device(1, users=[google_apis.device_user(1)], states=[google_apis.client_state(1)]),
        google_apis.cloud_device(
            1,
            encryptionState="NOT_ENCRYPTED",
            compromisedState="COMPROMISED",
            androidSpecificAttributes={"verifiedBoot": False},
            users=[google_apis.device_user(1, passwordState="PASSWORD_NOT_SET")],
            states=[google_apis.client_state(1, healthScore="VERY_POOR", managed="UNMANAGED")],
        ),
    ),
    "android management": (
        lambda record: android_management_facts.device_report(record, OPTIONS),
        google_apis.android_device(1),
        google_apis.android_device(
            1,
            deviceSettings={"isDeviceSecure": False, "encryptionStatus": "INACTIVE", "isEncrypted": False},
            securityPosture={
                "devicePosture": "POTENTIALLY_COMPROMISED",
                "postureDetails": [{"securityRisk": "COMPROMISED_OS"}],
            },
        ),
    ),
}

GOOD: dict[str, tuple[Any, ...]] = {
    "certificate": (True,),
    "disk_encrypted": (True,),
    "edr_running": (True,),
    "edr_risk": ("none", "low"),
    "av_current": (True,),
    "firewall": (True,),
    "screen_lock": (True,),
    "tampered": (False,),
}

# Values that are no vendor's word: no booleans, no listed words, no times.
junk = st.one_of(
    st.none(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12).map(lambda text: f"~{text}"),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)


def paths(node: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in entries:
        yield (*before, name)
        yield from paths(value, (*before, name))


def replaced(record: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(record)
    target: Any = changed
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    return changed


def good_facts(report: PostureReport) -> set[str]:
    return {
        fact for fact, values in GOOD.items() if getattr(report, fact) in values and getattr(report, fact) is not None
    }


def check_form(report: DeviceReport) -> None:
    posture = report.posture
    for fact in GOOD:
        if fact != "edr_risk":
            assert (
                getattr(posture, fact) is True or getattr(posture, fact) is False or getattr(posture, fact) == "unknown"
            )
    assert posture.edr_risk in ("none", "low", "medium", "high", "unknown")
    assert posture.patch_age_days is None or posture.patch_age_days >= 0
    assert posture.observed_at is None or posture.observed_at.utcoffset() is not None
    assert all(name.strip() and name.isprintable() and len(name) <= 128 for name in report.names.values())


@pytest.mark.parametrize("vendor", sorted(VENDORS))
@given(data=st.data())
def test_any_json_is_refused_or_mapped_and_never_breaks_a_mapping(vendor: str, data: st.DataObject) -> None:
    mapping, healthy, _ = VENDORS[vendor]
    names = st.sampled_from(sorted(healthy))
    record = data.draw(st.dictionaries(st.one_of(names, st.text(max_size=8)), json_values, max_size=12))
    record = {**record, **({} if data.draw(st.booleans()) else _identity(healthy))}
    try:
        report = mapping(record)
    except RecordRefusedError:
        return
    check_form(report)


@pytest.mark.parametrize("vendor", sorted(VENDORS))
@given(data=st.data())
def test_a_word_that_no_vendor_writes_never_makes_a_fact_good(vendor: str, data: st.DataObject) -> None:
    mapping, healthy, sick = VENDORS[vendor]
    for record, already in ((healthy, good_facts(mapping(healthy).posture)), (sick, set[str]())):
        changed = record
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(list(paths(changed))))
            changed = replaced(changed, path, data.draw(junk))
        try:
            report = mapping(changed)
        except RecordRefusedError:
            continue
        check_form(report)
        assert good_facts(report.posture) <= already


@pytest.mark.parametrize("vendor", sorted(VENDORS))
@given(data=st.data())
def test_leaving_a_field_out_never_makes_a_fact_good(vendor: str, data: st.DataObject) -> None:
    mapping, healthy, sick = VENDORS[vendor]
    for record, already in ((healthy, good_facts(mapping(healthy).posture)), (sick, set[str]())):
        path = data.draw(st.sampled_from([path for path in paths(record) if isinstance(path[-1], str)]))
        changed = replaced(record, path, None)
        target: Any = changed
        for name in path[:-1]:
            target = target[name]
        del target[path[-1]]
        try:
            report = mapping(changed)
        except RecordRefusedError:
            continue
        assert good_facts(report.posture) <= already


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_the_healthy_and_the_sick_record_are_what_the_properties_take_them_for(vendor: str) -> None:
    mapping, healthy, sick = VENDORS[vendor]
    assert len(good_facts(mapping(healthy).posture)) >= 3
    assert good_facts(mapping(sick).posture) == set()


def _identity(healthy: dict[str, Any]) -> dict[str, Any]:
    return {name: healthy[name] for name in ("id", "name", "mobileDeviceId") if name in healthy}
