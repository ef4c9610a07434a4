"""`[[connectors]]` as files and the environment give them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from pdp.directory.posture import FACTS
from pdp.errors import SettingsError
from pdp.model.directory import PostureReport
from pdp.model.input import DeviceClass
from pdp.model.source import SourceSettings
from pdp.settings import Settings, load_settings

TOML = """
[[connectors]]
name = "intune"
kind = "intune"
required = true
facts = ["disk_encrypted", "patch_age_days"]
classes = {ios = "byod_phone"}
settings = {tenant = "t", nested = {page = 500, list = [1, "a"]}}

[[connectors]]
name = "ldap"
kind = "ldap"
"""


def test_a_file_and_the_environment_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "pdp.toml"
    file.write_text(TOML)
    found = load_settings(file, {}).connectors
    assert [source.name for source in found] == ["intune", "ldap"]
    assert found[0].settings == {"tenant": "t", "nested": {"page": 500, "list": [1, "a"]}}
    given = msgspec.json.encode(found).decode()
    assert load_settings(None, {"PDP_CONNECTORS": given}).connectors == found
    assert msgspec.json.decode(msgspec.json.encode(Settings(connectors=found)), type=Settings).connectors == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x"},
        {"kind": "ldap"},
        {"name": "", "kind": "ldap"},
        {"name": "a b", "kind": "ldap"},
        {"name": "scim:x", "kind": "ldap"},  # a name that a tenant or a pusher could have
        {"name": "x\n", "kind": "ldap"},
        {"name": "x", "kind": "ldap", "interval_s": 0},
        {"name": "x", "kind": "ldap", "interval_s": 10**9},
        {"name": "x", "kind": "ldap", "max_removals_percent": 101},
        {"name": "x", "kind": "ldap", "required": "yes"},
        {"name": "x", "kind": "ldap", "match_by": ["name"]},
        {"name": "x", "kind": "ldap", "classes": {"ios": "mynumber_terminal"}},  # never by a connector's word
        {"name": "x", "kind": "ldap", "classes": {"ios": "maintenance_pc"}},
        {"name": "x", "kind": "ldap", "password": "hunter2"},
    ],
)
def test_what_no_source_can_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {"PDP_CONNECTORS": json.dumps([wrong])})
    assert "hunter2" not in refused.value.message


def test_the_facts_and_classes_of_the_settings_are_those_of_the_model() -> None:
    fields = PostureReport.__dataclass_fields__
    assert set(FACTS) == set(fields) - {"observed_at", "source"}
    classes = msgspec.inspect.type_info(SourceSettings)
    (found,) = [field.type for field in classes.fields if field.name == "classes"]  # type: ignore[attr-defined]
    assert set(found.value_type.values) < set(get_args(DeviceClass))  # type: ignore[attr-defined]
