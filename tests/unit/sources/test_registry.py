"""What a connector is made with, and what it is not given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors import registry
from connectors.setup import Setup
from pdp.errors import SettingsError

pytestmark = pytest.mark.anyio


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    page: int = 500


def setup(settings: dict[str, Any]) -> Setup:
    return registry.real_setup("mdm", settings)


def test_the_free_table_of_a_source_is_read_strictly() -> None:
    assert setup({"url": "https://x", "page": 9}).read(Wanted) == Wanted("https://x", 9)
    for wrong in ({}, {"url": 1}, {"url": "https://x", "pages": 9}, {"url": "https://x", "page": "9"}):
        with pytest.raises(SettingsError, match="`mdm`"):
            setup(wrong).read(Wanted)


def test_every_kind_brings_one_thing() -> None:
    assert {kind for kind in registry.MODULES if registry.brings(kind) == "identity"} == {"ldap", "csv_drop"}
    with pytest.raises(SettingsError, match="`skysea`"):
        registry.brings("skysea")
    with pytest.raises(SettingsError):
        registry.make("skysea", setup({}))


def test_a_secret_is_the_text_of_a_file_without_its_last_line_break(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"hunter2 \r\n")
    assert registry.read_secret(str(file)) == "hunter2 "


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 65_537])
def test_a_file_that_holds_no_secret_is_refused_without_its_path_or_content(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        registry.read_secret(str(file))
    assert str(tmp_path) not in refused.value.message


def test_a_secret_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            registry.read_secret(str(path))


async def test_clients_follow_nobody_trust_no_environment_and_wait_a_finite_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with registry.http_client(base_url="https://vendor.invalid") as client:
        assert not client.follow_redirects
        assert not client.trust_env
        assert None not in client.timeout.as_dict().values()
