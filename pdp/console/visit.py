"""One request of somebody who is logged in: what it brought, how it asks the API, how it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from pdp.console.inner import DEADLINE_S
from pdp.console.said import Words
from pdp.console.words import Lang, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pdp.console.house import House
    from pdp.console.inner import Answer
    from pdp.console.sessions import Session

_SEE_OTHER: Final = 303


@dataclass(frozen=True)
class Visit:
    """`query` and `form` hold every value of a name; `path` the parts of the address that the page names."""

    house: House
    session: Session
    lang: Lang
    theme: str
    url: str
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    form: Mapping[str, Sequence[str]] = field(default_factory=dict)
    peer: str | None = None

    def one(self, name: str, default: str = "") -> str:
        """A value of the query, without blanks around it."""
        return next(iter(self.query.get(name, ())), default).strip()

    def field(self, name: str, default: str = "") -> str:
        """A value of the form."""
        return next(iter(self.form.get(name, ())), default).strip()

    def say(self, text: str, **values: Any) -> str:
        return say(self.lang, text, **values)

    def may(self, permission: str) -> bool:
        """Only to leave out what the API would refuse; the API decides."""
        return permission in self.session.person.caller().permissions

    @property
    def now(self) -> datetime:
        return self.house.clock()

    async def ask(self, path: str, **params: Any) -> Answer:
        """What the API answers to a GET. Parameters that are empty are left out."""
        given = {name: value for name, value in params.items() if value not in (None, "", [], ())}
        return await self.house.api.ask(self.session.person, "GET", path, given, lang=self.lang, peer=self.peer)

    async def send(
        self, method: str, path: str, body: Any = None, *, deadline_s: float = DEADLINE_S, **params: Any
    ) -> Answer:
        return await self.house.api.ask(
            self.session.person,
            method,
            path,
            params,
            body=body,
            lang=self.lang,
            peer=self.peer,
            deadline_s=deadline_s,
        )

    async def words(self) -> Words:
        """What codes and ids mean; of none, where the API does not say it."""
        answer = await self.ask("/admin/v1/words")
        return Words(self.lang, answer.data if answer.ok else {})

    def hand_on(self, path: str, params: Mapping[str, str | Sequence[str]]) -> Response:
        """A file of the API, as it comes."""
        return self.house.api.forward(self.session.person, path, params, lang=self.lang, peer=self.peer)

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A whole page."""
        return self.house.view.page(template, self, status=status, **values)

    def go(self, path: str, **query: str) -> Response:
        """To another page, after a form."""
        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, _SEE_OTHER)
