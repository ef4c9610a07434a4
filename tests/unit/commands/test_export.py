"""`pdp export` and `pdp bundle space|prove`, over a space that is kept already."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.space.keeping import dumped, key_of
from tests.spaces import POLICIES, shipped_space
from tests.unit.commands.conftest import Pdp, only_json, told
from tests.unit.space.policy import HEAD

DAY = "2023-08-01T10:00:00"


@pytest.fixture
def state(place: Path) -> Path:
    """A state's folder in which the shipped policy's space is kept."""
    folder = place / "state" / "spaces"
    folder.mkdir(parents=True)
    space = shipped_space()
    (folder / f"{key_of(space.bundle)}.json").write_bytes(dumped(space))
    return place / "state"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_shipped_policy_is_proven(pdp: Pdp, state: Path) -> None:
    result = pdp("bundle", "prove", POLICIES, "--state-dir", state, "--json")
    assert result.exit_code == 0
    said = only_json(result)
    assert said["ok"] is True
    assert {one["proven"] for one in said["invariants"]} == {True}
    assert int(said["vectors"]) > 10**25
    people = pdp("bundle", "prove", POLICIES, "--state-dir", state, lang="ja")
    assert "証明済み" in people.stdout
    assert "反例" not in people.stdout


def test_the_facts_and_outcomes_are_shown(pdp: Pdp, state: Path) -> None:
    said = only_json(pdp("bundle", "space", POLICIES, "--state-dir", state, "--json"))
    assert set(said["outcomes"]) == {"allow", "limit", "step_up", "deny"}
    assert sum(int(count) for count in said["outcomes"].values()) == int(said["vectors"])
    assert "個人所有のスマートフォン" in pdp("bundle", "space", POLICIES, "--state-dir", state, lang="ja").stdout


@pytest.fixture
def leaky(place: Path) -> Path:
    """A policy that lets private phones into business systems."""
    root = place / "leaky"
    root.mkdir()
    (root / ".manifest").write_text('{"revision": "7", "metadata": {"profile": "zta", "entrypoint": "pdp/decision"}}')
    (root / "pdp.rego").write_text(HEAD + 'fine if input.resource.group in {"communication", "business"}\n')
    return root


def test_a_hole_is_told_with_a_counterexample_that_the_policy_itself_permits(
    pdp: Pdp, state: Path, leaky: Path
) -> None:
    result = pdp("bundle", "prove", leaky, "--state-dir", state, "--json")
    assert result.exit_code == 1
    said = {one["id"]: one for one in only_json(result)["invariants"]}
    hole = said["private_phone_communication_only"]
    assert hole["counterexample"] == {"resource.group": "business", "device.class": "byod_phone"}
    assert hole["confirmed"] is True
    people = pdp("bundle", "prove", leaky, "--state-dir", state, lang="ja")
    assert people.exit_code == 1
    assert "システムの区分: 庁内業務システム" in people.stdout
    assert [path.suffix for path in (state / "spaces").iterdir()] == [".json", ".json"]


def test_a_policy_that_cannot_be_counted_out_is_told_with_its_place(pdp: Pdp, state: Path, leaky: Path) -> None:
    (leaky / "pdp.rego").write_text(HEAD + 'fine if startswith(input.subject.id, "u")\n')
    result = pdp("bundle", "prove", leaky, "--state-dir", state)
    assert result.exit_code == 2
    assert "pdp.rego:6" in told(result)[0]


def test_the_matrix_is_written_verified(pdp: Pdp, state: Path, place: Path) -> None:
    asked = ("export", "matrix", "--out", place / "out", "--bundle", POLICIES, "--state-dir", state, "--at", DAY)
    said = only_json(pdp(*asked, "--json"))
    assert (said["ok"], said["unsound"], said["gap"]) == (True, "0", "0")
    assert said["files"] == sorted(files_of(place / "out"))
    checked = ("export", "verify", place / "out", "--bundle", POLICIES, "--state-dir", state)
    assert "証明書のとおり" in pdp(*checked, lang="ja").stdout
    with (place / "out" / "matrix.csv").open("ab") as file:
        file.write(b"x")
    result = pdp(*checked, "--json")
    assert (result.exit_code, only_json(result)["ok"]) == (1, False)


def test_a_folder_with_something_else_in_it_is_left_alone(pdp: Pdp, state: Path, place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "notes.txt").write_text("x")
    result = pdp("export", "matrix", "--out", place / "mine", "--bundle", POLICIES, "--state-dir", state)
    assert result.exit_code == 2
    assert files_of(place / "mine") == {"notes.txt": b"x"}


def test_a_mapping_without_a_system_writes_nothing_and_names_it(pdp: Pdp, state: Path, place: Path) -> None:
    (place / "envoy.yaml").write_text("{issuer: x, audiences: [y], jwks_file: z, resources: {}}")
    asked = ("--mapping", place / "envoy.yaml", "--bundle", POLICIES, "--state-dir", state, "--at", DAY)
    result = pdp("export", "envoy", "--out", place / "out", *asked)
    assert result.exit_code == 2
    assert "no route for" in told(result)[0]
    assert not (place / "out").exists()
