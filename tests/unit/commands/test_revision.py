"""Revisions at the command line, with real Git repositories."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pdp.revisions.files import from_directory
from pdp.revisions.person import People
from pdp.revisions.register import Revisions
from pdp.store.store import open_store
from pdp.trail.reading import events_of
from tests.revision_files import APPROVER, OTHER_APPROVER, WHY, key_pair, policy
from tests.unit.commands.conftest import only_json
from tests.unit.gates.small import small_files

GIT = {
    "GIT_AUTHOR_NAME": "Sato",
    "GIT_AUTHOR_EMAIL": "sato@example.jp",
    "GIT_COMMITTER_NAME": "Sato",
    "GIT_COMMITTER_EMAIL": "sato@example.jp",
}


@pytest.fixture
def plain_house(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured policy is `plain` as the drafts are: in the place of one of `zta` they would be refused."""
    monkeypatch.setenv("PDP_BUNDLE", str(written(place / "configured", policy("configured"))))


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def word(place: Path, step: str, number: int, who=APPROVER) -> None:
    """What another person does, whom a test cannot be."""
    store = open_store(f"sqlite:///{(place / 'var' / 'sekisho.db').resolve()}")
    try:
        getattr(Revisions(store, People()), step)(who, number, WHY, datetime.now(UTC))
    finally:
        store.close()


def git(folder: Path, *arguments: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**clean, **GIT, "GIT_CONFIG_GLOBAL": os.devnull},
    )
    return done.stdout.strip()


@pytest.mark.usefixtures("plain_house")
def test_a_policy_goes_all_the_way_and_back_at_the_command_line(pdp, place):
    for name in ("v1", "v2"):
        written(place / name, policy(name))
        number = only_json(pdp("bundle", "import", str(place / name), "--reason", WHY, "--json"))["number"]
        assert only_json(pdp("bundle", "submit", str(number), "--reason", WHY, "--json"))["state"] == "in_review"
        word(place, "approve", number)
        active = only_json(pdp("bundle", "activate", str(number), "--reason", WHY, "--json"))
        assert (active["epoch"], active["number"]) == (number, number)
    assert pdp("bundle", "diff", "1", "2").exit_code == 1
    assert pdp("bundle", "diff", "1", "1").exit_code == 0
    back = only_json(pdp("bundle", "rollback", "1", "--reason", "v2 lets everybody in", "--json"))
    assert (back["epoch"], back["kind"]) == (3, "rollback")
    standing = only_json(pdp("bundle", "status", "--json"))
    assert (standing["active"]["number"], standing["instances"]) == (1, [])
    assert "切り戻" not in pdp("bundle", "status", "--lang", "ja").stdout
    assert "適用中" in pdp("bundle", "history", "--lang", "ja").stdout
    steps = [entry["step"] for entry in only_json(pdp("bundle", "history", "2", "--json"))["history"]]
    assert steps == ["create", "pass", "submit", "approve", "activate", "retire"]
    results = {gate["name"]: gate["result"] for gate in standing["gates"]}
    assert results == {"bundle": "passed", "tests": "passed"} | dict.fromkeys(
        ("scenarios", "invariants", "foresight"), "not_run"
    )
    assert "v2 lets everybody in" in pdp("bundle", "history", "2").stdout
    told = [(event.action, event.outcome) for event in events_of(place / "var" / "trail")]
    assert told.count(("policy.activate", "done")) == 2
    assert ("policy.rollback", "begun") in told


def test_a_draft_with_a_hole_is_refused_and_the_counterexample_is_told_in_both_languages(pdp, place):
    written(place / "v1", small_files("hole", 'input.resource.group == "business"'))
    pdp("bundle", "import", str(place / "v1"), "--reason", WHY)
    refused = pdp("bundle", "submit", "1", "--reason", WHY, "--lang", "ja")
    assert refused.exit_code == 1
    told = pdp("bundle", "history", "1", "--lang", "ja").stdout
    assert "反例: " in told
    assert "台帳に利用者か端末がない" in told
    assert "counterexample: " in pdp("bundle", "history", "1", "--lang", "en").stdout


def test_what_the_gate_refuses_is_refused_by_prove_with_the_same_counterexample(pdp, place):
    folder = written(place / "hole", small_files("hole", 'input.resource.group == "business"'))
    refused = pdp("bundle", "prove", str(folder), "--children", "1", "--json")
    assert refused.exit_code == 1
    (hole,) = [one for one in json.loads(refused.stdout)["invariants"] if one["id"] == "no_shared_account"]
    assert (hole["confirmed"], hole["counterexample"]["resource.group"]) == (True, "business")
    told = pdp("bundle", "prove", str(folder), "--children", "1", "--lang", "ja")
    assert told.exit_code == 1
    assert "反例あり" in told.stdout
    assert "判定空間の誤り" not in told.stdout


@pytest.mark.usefixtures("plain_house")
def test_whoever_imported_it_does_not_approve_it(pdp, place):
    written(place / "v1", policy("v1"))
    pdp("bundle", "import", str(place / "v1"), "--reason", WHY)
    pdp("bundle", "submit", "1", "--reason", WHY)
    refused = pdp("bundle", "approve", "1", "--reason", WHY)
    assert refused.exit_code == 2
    assert "nobody approves" in refused.stderr
    refused = pdp("bundle", "activate", "1", "--reason", WHY)
    assert refused.exit_code == 2
    assert "next: a second person" in refused.stderr
    outcomes = [event.outcome for event in events_of(place / "var" / "trail") if event.action == "policy.approve"]
    assert outcomes == ["begun", "refused"]


@pytest.mark.usefixtures("plain_house")
def test_a_draft_that_its_tests_refuse_is_not_submitted(pdp, place):
    written(place / "v1", {**policy("v1"), "house/house_test.rego": "package house_test\n\ntest_it if false\n"})
    pdp("bundle", "import", str(place / "v1"), "--reason", WHY)
    refused = pdp("bundle", "submit", "1", "--reason", WHY)
    assert refused.exit_code == 1
    assert "0 passed, 1 failed" in refused.stdout
    assert only_json(pdp("bundle", "history", "1", "--json"))["state"] == "draft"


@pytest.mark.usefixtures("plain_house")
def test_an_activation_is_signed_with_a_key_that_the_service_does_not_have(pdp, place, monkeypatch):
    private, public = key_pair()
    (place / "operator.pem").write_bytes(private)
    (place / "operator.pub").write_bytes(public)
    monkeypatch.setenv("PDP_BUNDLE_KEYS", json.dumps([str(place / "operator.pub")]))
    written(place / "v1", policy("v1"))
    pdp("bundle", "import", str(place / "v1"), "--reason", WHY)
    pdp("bundle", "submit", "1", "--reason", WHY)
    word(place, "approve", 1)
    refused = pdp("bundle", "activate", "1", "--reason", WHY)
    assert refused.exit_code == 2
    assert "signed" in refused.stderr
    signed = pdp("bundle", "sign", "1", "--key", str(place / "operator.pem"))
    (place / "signed.json").write_text(signed.stdout)
    done = only_json(pdp("bundle", "activate", "1", "--reason", WHY, "--signed", str(place / "signed.json"), "--json"))
    assert done["signatures"][0]["alg"] == "Ed25519"
    (place / "signed.json").write_text("nonsense")
    assert pdp("bundle", "renew", "--reason", WHY, "--signed", str(place / "signed.json")).exit_code == 2
    assert pdp("bundle", "sign", "1", "--key", str(place / "operator.pub")).exit_code == 2


@pytest.mark.usefixtures("plain_house")
def test_a_plan_is_made_and_taken_back(pdp, place):
    written(place / "v1", policy("v1"))
    pdp("bundle", "import", str(place / "v1"), "--reason", WHY)
    pdp("bundle", "submit", "1", "--reason", WHY)
    word(place, "approve", 1)
    for at in ("tomorrow", "2026-04-01T00:00:00", "2020-04-01T00:00:00+09:00"):
        assert pdp("bundle", "schedule", "1", "--at", at, "--reason", WHY).exit_code == 2
    at = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1, day=1).isoformat()
    planned = only_json(pdp("bundle", "schedule", "1", "--at", at, "--reason", WHY, "--json"))
    assert planned["state"] == "scheduled"
    assert "v1" in pdp("bundle", "status").stdout
    assert only_json(pdp("bundle", "unschedule", "1", "--reason", WHY, "--json"))["state"] == "approved"


@pytest.mark.usefixtures("plain_house")
def test_reviews_of_emergencies_are_listed_and_closed_by_others(pdp, place):
    written(place / "v1", policy("v1"))
    store_name = place / "var" / "sekisho.db"
    number = only_json(pdp("bundle", "import", str(place / "v1"), "--reason", WHY, "--json"))["number"]
    pdp("bundle", "submit", str(number), "--reason", WHY)
    assert store_name.exists()
    word(place, "endorse", number)
    word(place, "endorse", number, OTHER_APPROVER)
    assert only_json(pdp("bundle", "activate", str(number), "--reason", WHY, "--json"))["kind"] == "emergency"
    listed = pdp("bundle", "reviews", "--json")
    assert listed.exit_code == 1
    (review,) = json.loads(listed.stdout)
    refused = pdp("bundle", "reviews", "--close", str(review["id"]), "--note", "all was well")
    assert refused.exit_code == 2, "who activated it took part"


@pytest.mark.usefixtures("plain_house")
def test_an_export_gives_back_what_was_imported(pdp, place):
    source = written(place / "v1", {**policy("v1"), "README.md": "# notes\n"})
    pdp("bundle", "import", str(source), "--reason", WHY)
    assert pdp("bundle", "export", "1", str(place / "out")).exit_code == 0
    assert from_directory(place / "out") == from_directory(source)
    assert pdp("bundle", "export", "1", str(place / "out")).exit_code == 2


@pytest.mark.usefixtures("plain_house")
def test_a_bundle_comes_from_a_commit_and_goes_back_as_one(pdp, place, monkeypatch):
    for name, value in GIT.items():
        monkeypatch.setenv(name, value)
    repository = place / "repository"
    written(repository / "policies", policy("from-git"))
    (repository / "policies" / "link.rego").symlink_to("/etc/passwd")
    (repository / "other.txt").write_text("mine")
    git(repository.parent, "init", "--quiet", "--initial-branch", "main", "repository")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "first")
    commit = git(repository, "rev-parse", "HEAD")
    url = f"file://{repository}"
    made = only_json(
        pdp("bundle", "import", "--git", url, "--ref", "main", "--path", "policies", "--reason", WHY, "--json")
    )
    assert made["name"] == "from-git"
    assert commit in made["reason"]
    exported = pdp("bundle", "export", "1", "--git", str(repository), "--branch", "exported", "--path", "policies")
    assert exported.exit_code == 0
    assert git(repository, "rev-parse", "exported") == exported.stdout.strip()
    names = git(repository, "ls-tree", "-r", "--name-only", "exported").splitlines()
    assert names == [f"policies/{name}" for name in sorted(policy("x"))]
    pdp("bundle", "export", "1", "--git", str(repository), "--branch", "main", "--path", "policies")
    names = git(repository, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert names == ["other.txt", *(f"policies/{name}" for name in sorted(policy("x")))], (
        "the link is gone, not the rest"
    )
    assert git(repository, "log", "-1", "--format=%P", "main") == commit
    for bad in (("--git", "--upload-pack=x"), ("--git", url, "--ref", "nowhere"), ("--git", "ext::sh -c x")):
        assert pdp("bundle", "import", *bad, "--path", "policies", "--reason", WHY).exit_code == 2
    assert pdp("bundle", "import", "--reason", WHY).exit_code == 2


@pytest.mark.usefixtures("plain_house")
def test_only_commits_of_allowed_signers_are_taken_where_signers_are_named(pdp, place, monkeypatch):
    keys = place / "keys"
    keys.mkdir()
    for name in ("sato", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    public = (keys / "sato.pub").read_text().split()
    (keys / "allowed").write_text(f"sato@example.jp {public[0]} {public[1]}\n")
    monkeypatch.setenv("PDP_GIT_ALLOWED_SIGNERS_FILE", str(keys / "allowed"))
    repository = place / "repository"
    written(repository, policy("from-git"))
    git(repository.parent, "init", "--quiet", "--initial-branch", "main", "repository")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "unsigned")
    signing = ("-c", "gpg.format=ssh", "-c", "commit.gpgsign=true")
    git(repository, "tag", "unsigned")
    for name in ("stranger", "sato"):
        git(repository, *signing, "-c", f"user.signingkey={keys / name}", "commit", "-q", "--allow-empty", "-m", name)
        git(repository, "tag", "-m", name, f"by-{name}")
    imported = ("bundle", "import", "--git", f"file://{repository}", "--reason", WHY, "--ref")
    for ref in ("unsigned", "by-stranger"):
        refused = pdp(*imported, ref)
        assert refused.exit_code == 2
        assert "not signed by one of the allowed signers" in refused.stderr
    assert pdp(*imported, "by-sato").exit_code == 0


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_what_is_told_is_told_in_the_readers_language(pdp, lang):
    told = pdp("bundle", "status", "--lang", lang).stdout
    assert ("適用した版はない" in told) is (lang == "ja")
