"""`pdp export` and `pdp bundle space|prove`, over a space that is kept already."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.parts import shared_key
from pdp.space.keeping import dumped, key_of, sealed
from tests.revision_files import key_pair
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
    key = key_of(space.bundle)
    secret = shared_key(place / "state" / "spaces.key")
    (folder / f"{key}.json").write_bytes(sealed(dumped(space), key, secret))
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


def test_the_matrix_is_written_signed_and_verified(pdp: Pdp, state: Path, place: Path) -> None:
    private, public = key_pair()
    (place / "key.pem").write_bytes(private)
    (place / "public.pem").write_bytes(public)
    (place / "other.pem").write_bytes(key_pair()[1])
    (place / "pdp.toml").write_text('bundle_signing_key_file = "key.pem"\n')
    out = place / "out"
    said = only_json(
        pdp("export", "matrix", "--out", out, "--bundle", POLICIES, "--state-dir", state, "--at", DAY, "--json")
    )
    assert (said["ok"], said["unsound"], said["gap"]) == (True, "0", "0")
    assert said["files"] == sorted(files_of(out))
    checked = ("export", "verify", out, "--bundle", POLICIES, "--state-dir", state)
    good = only_json(pdp(*checked, "--key", place / "public.pem", "--json"))
    assert (good["signature"], good["signed_by"]) == ("verified", said["signed_by"])
    refused = pdp(*checked, "--key", place / "other.pem", "--json")
    assert (refused.exit_code, "none of the known keys" in only_json(refused)["fault"]) == (1, True)
    (out / "certificate.sig").unlink()
    unsigned = pdp(*checked, "--key", place / "public.pem", "--json")
    assert (unsigned.exit_code, "by nobody" in only_json(unsigned)["fault"]) == (1, True)
    told_so = pdp(*checked, lang="ja").stdout
    assert "証明書のとおり" in told_so
    assert "署名がない" in told_so
    with (out / "matrix.csv").open("ab") as file:
        file.write(b"x")
    result = pdp(*checked, "--json")
    assert (result.exit_code, only_json(result)["ok"]) == (1, False)


def test_a_kept_space_that_somebody_changed_is_told_and_made_anew(pdp: Pdp, place: Path, leaky: Path) -> None:
    asked = ("bundle", "space", leaky, "--state-dir", place / "own", "--json")
    honest = only_json(pdp(*asked))
    (file,) = (place / "own" / "spaces").glob("*.json")
    kept = file.read_bytes()
    file.write_bytes(kept.replace(b'\\"deny\\"', b'\\"allow\\"'))
    assert file.read_bytes() != kept
    again = pdp(*asked)
    assert "made anew" in again.stderr
    assert only_json(again)["outcomes"] == honest["outcomes"]
    assert file.read_bytes() == kept
    assert only_json(pdp(*asked, "--anew"))["outcomes"] == honest["outcomes"]


def test_a_mapping_to_begin_with_is_written_once_and_the_demonstration_needs_none(
    pdp: Pdp, state: Path, place: Path
) -> None:
    common = ("--bundle", POLICIES, "--state-dir", state, "--at", DAY)
    example = ("export", "example", "netskope", "--out", place / "n.yaml", *common)
    assert pdp(*example).exit_code == 0
    assert "架空" in (place / "n.yaml").read_text(encoding="utf-8")
    again = pdp(*example)
    assert (again.exit_code, "cannot be written" in told(again)[0]) == (2, True)
    said = only_json(pdp("export", "netskope", "--demo", "--out", place / "out", *common, "--json"))
    assert (said["ok"], said["unsound"], said["signed_by"]) == (True, "0", None)
    checked = ("export", "verify", place / "out", "--bundle", POLICIES, "--state-dir", state, "--json")
    assert "another mapping" in only_json(pdp(*checked, "--mapping", place / "n.yaml"))["fault"]


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
