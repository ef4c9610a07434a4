"""Other names of devices: how files bring them, and how a device is found by one."""

from __future__ import annotations

import pytest

from pdp.directory.aliases import find_device
from pdp.directory.changes import change
from pdp.directory.reading import read_aliases
from pdp.directory.snapshot import current_epoch, load_snapshot, refresh_snapshot
from pdp.model.directory import Device
from pdp.store.store import Store
from tests.unit.directory.imports import NOW, bring, brought, places, says

TWO = "id,class\nd-1,managed_pc\nd-2,managed_pc\n"


def names(store: Store) -> dict[str, str]:
    with store.read() as connection:
        return {key: alias.device for key, alias in read_aliases(connection).items()}


def test_columns_in_both_languages_bring_names_in_one_form(store: Store) -> None:
    english = "id,class,serial,host_name,aliases\nd-1,managed_pc, 5CG-12AB ,PC-001,udid:AA-BB;asset_tag:M-7\n"
    brought(store, {"devices.csv": english})
    japanese = "端末ID,端末種別,製造番号,ホスト名,別名\nd-2,業務端末,５ＣＧ－９９,ＰＣ－００２,vendor_id:intune:77\n"
    brought(store, {"端末.csv": japanese})
    assert names(store) == {
        "serial 5cg-12ab": "d-1",
        "host_name pc-001": "d-1",
        "udid aa-bb": "d-1",
        "asset_tag m-7": "d-1",
        "serial 5cg-99": "d-2",
        "host_name pc-002": "d-2",
        "vendor_id intune:77": "d-2",
    }


def test_yaml_brings_names_too(store: Store) -> None:
    text = "devices: [{id: d-1, class: managed_pc, serial: SN-1, aliases: {host_name: PC-1, asset_tag: '0017'}}]"
    brought(store, {"directory.yaml": text})
    assert names(store) == {"serial sn-1": "d-1", "host_name pc-1": "d-1", "asset_tag 0017": "d-1"}


def test_a_column_that_is_not_there_keeps_names_and_an_empty_cell_clears_those_of_its_kind(store: Store) -> None:
    brought(store, {"devices.csv": "id,class,serial,host_name\nd-1,managed_pc,sn-1,pc-1\n"})
    brought(store, {"devices.csv": "id,state\nd-1,lost\n"})
    assert names(store) == {"serial sn-1": "d-1", "host_name pc-1": "d-1"}
    brought(store, {"devices.csv": "id,host_name\nd-1,\n"})
    assert names(store) == {"serial sn-1": "d-1"}
    brought(store, {"devices.csv": "id,serial\nd-1,sn-2\n"})
    assert names(store) == {"serial sn-2": "d-1"}
    brought(store, {"devices.csv": "id,aliases\nd-1,host_name:pc-9\n"})
    assert names(store) == {"host_name pc-9": "d-1"}


def test_a_name_moves_from_one_device_to_another_in_one_file(store: Store) -> None:
    brought(store, {"devices.csv": "id,class,host_name\nd-1,managed_pc,pc-1\nd-2,managed_pc,pc-2\n"})
    brought(store, {"devices.csv": "id,host_name\nd-1,pc-2\nd-2,pc-1\n"})
    assert names(store) == {"host_name pc-1": "d-2", "host_name pc-2": "d-1"}


def test_a_name_that_two_devices_claim_is_a_fault_and_nothing_is_imported(store: Store) -> None:
    brought(store, {"devices.csv": "id,class,serial\nd-1,managed_pc,sn-1\n"})
    report = bring(store, {"devices.csv": "id,class,serial\nd-2,managed_pc,SN-1\n"})
    assert places(report) == [("devices.csv", 2, "serial")]
    assert "`sn-1` is a name of `d-1` too" in says(report)[0]
    assert names(store) == {"serial sn-1": "d-1"}


@pytest.mark.parametrize(
    "cell",
    [
        "serial,Default string",
        "serial,0000000",
        "serial,none",
        "aliases,serial",
        "aliases,colour:red",
        "aliases,serial:N/A",
    ],
)
def test_what_names_nobody_is_a_fault_of_its_cell(store: Store, cell: str) -> None:
    column, value = cell.split(",")
    report = bring(store, {"devices.csv": f"id,class,{column}\nd-1,managed_pc,{value}\n"})
    assert places(report) == [("devices.csv", 2, column)]


def test_names_go_with_their_device(store: Store) -> None:
    brought(store, {"devices.csv": "id,class,serial\nd-1,managed_pc,sn-1\nd-2,managed_pc,sn-2\n"})
    report = brought(store, {"devices.csv": "id\nd-1\n"}, mode="replace", allow_removals=50)
    assert report.differences["aliases"].removed == ("serial sn-2",)
    assert names(store) == {"serial sn-1": "d-1"}
    with change(store, NOW) as inside:
        inside.remove("devices", {"d-1": None})
    assert names(store) == {}


def test_a_device_is_found_by_its_id_its_certificate_or_another_name(store: Store) -> None:
    brought(store, {"devices.csv": "id,class,serial\nd-1,managed_pc,SN-1\n"})
    with change(store, NOW) as inside:
        inside.put_device(Device("d-2", "managed_pc", certificate_sha256="ab" * 32))
    with store.read() as connection:
        assert find_device(connection, "id", "d-1") == "d-1"
        assert find_device(connection, "serial", " sn-1") == "d-1"
        assert find_device(connection, "certificate_sha256", "AB" * 32) == "d-2"
        for kind, name in (("id", "D-1"), ("serial", "sn-2"), ("serial", "none"), ("host_name", "sn-1")):
            assert find_device(connection, kind, name) is None  # type: ignore[arg-type]


def test_names_change_no_decision_and_still_move_the_epoch(store: Store) -> None:
    brought(store, {"devices.csv": TWO})
    held = load_snapshot(store)
    brought(store, {"devices.csv": "id,serial\nd-1,sn-1\n"})
    assert current_epoch(store) == held.epoch + 1
    assert refresh_snapshot(store, held).devices == held.devices


def test_a_posture_file_speaks_for_its_own_source_alone(store: Store) -> None:
    brought(store, {"devices.csv": TWO, "posture.csv": "device,tampered,source\nd-1,false,mdm\nd-2,false,mdm\n"})
    brought(store, {"posture.csv": "device,patch_age_days\nd-1,3\nd-2,4\n"})
    found = load_snapshot(store).devices["d-1"].posture
    assert (found.tampered, found.patch_age_days, found.source) == (False, 3, "asset+mdm")
    brought(store, {"posture.csv": "device,patch_age_days\nd-1,3\n"}, mode="replace", allow_removals=50)
    found = load_snapshot(store).devices["d-2"].posture
    assert (found.tampered, found.patch_age_days, found.source) == (False, None, "mdm")


def test_one_file_may_say_what_two_sources_know_of_one_device(store: Store) -> None:
    brought(store, {"devices.csv": TWO, "posture.csv": "device,tampered,source\nd-1,false,mdm\nd-1,true,edr\n"})
    assert load_snapshot(store).devices["d-1"].posture.tampered is True
    twice = bring(store, {"posture.csv": "device,tampered,source\nd-1,false,mdm\nd-1,true,mdm\n"})
    assert places(twice) == [("posture.csv", 3, None)]
