"""What a browser must show before a page listens to it. Pure.

- `Host` is one of ours: a foreign name that resolves to our address (DNS rebinding) is no console.
- Whatever changes something is a POST, comes from a page of ours (`Origin`, `Sec-Fetch-Site`; one of the two at least
  must be there: every browser of today sends both), and carries the session's own token.
- After a login nobody is sent anywhere but to a page of ours.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pdp.errors import NotPermittedError
from pdp.model.issuer import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME: Final = "/console/"
_MAX_PATH: Final = 2_000


class Origin:
    """Where the console is, as browsers write it. Raises ValueError for http on anything but a loopback address."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        self.secure: Final = parts.scheme == "https"
        if not self.secure and host not in LOOPBACK:
            raise ValueError("the console needs https: set `public_url`, or `tls_cert_file`")
        names = LOOPBACK if host in LOOPBACK else frozenset({host})
        standard = 443 if self.secure else 80
        port = parts.port or standard
        shown = {name if ":" not in name else f"[{name}]" for name in names}
        self._hosts: Final = {f"{name}:{port}" for name in shown} | ({*shown} if port == standard else set())
        self._scheme: Final = parts.scheme
        self.url: Final = f"{parts.scheme}://{parts.netloc}"

    def is_host(self, host: str | None) -> bool:
        return host is not None and host.lower() in self._hosts

    def check(self, headers: Mapping[str, str]) -> None:
        """That a form came from a page of ours. Raises NotPermittedError."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and site is None:
            raise NotPermittedError("the browser does not say where the form stood", next_step="use a browser of today")
        same = origin is None or origin.lower() == f"{self._scheme}://{(headers.get('host') or '').lower()}"
        if not same or site not in (None, "same-origin"):
            raise NotPermittedError("the form stood on another site", next_step="open the page here, and send it again")


def check_token(held: str, given: str | None) -> None:
    """Raises NotPermittedError."""
    if given is None or not compare_digest(held.encode(), given.encode("utf-8", "replace")):
        raise NotPermittedError("the form is not of this session", next_step="load the page anew, and send it again")


def page_of_ours(path: str | None) -> str:
    """Where to go after a login: `path` if it is a page of the console, else its first page."""
    if (
        path is None
        or len(path) > _MAX_PATH
        or not path.startswith(HOME)
        or not path.isascii()
        or not path.isprintable()
    ):
        return HOME
    return HOME if "\\" in path or path.startswith("//") else path
