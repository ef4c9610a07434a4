"""bench/limits.toml, and how a run is held against limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.limits import Limit, check, read_limits
from bench.processes import BenchError

FILE = Path(__file__).parents[3] / "bench" / "limits.toml"


def results(**rates: list[float]) -> dict[str, Any]:
    """Contestants with their rate in each round, at 16 connections; at 64 they are half as fast."""
    return {
        "contestants": {
            name: {
                "closed": {
                    "stream/16": [{"rate": rate} for rate in rounds],
                    "stream/64": [{"rate": rate / 2} for rate in rounds],
                }
            }
            for name, rounds in rates.items()
        }
    }


def ratio(**more: Any) -> Limit:
    named = {"name": "a", "measure": "rate_ratio", "unit": "x", "reason": "b", "to": "opa", "connections": (16, 64)}
    return Limit(**{**named, **more})


def test_every_budget_of_the_architecture_has_a_limit_with_its_reason() -> None:
    limits = read_limits(FILE)
    assert {limit.measure for limit in limits} >= {"rate_ratio", "boxcar_ratio", "half_load_p99", "start", "memory"}
    assert {(limit.of, limit.to) for limit in limits} >= {("warm", "opa"), ("cold", "opa"), ("warm", "echo")}
    assert all(limit.reason for limit in limits)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    (checked,) = check([ratio(at_least=10.0)], results(warm=[1000.0, 10.0, 2000.0], opa=[100.0, 1.0, 100.0]))
    assert (checked["value"], checked["holds"]) == (10.0, True)


def test_the_worst_of_several_connections_counts() -> None:
    found = results(warm=[1000.0], opa=[100.0])
    found["contestants"]["warm"]["closed"]["stream/64"] = [{"rate": 450.0}]
    (checked,) = check([ratio(at_least=10.0)], found)
    assert (checked["value"], checked["holds"]) == (9.0, False)


def test_what_was_not_measured_neither_holds_nor_breaks() -> None:
    checked = check([ratio(at_least=1.0), ratio(of="cold", at_least=1.0)], results(warm=[1.0], opa=[1.0]))
    assert [one["holds"] for one in checked] == [True, None]


def test_a_run_that_measured_nothing_is_no_success() -> None:
    with pytest.raises(BenchError, match="measured nothing"):
        check([ratio(at_least=1.0)], results(warm=[1.0]))


@pytest.mark.parametrize(
    "entry",
    [
        'name = "a"\nmeasure = "rate_ratio"\nunit = "x"\nreason = "b"',
        'name = "a"\nmeasure = "speed"\nunit = "x"\nreason = "b"\nat_least = 1',
        'name = "a"\nmeasure = "start"\nunit = "s"\nreason = "b"\nat_least = 1\nat_most = 2',
        'name = "a"\nmeasure = "start"\nunit = "s"\nat_most = 2',
        'name = "a"\nmeasure = "start"\nunit = "s"\nreason = "b"\nat_most = 2\nat_mots = 2',
    ],
)
def test_a_limit_that_limits_nothing_is_refused(tmp_path: Path, entry: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(f"[[limit]]\n{entry}\n", encoding="utf-8")
    with pytest.raises(BenchError):
        read_limits(file)


def test_a_file_without_limits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text("", encoding="utf-8")
    with pytest.raises(BenchError, match="no limits"):
        read_limits(tmp_path / "limits.toml")
