"""The command: `python tests/fuzz/fuzz_wire.py --seconds 60 [--seed N]`. What it does stands in `tests.fuzz.wire`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.fuzz.wire import main

    sys.exit(main())
