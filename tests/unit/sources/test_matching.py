from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import port as connectors_port
from pdp.directory.aliases import alias_key, plain_name
from pdp.model import source as model
from pdp.sources.matching import KnownNames, Match, match, wanted_keys

CERTIFICATE = "ab" * 32
KNOWN = KnownNames(
    ids={"d-1", "d-2", "d-3"},
    certificates={CERTIFICATE: "d-2"},
    aliases={
        "serial sn-1": "d-1",
        "host_name pc-1": "d-1",
        "serial sn-2": "d-2",
        "host_name pc-2": "d-2",
        "host_name pc-3": "d-3",
        "vendor_id mdm:77": "d-3",
    },
)


def found(**names: str) -> Match:
    return match(names, KNOWN, "mdm")  # type: ignore[arg-type]


def test_the_kinds_of_names_are_the_same_on_both_sides_of_the_port() -> None:
    assert get_args(connectors_port.NameKind) == get_args(model.NameKind)


@pytest.mark.parametrize(
    ("names", "device"),
    [
        ({"id": "d-1"}, "d-1"),
        ({"serial": "SN-1"}, "d-1"),
        ({"serial": "  ＳＮ－1 "}, "d-1"),
        ({"serial": "never-seen", "host_name": "PC-3"}, "d-3"),  # nothing is known of its serial
        ({"certificate_sha256": CERTIFICATE.upper()}, "d-2"),
        ({"certificate_sha256": ":".join(["AB"] * 32)}, "d-2"),
        ({"vendor_id": "77"}, "d-3"),
        ({"host_name": "pc-1", "asset_tag": "unheard"}, "d-1"),
    ],
)
def test_a_device_is_found_by_the_first_name_that_is_known(names: dict[str, str], device: str) -> None:
    assert found(**names) == Match("matched", device, frozenset({device}))


@pytest.mark.parametrize(
    ("names", "why", "candidates"),
    [
        ({"serial": "sn-404"}, "unknown", set()),
        ({"id": "D-1"}, "unknown", set()),  # ids are compared byte by byte
        ({"vendor_id": "78"}, "unknown", set()),
        ({}, "nameless", set()),
        ({"serial": "To Be Filled By O.E.M.", "asset_tag": "0000000"}, "nameless", set()),
        ({"serial": "sn-1", "host_name": "pc-2"}, "ambiguous", {"d-1", "d-2"}),
        ({"id": "d-3", "certificate_sha256": CERTIFICATE}, "ambiguous", {"d-2", "d-3"}),
        ({"serial": "sn-9", "host_name": "pc-1"}, "contradicted", {"d-1"}),
    ],
)
def test_names_that_do_not_agree_on_one_device_find_none(names: dict[str, str], why: str, candidates: set[str]) -> None:
    assert found(**names) == Match(why, None, frozenset(candidates))  # type: ignore[arg-type]


def test_a_private_pc_that_takes_a_managed_ones_host_name_does_not_report_for_it() -> None:
    assert found(serial="private-1", host_name="PC-2").device is None


def test_a_serial_that_a_maker_did_not_write_contradicts_nobody() -> None:
    assert found(serial="Default string", host_name="pc-1").device == "d-1"


def test_another_vendors_id_is_another_id() -> None:
    assert match({"vendor_id": "77"}, KNOWN, "edr").why == "unknown"


def test_only_the_kinds_that_the_settings_name_find_a_device() -> None:
    assert match({"host_name": "pc-1"}, KNOWN, "mdm", ["serial"]).why == "nameless"
    assert match({"host_name": "pc-1", "serial": "sn-1"}, KNOWN, "mdm", ["serial"]).device == "d-1"
    # What may not find a device may still speak against it.
    assert match({"serial": "sn-9", "host_name": "pc-1"}, KNOWN, "mdm", ["host_name"]).why == "contradicted"


def test_the_store_is_asked_for_every_name_that_can_be_an_alias() -> None:
    names: list[dict[Any, str]] = [{"id": "d-1", "serial": "A-1", "vendor_id": "9"}, {"serial": "none"}]
    assert wanted_keys(names, "mdm") == {"serial a-1", "vendor_id mdm:9"}


@pytest.mark.parametrize(
    "name", ["", " ", "none", "N/A", "0", "-", "000-000", "ＮＯＮＥ", "a\nb", "x" * 251, "ああああ", "不明"]
)
def test_what_names_nobody_is_no_name(name: str) -> None:
    assert plain_name(name) is None
    assert alias_key("serial", name) is None


@given(st.text(max_size=300))
def test_a_plain_name_stays_as_it_is(name: str) -> None:
    plain = plain_name(name)
    assert plain is None or plain_name(plain) in (plain, None)
