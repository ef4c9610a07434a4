from __future__ import annotations

import msgspec
import pytest

from pdp.archive.rows import body_of, row_of
from pdp.archive.schema import INDEX
from pdp.declog.record import encode_record, read_record
from pdp.errors import SettingsError
from pdp.model.input import decode_input
from pdp.privacy.masking import Masking, blank
from pdp.privacy.places import MASKABLE, PROTECTED
from tests.unit.privacy.samples import PSEUDONYMS, a_record, document_of, masking, plain, rule


def test_a_person_is_the_same_pseudonym_in_the_record_and_in_the_input():
    masked = masking(rule("/subject_id", "pseudonymise"))(a_record())
    pseudonym = PSEUDONYMS.of("user", "u-0001")
    assert masked.subject_id == document_of(masked)["subject"]["id"] == pseudonym
    assert masked.masked == ["/subject_id", "/input/subject/id"]
    assert masked.erased == []
    assert b"u-0001" not in encode_record(masked)


def test_a_rule_for_the_place_in_the_input_is_one_for_its_twin_in_the_record():
    masked = masking(rule("/input/device/id", "pseudonymise"))(a_record())
    assert masked.device_id == document_of(masked)["device"]["id"] == PSEUDONYMS.of("device", "d-00001")


def test_a_masked_record_is_one_in_its_canonical_form_and_stands_in_columns():
    masked = encode_record(masking(rule("/subject_id", "pseudonymise"), rule("/source_ip"))(a_record()))
    assert read_record(masked).erased == ["/source_ip"]
    row = row_of("s", 1, masked)
    assert row[INDEX["input_form"]] == "columns"
    assert row[INDEX["person"]] == PSEUDONYMS.of("user", "u-0001")
    assert body_of(row) == masked


def test_what_is_erased_of_the_contract_is_unknown_and_the_other_facts_stay():
    masked = masking(rule("/input/subject/departments"), rule("/input/subject/id"))(a_record())
    seen = decode_input(bytes(masked.input))
    assert (seen.subject.id, seen.subject.departments, seen.subject.kind) == ("unknown", [], "staff")
    assert sorted(masked.erased) == ["/input/subject/departments", "/input/subject/id", "/subject_id"]
    assert masked.subject_id is None


def test_items_of_a_list_are_named_by_a_star_or_by_their_number():
    starred = masking(rule("/input/subject/departments/*", "pseudonymise"))(a_record())
    assert all(name.startswith("p:1:") for name in document_of(starred)["subject"]["departments"])
    assert starred.masked == ["/input/subject/departments/0", "/input/subject/departments/1"]
    third = masking(rule("/input/people/1/name", where={"profile": ["plain"]}))(
        plain({"people": [{"name": "Sato"}, {"name": "Suzuki"}]})
    )
    assert document_of(third) == {"people": [{"name": "Sato"}, {}]}
    assert third.erased == ["/input/people/1/name"]


@pytest.mark.parametrize(
    ("field", "value", "others", "expected"),
    [
        ("source_ip", "192.0.2.77", {"to": "network"}, "192.0.2.0/24"),
        ("source_ip", "2001:db8:1:2::5", {"to": "network"}, "2001:db8:1::/48"),
        ("source_ip", "::ffff:192.0.2.77", {"to": "network"}, "192.0.2.0/24"),
        ("source_ip", "not an address", {"to": "network"}, None),
        ("path", "/cases/4711/tanaka", {"to": "segments", "by": 1}, "/cases"),
        ("path", "/cases/4711/tanaka", {"to": "segments", "by": 0}, "/"),
        ("path", "cases", {"to": "segments", "by": 1}, None),
    ],
)
def test_coarser_values_hold_less_and_what_does_not_fit_is_erased(field, value, others, expected):
    masked = masking(rule(f"/{field}", "coarsen", **others))(a_record(**{field: value}))
    assert getattr(masked, field) == expected
    assert (masked.erased, masked.masked) == (([f"/{field}"], []) if expected is None else ([], [f"/{field}"]))


@pytest.mark.parametrize(
    ("value", "others", "expected"),
    [
        ("2026-04-01T09:59:59.5+09:00", {"to": "hour"}, "2026-04-01T00:00:00Z"),
        ("2026-04-01", {"to": "hour"}, None),
        ("9999-12-31T23:59:59-23:59", {"to": "hour"}, None),
        (57, {"to": "step", "by": 10}, 50),
        (-57, {"to": "step", "by": 10}, -60),
        (True, {"to": "step", "by": 10}, None),
        (57.5, {"to": "step", "by": 10}, None),
        ("57", {"to": "step", "by": 10}, None),
    ],
)
def test_times_and_numbers_of_a_document_become_coarser(value, others, expected):
    place = rule("/input/at", "coarsen", where={"profile": ["plain"]}, **others)
    masked = masking(place)(plain({"at": value, "keep": 1}))
    assert document_of(masked) == ({"keep": 1} if expected is None else {"at": expected, "keep": 1})


def test_what_has_no_name_of_its_own_gets_no_pseudonym_but_is_erased():
    place = rule("/input/who", "pseudonymise", where={"profile": ["plain"]})
    for value in (True, 1.5, {"name": "Sato"}, ["Sato"]):
        assert document_of(masking(place)(plain({"who": value}))) == {}
    assert document_of(masking(place)(plain({"who": None}))) == {"who": None}
    assert document_of(masking(place)(plain({"who": 12345})))["who"].startswith("p:1:")


EQUAL = {
    "a path": {"path": "/home/tanaka/mail"},
    "a request id": {"request_id": "tanaka-7"},
    "a session": {"session_id": "tanaka"},
    "a fault that quotes something else": {"fault": "no such group: `tanaka-kai`"},
    "another document": {"policy_context": msgspec.Raw(b'{"row":"owner=tanaka","n":1.5}')},
    "the name of a member": {"policy_context": msgspec.Raw(b'{"rows":{"tanaka":1},"n":1}')},
    "a pointer": {"redacted": ["/people/tanaka/token"]},
}


@pytest.mark.parametrize("where", EQUAL)
def test_an_equal_text_in_a_place_that_no_rule_names_stays(where: str):
    record = a_record(subject_id="tanaka", **EQUAL[where])
    masked = masking(rule("/subject_id", "pseudonymise"))(record)
    assert masked.hidden == ["/subject_id", "/input/subject/id"]
    assert all(getattr(masked, field) == value for field, value in EQUAL[where].items())


@pytest.mark.parametrize("field", ["fault", "error_message"])
def test_our_own_words_go_where_they_quote_what_was_masked(field: str):
    masked = masking(rule("/subject_id", "pseudonymise"))(
        a_record(subject_id="tanaka", **{field: "`tanaka` is nobody"})
    )
    assert getattr(masked, field) is None
    assert masked.erased == [f"/{field}"]


def test_the_digest_of_the_answer_goes_with_a_context_that_was_changed():
    context = msgspec.Raw(b'{"row":"owner=tanaka","n":1.5}')
    masked = masking(rule("/policy_context/row"))(a_record(policy_context=context))
    assert msgspec.json.decode(masked.policy_context) == {"n": 1.5}
    assert masked.answer_sha256 is None
    assert set(masked.erased) == {"/policy_context/row", "/answer_sha256"}


def test_pointers_into_an_input_go_with_the_whole_of_it():
    masked = masking(rule("/input"))(plain({"people": {"tanaka": {"token": "x"}}}, redacted=["/people/tanaka/token"]))
    assert b"tanaka" not in encode_record(masked)
    assert masked.erased == ["/input", "/redacted"]


def test_a_word_of_the_contract_is_nobodys_name():
    masked = masking(rule("/subject_id", "pseudonymise"))(a_record(subject_id="staff"))
    assert decode_input(bytes(masked.input)).subject.kind == "staff"


def test_a_record_that_no_rule_is_about_is_the_very_same():
    record = a_record()
    for where in ({"outcome": ["deny"]}, {"wire": ["opa_data"]}, {"caller": ["other"]}, {"profile": ["plain"]}):
        assert masking(rule("/subject_id", where=where))(record) is record
    nobody = a_record(source_ip=None)
    assert masking(rule("/source_ip"))(nobody) is nobody


def test_a_rule_is_about_records_that_are_all_that_it_says():
    where = {"outcome": ["allow"], "wire": ["authzen"], "caller": ["gateway-1"], "profile": ["zta"]}
    assert masking(rule("/subject_id", where=where))(a_record()).subject_id is None
    assert masking(rule("/subject_id", where=where))(a_record(outcome="deny", reasons=["X"])).subject_id == "u-0001"


def test_of_two_rules_for_one_place_the_first_counts():
    first, second = rule("/source_ip", "coarsen", to="network"), rule("/source_ip")
    assert masking(first, second)(a_record()).source_ip == "192.0.2.0/24"
    assert masking(second, first)(a_record()).source_ip is None


def test_what_was_masked_once_is_not_masked_again():
    mask = masking(rule("/subject_id", "pseudonymise"), rule("/source_ip", "coarsen", to="network"))
    once = mask(a_record())
    assert mask(once) is once


def test_a_refusal_and_a_record_without_a_document_are_masked_too():
    record = a_record(kind="refusal", profile=None, input=msgspec.Raw(b"null"), error_message="`u-0001` is nobody")
    masked = masking(rule("/subject_id"))(record)
    assert (masked.subject_id, masked.error_message) == (None, None)


@pytest.mark.parametrize("document", [b"{", b'{"a":' * 2_000 + b"1" + b"}" * 2_000, b"\xff"])
def test_where_masking_fails_the_record_is_written_with_all_that_could_name_a_person_erased(document: bytes):
    failed: list[int] = []
    mask = Masking([rule("/input/subject/id")], PSEUDONYMS, lambda: failed.append(1))
    record = a_record(input=msgspec.Raw(document), path="/home/tanaka", session_id="tanaka", fault="tanaka")
    written = mask(record)
    assert written == blank(record)
    assert failed == [1]
    assert written.erased == ["/"]
    line = encode_record(written)
    for secret in (b"tanaka", b"u-0001", b"192.0.2", b"d-00001"):
        assert secret not in line
    assert read_record(line).reasons == record.reasons
    assert (written.id, written.time, written.outcome) == (record.id, record.time, record.outcome)


def test_what_masking_takes_out_in_doubt_is_whatever_a_rule_may_name():
    gone = {name for name in MASKABLE if getattr(blank(a_record()), name) in (None, msgspec.Raw(b"null"))}
    assert gone == MASKABLE


HOSTILE = {
    "not a pointer": ("/a~2", {}),
    "an unknown key": ("/subject", {}),
    "below a text": ("/subject_id/0", {}),
    "a fact that is not there": ("/input/subject/name", {}),
    "a list without its star": ("/input/subject/departments/0", {}),
    "a star below a text": ("/input/subject/id/*", {}),
    "the whole input under one pseudonym": ("/input", {"op": "pseudonymise"}),
    "a digest under a pseudonym": ("/token_sha256", {"op": "pseudonymise"}),
    "an empty key": ("//", {}),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_rule_that_names_no_place_is_refused_at_the_start(fault: str):
    pointer, others = HOSTILE[fault]
    with pytest.raises(SettingsError) as caught:
        masking(rule(pointer, **others))
    assert f"`{pointer}`" in str(caught.value)


@pytest.mark.parametrize("name", sorted(PROTECTED))
def test_no_rule_may_name_what_proves_the_decision(name: str):
    for pointer in (f"/{name}", f"/{name}/0"):
        with pytest.raises(SettingsError, match="stays as it is"):
            masking(rule(pointer))


def test_a_pseudonym_needs_a_key():
    with pytest.raises(SettingsError, match="needs a key"):
        Masking([rule("/subject_id", "pseudonymise")])
