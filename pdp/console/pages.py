"""What a page is. A module that brings pages has a tuple `PAGES`; `site.py` lists the modules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pdp.console.words import N_

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.visit import Visit
    from pdp.model.console import Role

Serve = Callable[["Visit"], Awaitable["Response"]]
Group = Literal["now", "policy", "log", "register", "operation"]

# Headings of the navigation, in its order.
GROUPS: Final[dict[Group, str]] = {
    "now": "",
    "policy": N_("Policies"),
    "log": N_("Decisions and audit"),
    "register": N_("Registers"),
    "operation": N_("Operation"),
}


MAX_FORM: Final = 64 * 1024  # bytes of a form; contents of policies have their own bound


class Step(NamedTuple):
    """`word`: in the address, as the API has it. `name`: on its button. `effect`: what happens then.

    `grave`: its button is a warning.
    """

    word: str
    name: str
    effect: str
    grave: bool = False


class Page(NamedTuple):
    """`path` below `/console/`, with `{names}`. `roles`: who may open it; empty: everybody who is logged in.

    `title` is the name in the navigation (marked with `N_`), None for a page that is reached from another. What a
    page shows is bounded by what the API tells the person, whatever stands here. `most`: bytes of its form.
    """

    path: str
    serve: Serve
    roles: frozenset[Role] = frozenset()
    title: str | None = None
    group: Group = "now"
    method: Literal["GET", "POST"] = "GET"
    most: int = MAX_FORM

    def is_for(self, roles: frozenset[Role]) -> bool:
        return not self.roles or not self.roles.isdisjoint(roles)
