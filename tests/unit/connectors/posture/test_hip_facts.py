from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.posture.hip_facts import DEFAULT_READING, read_hip_report
from pdp.errors import BadRequestError
from pdp.model.directory import PostureReport
from tests.simulators.pan_os import MISSING, drives, enabled, hip_report, malware, product


def posture(text: str, **reading: Any) -> PostureReport:
    return read_hip_report(text.encode(), "hip", replace(DEFAULT_READING, **reading)).posture


def test_a_healthy_report_says_what_it_can_and_no_more() -> None:
    report = read_hip_report(hip_report().encode(), "hip")
    assert dict(report.names) == {"serial": "5CG0001", "vendor_id": "guid-PC-0001", "host_name": "PC-0001"}
    assert list(report.names) == ["serial", "vendor_id", "host_name"]
    assert report.posture == PostureReport(
        disk_encrypted=True,
        av_current=True,
        firewall=True,
        observed_at=datetime(2026, 7, 1, 0, 0, tzinfo=UTC),
        source="hip",
    )


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([drives(("C:", "encrypted"))], True),
        ([drives(("C:", "full"), ("D:", "Encrypted"))], True),
        ([drives(("C:", "encrypted"), ("D:", "unencrypted"))], False),
        ([drives(("C:", "encrypted"), ("D:", "partial"))], False),
        ([drives(("C:", "encrypted"), ("D:", "unknown"))], "unknown"),
        ([drives(("C:", "encrypted"), ("D:", "chiffré"))], "unknown"),
        ([drives(("C:", "encrypted"), ("D:", ""))], "unknown"),
        ([drives(("C:", "unencrypted"), ("D:", "unknown"))], False),
        ([drives()], "unknown"),
        ([], "unknown"),
        # Two products that speak of one drive, spelled in two ways.
        ([drives(("C:\\", "encrypted")), drives(("c:", "unencrypted"))], "unknown"),
        ([drives(("C:\\", "encrypted")), drives(("C:", "encrypted"))], True),
        ([drives(("C:\\", "encrypted")), drives(("D:\\", "unencrypted"))], False),
        ([product("<drives/>"), drives(("/", "encrypted"))], True),
    ],
)
def test_a_disk_is_encrypted_where_every_drive_is(states: list[str], expected: Any) -> None:
    assert posture(hip_report(encryption="".join(states))).disk_encrypted == expected


@pytest.mark.parametrize(
    ("products", "expected"),
    [
        ([malware("yes", (2026, 7, 1))], True),
        ([malware("yes", (2026, 6, 24))], True),
        ([malware("yes", (2026, 6, 23))], False),
        ([malware("yes", (2026, 7, 2))], True),
        ([malware("yes", (2026, 7, 3))], "unknown"),
        ([malware("no", (2026, 7, 1))], False),
        ([malware("n/a", (2026, 7, 1))], "unknown"),
        ([malware("YES", (2026, 7, 1))], True),
        ([malware("ja", (2026, 7, 1))], "unknown"),
        ([malware("yes", (2026, 2, 30))], "unknown"),
        ([malware("yes", (0, 0, 0))], "unknown"),
        ([product("<real-time-protection>yes</real-time-protection>")], "unknown"),
        ([product("")], "unknown"),
        ([malware("no"), malware("yes")], True),
        ([malware("no"), malware("n/a")], "unknown"),
        ([malware("no"), malware("yes", (2020, 1, 1))], False),
        ([], "unknown"),
    ],
)
def test_definitions_are_current_where_one_product_protects_and_is_fresh(products: list[str], expected: Any) -> None:
    assert posture(hip_report(anti_malware="".join(products))).av_current == expected


def test_clients_before_4_1_say_antivirus() -> None:
    text = hip_report().replace("anti-malware", "antivirus")
    assert posture(text).av_current is True


@pytest.mark.parametrize(
    ("products", "expected"),
    [
        ([enabled("yes")], True),
        ([enabled("no"), enabled("yes")], True),
        ([enabled("no")], False),
        ([enabled("no"), enabled("n/a")], "unknown"),
        ([enabled("not-available")], "unknown"),
        ([enabled("")], "unknown"),
        ([], "unknown"),
    ],
)
def test_a_firewall_is_on_where_one_is(products: list[str], expected: Any) -> None:
    assert posture(hip_report(firewall="".join(products))).firewall == expected


@pytest.mark.parametrize(
    ("protection", "name", "expected"),
    [
        ("yes", "Cortex XDR", True),
        ("no", "Cortex XDR", False),
        ("n/a", "Cortex XDR", "unknown"),
        ("yes", "Windows Defender", "unknown"),
    ],
)
def test_only_what_the_site_calls_its_edr_counts_as_one(protection: str, name: str, expected: Any) -> None:
    text = hip_report(anti_malware=malware() + malware(protection, name=name))
    assert posture(text, edr_products=frozenset({"Cortex XDR"})).edr_running == expected
    assert posture(text).edr_running == "unknown"


AGENT = f"<list>{enabled(name='Windows Update Agent')}</list>"


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        (AGENT + "<missing-patches/>", 0),
        (AGENT + "<missing-patches>\n </missing-patches>", 0),
        (AGENT + MISSING, None),
        (AGENT, None),
        (f"<list>{enabled('no')}</list><missing-patches/>", None),
        ("<list/><missing-patches/>", None),
        (AGENT + "<missing-patches/>" + MISSING, None),
        (AGENT + "<missing-patches>loading</missing-patches>", None),
        (None, None),
    ],
)
def test_an_empty_list_of_missing_patches_says_nothing_unless_the_site_says_so(
    patches: str | None, expected: int | None
) -> None:
    text = hip_report(patches=patches)
    assert posture(text).patch_age_days is None
    assert posture(text, no_missing_patches_means_current=True).patch_age_days == expected


def test_a_category_that_is_not_collected_is_unknown() -> None:
    text = hip_report(anti_malware=None, encryption=None, firewall=None, patches=None)
    assert posture(text) == PostureReport(observed_at=datetime(2026, 7, 1, tzinfo=UTC), source="hip")


def test_the_time_is_that_of_the_sites_clocks() -> None:
    assert posture(hip_report(), utc_offset=timedelta()).observed_at == datetime(2026, 7, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        hip_report(generated="2026-07-01 09:00:00"),
        hip_report(generated="13/01/2026 09:00:00"),
        hip_report(generated="07/01/2026 25:00:00"),
        hip_report(generated="٠٧/01/2026 09:00:00"),
        hip_report(generated=""),
        hip_report(generated="01/01/0001 00:00:00"),
        "<response/>",
        "<hip-report/>",
        hip_report().replace("5CG0001", "").replace("guid-PC-0001", "").replace("PC-0001", ""),
        hip_report().replace("<host-id>guid-PC-0001</host-id>", "<host-id>another</host-id>", 1),
        hip_report().replace("<md5-sum>0</md5-sum>", "<host-name>PC-0002</host-name>"),
        hip_report(firewall=enabled() + product("<is-enabled>yes</is-enabled><is-enabled>no</is-enabled>")),
        hip_report(more="").replace('<entry name="firewall">', '<entry name="disk-encryption">'),
    ],
)
def test_a_report_that_cannot_be_of_one_device_at_one_time_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        read_hip_report(text.encode(), "hip")


def test_a_name_in_an_element_is_not_a_name() -> None:
    text = hip_report().replace("<serial-number>5CG0001", "<serial-number><b>5CG0001</b>")
    assert "serial" not in read_hip_report(text.encode(), "hip").names


_WORDS = st.sampled_from(["yes", "no", "n/a", "", "encrypted", "unencrypted", "partial", "unknown", "YES", "1", "true"])
_RANK = {True: 2, "unknown": 1, False: 0}


@given(st.lists(st.tuples(st.sampled_from(["C:", "D:", "All"]), _WORDS), max_size=5), _WORDS, _WORDS)
def test_no_fact_is_true_unless_a_word_of_the_vendor_says_so(
    states: list[tuple[str, str]], protection: str, firewall: str
) -> None:
    said = posture(hip_report(encryption=drives(*states), anti_malware=malware(protection), firewall=enabled(firewall)))
    assert said.disk_encrypted is not True or (states and all(word == "encrypted" for _, word in states))
    assert said.av_current is not True or protection.lower() == "yes"
    assert said.firewall is not True or firewall.lower() == "yes"
    assert {said.certificate, said.tampered, said.screen_lock, said.edr_risk, said.edr_running} == {"unknown"}


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_a_report_with_a_piece_cut_out_is_refused_or_no_better(start: int, length: int) -> None:
    """Half of a report must not look healthier than the whole: here the whole has every fault that it can have."""
    bad = hip_report(
        anti_malware=malware("no"),
        encryption=drives(("C:", "unencrypted")),
        firewall=enabled("no"),
    )
    cut = bad[:start] + bad[start + length :]
    try:
        said = posture(cut, no_missing_patches_means_current=True)
    except BadRequestError:
        return
    assert True not in (said.disk_encrypted, said.av_current, said.firewall)


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_report_or_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequestError):
        read_hip_report(text, "hip")
