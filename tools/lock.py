"""Write or check the hash-locked requirements.

    python tools/lock.py write [--upgrade]   asks the package index; needs uv (in the dev group)
    python tools/lock.py check               offline; exit 1 where a lock is missing, stale or edited

| file | for | from |
|---|---|---|
| `requirements/run.txt` | `make run` | the project's dependencies, the extra `demo` and the group `build` |
| `requirements/server.txt` | a deployment | the project's dependencies, the extras `postgres` and `grpc` |
| `requirements/dev.txt` | `make check`, `make test` | those, the extras and the group `dev`, at the pins of `run.txt` |

The first lines of a lock carry two digests: one of pyproject.toml's dependency tables, so that a changed
dependency without a new lock is found offline, and one of everything below, so that a pin changed by hand is.
A lock names no index and no host: where packages come from is the installer's setting, their hash is ours.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final[dict[str, tuple[str, ...]]] = {
    "requirements/run.txt": ("--group", "build", "--extra", "demo"),
    "requirements/server.txt": ("--extra", "postgres", "--extra", "grpc", "--constraint", "requirements/run.txt"),
    "requirements/dev.txt": ("--group", "dev", "--all-extras", "--constraint", "requirements/run.txt"),
}
_PYTHON: Final = "3.11"  # the oldest that the project supports; --universal covers the newer ones
_TITLE: Final = "# Written by `make lock`; not by hand."
_TABLES: Final = "# tables sha256:"
_PINS: Final = "# pins sha256:"


def tables_digest(pyproject: dict[str, Any]) -> str:
    """SHA-256 over every table that says what to install, in one canonical text; hex."""
    project = pyproject["project"]
    tables = {
        "build-system": pyproject["build-system"]["requires"],
        "requires-python": project["requires-python"],
        "dependencies": project["dependencies"],
        "optional-dependencies": project.get("optional-dependencies", {}),
        "dependency-groups": pyproject.get("dependency-groups", {}),
    }
    return _sha256(json.dumps(tables, sort_keys=True, separators=(",", ":")))


def with_header(tables: str, pins: str) -> str:
    return f"{_TITLE}\n{_TABLES}{tables}\n{_PINS}{_sha256(pins)}\n{pins}"


def fault_of(lock: str, tables: str) -> str | None:
    """What is wrong with the text of a lock, or None."""
    head, sep, pins = lock.partition(_PINS)
    if not sep or not head.startswith(_TITLE):
        return "was not written by `make lock`"
    digest, _, pins = pins.partition("\n")
    if digest != _sha256(pins):
        return "was changed by hand"
    if f"{_TABLES}{tables}\n" not in head:
        return "is older than the dependencies in pyproject.toml"
    if "://" in pins:
        return "names a host"
    return None


def check(root: Path = ROOT) -> list[str]:
    """Every fault of every lock, as sentences; empty where all are in step."""
    tables = tables_digest(_pyproject(root))
    faults = []
    for name in LOCKS:
        path = root / name
        fault = fault_of(path.read_text(encoding="utf-8"), tables) if path.is_file() else "is missing"
        if fault:
            faults.append(f"`{name}` {fault}")
    return faults


def write(*, upgrade: bool) -> None:
    """Resolve and write every lock. Existing pins are kept where they still fit, unless `upgrade`."""
    tables = tables_digest(_pyproject(ROOT))
    (ROOT / "requirements").mkdir(exist_ok=True)
    for name, wanted in LOCKS.items():
        command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--output-file", name, *wanted]
        command += ["--universal", "--python-version", _PYTHON, "--generate-hashes", "--no-header", "--quiet"]
        command += ["--no-emit-index-url", "--no-emit-find-links", *(["--upgrade"] if upgrade else [])]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        path = ROOT / name
        pins = "".join(line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if _is_pin(line))
        path.write_text(with_header(tables, pins), encoding="utf-8")


def _is_pin(line: str) -> bool:
    return not line.startswith((_TITLE, _TABLES, _PINS))


def _pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main(arguments: list[str]) -> int:
    match arguments:
        case ["write"]:
            write(upgrade=False)
        case ["write", "--upgrade"]:
            write(upgrade=True)
        case ["check"]:
            pass
        case _:
            print(__doc__)
            return 2
    faults = check()
    for fault in faults:
        print(f"{fault}; run `make lock`", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
