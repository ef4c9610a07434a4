"""docs/settings.md names every setting, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from pdp.settings import Settings


def test_the_documentation_names_every_setting_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {field.name for field in msgspec.structs.fields(Settings)}
