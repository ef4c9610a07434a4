"""The page of connectors names every setting and every code that these connectors count."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from connectors.identity.csv_drop.settings import ORDERS, Column, CsvDropSettings, Order
from connectors.identity.ldap.settings import LdapSettings

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")}
LDAP, CSV = SECTIONS["LDAP and Active Directory"], SECTIONS["CSV drop folder"]


def codes(package: str) -> set[str]:
    """What stands as a code in calls that count something."""
    sources = (ROOT / "connectors" / "identity" / package).glob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    calls = r'(?:Refused|ValueFault|_note|unknown\.append)\(\s*\(?"([a-z_]+)"'
    other = re.findall(r'_identifier\([^\n]*"(bad_[a-z]+)"\)', text) + re.findall(
        r'_note\([^\n]* else "([a-z_]+)"', text
    )
    return {*re.findall(calls, text), *other}


@pytest.mark.parametrize(("package", "page"), [("ldap", LDAP), ("csv_drop", CSV)])
def test_every_code_is_on_the_page(package, page):
    found = codes(package)
    assert len(found) > 8
    assert {code for code in found if f"`{code}`" not in page} == set()


@pytest.mark.parametrize(("settings", "page"), [(LdapSettings, LDAP), (CsvDropSettings, CSV)])
def test_every_setting_is_on_the_page(settings, page):
    names = {field.name for field in msgspec.structs.fields(settings)}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_every_column_and_order_is_on_the_page():
    words = {*Column.__args__, *Order.__args__}
    assert {word for word in words if f"`{word}`" not in CSV} == set()
    assert {word for word in ORDERS if word not in CSV} <= {"任用", "転任", "配置換", "併任", "併任解除"}
