from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.wire.cache_control import wants_fresh


@pytest.mark.parametrize(
    "header",
    [
        "no-cache",
        "NO-CACHE",
        " no-cache\t",
        "max-age=0,no-cache",
        "no-store, no-cache, max-age=0",
        'x="a, b", no-cache',
        'x="a \\" , b",no-cache',
        "no-cache,",
    ],
)
def test_no_cache_among_the_directives_asks_for_a_fresh_answer(header: str) -> None:
    assert wants_fresh(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "max-age=0",
        "no-store",
        "no-cache-please",
        "x-no-cache",
        'x="no-cache"',
        'x="a, no-cache"',
        'x="a, no-cache',
        'no-cache="set-cookie"',
        "no-cache; x",
        "no cache",
        "no-cache" + " " * 2_000,
    ],
)
def test_nothing_else_does(header: str | None) -> None:
    assert not wants_fresh(header)


@given(st.text(max_size=60))
def test_any_text_is_a_wish_or_none(text: str) -> None:
    assert wants_fresh(text) in (True, False)
    if "no-cache" not in text.lower():
        assert not wants_fresh(text)
