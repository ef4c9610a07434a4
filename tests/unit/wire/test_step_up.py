from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from pdp.errors import SettingsError
from pdp.wire.step_up import MAX_RETURN_TO, StepUp

URL = "https://idp.example.jp/step-up?acr_values={acr_values}&return_to={return_to}"
OURS = StepUp(url=URL, return_origins=frozenset({"https://apps.example.jp", "https://apps.example.jp:8443"}))


def test_the_challenge_asks_for_the_level_by_name() -> None:
    assert StepUp().challenge(2) == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="a stronger authentication is required", acr_values="urn:sekisho:auth-level:2"'
    )


def test_a_level_may_have_several_names() -> None:
    many = StepUp(acr_values={1: ("a",), 2: ("b", "c"), 3: ("phr",)})
    assert many.challenge(2).endswith('acr_values="b c"')


def test_a_level_without_a_name_asks_for_the_strongest() -> None:
    assert StepUp().challenge(0) == StepUp().challenge(3)


def test_a_browser_comes_back_to_where_it_was() -> None:
    target = OURS.redirect(3, host="APPS.example.jp:8443", path="/a/%E3%81%82", query="x=1&y=%20")
    assert target is not None
    parts = urlsplit(target)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "idp.example.jp", "/step-up")
    assert parse_qs(parts.query) == {
        "acr_values": ["urn:sekisho:auth-level:3"],
        "return_to": ["https://apps.example.jp:8443/a/%E3%81%82?x=1&y=%20"],
    }


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "apps.example.jp.evil.example",
        "apps.example.jp:80",
        "apps.example.jp@evil.example",
        "evil.example/apps.example.jp",
        "apps.example.jp#",
        "apps.example.jp\r\nx: y",
    ],
)
def test_a_host_that_is_not_ours_is_not_returned_to(host: str | None) -> None:
    assert OURS.redirect(3, host=host, path="/", query="") is None


def test_a_path_cannot_leave_the_origin_or_the_parameter() -> None:
    target = OURS.redirect(3, host="apps.example.jp", path="//evil.example/&acr_values=none#", query="")
    assert target is not None
    assert parse_qs(urlsplit(target).query)["return_to"] == ["https://apps.example.jp//evil.example/&acr_values=none#"]
    assert urlsplit(target).fragment == ""


def test_a_very_long_address_comes_back_as_the_root() -> None:
    target = OURS.redirect(3, host="apps.example.jp", path="/" + "a" * MAX_RETURN_TO, query="")
    assert target is not None
    assert parse_qs(urlsplit(target).query)["return_to"] == ["https://apps.example.jp/"]


def test_without_an_address_there_is_no_redirect() -> None:
    assert StepUp().redirect(3, host="apps.example.jp", path="/", query="") is None


def test_an_address_that_needs_no_return_redirects_from_anywhere() -> None:
    plain = StepUp(url="https://idp.example.jp/{acr_values}")
    assert plain.redirect(1, host="x", path="/", query="") == "https://idp.example.jp/urn%3Asekisho%3Aauth-level%3A1"


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example.jp/{acr_values}",
        "//idp.example.jp/{acr_values}",
        "https:///{acr_values}",
        "https://{acr_values}/",
        "https://idp.example.jp/",
        "https://idp.example.jp/{acr_values}{level}",
        "https://idp.example.jp/{acr_values} x",
        "https://idp.example.jp/{acr_values}\r\n",
        "https://idp.例.jp/{acr_values}",
    ],
)
def test_a_template_that_could_send_people_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        StepUp(url=url)


@pytest.mark.parametrize(
    "origin",
    ["http://a.example", "https://a.example/", "https://", "a.example", "https://u@a.example", "https://A.example"],
)
def test_an_origin_is_an_origin(origin: str) -> None:
    with pytest.raises(SettingsError):
        StepUp(return_origins=frozenset({origin}))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {1: ("a",), 2: ("b",)},
        {1: (), 2: ("b",), 3: ("c",)},
        {1: ('a"',), 2: ("b",), 3: ("c",)},
        {1: ("a b",), 2: ("b",), 3: ("c",)},
    ],
)
def test_every_level_needs_a_name_that_fits_the_header(values: dict[int, tuple[str, ...]]) -> None:
    with pytest.raises(SettingsError):
        StepUp(acr_values=values)
