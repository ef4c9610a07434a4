"""The pages say what the two connectors read and how they are set."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from connectors import registry
from connectors.posture import asset_csv, hip
from connectors.posture.asset_mapping import read_mapping

DOCS = Path(__file__).resolve().parents[4] / "docs"
READ = [
    "drive-name",
    "enc-state",
    "real-time-protection",
    "datemon",
    "dateday",
    "dateyear",
    "is-enabled",
    "missing-patches",
    "generate-time",
    "serial-number",
    "host-id",
    "host-name",
]


def section(page: str, heading: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {re.escape(heading)}[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize(
    ("heading", "settings", "kind"),
    [
        ("GlobalProtect HIP reports", hip.Settings, "hip"),
        ("Asset-management exports", asset_csv.Settings, "asset_csv"),
    ],
)
def test_the_page_has_a_row_for_every_setting_and_no_other(heading: str, settings: type, kind: str) -> None:
    text = section("connectors.md", heading)
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(field.name for field in msgspec.structs.fields(settings))
    assert f'kind = "{kind}"' in text
    assert registry.brings(kind) == "posture"


@pytest.mark.parametrize("element", READ)
def test_the_page_of_facts_names_every_element_that_is_read(element: str) -> None:
    source = Path(hip.__file__).with_name("hip_facts.py").read_text(encoding="utf-8")
    assert f'"{element}"' in source or f"/{element}" in source
    assert f"`{element}`" in section("posture-facts.md", "GlobalProtect HIP reports")


def test_the_mapping_on_the_page_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", section("connectors.md", "Asset-management exports"), re.DOTALL)
    mapping = read_mapping(text, "page")
    assert {"disk_encrypted", "av_current", "edr_running", "patch_age_days"} == mapping.facts.keys()
