"""A service of ours counts its policy out in the background: what is measured is one that has done so."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.processes import Server

TABLE_S: Final = 60.0
_READY: Final = b"sekisho_decision_table_ready 1.0"
_HAS_ONE: Final = b"sekisho_decision_table_lookups_total"  # shown by a service that is to have a table


def wait_for_table(server: Server) -> bool:
    """Whether its workers look answers up, or were told not to; waits for a minute."""
    end = time.monotonic() + TABLE_S
    while time.monotonic() < end:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            shown = answer.read()
        if _READY in shown or _HAS_ONE not in shown:
            return True
        time.sleep(0.1)
    return False
