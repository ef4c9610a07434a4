"""How long `pdp export` takes for the demonstration prefecture, the decision space made anew each time.

    python -m bench.exports [TARGET …]

Each target is exported twice by the command itself, with the mapping of an invented tenant: once with the space made
anew, once with the kept one. Both have to be sound, to give the same bytes, and to take less than LIMIT_S.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.registry import MODULES

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT_S: Final = 30.0  # issue 7, on two cores
TARGETS: Final = ("matrix", *MODULES)


def exported(target: str, out: Path, state: Path, *more: str) -> tuple[dict[str, Any], float]:
    """What the command says, and how many seconds it took from its start to its end."""
    asked = ["export", target, "--demo", "--out", str(out), "--state-dir", str(state), "--json", *more]
    begun = monotonic()
    done = subprocess.run([sys.executable, "-m", "pdp.cli", *asked], capture_output=True, timeout=300, check=False)
    seconds = monotonic() - begun
    if done.returncode:
        raise SystemExit(f"{target}: {done.stdout.decode()}{done.stderr.decode()}")
    return json.loads(done.stdout), seconds


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def main(targets: Sequence[str]) -> int:
    """0 where every target is within the limit."""
    late = 0
    print(
        f"{'target':<11}{'anew s':>8}{'kept s':>8}{'rules':>7}{'left out':>10}{'vectors':>12}{'unsound':>9}{'gap':>12}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for target in targets:
            state = Path(folder, "state")
            said, anew = exported(target, Path(folder, target), state, "--anew")
            _, kept = exported(target, Path(folder, f"{target}-again"), state)
            if _files(Path(folder, target)) != _files(Path(folder, f"{target}-again")):
                raise SystemExit(f"{target}: the second run gave other bytes")
            print(
                f"{target:<11}{anew:>8.1f}{kept:>8.1f}{said['rules']:>7}{said['left_out']:>10}"
                f"{int(said['vectors']):>12.3g}{said['unsound']:>9}{int(said['gap']):>12.3g}",
                flush=True,
            )
            late += anew > LIMIT_S
    return int(late > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or TARGETS))
