"""How the evaluator process is started: its command line and its environment."""

from __future__ import annotations

import os
import sys
from typing import Final

MEMORY_LIMIT_BYTES: Final = 1024 * 1024 * 1024  # 42 MB of data need 213 MB in regorus; a policy that eats more dies


def child_command(memory_limit_bytes: int) -> list[str]:
    """The argument vector. `-P`: no module is taken from the working directory; `-S`: no `site`, half the start."""
    return [sys.executable, "-P", "-S", "-m", "pdp.engine.regorus_child", str(os.getpid()), str(memory_limit_bytes)]


def child_environment() -> dict[str, str]:
    """Where to import from, and nothing else: the service's secrets stay in the service.

    Without RUST_BACKTRACE=0 an inherited 1 makes every failing evaluation collect a stack.
    """
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {"PYTHONPATH": path, "RUST_BACKTRACE": "0", "PYTHONDONTWRITEBYTECODE": "1"}
