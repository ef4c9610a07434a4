"""The door: the login through the identity provider or with a local account, and the way out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import RedirectResponse, Response

from pdp.console.guard import HOME, page_of_ours
from pdp.console.words import language
from pdp.errors import NotFoundError, SekishoError, TooManyRequestsError

if TYPE_CHECKING:
    from starlette.requests import Request

    from pdp.console.cookies import Cookies
    from pdp.console.house import House
    from pdp.console.person import Person
    from pdp.console.sessions import Method
    from pdp.console.visit import Visit

_FOUND: Final = 303
_REFUSED: Final = 403
_WRONG: Final = 401
_CHECKS: Final = 2  # passwords at once in one worker: each takes 32 MB
_LOGIN: Final = "/console/login"


class Door:
    def __init__(self, house: House, cookies: Cookies) -> None:
        self._house: Final = house
        self._cookies: Final = cookies
        self._checks: Final = asyncio.Semaphore(_CHECKS)

    async def show(self, request: Request) -> Response:
        return self._page(request)

    async def begin(self, request: Request) -> Response:
        """To the identity provider."""
        if self._house.provider is None:
            raise NotFoundError("no identity provider is configured")
        url, login = await self._house.provider.begin(page_of_ours(request.query_params.get("to")))
        response = _go(url)
        self._cookies.set(response, "login", self._house.seal.seal(login))
        return response

    async def back(self, request: Request) -> Response:
        """From the identity provider."""
        if self._house.provider is None:
            raise NotFoundError("no identity provider is configured")
        sealed = self._cookies.get(request, "login")
        login = None if sealed is None else self._house.seal.open(sealed, self._house.clock())
        try:
            found = await self._house.provider.finish(login, dict(request.query_params))
        except SekishoError as fault:
            response = self._page(request, status=fault.status, fault=fault)
            self._cookies.drop(response, "login")
            return response
        assert login is not None
        return await self._enter(
            request, found.person, "oidc", login.to, provider_session=found.session, id_token=found.id_token
        )

    async def password(self, request: Request) -> Response:
        """With a local account."""
        from pdp.console.front import fields, read_body

        house = self._house
        if house.accounts is None:
            raise NotFoundError("no local account is configured")
        house.origin.check({name: request.headers[name] for name in request.headers})
        form = fields(await read_body(request))
        name, password = (next(iter(form.get(key, [])), "") for key in ("name", "password"))
        address = request.client.host if request.client else None
        try:
            async with self._checks:
                house.attempts.admit(name.strip(), address, house.clock())
                person = await asyncio.to_thread(house.accounts.check, name.strip(), password)
                if person is None:
                    house.attempts.failed(name.strip(), address, house.clock())
                else:
                    house.attempts.succeeded(name.strip(), address)
        except TooManyRequestsError as fault:
            response = self._page(request, status=fault.status, fault=fault, form=form)
            response.headers["retry-after"] = str(fault.retry_after_s)
            return response
        if person is None:
            await self._failed(name.strip(), address)
            return self._page(request, status=_WRONG, wrong=True, form=form)
        return await self._enter(request, person, "account", page_of_ours(next(iter(form.get("to", [])), None)))

    async def logout(self, visit: Visit) -> Response:
        house, session = self._house, visit.session
        await asyncio.to_thread(house.sessions.end, session.number, session.person.id)
        await house.deeds.write(session.person, "console.logout", object=session.number, peer=visit.peer)
        away = None
        if house.provider is not None and session.method == "oidc":
            away = await house.provider.logout_url(session.id_token, f"{house.origin.url}/console/goodbye")
        response = _go(away or "/console/goodbye")
        self._cookies.drop(response, "session")
        return response

    async def goodbye(self, request: Request) -> Response:
        return self._page(request, goodbye=True)

    async def _enter(self, request: Request, person: Person, method: Method, to: str, **more: str | None) -> Response:
        """INVARIANT (no fixation): what the browser held before the login is ended, and never becomes a session."""
        house = self._house
        peer = request.client.host if request.client else None
        if not person.roles:
            await house.deeds.write(person, "console.login", "refused", error="no_role", peer=peer)
            return self._page(request, status=_REFUSED, nobody=person)
        await house.deeds.write(person, "console.login", parameters={"method": method}, peer=peer)
        before = self._cookies.get(request, "session")
        if before is not None and (old := await asyncio.to_thread(house.sessions.find, before)) is not None:
            await asyncio.to_thread(house.sessions.end, old.number, person.id)
        start: Any = house.sessions.start
        secret, _ = await asyncio.to_thread(lambda: start(person, method, peer=peer, **more))
        response = _go(to)
        self._cookies.set(response, "session", secret)
        self._cookies.drop(response, "login")
        return response

    async def _failed(self, name: str, address: str | None) -> None:
        """A name that nobody has may be a password in the wrong field: it is not written down."""
        from pdp.console.person import Person

        assert self._house.accounts is not None
        known = name in await asyncio.to_thread(self._house.accounts.read)
        person = Person(f"account:{name if known else '-'}", name, frozenset())
        await self._house.deeds.write(person, "console.login", "refused", error="password", peer=address)

    def _page(self, request: Request, *, status: int = 200, form: Any = None, **values: Any) -> Response:
        to = next(iter((form or {}).get("to", [])), None) or request.query_params.get("to")
        shown = {"fault": None, "wrong": False, "goodbye": False, "nobody": None, **values}
        theme = self._cookies.get(request, "theme")
        return self._house.view.door(
            "login.html",
            language(self._cookies.get(request, "lang"), request.headers.get("accept-language")),
            theme if theme in ("light", "dark") else "auto",
            status=status,
            to="" if page_of_ours(to) == HOME else page_of_ours(to),
            has_provider=self._house.provider is not None,
            has_accounts=self._house.accounts is not None,
            here=_LOGIN,
            **shown,
        )


def _go(url: str) -> Response:
    return RedirectResponse(url, _FOUND, headers={"cache-control": "no-store"})
