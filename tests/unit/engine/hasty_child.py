"""A child of `test_child_process.py`: it answers and ends before it has read its order."""

from __future__ import annotations

import sys
from typing import Final

PROGRAM: Final = "tests.unit.engine.hasty_child"

if __name__ == "__main__":
    sys.stdout.buffer.write(b'{"text":"there is no room"}')
