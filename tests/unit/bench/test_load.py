"""What the open loop makes of vegeta's results, as (number, begun in ns, latency in ns, status)."""

from __future__ import annotations

import pytest

from bench.load import _open_figures, quantile

MS = 1_000_000


def test_a_request_that_was_sent_late_has_waited_since_it_was_due() -> None:
    due = [(number, number * 10 * MS, 1 * MS, "200") for number in range(99)]
    late = (99, 99 * 10 * MS + 50 * MS, 1 * MS, "200")
    figures = _open_figures([*due, late], 100)
    assert figures.p50_ms == pytest.approx(1)
    assert figures.max_ms == pytest.approx(51)
    assert figures.sent_p99_ms == pytest.approx(1)


def test_a_server_that_stands_still_costs_everybody_who_was_due_meanwhile() -> None:
    """The generator's only connection was held for a second: a closed loop would have counted one slow answer."""
    settling = [(number, number * 10 * MS, 1 * MS, "200") for number in range(100)]
    stalled = [(100, 1_000 * MS, 1_000 * MS, "200")]
    sent_after = [(number, 2_000 * MS, 1 * MS, "200") for number in range(101, 200)]
    figures = _open_figures([*settling, *stalled, *sent_after], 100)
    assert figures.p50_ms == pytest.approx(1_001 - 10 * 75, abs=130)
    assert figures.p99_ms > 950
    assert figures.sent_p50_ms == pytest.approx(1)


def test_the_time_in_which_connections_are_opened_is_not_counted() -> None:
    opening = [(number, number * 10 * MS, 80 * MS, "200") for number in range(50)]
    settled = [(number, number * 10 * MS, 1 * MS, "200") for number in range(50, 150)]
    assert _open_figures([*opening, *settled], 100).max_ms == pytest.approx(1)


def test_any_answer_but_a_200_is_an_error() -> None:
    results = [(0, 0, MS, "200"), (1, 10 * MS, MS, "503"), (2, 20 * MS, MS, "0")]
    assert _open_figures(results, 100).errors == 2


def test_quantiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 0.999)) == (51.0, 100.0, 100.0)
