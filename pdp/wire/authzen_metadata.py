"""Where the endpoints are: `/.well-known/authzen-configuration` (AuthZEN 1.0 section 9).

The document is made from the configured public URL and from nothing that a request says: a client would
otherwise be sent to the host that an attacker wrote into `Host`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from pdp.errors import SettingsError
from pdp.wire.error_answer import JSON, echo, method_not_allowed, request_id_of
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.wire.exchange import HttpRequest

WELL_KNOWN: Final = "/.well-known/authzen-configuration"
MAX_AGE_S: Final = 3_600  # an endpoint that moves is found again within the hour
ENDPOINTS: Final[Mapping[str, str]] = {
    "access_evaluation_endpoint": "/access/v1/evaluation",
    "access_evaluations_endpoint": "/access/v1/evaluations",
    "search_subject_endpoint": "/access/v1/search/subject",
    "search_resource_endpoint": "/access/v1/search/resource",
    "search_action_endpoint": "/access/v1/search/action",
}


class Metadata:
    """`GET /.well-known/authzen-configuration`, for everybody: it says nothing that is not public."""

    def __init__(self, public_url: str, *, search: bool) -> None:
        """Raises SettingsError where `public_url` cannot be an identifier (`check_public_url`)."""
        check_public_url(public_url)
        document = {"policy_decision_point": public_url}
        for name, path in ENDPOINTS.items():
            if search or not name.startswith("search_"):  # what does not exist is left out (section 9.1)
                document[name] = public_url + path
        self._body = msgspec.json.encode(document)

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        request_id = request_id_of(request)
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed("GET", request_id)
        caching = ("cache-control", f"public, max-age={MAX_AGE_S}")
        return HttpAnswer(200, (JSON, caching, *echo(request_id, None)), self._body)


def check_public_url(url: str) -> None:
    """Hold a PDP identifier against section 9.1: an absolute URL without query, fragment or user.

    `http` is let through for development on one's own machine; the specification asks for `https`. A slash
    at the end is refused, because clients compare the identifier byte for byte. Raises SettingsError.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or any(mark in url for mark in ' ?#@\\"<>'):
        raise SettingsError(f"`public_url` must be a URL such as https://pdp.example.jp, not `{url}`")
    if url.endswith("/"):
        raise SettingsError(f"`public_url` must not end with a slash: `{url}`")


def well_known_path(public_url: str) -> str:
    """The well-known path goes between the host and the identifier's own path (section 9.2.1)."""
    return WELL_KNOWN + urlsplit(public_url).path
