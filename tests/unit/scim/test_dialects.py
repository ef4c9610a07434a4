"""What the normaliser changes, and that it leaves everything else alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import InvalidSyntaxException

from pdp.scim.dialects import normalised
from tests.scim_service import ENTERPRISE

MANAGER = f"{ENTERPRISE}:manager"


def patch(*operations: Any) -> dict[str, Any]:
    return {"schemas": [], "Operations": list(operations)}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"name": "addMember", "op": "add", "path": "x", "value": 1}, {"op": "add", "path": "x", "value": 1}),
        ({"op": "Add", "path": MANAGER, "value": "abc"}, {"op": "Add", "path": MANAGER, "value": {"value": "abc"}}),
        (
            {"op": "Add", "path": ENTERPRISE, "value": {"Manager": "abc"}},
            {"op": "Add", "path": ENTERPRISE, "value": {"Manager": {"value": "abc"}}},
        ),
        ({"op": "Add", "value": {MANAGER: "abc"}}, {"op": "Add", "value": {MANAGER: {"value": "abc"}}}),
        (
            {"op": "add", "path": "members", "value": [{"displayName": "A", "value": "1"}]},
            {"op": "add", "path": "members", "value": [{"display": "A", "value": "1"}]},
        ),
    ],
)
def test_an_operation_is_read_as_it_was_meant(sent: Any, read: Any) -> None:
    assert normalised(patch(sent)) == patch(read)
    bulk = {"Operations": [{"method": "PATCH", "path": "/Users/1", "data": patch(sent)}]}
    assert normalised(bulk)["Operations"][0]["data"] == patch(read)


def test_a_manager_as_text_is_read_in_a_whole_resource_too() -> None:
    assert normalised({"userName": "a", ENTERPRISE: {"manager": "m"}}) == {
        "userName": "a",
        ENTERPRISE: {"manager": {"value": "m"}},
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=20,
    )
)
def test_what_is_no_dialect_stays_as_it_is_or_is_refused(body: Any) -> None:
    try:
        assert normalised(body) == body
    except InvalidSyntaxException:
        assert doubled(body)


def doubled(body: Any) -> bool:
    if isinstance(body, dict):
        return len({name.casefold() for name in body}) < len(body) or any(map(doubled, body.values()))
    return isinstance(body, list) and any(map(doubled, body))
