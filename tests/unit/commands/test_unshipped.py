from __future__ import annotations

from pathlib import Path

from pdp.commands.unshipped import Unshipped
from pdp.declog.layout import Layout
from pdp.model.log_target import LogTarget
from pdp.shipping.following import Position
from pdp.shipping.ledger import Ledger, Standing
from tests.unit.archive.logs import Worker, names


def test_a_segment_is_wanted_until_a_target_stands_at_its_end_or_beyond_it(tmp_path: Path):
    log = tmp_path / "decisions"
    worker = Worker(log)
    for _ in range(3):
        worker.segment(2)
    Worker(log, "w1").segment(1)
    first, second, third, other = names(log)
    (tmp_path / "shipping").mkdir()
    ledger = Ledger(tmp_path / "shipping")
    target = LogTarget(name="soc", to="file:/dev/null", format="json")
    unshipped = Unshipped(tmp_path, [target], Layout(log))

    def wanted() -> list[bool]:
        return [bool(unshipped.wanted_by(name)) for name in (first, second, third, other)]

    assert wanted() == [True] * 4
    size = Layout(log).sealed_path(second).stat().st_size
    ledger.write("soc", Standing(positions={"local.w0": Position(str(second), size - 1)}))
    assert wanted() == [False, True, True, True]
    ledger.write("soc", Standing(positions={"local.w0": Position(str(second), size)}))
    assert wanted() == [False, False, True, True]
    ledger.write("soc", Standing(positions={"local.w0": Position(str(third))}))
    assert wanted() == [False, False, True, True]
    (tmp_path / "shipping" / "soc.json").write_text("{")
    assert unshipped.wanted_by(first) == ["soc"]
    assert Unshipped(tmp_path, [], Layout(log)).wanted_by(first) == []
