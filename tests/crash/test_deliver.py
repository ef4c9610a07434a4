"""A delivery whose process is killed (SIGKILL) while the vendor works goes on and asks for nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.deliver import killed_at


@pytest.mark.timeout(120)
def test_a_delivery_that_is_killed_twice_in_the_middle_of_a_write_arrives_once(tmp_path: Path) -> None:
    killed, _ = killed_at([26, 41], tmp_path)
    assert killed == 2
