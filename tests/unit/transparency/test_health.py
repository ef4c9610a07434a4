"""What `/readyz` says of the proof: never that the service is not ready."""

from __future__ import annotations

import pytest

from pdp.health import Health
from pdp.transparency.anchor_feed import AnchorHealth
from pdp.transparency.keeper import KeeperStatus

GOOD = AnchorHealth("file:/a", 9, 0, 0, None)
BAD = AnchorHealth("syslog+udp://b:514", 3, 6, 0, "ECONNREFUSED")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (KeeperStatus(True, 9, None, (), (GOOD,)), "head 9"),
        (KeeperStatus(False, 0, None, (), ()), "another worker signs"),
        (KeeperStatus(True, 9, None, (), (GOOD, BAD)), "head 9; 1 of 2 anchors do not answer"),
        (KeeperStatus(True, 9, "ENOSPC", (), ()), "nothing can be signed now: see the service's log"),
        (KeeperStatus(True, 9, None, ("a",), ()), "a segment is not what was signed for: run `pdp audit verify`"),
    ],
)
def test_the_probe_tells_what_an_operator_should_know_and_names_no_place(status: KeeperStatus, words: str):
    probe = Health._signed(None, status)  # type: ignore[arg-type]  # it asks nothing of the others
    assert (probe.ok, probe.detail) == (True, words)
