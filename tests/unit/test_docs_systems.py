"""docs/systems.md says of every system of the catalogue how the service is attached to it, and knows no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def test_every_system_of_the_catalogue_has_its_row_and_no_row_is_of_none() -> None:
    catalogue: Any = yaml.safe_load((ROOT / "policies" / "data" / "catalogue.yaml").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "systems.md").read_text(encoding="utf-8")
    (judged,) = re.findall(r"^## 1\..*?(?=^## 2\.)", page, re.MULTILINE | re.DOTALL)
    cells = [line.split("|")[2] for line in judged.splitlines() if line.startswith("|")]
    named = [name for cell in cells for name in re.findall(r"`([a-z0-9-]+)`", cell)]
    assert sorted(named) == sorted(row["id"] for row in catalogue["zta"]["catalogue"])


def test_every_link_of_the_page_is_a_page() -> None:
    page = ROOT / "docs" / "systems.md"
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
