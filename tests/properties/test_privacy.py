"""What a rule hides stands nowhere in the record any more, whatever the record; and the record is still one."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.archive.columns import body_of, row_of
from pdp.declog.record import encode_record, read_record
from tests.unit.declog.test_record_versions import as_first
from tests.unit.privacy.samples import a_record, masking, rule

# No accident: such a text is no part of another one unless it was put there.
SECRETS = st.text(st.sampled_from("qzxQZXあ漢é-_0123456789"), min_size=8, max_size=16).map(lambda text: f"Z{text}q")
NOISE = st.text(st.sampled_from('abc/%"\\\n~ 1{}あ'), max_size=12)
NAMES = ("subject_id", "device_id", "resource_id", "session_id", "path", "source_ip", "request_id", "trace_id")
OPS = {
    "erase": {"op": "erase"},
    "pseudonymise": {"op": "pseudonymise"},
    "network": {"op": "coarsen", "to": "network"},
    "segments": {"op": "coarsen", "to": "segments", "by": 0},
}


def texts(secret: str) -> st.SearchStrategy[str]:
    around = st.tuples(NOISE, NOISE)
    return st.one_of(
        NOISE,
        st.just(secret),
        around.map(lambda two: f"{two[0]}{secret}{two[1]}"),
        around.map(lambda two: f"{two[0]}{secret.upper()}{two[1]}"),
    )


def documents(secret: str) -> st.SearchStrategy[object]:
    leaves = st.one_of(texts(secret), st.integers(-9, 9), st.booleans(), st.none(), st.floats(0, 1))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.one_of(texts(secret), st.sampled_from(["subject", "id"])), inner, max_size=3),
        ),
        max_leaves=8,
    )


@st.composite
def cases(draw):
    secret = draw(SECRETS)
    name = draw(st.sampled_from(NAMES))
    values = {other: draw(st.none() | texts(secret)) for other in (*NAMES, "fault", "error_message")}
    values[name] = secret
    values["redacted"] = draw(st.lists(texts(secret), max_size=2))
    for document in ("input", "policy_context"):
        # As somebody else may have written it: letters escaped, blanks between.
        text = json.dumps(
            draw(documents(secret)), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))
        )
        values[document] = msgspec.Raw(text.replace("\n", " ").encode())
    profile = draw(st.sampled_from(["plain", "zta"]))
    return secret, name, draw(st.sampled_from(sorted(OPS))), a_record(profile=profile, **values)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_a_masked_value_stands_nowhere_in_the_record(case):
    secret, name, op, record = case
    masked = masking(rule(f"/{name}", **OPS[op]))(record)
    line = encode_record(masked)
    assert read_record(line) == masked
    shown = json.dumps(json.loads(line), ensure_ascii=False).lower()
    assert json.dumps(secret, ensure_ascii=False)[1:-1].lower() not in shown
    assert masked.hidden
    assert masked.erased != ["/"]
    kept = ("id", "time", "now", "outcome", "reasons", "obligations", "bundle_digest", "policy_revision", "caller_id")
    assert all(getattr(masked, field) == getattr(record, field) for field in kept)
    assert body_of(row_of("s", 1, line)) == line


@settings(max_examples=100, deadline=None)
@given(cases(), st.booleans())
def test_both_versions_are_masked_and_come_back_from_their_rows(case, first):
    _, name, op, record = case
    line = encode_record(record)
    line = as_first(line) if first else line
    assert body_of(row_of("s", 1, line)) == line
    masked = encode_record(masking(rule(f"/{name}", **OPS[op]))(read_record(line)))
    assert read_record(masked).schema == "sekisho.decision/v2"
    assert masking(rule(f"/{name}", **OPS[op]))(read_record(masked)).hidden == read_record(masked).hidden
