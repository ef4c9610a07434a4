"""The console's cookies. Over https their names begin with `__Host-`: set by this host alone, for all of its paths.

Over plain http on a loopback address, as the demonstration runs, browsers take no such name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pdp.console.guard import Origin

Kind = Literal["session", "login", "lang", "theme"]
_YEAR_S: Final = 31_536_000
_MAX_AGE: Final[dict[Kind, int | None]] = {"session": None, "login": 600, "lang": _YEAR_S, "theme": _YEAR_S}


class Cookies:
    def __init__(self, origin: Origin) -> None:
        self._secure: Final = origin.secure

    def name(self, kind: Kind) -> str:
        return f"__Host-sekisho-{kind}" if self._secure else f"sekisho-{kind}"

    def get(self, request: Request, kind: Kind) -> str | None:
        """None also where it stands twice: two parties could have set two."""
        name = self.name(kind)
        pairs = [part.strip().partition("=") for line in request.headers.getlist("cookie") for part in line.split(";")]
        values = [value for found, _, value in pairs if found == name]
        return values[0] if len(values) == 1 and values[0] else None

    def set(self, response: Response, kind: Kind, value: str) -> None:
        response.set_cookie(
            self.name(kind), value, max_age=_MAX_AGE[kind], path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def drop(self, response: Response, kind: Kind) -> None:
        response.delete_cookie(self.name(kind), path="/", secure=self._secure, httponly=True, samesite="lax")
