from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pdp.archive.rows import row_of
from pdp.archive.schema import INDEX, INPUT
from pdp.bundle.footprint import WHOLE, Footprint
from pdp.model.input import encode_input
from pdp.replaying.vectors import PLACES, columns_seen
from tests.unit.archive.logs import facts, record
from tests.unit.declog.samples import START


def at(document: object, path: tuple[str, ...]) -> object:
    for part in path:
        assert isinstance(document, dict)
        document = document[part]
    return document


def test_each_column_holds_the_value_at_its_place_of_the_document():
    """Values that are all different, so that no column passes for another."""
    values: dict[str, Any] = {
        "subject__departments": ["a", "b"],
        "subject__roles": ["c"],
        "resource__departments": ["d"],
        "resource__organisations": ["e"],
        "subject__auth_level": 3,
        "subject__auth_age_min": 7,
        "resource__sensitivity": 5,
        "context__country": "NZ",
    }
    plain = msgspec.json.decode(encode_input(facts(**values)))
    row = row_of("s", 1, record(START, **values))
    assert set(PLACES) == {column.name for column in INPUT}
    for column, path in PLACES.items():
        stored, said = row[INDEX[column]], at(plain, path)
        if isinstance(said, bool):
            said = "true" if said else "false"
        kind = next(one.kind for one in INPUT if one.name == column)
        if kind == "count" and said == "unknown":
            said = None
        if kind == "flag" and isinstance(stored, bool):
            stored = "true" if stored else "false"
        assert stored == said, column


def test_a_footprint_becomes_the_columns_at_above_and_below_its_paths():
    assert columns_seen(Footprint((("subject", "roles"),))) == ("subject_roles",)
    assert columns_seen(Footprint((("context", "sources"),))) == ("sources_posture", "sources_identity")
    assert columns_seen(Footprint((("device", "class", "x"),))) == ("device_class",)
    assert columns_seen(Footprint((("schema",),))) == ()
    assert len(columns_seen(WHOLE)) == len(INPUT)


@given(st.sets(st.sampled_from(sorted(PLACES.values()))))
def test_no_path_of_a_footprint_is_without_its_column(paths: set[tuple[str, ...]]):
    assert {PLACES[column] for column in columns_seen(Footprint(tuple(sorted(paths))))} == paths
