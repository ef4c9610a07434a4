"""Reading a bundle from disk: what is there is what decides, and what is not as it should be is refused."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from pdp.bundle import bundle as bundle_module
from pdp.bundle.annotations import read_reasons
from pdp.bundle.bundle import DEFAULT_TTL_S, MAX_TTL_S, Bundle, make_bundle, read_bundle
from pdp.errors import BundleError
from pdp.model.decision import Outcome

MANIFEST = {
    "revision": "r1",
    "roots": ["pdp"],
    "rego_version": 1,
    "metadata": {"profile": "zta", "entrypoint": "pdp/decision", "ttl_seconds": 120},
}
FILES = {
    ".manifest": json.dumps(MANIFEST),
    "rules/pdp/decision.rego": "package pdp\n\ndecision := data.limits.hours\n",
    "rules/pdp/decision_test.rego": "package pdp_test\n\ntest_it if true\n",
    "data/limits.yaml": "limits:\n  hours: 8\n",
    "data/more.json": '{"limits": {"days": 3}}',
    "capabilities.json": '{"builtins": ["abs"]}',
}


@pytest.fixture
def write(tmp_path):
    """Write a bundle: the files above, changed. None leaves one out."""

    def write(**changed):
        folder = tmp_path / "bundle"
        for name, text in {**FILES, **{key.replace("__", "/"): value for key, value in changed.items()}}.items():
            if text is not None:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder

    return write


def refusal_of(folder):
    with pytest.raises(BundleError) as refusal:
        read_bundle(folder)
    return refusal.value


def test_everything_of_a_bundle_is_read_and_the_tests_apart(write):
    read = read_bundle(write())
    assert (read.revision, read.profile, read.entrypoint, read.ttl_s) == ("r1", "zta", "pdp/decision", 120)
    assert read.query == "data.pdp.decision"
    assert set(read.modules) == {"rules/pdp/decision.rego"}
    assert set(read.tests) == {"rules/pdp/decision_test.rego"}
    assert read.data == {"limits": {"hours": 8, "days": 3}}
    assert read.capabilities == {"builtins": ["abs"]}


def test_a_bundle_cannot_be_changed(write):
    with pytest.raises(FrozenInstanceError):
        read_bundle(write()).revision = "r2"


def test_equal_bundles_have_equal_digests_and_the_digest_is_of_full_length(write):
    one, other = read_bundle(write()), read_bundle(write())
    assert one.digest == other.digest
    assert len(one.digest) == 64
    assert int(one.digest, 16)


@pytest.mark.parametrize(
    "change",
    [
        {"rules/pdp/decision.rego": FILES["rules/pdp/decision.rego"] + " "},
        {"data/limits.yaml": "limits:\n  hours: 9\n"},
        {"data/limits.yaml": 'limits:\n  hours: "8"\n'},
        {".manifest": json.dumps({**MANIFEST, "revision": "r2"})},
        {".manifest": json.dumps({**MANIFEST, "metadata": {**MANIFEST["metadata"], "ttl_seconds": 121}})},
        {"rules/another.rego": "package another\n"},
    ],
    ids=["a blank", "a number", "a type", "the revision", "the ttl", "a file"],
)
def test_whatever_can_change_a_decision_changes_the_digest(write, change):
    before = read_bundle(write()).digest
    assert read_bundle(write(**change)).digest != before


def test_the_order_of_keys_does_not_change_the_digest(write):
    before = read_bundle(write()).digest
    assert read_bundle(write(**{".manifest": json.dumps(dict(reversed(MANIFEST.items())))})).digest == before


def test_tests_and_hidden_files_do_not_decide(write):
    before = read_bundle(write()).digest
    more = {"rules/x_test.rego": "package x_test\n", ".git/a.rego": "package {", "rules/.b.rego": "package {"}
    assert read_bundle(write(**more)).digest == before


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({".manifest": None}, ".manifest"),
        ({".manifest": "{"}, ".manifest"),
        ({".manifest": "[]"}, ".manifest"),
        ({".manifest": b"\xff"}, ".manifest"),
        ({"rules/pdp/decision.rego": b"package pdp # \xe9\n"}, "rules/pdp/decision.rego"),
        ({"data/limits.yaml": "limits: [\n"}, "data/limits.yaml"),
        ({"data/limits.yaml": "limits: 1\nlimits: 2\n"}, "data/limits.yaml"),
        ({"data/limits.yaml": "- 1\n"}, "data/limits.yaml"),
        ({"data/limits.yaml": "limits: &a 1\nb: *a\n"}, "data/limits.yaml"),
        ({"data/more.json": '{"limits": {"hours": 9}}'}, "data/more.json"),
        ({"data/more.json": '{"limits": 1}'}, "data/more.json"),
        ({"data/more.json": "{"}, "data/more.json"),
        ({"capabilities.json": "[]"}, "capabilities.json"),
        ({"capabilities.json": "{"}, "capabilities.json"),
        ({"rules/pdp/decision.rego": None}, None),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_named(write, change, where):
    refusal = refusal_of(write(**change))
    assert refusal.where == where


@pytest.mark.parametrize(
    "manifest",
    [
        {**MANIFEST, "revision": ""},
        {**MANIFEST, "revision": 3},
        {key: value for key, value in MANIFEST.items() if key != "revision"},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "profile": "strict"}},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "entrypoint": "pdp.decision"}},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "entrypoint": "pdp/../decision"}},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "entrypoint": ""}},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "entrypoint": None}},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "ttl_seconds": 0}},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "ttl_seconds": MAX_TTL_S + 1}},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "ttl_seconds": True}},
        {**MANIFEST, "metadata": {**MANIFEST["metadata"], "ttl_seconds": "60"}},
        {**MANIFEST, "metadata": []},
    ],
)
def test_a_manifest_that_is_not_usable_is_refused(manifest):
    with pytest.raises(BundleError) as refusal:
        make_bundle(manifest=manifest, modules={"a.rego": "package a\n"}, data={})
    assert refusal.value.where == ".manifest"


def test_what_a_manifest_leaves_out_is_the_careful_choice():
    made = make_bundle(
        manifest={"revision": "r", "metadata": {"entrypoint": "a/b"}}, modules={"a.rego": "package a\n"}, data={}
    )
    assert (made.profile, made.ttl_s) == ("plain", DEFAULT_TTL_S)


def with_metadata(**metadata):
    return {**MANIFEST, "metadata": {**MANIFEST["metadata"], **metadata}}


def made_with(**metadata):
    return make_bundle(manifest=with_metadata(**metadata), modules={"a.rego": "package a\n"}, data={})


@pytest.mark.parametrize(
    ("metadata", "allow", "deny", "step_up"),
    [
        ({}, 120, 120, 120),
        ({"deny_ttl_seconds": 20}, 120, 20, 120),
        ({"step_up_ttl_seconds": 1}, 120, 120, 1),
        ({"deny_ttl_seconds": 120, "step_up_ttl_seconds": 60}, 120, 120, 60),
    ],
)
def test_every_outcome_has_its_own_time_at_most_that_of_all(metadata, allow, deny, step_up):
    ttl = made_with(**metadata).ttl
    assert [ttl(outcome).total_seconds() for outcome in Outcome] == [allow, allow, step_up, deny]


@pytest.mark.parametrize("name", ["deny_ttl_seconds", "step_up_ttl_seconds"])
@pytest.mark.parametrize("seconds", [0, -1, 121, True, 1.5, "60", None])
def test_a_time_that_bounds_nothing_is_refused(name, seconds):
    with pytest.raises(BundleError, match=f"`metadata.{name}` must be 1 to 120"):
        made_with(**{name: seconds})


def test_another_time_is_another_bundle():
    """Its entries live another time, so that it must not find those of the former one."""
    digests = {made_with(**metadata).digest for metadata in ({}, {"deny_ttl_seconds": 60}, {"step_up_ttl_seconds": 60})}
    assert len(digests) == 3


def test_a_bundle_that_says_nothing_of_its_times_has_one_for_all():
    bare = Bundle("r", "d", "plain", "a/b", 7, {}, {})
    assert {bare.ttl(outcome).total_seconds() for outcome in Outcome} == {7}


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    assert "not a directory" in str(refusal_of(tmp_path / "nowhere"))


def test_a_file_of_absurd_size_is_refused_before_it_is_read(write):
    folder = write()
    with (folder / "rules/pdp/decision.rego").open("wb") as file:
        file.truncate(bundle_module.MAX_FILE_BYTES + 1)
    assert refusal_of(folder).where == "rules/pdp/decision.rego"


def test_too_many_files_are_refused(write):
    folder = write()
    many = folder / "data" / "many"
    many.mkdir()
    for number in range(bundle_module.MAX_FILES):
        (many / f"{number}.txt").touch()
    assert "files" in str(refusal_of(folder))


def test_data_that_no_json_can_hold_have_no_digest():
    with pytest.raises(ValueError, match="JSON"):
        make_bundle(manifest=MANIFEST, modules={"a.rego": "package a\n"}, data={"x": float("nan")})


# --- the reasons in the annotations

ANNOTATED = """package a

# METADATA
# title: NO_GOOD
# custom:
#   code: NO_GOOD
#   group: "3"
#   fix: user
#   user:
#     ja: だめ
#     en: No good.
#   admin:
#     ja: 管理者向け
#     en: "For the administrator: look here."
deny contains "NO_GOOD" if not good
"""


def test_a_reason_is_read_from_the_annotation_beside_its_rule():
    (reason,) = read_reasons({"a.rego": ANNOTATED}).values()
    assert (reason.code, reason.group, reason.fix, reason.where) == ("NO_GOOD", "3", "user", "a.rego:3")
    assert (reason.user.ja, reason.user.en) == ("だめ", "No good.")
    assert reason.admin.en == "For the administrator: look here."


def test_an_annotation_without_a_code_is_none_of_ours():
    assert read_reasons({"a.rego": "# METADATA\n# title: x\npackage a\n"}) == {}


def test_a_code_may_stand_twice_where_it_says_the_same():
    assert set(read_reasons({"a.rego": ANNOTATED, "b.rego": ANNOTATED})) == {"NO_GOOD"}
    with pytest.raises(BundleError, match="something else"):
        read_reasons({"a.rego": ANNOTATED, "b.rego": ANNOTATED.replace("No good.", "Bad.")})


@pytest.mark.parametrize(
    "change",
    [
        ("#   fix: user\n", ""),
        ("fix: user", "fix: nobody"),
        ("#     ja: だめ\n", ""),
        ("en: No good.", 'en: ""'),
        ("en: No good.", "en: 3"),
        ("#     ja: 管理者向け\n", ""),
        ("#   user:\n", "#   user: [\n"),
        ("#   code: NO_GOOD\n", "#   code: NO_GOOD\n#   code: NO_GOOD\n"),
    ],
)
def test_an_annotation_with_a_code_must_be_whole(change):
    with pytest.raises(BundleError) as refusal:
        read_reasons({"a.rego": ANNOTATED.replace(*change)})
    assert refusal.value.where == "a.rego:3"
