"""Commands that change the database tell the workers; that this fails changes neither the change nor the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import free_port
from tests.unit.commands.conftest import Pdp, only_json

REMARK = "the workers could not be told (ConnectionError)"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `redis_url` at which nobody listens."""
    monkeypatch.setenv("PDP_REDIS_URL", f"redis://127.0.0.1:{free_port()}")


@pytest.fixture
def registers(place: Path) -> Path:
    folder = place / "registers"
    folder.mkdir()
    (folder / "users.csv").write_text("id,kind\nu-1,staff\n")
    return folder


@pytest.mark.usefixtures("nobody")
def test_a_caller_is_registered_though_nobody_could_be_told(pdp: Pdp) -> None:
    result = pdp("caller", "add", "gw", "--json")
    assert result.exit_code == 0 and REMARK in result.stderr
    assert only_json(result)["key"].startswith("sekisho_")


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("command", [("rotate", "gw"), ("revoke", "gw")], ids=["rotate", "revoke"])
def test_what_ends_a_key_is_done_though_nobody_could_be_told(pdp: Pdp, command: tuple[str, ...]) -> None:
    pdp("caller", "add", "gw")
    result = pdp("caller", *command)
    assert result.exit_code == 0 and REMARK in result.stderr


@pytest.mark.usefixtures("nobody")
def test_an_import_stands_though_nobody_could_be_told_and_says_so_in_the_language_of_the_user(
    pdp: Pdp, registers: Path
) -> None:
    result = pdp("directory", "import", registers, lang="ja")
    assert result.exit_code == 0
    assert "ワーカーに知らせられなかった（ConnectionError）" in result.stderr
    assert only_json(pdp("directory", "status", "--json"))["rows"]["users"] == 1


@pytest.mark.usefixtures("nobody")
def test_only_what_changed_something_is_told(pdp: Pdp, registers: Path) -> None:
    assert pdp("directory", "import", registers, "--dry-run").stderr == ""
    assert REMARK in pdp("directory", "import", registers).stderr
    assert pdp("directory", "import", registers).stderr == "", "the same rows again"
    assert pdp("caller", "list").stderr == ""
    assert REMARK not in pdp("caller", "revoke", "nobody").stderr


def test_without_redis_nobody_is_told_and_nothing_is_said(pdp: Pdp, registers: Path) -> None:
    assert pdp("directory", "import", registers).stderr == ""


def test_a_password_file_that_is_gone_stops_no_revocation(pdp: Pdp, monkeypatch: pytest.MonkeyPatch) -> None:
    pdp("caller", "add", "gw")
    monkeypatch.setenv("PDP_REDIS_URL", "redis://127.0.0.1")
    monkeypatch.setenv("PDP_REDIS_PASSWORD_FILE", "no-such-file")
    result = pdp("caller", "revoke", "gw")
    assert result.exit_code == 0
    assert "(`redis_password_file` cannot be read: No such file or directory)" in result.stderr
