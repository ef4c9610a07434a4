"""Every kind of record is an event of OCSF 1.8.0, as its schema has it."""

from __future__ import annotations

import json
from itertools import product

import pytest

from pdp.model.decision import Outcome
from pdp.model.request import Network
from pdp.shipping.masking import Mask
from pdp.shipping.ocsf import ocsf_document, ocsf_event
from tests.conformance.ocsf.schema import Schema, vectors
from tests.unit.shipping.records import a_record, a_refusal, document, seen

ACTIONS = ("access", "read", "write", "download", "administer", "screen_transfer", "GET", "DELETE", "can_read", "x")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema()


def test_the_checker_passes_the_example_events_and_finds_what_is_wrong_in_altered_ones(schema: Schema):
    events = vectors("example-decisions.json")["events"]
    assert [schema.faults(event) for event in events] == [[], []]
    event = events[0]
    for change in (
        {"severity_id": 42},
        {"nonsense": 1},
        {"time": "now"},
        {"web_resources": [{}]},
        {"device": {"uid": "d"}},
        {"type_uid": 600103},
        {"src_endpoint": {}},
    ):
        assert schema.faults({**event, **change}), change
    assert schema.faults({name: value for name, value in event.items() if name != "web_resources"})


@pytest.mark.parametrize(("outcome", "action"), list(product(Outcome, ACTIONS)))
def test_every_outcome_of_every_action_is_a_valid_event(schema: Schema, outcome: Outcome, action: str):
    event = json.loads(ocsf_event(seen(a_record(outcome, action=action))))
    assert schema.faults(event) == []
    assert schema.captions(event) == []


@pytest.mark.parametrize(
    "record",
    [
        a_refusal(),
        a_record(profile="plain", given=b'{"subject":{"id":"alice"}}', device_id=None, session_id=None, path=None),
        a_record(given=b'"no document"'),
        a_record(given=document(device={"class": "byod_phone", "ownership": "private", "registered": False})),
        a_record(network=Network(source_ip="2001:db8::7")),
        a_record(network=Network(source_ip=None), trace_id=None, request_id=None),
        a_record(changes={"fault": "the engine died", "policy_revision": None, "bundle_digest": None}),
        a_record(changes={"source_ip": "not an address", "subject_id": None, "resource_id": None, "action": None}),
        a_record(reasons=()),
    ],
)
def test_odd_records_are_valid_events_too(schema: Schema, record: bytes):
    event = ocsf_document(seen(record))
    assert schema.faults(event) == []
    assert schema.captions(event) == []


def test_masked_and_shortened_events_are_valid_too(schema: Schema):
    masked = Mask(("user", "device", "source_ip"), b"k" * 32)(seen(a_record()))
    event = json.loads(ocsf_event(masked, short=True))
    assert schema.faults(event) == []
    assert event["metadata"]["is_truncated"] is True
    assert "unmapped" not in event


def test_an_allow_and_a_deny_say_what_the_examples_say():
    allow = ocsf_document(seen(a_record(Outcome.ALLOW, ("OK",))))
    deny = ocsf_document(seen(a_record(Outcome.DENY)))
    for ours, example in zip((allow, deny), vectors("example-decisions.json")["events"], strict=True):
        for name in (
            "activity_id", "category_uid", "class_uid", "type_uid", "type_name", "severity_id", "severity", "status_id",
            "status", "action_id", "action", "disposition_id", "disposition",
        ):  # fmt: skip
            assert ours[name] == example[name], name
        assert set(ours["metadata"]) >= {"version", "product", "profiles", "uid", "correlation_uid"}
        assert ours["metadata"]["profiles"] == example["metadata"]["profiles"]


def test_a_step_up_is_a_challenge_and_a_limit_a_modified_success():
    step_up = ocsf_document(seen(a_record(Outcome.STEP_UP, ("STEP_UP",))))
    limit = ocsf_document(seen(a_record(Outcome.LIMIT, ("OK_BYOD",))))
    assert (step_up["action_id"], step_up["disposition_id"], step_up["status_id"]) == (2, 23, 2)
    assert (limit["action_id"], limit["disposition_id"], limit["status_id"]) == (4, 1, 1)
    assert limit["unmapped"]["obligations"] == {"save": "off"}


def test_a_refusal_is_rejected_and_a_fault_is_an_error():
    assert ocsf_document(seen(a_refusal()))["disposition_id"] == 25
    assert ocsf_document(seen(a_record(changes={"fault": "timeout"})))["disposition_id"] == 27


def test_the_time_is_in_whole_milliseconds():
    event = ocsf_document(seen(a_record(after_us=876)))  # 00:00:00.123456 and that
    assert event["time"] == 1_775_001_600_124
