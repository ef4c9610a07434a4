"""What other tools say of a bundle, where they are installed: OPA's own check and tests, and Regal."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.fault import Fault
from pdp.errors import EngineError

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle

_DEADLINE_S: Final = 120  # of one tool on one bundle; they take a second or two


def opa_faults(bundle: Bundle) -> list[Fault] | None:
    """What `opa check --strict` finds; None where there is no `opa` on the PATH. Raises EngineError where it fails."""
    opa = shutil.which("opa")
    if opa is None:
        return None
    with _Written(bundle) as place:
        said = _run([opa, "check", "--strict", "--format", "json", "rules"], place)
    errors = _json(said.stderr or said.stdout).get("errors") or []
    return [
        _fault("opa", one.get("code", "opa"), one.get("message", ""), place=one.get("location") or {}) for one in errors
    ]


def regal_faults(bundle: Bundle) -> list[Fault] | None:
    """What `regal lint` finds beyond notices; None where there is no `regal` on the PATH."""
    regal = shutil.which("regal")
    if regal is None:
        return None
    with _Written(bundle) as place:
        said = _run([regal, "lint", "--format", "json", "--disable-category", "style", "rules"], place)
    return [
        _fault("regal", one["title"], one["description"], place=one.get("location") or {})
        for one in _json(said.stdout).get("violations") or []
    ]


def opa_test(bundle: Bundle) -> tuple[int, list[str]] | None:
    """(how many tests pass in OPA itself, the names of those that do not); None where there is no `opa`."""
    opa = shutil.which("opa")
    if opa is None:
        return None
    with _Written(bundle) as place:
        said = _run([opa, "test", "--format", "json", "--timeout", "60s", "rules", "data"], place)
    results = json.loads(said.stdout or "[]") or []
    if not isinstance(results, list) or (not results and said.returncode):
        raise EngineError(f"`opa test` does not run: {said.stderr.strip()[:300]}")
    failed = [f"{one['package']}.{one['name']}" for one in results if one.get("fail") or one.get("error")]
    return len(results) - len(failed), failed


class _Written:
    """A bundle as files of its own: what is checked is what was read, and nothing beside it."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._place = tempfile.TemporaryDirectory(prefix="pdp-bundle-")

    def __enter__(self) -> Path:
        place = Path(self._place.name)
        for name, text in {**self._bundle.modules, **self._bundle.tests}.items():
            file = place / "rules" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        (place / "data").mkdir()
        (place / "data" / "data.json").write_text(json.dumps(dict(self._bundle.data)), encoding="utf-8")
        return place

    def __exit__(self, *_: object) -> None:
        self._place.cleanup()


def _run(command: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  # a program from the PATH, on files of our own
            command, cwd=place, capture_output=True, text=True, timeout=_DEADLINE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise EngineError(f"`{Path(command[0]).name}` does not run: {type(fault).__name__}") from None


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        raise EngineError(f"not the answer of a checker: {text.strip()[:300]}") from None
    return found if isinstance(found, dict) else {}


def _fault(tool: str, code: str, message: str, *, place: dict[str, Any]) -> Fault:
    file = str(place.get("file", "")).removeprefix("rules/")
    said = f"{tool}: {message}"
    return Fault(file, int(place.get("row", 0)), int(place.get("col", 0)), f"{tool}_{code}", said, said)
