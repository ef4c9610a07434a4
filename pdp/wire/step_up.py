"""How a client learns that it must authenticate more strongly: RFC 9470, or a redirect for a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from pdp.errors import SettingsError
from pdp.identity.levels import ACR_OF_LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACR: Final = re.compile(r"[!#-\[\]-~]{1,256}")  # visible ASCII that needs no escape in a quoted string
_PLACEHOLDER: Final = re.compile(r"\{[^}]*\}")
_PLACEHOLDERS: Final = frozenset({"{acr_values}", "{return_to}"})
MAX_RETURN_TO: Final = 2_048  # characters; a longer address comes back as its origin's root


@dataclass(frozen=True, slots=True)
class StepUp:
    """`acr_values` names, for each level, the classes that the identity provider may use to reach it.

    `url` is an https template with `{acr_values}` and, if wanted, `{return_to}`; empty: no redirects.
    `return_origins` (`https://host[:port]`) are the addresses of our own applications: a browser is sent
    back there and nowhere else. Raises SettingsError where one of them cannot be used.
    """

    acr_values: Mapping[int, tuple[str, ...]] = field(
        default_factory=lambda: {level: (acr,) for level, acr in ACR_OF_LEVEL.items()}
    )
    url: str = ""
    return_origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for level in (1, 2, 3):
            values = self.acr_values.get(level, ())
            if not values or not all(_ACR.fullmatch(value) for value in values):
                raise SettingsError(f"level {level} has no usable `acr` value")
        if self.url:
            _check_template(self.url)
        for origin in self.return_origins:
            parts = urlsplit(origin)
            if origin != f"https://{parts.netloc}" or not parts.netloc or "@" in origin or origin != origin.lower():
                raise SettingsError(f"`{origin}` is not an origin such as https://host")

    def challenge(self, level: int) -> str:
        """The value of `WWW-Authenticate` (RFC 9470 section 3)."""
        return (
            'Bearer error="insufficient_user_authentication", '
            'error_description="a stronger authentication is required", '
            f'acr_values="{" ".join(self._acr_values(level))}"'
        )

    def redirect(self, level: int, *, host: str | None, path: str, query: str) -> str | None:
        """Where to send a browser; None where no redirect is configured or it could not come back.

        The attack: an open redirect through a forged `Host`. The origin is looked up, never built.
        """
        if not self.url:
            return None
        target = self.url.replace("{acr_values}", quote(" ".join(self._acr_values(level)), safe=""))
        if "{return_to}" not in target:
            return target
        origin = "https://" + (host or "").lower()
        if origin not in self.return_origins:
            return None
        return_to = f"{origin}{path}" + (f"?{query}" if query else "")
        if len(return_to) > MAX_RETURN_TO:
            return_to = origin + "/"
        return target.replace("{return_to}", quote(return_to, safe=""))

    def _acr_values(self, level: int) -> tuple[str, ...]:
        """A level that nobody named asks for the strongest, as a stricter answer is never the wrong one."""
        return self.acr_values.get(level) or self.acr_values[3]


def _check_template(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or "{" in parts.netloc or not url.isascii():
        raise SettingsError("the step-up address must be an https URL of one fixed host")
    unknown = set(_PLACEHOLDER.findall(url)) - _PLACEHOLDERS
    if unknown or "{acr_values}" not in url:
        raise SettingsError(
            "the step-up address needs `{acr_values}`, may have `{return_to}`, and nothing else in braces"
        )
    if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url):  # noqa: PLR2004  # SP and DEL
        raise SettingsError("the step-up address has a blank or a control character")
