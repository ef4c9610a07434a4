"""The vectors of the contract, as they stand beside the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "ssf"


def vectors(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def spec_sets() -> list[dict[str, Any]]:
    """The claims of the 27 SETs that stand in the texts of SSF, CAEP and RISC."""
    return [one["json"] for text in ("ssf", "caep", "risc") for one in vectors(f"{text}-spec-examples")["set_claims"]]
