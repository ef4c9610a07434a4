"""What is exported is of Cloudflare's own types, and wrong documents are not."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.sase.cloudflare import target
from tests.unit.connectors.sase import cloudflare_types
from tests.unit.connectors.sase.cloudflare_tenant import (
    EVERY_CONTROL,
    allows,
    documents,
    exported,
    mapping,
    shipped_files,
)


def test_every_document_is_one_by_the_vendors_types() -> None:
    held = documents(exported(target(mapping(enforces=list(EVERY_CONTROL)))))
    for adapter, found in (
        (cloudflare_types.policies(), held["access-policies"]),
        (cloudflare_types.posture_rules(), [one["body"] for one in held["posture-rules"]]),
        (cloudflare_types.gateway_rules(), held["gateway-rules"]),
        (cloudflare_types.applications(), [one["body"] for one in held["applications"]]),
    ):
        assert found
        assert all(cloudflare_types.accepts(adapter, one) for one in found)


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "block"},
        {"include": None},
        {"default": "deny"},
        {"session_duration": 60},
        {"require": [{"os": {"name": "windows"}}]},
        {"require": [{"device_posture": {"id": "x"}}]},
        {"include": [{"azure_ad": {"id": "x", "identity_provider_id": "y"}}]},
        {"include": {"everyone": {}}},
    ],
)
def test_a_wrong_policy_is_refused_by_the_vendors_types(change: dict[str, Any]) -> None:
    policy = {**allows(documents(shipped_files()))[0], **change}
    policy = {name: said for name, said in policy.items() if said is not None}
    assert not cloudflare_types.accepts(cloudflare_types.policies(), policy)


@pytest.mark.parametrize(
    "change",
    [{"type": "bitlocker"}, {"input": {"connection_id": "x", "operator": "=", "score": 100}}, {"expires": "15m"}],
)
def test_a_wrong_posture_rule_is_refused_by_the_vendors_types(change: dict[str, Any]) -> None:
    body = documents(shipped_files())["posture-rules"][0]["body"]
    assert not cloudflare_types.accepts(cloudflare_types.posture_rules(), {**body, **change})


@pytest.mark.parametrize("change", [{"policies": [{"uid": "x"}]}, {"domain": None}, {"allow_everyone": True}])
def test_a_wrong_application_is_refused_by_the_vendors_types(change: dict[str, Any]) -> None:
    body = {**documents(shipped_files())["applications"][0]["body"], **change}
    assert not cloudflare_types.accepts(cloudflare_types.applications(), body)


@pytest.mark.parametrize("change", [{"action": "deny"}, {"filters": ["https"]}, {"order": 1}])
def test_a_wrong_gateway_rule_is_refused_by_the_vendors_types(change: dict[str, Any]) -> None:
    rule = {**documents(shipped_files())["gateway-rules"][0], **change}
    assert not cloudflare_types.accepts(cloudflare_types.gateway_rules(), rule)
