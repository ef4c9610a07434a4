"""Checks the format of every bundle's Rego, compiles it strictly and tests it with the real OPA; then asks the service.

    python tools/rego.py

A bundle is a directory with a `.manifest` below `policies/` or `tests/`. Its data files are given one by one,
so that each merges into the root of `data`, as the service merges them. `pdp bundle check` adds what only the
service knows: builtins that both engines run alike, reasons with their texts. Without opa the checks are skipped and
that is said; where CI is set, or where no bundle is found, it is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_PLACES: Final = ("policies", "tests")
_DATA: Final = (".yaml", ".yml", ".json")
_DEADLINE_S: Final = 120  # the whole of policies/ takes about a second


def bundles(root: Path = ROOT) -> list[Path]:
    return sorted(path.parent for place in _PLACES for path in (root / place).rglob(".manifest"))


def commands(bundle: Path, opa: str, pdp: str) -> dict[str, list[str]]:
    """The checks of one bundle by name, as command lines."""
    modules = sorted(str(path) for path in bundle.rglob("*.rego"))
    data = sorted(str(path) for path in bundle.glob("data/*") if path.suffix in _DATA)
    checks = {
        "opa fmt": [opa, "fmt", "--fail", "--list", *modules],
        "opa check": [opa, "check", "--strict", *modules],
    }
    if any(name.endswith("_test.rego") for name in modules):
        checks["opa test"] = [opa, "test", *modules, *data]
    checks["pdp bundle check"] = [pdp, "bundle", "check", str(bundle)]
    return checks


def main() -> int:
    found = bundles()
    if not found:
        print("no policy bundle was found below policies/", file=sys.stderr)
        return 1
    own = ROOT / ".tools" / "bin" / "opa"
    opa = str(own) if own.exists() else shutil.which("opa")
    if opa is None:
        print("SKIPPED: the Rego checks need opa; `make tools` installs it", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    failed = 0
    for bundle in found:
        for name, command in commands(bundle, opa, str(Path(sys.prefix) / "bin" / "pdp")).items():
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_DEADLINE_S, cwd=ROOT)
            where = f"{name} {bundle.relative_to(ROOT)}"
            if done.returncode:
                failed += 1
                print(f"{where}: FAILED\n{done.stdout}{done.stderr}", file=sys.stderr)
            else:
                said = done.stdout.strip().splitlines()
                print(f"{where}: {said[-1] if said else 'ok'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
