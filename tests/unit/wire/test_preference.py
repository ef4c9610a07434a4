from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.wire.preference import weight

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("header", "offer", "expected"),
    [
        (None, "text/html", 1.0),
        ("", "text/html", 0.0),
        ("*/*", "text/html", 1.0),
        ("text/*;q=0.5, */*;q=0.1", "text/html", 0.5),
        ("text/*;q=0.5, text/html;q=0.2", "text/html", 0.2),
        ("TEXT/HTML ; Q=0.25", "text/html", 0.25),
        ("text/html;q=0", "text/html", 0.0),
        ("text/html;q=2", "text/html", 0.0),
        ("text/html;level=1;q=0.7", "text/html", 0.7),
        ("text/html;level=1", "text/html", 1.0),
        ("application/json", "text/html", 0.0),
        (CHROME, "text/html", 1.0),
        (CHROME, "application/json", 0.8),
        ("\x00, text/html", "text/html", 1.0),
        ("ja-JP,en;q=0.5", "ja", 1.0),
        ("ja-JP,en;q=0.5", "en", 0.5),
        ("en-US,en;q=0.9,ja;q=0.8", "en", 0.9),
        ("fr,*;q=0.3", "ja", 0.3),
        ("jam", "ja", 0.0),
        (",".join(["x/y"] * 40) + ",text/html", "text/html", 0.0),
    ],
)
def test_the_most_specific_range_counts(header: str | None, offer: str, expected: float) -> None:
    assert weight(header, offer) == expected


@given(st.text(max_size=200))
def test_no_header_breaks_it(header: str) -> None:
    assert 0.0 <= weight(header, "text/html") <= 1.0
