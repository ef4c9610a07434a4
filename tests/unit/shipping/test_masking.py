"""What a target must not learn is nowhere in what it gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdp.model.decision import Outcome
from pdp.shipping.cef import cef_event
from pdp.shipping.masking import Mask
from pdp.shipping.ocsf import ocsf_event
from pdp.shipping.own_json import own_event
from tests.unit.shipping.records import a_record, a_refusal, seen

KEY = b"0123456789abcdef0123456789abcdef"
FORMATS: list[Any] = [ocsf_event, cef_event, own_event]
SECRET = {"user": b"u-0001", "device": b"d-00001", "source_ip": b"192.0.2.7"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", SECRET)
def test_what_is_masked_is_in_no_form(form: Any, kind: Any):
    assert SECRET[kind] in form(seen(a_record()))
    assert SECRET[kind] not in form(Mask((kind,), KEY)(seen(a_record())))


@pytest.mark.parametrize("form", FORMATS)
def test_a_plain_document_goes_as_a_whole_because_a_name_could_stand_anywhere(form: Any):
    record = a_record(profile="plain", given=b'{"anything":{"owner":"u-0001"}}', path="/people/u-0001")
    assert b"u-0001" not in form(Mask(("user",), KEY)(seen(record)))


def test_a_text_that_may_quote_a_caller_goes_too():
    masked = Mask(("user",), KEY)(seen(a_record(changes={"fault": "about u-0001", "error_message": "u-0001?"})))
    assert masked.record.fault is None
    assert masked.record.error_message is None
    assert set(masked.erased) >= {"fault", "error_message"}
    assert b"u-0001" not in own_event(masked)


def test_one_person_has_one_pseudonym_and_another_key_gives_another():
    first, again = (Mask(("user",), KEY)(seen(a_record())).record.subject_id for _ in range(2))
    other_key = Mask(("user",), KEY[::-1])(seen(a_record())).record.subject_id
    other_person = Mask(("user",), KEY)(seen(a_record(subject_id="u-0002"))).record.subject_id
    assert first == again
    assert len({first, other_key, other_person}) == 3


def test_the_pseudonym_in_the_document_is_that_of_the_record():
    event = json.loads(own_event(Mask(("user", "device"), KEY)(seen(a_record()))))
    record = event["record"]
    assert record["input"]["subject"]["id"] == record["subject_id"]
    assert record["input"]["device"]["id"] == record["device_id"]
    assert record["input"]["subject"]["departments"] == ["dx"]
    assert set(event["masked"]) == {"subject_id", "session_id", "device_id", "input"}


def test_without_a_mask_nothing_changes():
    view = seen(a_record(Outcome.ALLOW, ("OK",)))
    assert Mask((), b"")(view) is view


def test_what_has_nothing_to_mask_is_shipped_all_the_same():
    assert Mask(("user", "device"), KEY)(seen(a_refusal())).record.outcome == "deny"


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Mask(("user",), b"short")
