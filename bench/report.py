"""Writes the figures and plots of docs/performance.md out of a result: `python bench/report.py [RESULT]`.

Without RESULT: bench/results/latest.json (of `make bench`, which becomes the reference), else reference.json. A
profile (of `make profile`) is taken from bench/results/profile.json, else from the reference. What stands between
`<!-- bench:NAME -->` and `<!-- bench:end -->` is replaced; the words around it are written by people.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.contestants import HERE, ROOT
from bench.page import REGIONS
from bench.plots import charts
from bench.processes import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE: Final = ROOT / "docs" / "performance.md"
PLOTS: Final = ROOT / "docs" / "performance"
REFERENCE: Final = HERE / "results" / "reference.json"
LATEST: Final = HERE / "results" / "latest.json"
PROFILE: Final = HERE / "results" / "profile.json"
_REGION: Final = re.compile(r"(<!-- bench:(?!end)([a-z-]+) -->\n).*?(<!-- bench:end -->)", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    try:
        results = _read(arguments)
        page = fill(PAGE.read_text(encoding="utf-8"), results)
    except BenchError as fault:
        print(f"report: {fault}", file=sys.stderr)
        return 2
    PAGE.write_text(page, encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    for name, chart in charts(results).items():
        (PLOTS / f"{name}.svg").write_text(chart.svg(), encoding="utf-8")
    REFERENCE.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}, {PLOTS.relative_to(ROOT)}/*.svg, {REFERENCE.relative_to(ROOT)}")
    return 0


def _read(arguments: Sequence[str]) -> dict[str, Any]:
    source = Path(arguments[0]) if arguments else LATEST if LATEST.exists() else REFERENCE
    if not source.exists():
        raise BenchError(f"`{source}` does not exist; run `make bench`")
    results: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    if results["meta"]["effort"]["name"] != "full":
        raise BenchError("figures of a quick run mean too little for a page; run `make bench`")
    known = json.loads(REFERENCE.read_text(encoding="utf-8")) if REFERENCE.exists() else {}
    fresh = json.loads(PROFILE.read_text(encoding="utf-8")) if PROFILE.exists() else None
    results["profile"] = fresh or results.get("profile") or known.get("profile")
    return results


def fill(page: str, results: dict[str, Any]) -> str:
    """Raises BenchError for a region that nobody writes, or a writer without a region."""
    missing = set(REGIONS) ^ {found[2] for found in _REGION.finditer(page)}
    if missing:
        raise BenchError(f"regions that stand only in one of page and program: {', '.join(sorted(missing))}")
    return _REGION.sub(lambda found: found[1] + REGIONS[found[2]](results) + "\n" + found[3], page)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
