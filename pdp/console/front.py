"""The way of every request to the console, in one place. Open this first.

1. `Host` is ours, or nothing is answered (`guard.py`).
2. Files of the pages' looks are anybody's; the login and its way through the identity provider are anybody's.
3. Everything else needs a session that lives; without one, the login.
4. A page is opened by whoever has one of its roles; a refusal is written into the trail.
5. What changes something is a POST from a page of ours with the session's token.
6. The page asks the API as this person (`inner.py`), and is written from what the API said.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from pdp.console.cookies import Cookies
from pdp.console.guard import HOME, check_token, page_of_ours
from pdp.console.pages import MAX_FORM
from pdp.console.view import HSTS
from pdp.console.visit import Visit
from pdp.console.words import LANGS, Lang, language
from pdp.errors import BadRequestError, NotPermittedError, PayloadTooLargeError, SekishoError, SlowRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pdp.console.house import House
    from pdp.console.pages import Page
    from pdp.console.sessions import Session

PREFIX: Final = "/console"
BODY_S: Final = 10.0  # as the lane's own deadline
_MAX_FIELDS: Final = 200
THEMES: Final = ("auto", "light", "dark")
_FOUND: Final = 303
_MISDIRECTED: Final = 421
_FOREVER: Final = "public, max-age=31536000, immutable"

Endpoint = "Callable[[Request], Awaitable[Response]]"


class Front:
    """Every path of the console as a router."""

    def __init__(self, house: House, pages: Sequence[Page]) -> None:
        from pdp.console.login import Door

        self._house: Final = house
        self._cookies: Final = Cookies(house.origin)
        door = Door(house, self._cookies)
        self.router: Final = APIRouter(include_in_schema=False)
        for path, method, serve in (
            ("/static/{name}", "GET", self._static),
            ("/looks", "GET", self._looks),
            ("/login", "GET", door.show),
            ("/login", "POST", door.password),
            ("/login/begin", "GET", door.begin),
            ("/login/back", "GET", door.back),
            ("/goodbye", "GET", door.goodbye),
        ):
            self._add(PREFIX + path, method, self._anybodys(serve))
        self._add(f"{PREFIX}/logout", "POST", self._endpoint(None, door.logout))
        for page in pages:
            self._add(f"{PREFIX}/{page.path}", page.method, self._endpoint(page, page.serve))
        for path in ("/", PREFIX):  # what a person types
            self._add(path, "GET", self._anybodys(_home))

    def _add(self, path: str, method: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        async def answered(request: Request) -> Response:
            response = await endpoint(request)
            if self._house.origin.secure:  # redirects and files too: whichever answer a browser has first
                response.headers.setdefault(*HSTS)
            return response

        methods = [method] if method == "POST" else ["GET", "HEAD"]
        self.router.add_api_route(path, answered, methods=methods, response_class=Response)

    def _anybodys(self, serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not self._house.origin.is_host(request.headers.get("host")):
                return Response("this host is not served here", _MISDIRECTED, media_type="text/plain")
            try:
                return await serve(request)
            except SekishoError as fault:
                return self._fault(request, fault)

        return endpoint

    def _endpoint(
        self, page: Page | None, serve: Callable[[Visit], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def served(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return self._to_login(request)
            form: dict[str, list[str]] = {}
            if request.method == "POST":
                self._house.origin.check({name: request.headers[name] for name in request.headers})
                body = await read_body(request, MAX_FORM if page is None else page.most)
                form = await asyncio.to_thread(fields, body)  # megabytes, where it is a policy
                check_token(session.csrf, next(iter(form.pop("csrf", [])), None))
            visit = self._visit(request, session, form)
            if page is not None and not page.is_for(session.person.roles):
                await self._house.deeds.write(
                    session.person, "console.page", "refused", object=page.path, error="not_permitted", peer=visit.peer
                )
                return visit.page("refused.html", status=403, needed=sorted(page.roles))
            try:
                return await serve(visit)
            except NotPermittedError as fault:
                return visit.page("fault.html", status=fault.status, fault=fault)

        return self._anybodys(served)

    def _visit(self, request: Request, session: Session, form: dict[str, list[str]]) -> Visit:
        url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return Visit(
            house=self._house,
            session=session,
            lang=self._lang(request),
            theme=self._theme(request),
            url=url if request.method != "POST" else page_of_ours(next(iter(form.get("back", [])), None)),
            path={name: str(value) for name, value in request.path_params.items()},
            query=fields(request.url.query.encode()),
            form=form,
            peer=request.client.host if request.client else None,
        )

    async def _session(self, request: Request) -> Session | None:
        secret = self._cookies.get(request, "session")
        if secret is None:
            return None
        session = await asyncio.to_thread(self._house.sessions.find, secret)
        if session is None:
            return None
        by = "identity provider" if self._house.is_revoked(session) else None
        if by is None and session.method == "account" and not await self._is_account(session):
            by = "accounts file"
        if by is not None:
            await asyncio.to_thread(self._house.sessions.end, session.number, by)
            return None
        return session

    async def _is_account(self, session: Session) -> bool:
        """Raises SettingsError where the file cannot be read: then nobody of it is served, and no session is ended."""
        accounts = self._house.accounts
        return accounts is not None and await asyncio.to_thread(accounts.holds, session.person)

    def _to_login(self, request: Request) -> Response:
        to = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        asked = "" if request.method == "POST" or to == HOME else f"?to={quote(to, safe='')}"
        return RedirectResponse(f"{PREFIX}/login{asked}", _FOUND, headers={"cache-control": "no-store"})

    def _fault(self, request: Request, fault: SekishoError) -> Response:
        status = fault.status
        return self._house.view.door(
            "stopped.html", self._lang(request), self._theme(request), status=status, fault=fault
        )

    def _lang(self, request: Request) -> Lang:
        return language(self._cookies.get(request, "lang"), request.headers.get("accept-language"))

    def _theme(self, request: Request) -> str:
        chosen = self._cookies.get(request, "theme")
        return chosen if chosen in THEMES else "auto"

    async def _static(self, request: Request) -> Response:
        found = self._house.view.static(request.path_params["name"])
        if found is None:
            return Response(status_code=404)
        headers = {"cache-control": _FOREVER, "cross-origin-resource-policy": "same-origin"}
        return Response(found[0], media_type=found[1], headers=headers)

    async def _looks(self, request: Request) -> Response:
        """Language and theme: a link, because a choice that harms nobody needs no form."""
        response = RedirectResponse(page_of_ours(request.query_params.get("back")), _FOUND)
        lang, theme = request.query_params.get("lang"), request.query_params.get("theme")
        if lang in LANGS:
            self._cookies.set(response, "lang", str(lang))
        if theme in THEMES:
            self._cookies.set(response, "theme", str(theme))
        return response


async def _home(_: Request) -> Response:
    return RedirectResponse(HOME, _FOUND)


def fields(raw: bytes) -> dict[str, list[str]]:
    """A query string or the body of a form. Raises BadRequestError."""
    try:
        return parse_qs(
            raw.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MAX_FIELDS
        )
    except (ValueError, UnicodeError):
        raise BadRequestError("the form cannot be read", next_step="load the page anew") from None


async def read_body(request: Request, most: int = MAX_FORM) -> bytes:
    """The body of a form of at most `most` bytes. Raises BadRequestError, PayloadTooLargeError, SlowRequestError."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise BadRequestError("that is no form", next_step="load the page anew")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise PayloadTooLargeError(f"the form is larger than {most} bytes")
    except TimeoutError:
        raise SlowRequestError(f"the form did not arrive within {BODY_S:g} seconds") from None
    except ClientDisconnect:
        raise SlowRequestError("the client has gone") from None
    return bytes(body)
