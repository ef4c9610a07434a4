"""`pdp export plan|apply|drift prisma` against a simulated tenant, from an export that the same command line made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from connectors.sase.prisma import target
from pdp.commands.export_files import write_files
from pdp.delivery.journal import Applied, Journal
from pdp.delivery.plan import SCHEMA
from pdp.export.building import build_model
from pdp.export.catalogue import listed_resources
from pdp.export.checking import Inputs, mapping_digest
from pdp.export.exporting import export
from pdp.model.directory import snapshot_of
from pdp.parts import open_directory, shared_key
from pdp.revisions.opening import open_registers
from pdp.settings import load_settings
from pdp.space.keeping import dumped, key_of, sealed
from pdp.trail.keeping import trail_path
from pdp.trail.reading import events_of
from tests.revision_files import APPROVER, AUTHOR, FINE, NOW, OPERATOR, WHY, policy
from tests.simulators.scm import CLIENT, RULES, SCOPE, SECRET, Scm
from tests.simulators.worlds import Stage
from tests.spaces import DAY, POLICIES, shipped_space
from tests.unit.commands.conftest import Pdp, only_json
from tests.unit.connectors.sase.prisma_tenant import mapping

SYSTEM = "document-management"


@pytest.fixture
def state(place: Path) -> Path:
    """A state's folder in which the shipped policy's space is kept."""
    folder = place / "state" / "spaces"
    folder.mkdir(parents=True)
    space = shipped_space()
    key = key_of(space.bundle)
    (folder / f"{key}.json").write_bytes(sealed(dumped(space), key, shared_key(place / "state" / "spaces.key")))
    return place / "state"


@pytest.fixture
def scm() -> Iterator[Scm]:
    simulator, stage = Scm(job_looks=0), Stage()
    with stage.playing(simulator) as port:
        simulator.base_url = f"http://127.0.0.1:{port}"
        yield simulator


@pytest.fixture
def files(place: Path, scm: Scm) -> Path:
    """An export of one system in `out`, its mapping, and a tenant's file with its secret beside it."""
    space = shipped_space()
    listed = [one for one in listed_resources(space.bundle, snapshot_of(epoch=1), DAY) if one[0].id == SYSTEM]
    whole = build_model(space, listed, DAY.isoformat())
    model = msgspec.structs.replace(whole, rules=whole.rules[::5])
    held = mapping(model)
    (place / "prisma.yaml").write_text(yaml.safe_dump(held))
    write_files(
        place / "out", export(space, model, target(held), inputs=Inputs(mapping_sha256=mapping_digest(held))).files
    )
    (place / "secret").write_text(SECRET)
    access: dict[str, Any] = {
        "name": "pref",
        "mapping": "prisma.yaml",
        "client_id": CLIENT,
        "client_secret_file": str(place / "secret"),
        "scope": SCOPE,
        "admin": CLIENT,
        "url": scm.base_url,
        "token_url": f"{scm.base_url}/oauth2/access_token",
        "per_second": 10_000.0,
        "poll_s": 0.01,
    }
    (place / "tenant.yaml").write_text(yaml.safe_dump(access))
    return place


def test_an_export_is_planned_delivered_and_watched(pdp: Pdp, state: Path, files: Path, scm: Scm) -> None:
    out, tenant = files / "out", files / "tenant.yaml"
    ground = ("--bundle", POLICIES, "--state-dir", state)
    asked = ("prisma", "--from", out, "--tenant", tenant, *ground)

    shown = pdp("export", "apply", *asked, "--json", lang="ja")
    assert shown.exit_code == 1
    assert "何もしていない" in shown.stderr
    planned = only_json(shown)
    assert planned["add"] == len([one for one in planned["steps"] if one["op"] == "add"]) > 10
    other = pdp("export", "apply", *asked, "--yes", "--plan", "0" * 64)
    assert other.exit_code == 2
    assert not scm.candidate[RULES]

    scm.job_results = ["FAIL"]
    stopped = pdp("export", "apply", *asked, "--yes", "--plan", planned["plan"], "--reason", "情シス-12")
    assert stopped.exit_code == 3
    assert "nothing of it counts before the push" in stopped.stderr
    assert scm.running == {}
    quiet = pdp("export", "apply", *asked, "--yes", "--report-only")
    assert quiet.exit_code == 2, "what was cut off puts rules in force"
    assert scm.running == {}
    again = pdp("export", "apply", *asked, "--yes", lang="ja")
    assert again.exit_code == 0, again.output
    assert "続き" in again.stderr
    assert scm.running == scm.candidate
    assert SECRET not in again.output + stopped.output + shown.output

    watched = ("export", "drift", "prisma", "--tenant", tenant, "--state-dir", state)
    assert pdp(*watched).exit_code == 0
    scm.candidate[RULES].pop()
    drifted = pdp(*watched, "--json")
    assert drifted.exit_code == 1
    assert [one["what"] for one in only_json(drifted)["differences"]] == ["missing"]
    assert json.loads((state / "delivery" / "pref" / "drift.json").read_bytes())["differences"] == 1
    scm.candidate.clear()
    assert pdp(*watched).exit_code == 3

    rules = json.loads((out / "security-rules.json").read_bytes())
    (out / "security-rules.json").write_text(json.dumps(rules[1:]))
    altered = pdp("export", "plan", *asked)
    assert altered.exit_code == 2
    assert "security-rules.json" in altered.stderr

    events = [event for event in events_of(trail_path(state)) if event.action.startswith("export.")]
    assert [event.outcome for event in events if event.action == "export.apply"] == ["begun", "failed", "begun", "done"]
    steps = [event for event in events if event.action == "export.step"]
    assert len(steps) == len(planned["steps"])
    assert {event.reason for event in events if event.action == "export.apply"} == {"情シス-12", None}


def test_a_name_belongs_to_the_tenant_of_one_vendor(pdp: Pdp, state: Path, files: Path) -> None:
    journal = Journal(state, "pref")
    with journal.locked():
        journal.end(Applied(SCHEMA, "entra", "pref", "e", "p", "2026-11-23T00:00:00+00:00", ()))
    refused = pdp("export", "drift", "prisma", "--tenant", files / "tenant.yaml", "--state-dir", state)
    assert refused.exit_code == 2
    assert "is a tenant of `entra`" in refused.stderr


def test_an_unsigned_export_is_refused_where_the_tenant_asks_for_a_signature(
    pdp: Pdp, state: Path, files: Path
) -> None:
    said = yaml.safe_load((files / "tenant.yaml").read_text())
    (files / "tenant.yaml").write_text(yaml.safe_dump({**said, "require_signature": True}))
    asked = ("prisma", "--from", files / "out", "--tenant", files / "tenant.yaml", "--state-dir", state)
    refused = pdp("export", "plan", *asked)
    assert refused.exit_code == 2
    assert "bundle_keys" in refused.stderr


def test_rules_of_another_policy_than_the_one_of_record_are_not_delivered(
    pdp: Pdp, state: Path, files: Path, scm: Scm
) -> None:
    """Attack: whoever may deliver brings out a policy that nobody approved, or the one before, by `--bundle`."""
    settings = load_settings(environ={}, state_dir=str(state))
    store = open_directory(settings)
    registers = open_registers(settings, store)
    made = registers.revisions.create(AUTHOR, policy("2027.1", allow=False), WHY, NOW)
    registers.revisions.keep_gates(AUTHOR, made.number, made.source_digest, FINE, NOW)
    registers.revisions.submit(AUTHOR, made.number, WHY, NOW)
    registers.revisions.approve(APPROVER, made.number, WHY, NOW)
    registers.activations.activate(OPERATOR, made.number, WHY, NOW)
    store.close()
    ground = ("--bundle", POLICIES, "--state-dir", state)
    refused = pdp(
        "export", "apply", "prisma", "--from", files / "out", "--tenant", files / "tenant.yaml", *ground, "--yes"
    )
    assert refused.exit_code == 2
    assert "2027.1" in refused.stderr
    assert not scm.candidate[RULES]


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("tenant.yaml", ("テナントファイル", "the tenant's file", "docs/export-delivery.md")),
        ("prisma.yaml", ("対応表", "the mapping", "pdp export example")),
        ("out", ("フォルダー", "there is no folder", "pdp export TARGET --out DIR")),
    ],
)
def test_a_file_that_is_not_there_is_named_in_both_languages_with_what_to_do(
    pdp: Pdp, state: Path, files: Path, missing: str, words: tuple[str, ...]
) -> None:
    gone = files / missing
    gone.rename(files / "elsewhere")
    asked = ("prisma", "--from", files / "out", "--tenant", files / "tenant.yaml", "--bundle", POLICIES)
    refused = pdp("export", "plan", *asked, "--state-dir", state)
    assert refused.exit_code == 2
    said, step = refused.stderr.split("next: ")
    assert words[0] in said and words[1] in said and f"`{gone}`" in said
    assert words[2] in step
    assert "FileNotFound" not in refused.stderr


def test_a_tenants_file_that_is_no_object_or_cannot_be_read_says_so(pdp: Pdp, state: Path, files: Path) -> None:
    for held in (b"- a list\n", b"\xff", b"name: pref\n"):
        (files / "tenant.yaml").write_bytes(held)
        asked = ("prisma", "--from", files / "out", "--tenant", files / "tenant.yaml", "--state-dir", state)
        refused = pdp("export", "plan", *asked)
        assert refused.exit_code == 2
        assert "テナントファイル" in refused.stderr and "docs/export-delivery.md" in refused.stderr
