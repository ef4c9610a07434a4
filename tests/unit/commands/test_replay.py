from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.declog.segments import SegmentLog
from pdp.errors import BadRequestError
from pdp.main import compose, new_id
from pdp.model.request import AccessRequest, AssertedClaims, Network, Refusal
from pdp.settings import load_settings
from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.registers import fill

CALLER = Caller("gw", PERMISSIONS)


def request(**changes: object) -> AccessRequest:
    said: dict[str, object] = {
        "subject_id": "u-1",
        "resource_id": "groupware",
        "action": "access",
        "identity": AssertedClaims(acr="urn:sekisho:auth-level:2", auth_time=datetime.now(UTC)),
        "device_id": "d-1",
        "network": Network("10.0.0.1", underlay="office"),
    }
    return AccessRequest(**(said | changes))


@pytest.fixture
def decided(place: Path) -> dict[str, str]:
    """The ids of some records in the decision log of `var`, by what they are."""
    fill(place / "var")

    async def ask() -> dict[str, str]:
        settings = load_settings(environ={}, unsafe_no_caller_auth=True)
        async with compose(settings) as service:
            checkpoint = service.checkpoint
            return {
                "allow": (await checkpoint.decide(request(), CALLER)).id,
                "deny": (await checkpoint.decide(request(device_id="d-404"), CALLER)).id,
                "bad input": (await checkpoint.decide(request(action="dance"), CALLER)).id,
                "refusal": await checkpoint.refuse(Refusal(BadRequestError("no JSON"), "authzen"), CALLER),
            }

    return asyncio.run(ask())


@pytest.mark.parametrize("which", ["allow", "deny"])
def test_a_recorded_decision_comes_out_the_same(pdp, decided, which):
    result = pdp("replay", "--id", decided[which], "--json")
    assert result.exit_code == 0
    said = only_json(result)
    assert said["equal"] is True
    assert said["recorded"] == said["recomputed"]
    assert said["recorded"]["outcome"] == which
    people = pdp("replay", "--id", decided[which], lang="ja")
    assert people.exit_code == 0
    assert people.stdout.splitlines()[-1] == "同じ判定"


@pytest.mark.parametrize(("which", "said"), [("refusal", "no policy was asked"), ("bad input", "no input document")])
def test_what_no_policy_was_asked_about_has_nothing_to_recompute(pdp, decided, which, said):
    people = pdp("replay", "--id", decided[which])
    assert people.exit_code == 0
    assert said in people.stdout
    as_json = only_json(pdp("replay", "--id", decided[which], "--json"))
    assert as_json["replayed"] is False


def test_another_bundle_is_not_asked_and_the_needed_revision_is_named(pdp, place, decided):
    bundle = place / "other"
    bundle.mkdir()
    (bundle / ".manifest").write_text(
        '{"revision": "other", "metadata": {"profile": "plain", "entrypoint": "x/allow"}}'
    )
    (bundle / "x.rego").write_text("package x\n\nallow := true\n")
    result = pdp("replay", "--id", decided["allow"], "--bundle", bundle)
    assert result.exit_code == 3
    error, step = told(result)
    revision = load_settings(environ={}).bundle_path / ".manifest"
    assert json.loads(revision.read_text())["revision"] in step
    assert "`other`" in error


def test_a_record_that_says_something_else_than_its_input_gives_is_found(pdp, place, decided):
    """An attacker who can write the log cannot make a deny look like it had been an allow by the policy."""

    async def forge() -> str:
        log = SegmentLog(place / "var" / "decisions", "w9", clock=lambda: datetime.now(UTC))
        record = log.find(decided["deny"])
        assert record is not None
        identity = new_id()
        forged = record.replace(decided["deny"].encode(), identity.encode())
        forged = forged.replace(
            b'"outcome":"deny","reasons":["DEVICE_UNREGISTERED"]', b'"outcome":"allow","reasons":["OK"]'
        )
        assert forged.count(b'"outcome":"allow"') == 1
        await log.append(forged)
        await log.close()
        return identity

    identity = asyncio.run(forge())
    result = pdp("replay", "--id", identity, "--json")
    assert result.exit_code == 1
    said = only_json(result)
    assert said["differences"] == ["outcome", "reasons"]
    assert (said["recorded"]["outcome"], said["recomputed"]["outcome"]) == ("allow", "deny")
    assert pdp("replay", "--id", identity).stdout.splitlines()[-1] == "the decision differs"


def test_an_id_without_a_record_and_a_log_that_is_none(pdp, place, decided):
    assert pdp("replay", "--id", new_id()).exit_code == 3
    assert pdp("replay", "--id", "not-an-id").exit_code == 2
    nowhere = pdp("replay", "--id", new_id(), "--state-dir", place / "nowhere")
    assert nowhere.exit_code == 3
    assert "--state-dir" in told(nowhere)[1]
    assert not (place / "nowhere").exists()
