"""The tables `[scim.CALLER]`: what they may say, and that a misspelt one is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.errors import SettingsError
from pdp.model.provisioning import GroupRule
from pdp.settings import load_settings


def load(folder: Path, text: str) -> object:
    file = folder / "pdp.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ={}).scim


def test_a_table_is_read(tmp_path: Path) -> None:
    tenants = load(
        tmp_path,
        """
        [scim.entra]
        user_id = "externalId"
        kinds = { Member = "staff" }
        departments = { "総務部" = "soumu" }
        [[scim.entra.groups]]
        external_id = "0f1e"
        role = "server_admin"
        """,
    )
    assert tenants["entra"].groups == (GroupRule(external_id="0f1e", role="server_admin"),)
    assert tenants["entra"].default_kind == "unknown"


def test_tables_may_stand_in_the_environment() -> None:
    assert load_settings(environ={"PDP_SCIM": '{"okta": {"adopt": true}}'}).scim["okta"].adopt is True


@pytest.mark.parametrize(
    "text",
    [
        '[scim.entra]\nuserid = "externalId"',
        '[scim.entra]\nuser_id = "emails"',
        '[scim.entra]\nkinds = { Member = "emergency_account" }',
        '[scim.entra]\ndefault_kind = "emergency_account"',
        '[scim.entra]\nidentity_source = "none"',
        "[scim.entra]\nmax_removals_percent = 101",
        '[[scim.entra.groups]]\nrole = "a"',
        '[[scim.entra.groups]]\nexternal_id = "a"\ndisplay_name = "b"\nrole = "c"',
        '[[scim.entra.groups]]\nexternal_id = "a"',
        '[[scim.entra.groups]]\nexternal_id = "a"\nrole = "Server Admin"',
        f"[scim.{'a' * 101}]\nadopt = true",
    ],
)
def test_a_table_that_says_what_it_must_not_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        load(tmp_path, text)
