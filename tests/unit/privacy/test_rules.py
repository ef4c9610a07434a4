"""Rules and keys as the settings have them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pdp.errors import SettingsError
from pdp.model.log_masking import MaskingRule
from pdp.parts import open_masking, open_pseudonyms
from pdp.privacy.pseudonym import Pseudonyms, is_pseudonym, read_pseudonyms
from pdp.settings import Settings, load_settings

BAD = [
    {"pointer": "subject_id", "op": "erase"},
    {"pointer": "/subject_id", "op": "hash"},
    {"pointer": "/subject_id", "op": "coarsen"},
    {"pointer": "/subject_id", "op": "erase", "to": "network"},
    {"pointer": "/path", "op": "coarsen", "to": "segments"},
    {"pointer": "/path", "op": "coarsen", "to": "segments", "by": 65},
    {"pointer": "/input/subject/auth_age_min", "op": "coarsen", "to": "step", "by": 0},
    {"pointer": "/source_ip", "op": "coarsen", "to": "network", "by": 8},
    {"pointer": "/path", "op": "erase", "were": {}},
    {"pointer": "/path", "op": "erase", "where": {"outcomes": ["deny"]}},
    {"pointer": "/path", "op": "erase", "where": {"outcome": ["denied"]}},
]


@pytest.mark.parametrize("values", BAD, ids=str)
def test_a_rule_that_cannot_work_is_no_rule(values):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, MaskingRule)


def test_settings_bring_rules_and_a_key_is_made_when_one_is_needed(tmp_path: Path):
    file = tmp_path / "pdp.toml"
    file.write_text(
        f'state_dir = "{tmp_path}/var"\n[[log_masking]]\npointer = "/subject_id"\nop = "pseudonymise"\n'
        '[[log_masking]]\npointer = "/source_ip"\nop = "coarsen"\nto = "network"\nwhere = { outcome = ["allow"] }\n'
    )
    settings = load_settings(file, {})
    assert open_masking(settings, lambda: None) is not None
    key = tmp_path / "var" / "pseudonyms.key"
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    assert open_pseudonyms(settings).of("user", "u") == open_pseudonyms(settings).of("user", "u")
    assert key.read_bytes() == before
    assert [path.name for path in key.parent.iterdir()] == ["pseudonyms.key"]


def test_without_rules_there_is_nothing_to_pay_and_no_key(tmp_path: Path):
    settings = Settings(state_dir=str(tmp_path))
    assert open_masking(settings, lambda: None) is None
    assert list(tmp_path.iterdir()) == []


def test_erasing_needs_no_key(tmp_path: Path):
    rules = [MaskingRule(pointer="/path", op="erase")]
    assert open_masking(Settings(state_dir=str(tmp_path), log_masking=rules), lambda: None) is not None
    assert list(tmp_path.iterdir()) == []


def test_a_new_epoch_gives_new_pseudonyms_and_still_knows_the_old_ones(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text(f"1 {'ab' * 32}\n")
    old = read_pseudonyms(path).of("user", "u-1")
    path.write_text(f"1 {'ab' * 32}\n2 {'cd' * 32}\n")
    keys = read_pseudonyms(path)
    new = keys.of("user", "u-1")
    assert old.startswith("p:1:")
    assert new.startswith("p:2:")
    assert keys.all_of("user", "u-1") == [new, old]
    assert is_pseudonym(new)
    assert not is_pseudonym("p:1:tanaka")
    assert keys.of("device", "u-1") != new


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{'ab' * 32}\n",
        "1 abcd\n",
        f"1 {'ab' * 32}\n1 {'cd' * 32}\n",
        f"0 {'ab' * 32}",
        f"1 {'AB' * 32}",
        "\u3042",
    ],
)
def test_a_key_file_that_is_none_is_refused_and_not_shown(tmp_path: Path, text: str):
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_pseudonyms(path)
    assert "abab" not in str(caught.value)


def test_a_named_key_file_must_be_there(tmp_path: Path):
    settings = Settings(state_dir=str(tmp_path), log_pseudonym_key_file=str(tmp_path / "none"))
    with pytest.raises(SettingsError):
        open_pseudonyms(settings)


def test_there_is_no_pseudonym_without_a_key():
    with pytest.raises(ValueError, match="no key"):
        Pseudonyms({})
