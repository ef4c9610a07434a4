"""The rules of the client for vendors' APIs that stand apart from any vendor."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.http import retry_after_s, safe_url
from pdp.errors import SettingsError

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Mon, 23 Nov 2026 06:01:00 GMT", 60.0),
        ("Monday, 23-Nov-26 06:01:00 GMT", 60.0),
        ("Mon Nov 23 06:01:00 2026", 60.0),
        ("Mon, 23 Nov 2026 15:01:00 +0900", 60.0),
        ("Mon, 23 Nov 2026 05:00:00 GMT", 0.0),
        ("999999999", 86_400.0),
        ("Mon, 23 Nov 2099 06:01:00 GMT", 86_400.0),
        ("-5", None),
        ("1.5", 1.5),  # Graph writes `2.128`
        ("13s", 13.0),  # as Zscaler does
        ("1.5.5", None),
        ("later", None),
        ("", None),
        ("９", None),
        ("9999999999", None),
        ("Mon, 99 Nov 2026 06:01:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example",
        "https://api.example:8443/jamf/",
        "http://127.0.0.1:8080",
        "http://[::1]:8080/x",
        "http://localhost:1/",
    ],
)
def test_https_and_loopback_are_addresses_for_a_token(url: str) -> None:
    assert safe_url(url, "url") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "http://127.0.0.1.example",
        "http://localhost.example/",
        "http://10.0.0.1/",
        "http://127.0.0.1@evil.example/",
        "https://user:secret@api.example",
        "https://user@api.example",
        "https://api.example/?a=1",
        "https://api.example/#x",
        "https://",
        "https:///path",
        "api.example",
        "ftp://api.example",
        "file:///etc/passwd",
        "https://api.example:port",
        "https://[::1",
        "",
    ],
)
def test_every_other_address_is_refused_and_its_secrets_are_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        safe_url(url, "url")
    assert "secret" not in str(caught.value)
