"""What the documentation says of the named people is what the access rules say of them, by the oracle's reading."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from pdp.bundle.bundle import read_bundle
from pdp.directory.demo import demonstration
from pdp.directory.personas import STORIES, Story
from pdp.facts.document import build_facts
from pdp.facts.reference import Reference, read_reference
from pdp.model.authentication import Authentication
from pdp.model.directory import Snapshot
from pdp.scenario.format import RequestEntry
from pdp.scenario.world import request_of
from tests.oracle.access_rules import judge

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)  # Tuesday, 10:00 in Japan
ROOT = Path(__file__).resolve().parents[3]
PEP = ["clipboard", "print", "save", "download", "browser_only", "record_session"]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return read_reference(read_bundle(ROOT / "policies").data)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return demonstration(NOW).snapshot(epoch=1, loaded_at=NOW)


@pytest.mark.parametrize(
    "story", STORIES, ids=lambda story: f"{story.user}-{story.device}-{story.resource}-{story.reason}"
)
def test_each_story_ends_as_it_says(story: Story, reference: Reference, snapshot: Snapshot) -> None:
    assert story.user in snapshot.users
    assert story.device in snapshot.devices
    underlay = "office" if story.zone == "office" else "carrier"
    entry = RequestEntry(
        user=story.user, auth_level=story.auth_level, device=story.device, resource=story.resource, action=story.action,
        zone=story.zone, underlay=underlay, path_encrypted=True, pep=PEP,
    )  # fmt: skip
    request = request_of(entry, reference, NOW)
    facts = build_facts(request, Authentication(level=story.auth_level, at=NOW), snapshot, reference, NOW)
    answer = judge(msgspec.to_builtins(facts.document))
    assert answer["reasons"][0] == story.reason, answer  # type: ignore[index]


def test_every_story_stands_in_the_documentation() -> None:
    text = (ROOT / "docs" / "directory.md").read_text(encoding="utf-8")
    missing = [
        s for s in STORIES if f"| `{s.user}` | `{s.device}` | `{s.resource}` | {s.zone} | `{s.reason}` |" not in text
    ]
    assert missing == []
