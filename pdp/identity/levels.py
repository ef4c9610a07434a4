"""From `acr` and `amr` to `auth_level`: 0 none, 1 password, 2 multi-factor, 3 device-bound or phishing-resistant.

`acr` is the identity provider's own classification and goes first; where it says nothing that we know,
the methods in `amr` (RFC 8176) are counted. What is not listed counts as nothing: never as a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pdp.model.input import AuthLevel

# Our own names, for gateways that know the level; `WWW-Authenticate` asks for them by these names too.
ACR_OF_LEVEL: Final[Mapping[AuthLevel, str]] = {
    1: "urn:sekisho:auth-level:1",
    2: "urn:sekisho:auth-level:2",
    3: "urn:sekisho:auth-level:3",
}

DEFAULT_ACR: Final[Mapping[str, AuthLevel]] = {
    "urn:sekisho:auth-level:0": 0,
    **{acr: level for level, acr in ACR_OF_LEVEL.items()},
    "phr": 3,  # OpenID Connect EAP ACR Values 1.0: phishing-resistant
    "phrh": 3,  # the same, with protected hardware
}

# RFC 8176. `mfa` says that several factors were used; one strong key alone is one factor, bound to a device.
_PASSWORD: Final = frozenset({"pwd", "pin", "kba"})
_SECOND_FACTOR: Final = frozenset({"mfa", "otp", "sms", "tel", "mca"})
_BOUND: Final = frozenset({"hwk", "sc"})


@dataclass(frozen=True, slots=True)
class LevelTable:
    """How one deployment reads its identity provider. `acr` maps a value to a level."""

    acr: Mapping[str, AuthLevel] = field(default_factory=lambda: DEFAULT_ACR)

    def level(self, acr: str | None, amr: Collection[str]) -> AuthLevel:
        """The level that these claims prove; 0 where they prove nothing that the table knows."""
        if acr is not None and acr in self.acr:
            return self.acr[acr]
        methods = frozenset(amr)
        if methods & _BOUND and methods & (_PASSWORD | {"mfa"}):  # a key and a code by SMS are both things one has
            return 3
        if "mfa" in methods or (methods & _PASSWORD and methods & (_SECOND_FACTOR | _BOUND)):
            return 2
        return 1 if methods & (_PASSWORD | _SECOND_FACTOR | _BOUND) else 0
