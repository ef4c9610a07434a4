"""`pdp export fill entra` against a simulated tenant, for an export and a register that stand beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from connectors.sase.entra import target
from pdp.commands.export_files import write_files
from pdp.directory.aliases import alias_key
from pdp.directory.changes import change
from pdp.directory.registers import Alias
from pdp.export.building import build_model
from pdp.export.catalogue import listed_resources
from pdp.export.checking import Inputs, mapping_digest
from pdp.export.exporting import export
from pdp.model.directory import Device, Post, User, snapshot_of
from pdp.parts import shared_key
from pdp.space.keeping import dumped, key_of, sealed
from pdp.store.store import open_store
from pdp.trail.keeping import trail_path
from pdp.trail.reading import events_of
from tests.entra_files import mapping
from tests.simulators.entra_tenant import SECRET, TENANT, EntraTenant
from tests.simulators.worlds import Stage
from tests.spaces import DAY, POLICIES, shipped_space
from tests.unit.commands.conftest import Pdp, only_json

SYSTEM = "soumu-ledger"
NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def there() -> Iterator[EntraTenant]:
    simulator, stage = EntraTenant(page=50), Stage()
    with stage.playing(simulator) as port:
        simulator.base_url = f"http://127.0.0.1:{port}"
        yield simulator


@pytest.fixture
def state(place: Path) -> Path:
    """A state's folder with the shipped policy's space, and a register of one person and one device."""
    folder = place / "state"
    (folder / "spaces").mkdir(parents=True)
    space = shipped_space()
    key = key_of(space.bundle)
    (folder / "spaces" / f"{key}.json").write_bytes(sealed(dumped(space), key, shared_key(folder / "spaces.key")))
    store = open_store(f"sqlite:///{folder / 'sekisho.db'}")
    store.migrate()
    with change(store, NOW) as inside:
        posts = (Post("soumu"),)
        inside.put_user(User("taro", "staff", organisation="mie", posts=posts, identity_source="integrated"))
        inside.put_device(Device("d-1", "managed_pc", owner="taro"))
        inside.add("aliases", {str(alias_key("entra_device_id", "aaaa-1")): Alias("d-1")})
    store.close()
    return folder


@pytest.fixture
def tenant(place: Path, there: EntraTenant) -> Path:
    """An export of one system in `out`, its mapping, and a tenant's file with its secret beside it."""
    space = shipped_space()
    listed = [one for one in listed_resources(space.bundle, snapshot_of(epoch=1), DAY) if one[0].id == SYSTEM]
    model = build_model(space, listed, DAY.isoformat())
    held = mapping()
    held["applications"] = {SYSTEM: held["applications"][SYSTEM]}
    held["groups"] |= {one.id: f"00000000-0000-4000-8000-{at:012d}" for at, one in enumerate(model.profiles)}
    (place / "entra.yaml").write_text(yaml.safe_dump(held))
    finished = export(space, model, target(held), inputs=Inputs(mapping_sha256=mapping_digest(held)))
    write_files(place / "out", finished.files)
    there.members = {one: ["u9"] for one in held["groups"].values()}
    there.users = {
        number: {"id": number, "userPrincipalName": f"{name}@pref.example.jp"}
        for number, name in (("u1", "Taro"), ("u9", "left"))
    }
    there.devices = {"o1": {"id": "o1", "deviceId": "aaaa-1", "extensionAttributes": {}}}
    (place / "secret").write_text(SECRET)
    access = {
        "name": "pref",
        "mapping": "entra.yaml",
        "tenant": TENANT,
        "client_id": "app",
        "client_secret_file": str(place / "secret"),
        "user_domain": "pref.example.jp",
        "graph_url": f"{there.base_url}/v1.0",
        "login_url": there.base_url,
    }
    (place / "tenant.yaml").write_text(yaml.safe_dump(access))
    return place / "tenant.yaml"


def test_groups_and_attributes_are_filled_from_the_registers(
    pdp: Pdp, state: Path, tenant: Path, there: EntraTenant
) -> None:
    asked = ("entra", "--from", tenant.parent / "out", "--tenant", tenant, "--bundle", POLICIES, "--state-dir", state)
    shown = pdp("export", "fill", *asked, "--json")
    assert shown.exit_code == 1, shown.output
    said = only_json(shown)
    assert said["leave"] >= 1
    assert said["join"] >= 1
    assert said["unfilled"]
    assert there.writes == []

    done = pdp("export", "fill", *asked, "--yes", lang="ja")
    assert done.exit_code == 0, done.output
    assert "反映した" in done.stdout
    groups = {change["place"] for change in said["changes"] if change["what"] == "join"}
    assert all(there.members[group] == ["u1"] for group in groups)
    words = there.devices["o1"]["extensionAttributes"].get("extensionAttribute1", "")
    assert said["attribute"] == bool(words)
    again = only_json(pdp("export", "fill", *asked, "--yes", "--json"))
    assert again["changes"] == []
    assert SECRET not in shown.output + done.output
    events = [one for one in events_of(trail_path(state)) if one.action == "export.fill"]
    assert [one.outcome for one in events][:2] == ["begun", "done"]


def test_registers_that_were_emptied_take_nobody_s_access_by_mistake(
    pdp: Pdp, state: Path, tenant: Path, there: EntraTenant
) -> None:
    filled = json.loads((tenant.parent / "out" / "sets.json").read_bytes())["groups"].keys() & there.members.keys()
    crowded = min(filled)
    there.members[crowded] = [f"x{number}" for number in range(24)]  # two writes a second: a full tenant takes long
    asked = ("entra", "--from", tenant.parent / "out", "--tenant", tenant, "--bundle", POLICIES, "--state-dir", state)
    refused = pdp("export", "fill", *asked, "--yes")
    assert refused.exit_code != 0
    assert "would go" in refused.stderr
    assert there.writes == []
    assert pdp("export", "fill", *asked, "--yes", "--allow-mass").exit_code == 0
    assert "x1" not in there.members[crowded]


def test_another_vendor_has_nothing_to_fill(pdp: Pdp, tenant: Path) -> None:
    refused = pdp("export", "fill", "zpa", "--from", tenant.parent / "out", "--tenant", tenant)
    assert refused.exit_code == 2
    assert "nothing to fill at `zpa`" in refused.stderr
