"""What becomes a label is bounded: nothing that a caller writes names one."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from pdp.metrics import Metrics
from pdp.model.decision import Decision, Outcome, Text, Verdict

NOW = datetime(2023, 8, 1, tzinfo=UTC)


def decided(document: bytes) -> Decision:
    return Decision(
        id="0189ad5c-0000-7000-8000-000000000001",
        at=NOW,
        verdict=Verdict(Outcome.ALLOW, ()),
        reason_user=Text("", ""),
        reason_admin=Text("", ""),
        expires_at=NOW,
        policy_revision="r1",
        bundle_digest="ab",
        directory_epoch=1,
        cache="bypass",
        input=document,
    )


@pytest.mark.parametrize(
    ("document", "group"),
    [
        ({"resource": {"group": "mynumber"}}, "mynumber"),
        ({"resource": {"group": "unknown"}}, "unknown"),
        ({"resource": {"group": "invented-by-u-1"}}, "none"),
        ({"resource": {"group": "none"}}, "none"),
        ({"resource": {"group": ["mynumber"]}}, "none"),
        ({"resource": {}}, "none"),
        ({"resource": "mynumber"}, "none"),
        ({"group": "mynumber"}, "none"),
        (None, "none"),
        ([], "none"),
    ],
)
def test_a_group_that_is_not_one_of_ours_never_becomes_a_label(document: Any, group: str) -> None:
    metrics = Metrics()
    metrics.decided(decided(json.dumps(document).encode()), "authzen", {})
    assert set(re.findall(rb'sekisho_decisions_total\{group="([^"]*)"', metrics.render())) == {group.encode()}


def test_a_document_that_is_no_json_has_no_group() -> None:
    metrics = Metrics()
    metrics.decided(decided(b'{"resource": {"group": "mynumber"'), "authzen", {})
    assert b'group="none"' in metrics.render()


def test_one_policy_is_the_active_one() -> None:
    metrics = Metrics()
    metrics.policy_is("r1", "aa")
    metrics.policy_is("r2", "bb")
    info = dict(re.findall(r'sekisho_policy_info\{.*revision="(r\d)"\} (\S+)', metrics.render().decode()))
    assert info == {"r1": "0.0", "r2": "1.0"}
