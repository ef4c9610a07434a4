from __future__ import annotations

import msgspec
import pytest
from typer.main import get_command

from pdp.settings import Settings
from tests.unit.commands.conftest import told

# Tables and rare switches of one gateway or of one Redis, which stand in pdp.toml.
ONLY_IN_THE_FILE = {
    "acr_levels",
    "demo_valkey",
    "envoy_return_origins",
    "envoy_strict_path",
    "issuers",
    "redis_ca_file",
    "redis_cert_file",
    "redis_deadline_ms",
    "redis_key_file",
    "redis_password_file",
    "redis_prefix",
    "redis_secret_file",
    "redis_username",
}


def test_every_setting_is_an_option_of_the_service():
    from pdp.cli import app

    options = {parameter.name for parameter in get_command(app).commands["serve"].params}
    fields = {field.name for field in msgspec.structs.fields(Settings)}
    assert fields - options == ONLY_IN_THE_FILE
    assert options - fields == {"config"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "70000"], "port"),
        (["--workers", "0"], "workers"),
        (["--engine-deadline-ms", "0"], "engine_deadline_ms"),
    ],
)
def test_a_setting_out_of_its_bounds_is_named_and_nothing_starts(pdp, arguments, named):
    result = pdp("serve", *arguments)
    assert result.exit_code == 2
    assert named in told(result)[0]


def test_an_option_that_is_no_choice_is_a_usage_error(pdp):
    assert pdp("serve", "--durability", "maybe").exit_code == 2
