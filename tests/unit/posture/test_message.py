from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.directory.posture import FACTS, knows
from pdp.errors import BadRequestError, NotPermittedError, PayloadTooLargeError
from pdp.posture.etag import etag_of, read_tags
from pdp.posture.message import CLOCK_SKEW, KINDS, facts_of, read_batch, read_entry, read_name, read_report
from pdp.strict_json import parse_json
from tests.unit.posture.conftest import GOOD, NOW

PAGE = Path(__file__).resolve().parents[3] / "docs" / "posture.md"
REFUSED = (BadRequestError, NotPermittedError, PayloadTooLargeError)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 40_000)
    | st.floats(allow_nan=False)
    | st.sampled_from(["true", "unknown", "none", "low", "high", "not_managed", "2026-07-01T00:00:00Z", ""])
    | st.text(max_size=6)
)
_NAMES = st.sampled_from([*FACTS, "observed_at", "facts", "device", "reports", "age_hours", "source", "x"])
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=12
)
_FACTS = st.dictionaries(st.sampled_from([*FACTS, "compliant"]), _SCALARS, max_size=6)
_BODY = st.fixed_dictionaries({"observed_at": st.just("2026-07-01T00:00:00Z") | _SCALARS, "facts": _FACTS | _JSON})


@given(_JSON | _BODY)
def test_whatever_is_sent_is_a_report_of_what_it_says_or_is_refused(value: Any) -> None:
    try:
        report = read_report(value, "push:edr", NOW, None)
    except REFUSED:
        return
    assert report.observed_at is not None
    assert report.observed_at <= NOW + CLOCK_SKEW
    for fact in FACTS:
        said = value["facts"].get(fact, "unknown")
        assert facts_of(report)[fact] == said
        assert type(facts_of(report)[fact]) is type(said)


@given(_JSON, st.sets(st.sampled_from(FACTS)))
def test_no_fact_beyond_a_callers_bounds_gets_through(facts: Any, allowed: set[Any]) -> None:
    try:
        report = read_report({"observed_at": "2026-07-01T00:00:00Z", "facts": facts}, "push:edr", NOW, allowed)
    except REFUSED:
        return
    assert {fact for fact in FACTS if knows(report, fact)} <= allowed


@given(_JSON | st.fixed_dictionaries({"reports": st.lists(_JSON, max_size=3)}))
def test_whatever_a_batch_is_its_entries_are_read_or_refused(value: Any) -> None:
    try:
        entries = read_batch(value)
    except REFUSED:
        return
    for entry in entries:
        try:
            name, report = read_entry(entry, "push:edr", NOW, None)
        except REFUSED:
            continue
        assert name.kind in KINDS
        assert report.source == "push:edr"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d-1", ("id", "d-1")),
        ("id:d-1", ("id", "d-1")),
        ("serial:a:b", ("serial", "a:b")),
        ("mac:aa", ("id", "mac:aa")),
        (":x", ("id", ":x")),
        ("SERIAL:x", ("id", "SERIAL:x")),
    ],
)
def test_a_name_is_an_id_unless_it_begins_with_a_kind(text: str, expected: tuple[str, str]) -> None:
    assert read_name(text) == expected


@pytest.mark.parametrize("text", ["", "serial:", "x" * 257, "a\nb", "a\u200bb"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        read_name(text)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-07-01T09:00:00+09:00", NOW),
        ("2026-06-30T19:00:00.000001-05:00", NOW + timedelta(microseconds=1)),
        ("2026-07-01T00:00:00Z", NOW),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_counts_wherever_its_clock_stands(text: str, instant: datetime) -> None:
    assert read_report({"observed_at": text, "facts": {}}, "push:edr", NOW, None).observed_at == instant


def test_a_tag_is_the_same_in_whatever_order_and_changes_with_any_fact() -> None:
    def report(source: str = "push:edr", **change: Any) -> Any:
        body = {"observed_at": "2026-07-01T00:00:00Z", "facts": {**GOOD, **change}}
        return read_report(body, source, NOW, None)

    one, other = report(), report("push:mdm")
    assert etag_of([one, other]) == etag_of([other, one])
    changes: list[dict[str, Any]] = [{fact: "unknown"} for fact in GOOD]
    tags = {etag_of([report(**change)]) for change in changes} | {etag_of([one]), etag_of([other]), etag_of([])}
    assert len(tags) == len(GOOD) + 3


@given(st.text(max_size=40))
def test_whatever_the_header_is_its_tags_are_read_or_refused(header: str) -> None:
    try:
        tags = read_tags(header)
    except BadRequestError:
        return
    assert tags
    assert all(tag == "*" or (tag[0] == tag[-1] == '"') for tag in tags)


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        (None, set()),
        ("*", {"*"}),
        ('"a"', {'"a"'}),
        ('W/"a", "b" ,"c"', {'"a"', '"b"', '"c"'}),
        ('"a,b"', {'"a,b"'}),
    ],
)
def test_the_tags_of_a_list(header: str | None, tags: set[str]) -> None:
    assert read_tags(header) == tags


def test_the_page_names_every_fact_and_its_example_is_a_report() -> None:
    page = PAGE.read_text(encoding="utf-8")
    (rows,) = re.findall(r"\| fact \| values \|\n\|---\|---\|\n((?:\|.*\n)+)", page)
    named = [name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(FACTS)
    (example,) = re.findall(r"-d '(\{.*\})'", page)
    assert read_report(parse_json(example.encode()), "push:edr", NOW + timedelta(days=1), None).edr_risk == "high"
    assert json.loads(example)["facts"]
