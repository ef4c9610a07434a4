from __future__ import annotations

from pathlib import Path

import pytest

from pdp.errors import SettingsError
from pdp.settings import load_settings, origins


def test_the_environment_goes_before_the_file_and_the_command_line_before_both(tmp_path: Path) -> None:
    file = tmp_path / "pdp.toml"
    file.write_text('port = 1\nhost = "::1"\nnode = "a"\n', encoding="utf-8")
    settings = load_settings(file, environ={"PDP_PORT": "2", "PDP_HOST": "127.0.0.2"}, port=3, host=None)
    assert (settings.port, settings.host, settings.node) == (3, "127.0.0.2", "a")


def test_values_of_the_environment_become_their_types() -> None:
    settings = load_settings(environ={"PDP_DEMO": "true", "PDP_ACR_LEVELS": '{"x": 3}', "PDP_DIRECTORY_POLL_S": "0.5"})
    assert (settings.demo, settings.acr_levels, settings.directory_poll_s) == (True, {"x": 3}, 0.5)


@pytest.mark.parametrize(
    "environ",
    [
        {"PDP_PROT": "1"},
        {"PDP_PORT": "http"},
        {"PDP_PORT": "70000"},
        {"PDP_ENGINE": "wasm"},
        {"PDP_ACR_LEVELS": "x"},
        {"PDP_ACR_LEVELS": '{"x": 9}'},
        {"PDP_CONFIG": "/nowhere/pdp.toml"},
    ],
)
def test_a_setting_that_cannot_be_used_is_an_error_that_names_it(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ=environ)
    assert next(iter(environ)).removeprefix("PDP_").lower() in refused.value.message.lower() or "pdp.toml" in str(
        refused.value
    )


def test_a_misspelt_key_of_the_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "pdp.toml"
    file.write_text("prot = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="prot"):
        load_settings(file, environ={})


def test_an_address_of_version_six_makes_a_url() -> None:
    assert load_settings(environ={}, host="::1", port=8080).base_url == "http://[::1]:8080"


def test_the_shipped_policies_are_the_default() -> None:
    assert (load_settings(environ={}).bundle_path / ".manifest").is_file()


def test_every_setting_that_is_no_default_says_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "pdp.toml"
    file.write_text('port = 1\nnode = "a"\n', encoding="utf-8")
    assert origins(file, environ={"PDP_PORT": "2"}) == {"port": "PDP_PORT", "node": str(file)}
    assert origins(environ={"PDP_CONFIG": str(file)}) == {"port": str(file), "node": str(file)}


# What a pod finds in its environment where its namespace has a Service named `pdp`.
SERVICE_LINKS = {
    "PDP_SERVICE_HOST": "10.96.0.7",
    "PDP_SERVICE_PORT": "8080",
    "PDP_SERVICE_PORT_HTTP": "8080",
    "PDP_PORT": "tcp://10.96.0.7:8080",
    "PDP_PORT_8080_TCP": "tcp://10.96.0.7:8080",
    "PDP_PORT_8080_TCP_ADDR": "10.96.0.7",
    "PDP_PORT_8080_TCP_PORT": "8080",
    "PDP_PORT_8080_TCP_PROTO": "tcp",
}


def test_what_kubernetes_says_of_a_service_named_pdp_is_no_setting() -> None:
    assert load_settings(environ=SERVICE_LINKS) == load_settings(environ={})
    assert origins(environ=SERVICE_LINKS) == {}
    assert load_settings(environ=SERVICE_LINKS | {"PDP_NODE": "a"}).node == "a"


@pytest.mark.parametrize(
    "variable", ["PDP_SERVICE", "PDP_SERVICE_NAME", "PDP_PORT_HTTP", "PDP_PORTS", "PDP_HOST_8080_TCP"]
)
def test_what_only_resembles_kubernetes_words_is_still_a_mistake(variable: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load_settings(environ={variable: "1"})
