"""A rule changes the places that it names and no other, whatever the record; and the record is still one."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.archive.rows import body_of, row_of
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


def leaves(value: object, at: str = "") -> dict[str, object]:
    """Each place of a document with what stands there: texts, numbers, and what is empty."""
    if isinstance(value, dict) and value:
        parts = {name.replace("~", "~0").replace("/", "~1"): member for name, member in value.items()}
    elif isinstance(value, list) and value:
        parts = {str(number): member for number, member in enumerate(value)}
    else:
        return {at: value}
    return {place: leaf for name, member in parts.items() for place, leaf in leaves(member, f"{at}/{name}").items()}


def within(place: str, listed: list[str]) -> bool:
    """Also above a place: what is empty after its last member went."""
    return any(place == one or place.startswith(f"{one}/") or one.startswith(f"{place}/") for one in listed)


RULES = st.lists(
    st.tuples(
        st.sampled_from([*(f"/{name}" for name in NAMES), "/fault", "/error_message", "/policy_context", "/input"])
        | st.sampled_from(["/input/subject", "/input/subject/id", "/input/id", "/policy_context/id", "/input/*/id"]),
        st.sampled_from(sorted(OPS)),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(cases(), RULES)
def test_a_masked_record_differs_at_the_places_that_it_lists_and_nowhere_else(case, rules):
    secret, name, op, record = case
    whole = ("/fault", "/error_message", "/policy_context", "/input")
    plain = {"where": {"profile": ["plain"]}}
    chosen = [
        rule(pointer, **(OPS["erase"] if pointer in whole else OPS[chosen_op]), **plain) for pointer, chosen_op in rules
    ]
    masked = masking(rule(f"/{name}", **OPS[op]), *chosen)(record)
    line = encode_record(masked)
    assert read_record(line) == masked
    assert masked.erased != ["/"]
    assert len(set(masked.hidden)) == len(masked.hidden)
    before, after = (leaves(json.loads(encode_record(one))) for one in (record, masked))
    same = {"/schema", *(place for place in (*before, *after) if place.startswith(("/erased", "/masked")))}
    # `...` is for a place that is not there: null is a value that may stand in a document.
    changed = {
        place for place in before.keys() | after.keys() if before.get(place, ...) != after.get(place, ...)
    } - same
    assert not [place for place in changed if not within(place, masked.hidden)]
    assert not [place for place in masked.hidden if not any(within(place, [one]) for one in changed)]
    assert getattr(masked, name) != secret
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
