"""How the evaluator process is started: its command line and its environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

MEMORY_LIMIT_BYTES: Final = 1024 * 1024 * 1024  # 42 MB of data need 213 MB in regorus; a policy that eats more dies


def child_command(
    memory_limit_bytes: int, python: str | None = None, *, program: str = "pdp.engine.regorus_child"
) -> list[str]:
    """The argument vector. `-P`: no module is taken from the working directory; `-S`: no `site`, half the start.

    `program` is a module of ours that runs an engine. `python` is the interpreter; None: the one that runs this,
    which `sys.executable` does not name where Python is embedded in another program.
    """
    return [
        python or sys.executable,
        "-P",
        "-S",
        "-m",
        program,
        str(os.getpid()),
        str(memory_limit_bytes),
    ]


def child_environment() -> dict[str, str]:
    """Where to import from, and nothing else of the service's environment: its secrets stay with it."""
    return {
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "RUST_BACKTRACE": "0",  # with 1, regorus collects a stack for every evaluation that fails
        # regorus' allocator takes 1 GiB from the system at its start, and the memory limit would count it all.
        "MIMALLOC_ARENA_RESERVE": "32MiB",
    }
