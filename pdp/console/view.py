"""Pages from templates: escaped always, in the reader's language, with the headers that every page has."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import jinja2
from starlette.responses import HTMLResponse, PlainTextResponse

from pdp import __version__
from pdp.console import charts
from pdp.console.pages import GROUPS
from pdp.console.said import Said
from pdp.console.words import CATALOGUES, LANGS, Lang, clock_text, date_text, number_text, span_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from pdp.console.guard import Origin
    from pdp.console.pages import Page
    from pdp.console.visit import Visit

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"
TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing inline, nothing from elsewhere, nothing framed; scripts make HTML through one policy alone.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sekisho"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "referrer-policy": "same-origin",  # a form's `Origin` needs one; no other site is told anything
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
TOKEN: Final = "x-sekisho-token"  # noqa: S105  # the name of a header, read by scripts of ours alone: no other site is shown an answer
HSTS: Final = ("strict-transport-security", "max-age=31536000")


class View:
    """`pages`: everything that can be opened, for the navigation."""

    def __init__(self, origin: Origin, pages: Sequence[Page], *, targets: Sequence[str] = ()) -> None:
        """`targets`: further origins that a form may lead to."""
        policy = POLICY.replace("form-action 'self'", " ".join(["form-action 'self'", *targets]))
        own = {"content-security-policy": policy, **(dict([HSTS]) if origin.secure else {})}
        self._headers: Final = {**HEADERS, **own}
        self._pages: Final = pages
        self._static: Final = _static_files()
        self._environments: Final = {lang: self._environment(lang) for lang in LANGS}

    def static(self, name: str) -> tuple[bytes, str] | None:
        """(contents, type) of a file of ours."""
        found = self._static.get(name)
        return None if found is None else found[:2]

    def plain(self, text: str, visit: Visit, status: int = 200) -> Response:
        """A text as it is, which no browser takes for a page; with the token that a form of this session needs."""
        return PlainTextResponse(text, status, headers={**self._headers, TOKEN: visit.session.csrf})

    def page(self, template: str, visit: Visit, *, status: int = 200, **values: Any) -> Response:
        """A page for somebody who is logged in. `nonce`: of the style sheets that a script of the page makes."""
        roles = visit.session.person.roles
        menu = [
            (heading, [page for page in self._pages if page.group == group and page.title and page.is_for(roles)])
            for group, heading in GROUPS.items()
        ]
        shown = {"visit": visit, "person": visit.session.person, "menu": [entry for entry in menu if entry[1]]}
        shown["may_find"] = any(page.path == "find" and page.is_for(roles) for page in self._pages)
        here = {"here": visit.url, "theme": visit.theme, "csrf": visit.session.csrf}
        return self._answer(template, visit.lang, status, {**shown, **here, **values})

    def door(self, template: str, lang: Lang, theme: str, *, status: int = 200, **values: Any) -> Response:
        """A page for anybody: the login and what goes wrong before it."""
        return self._answer(template, lang, status, {"visit": None, "theme": theme, **values})

    def _answer(self, template: str, lang: Lang, status: int, values: Mapping[str, Any]) -> Response:
        text = self._environments[lang].get_template(template).render(values)
        headers = self._headers
        if values.get("nonce"):
            policy = headers["content-security-policy"]
            own = policy.replace("style-src 'self'", f"style-src 'self' 'nonce-{values['nonce']}'")
            headers = {**headers, "content-security-policy": own}
        return HTMLResponse(text, status, headers=headers)

    def _environment(self, lang: Lang) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        environment.install_gettext_translations(CATALOGUES[lang], newstyle=True)  # type: ignore[attr-defined]
        environment.filters |= {
            "clock": clock_text,
            "date": lambda at: date_text(at, lang),
            "span": lambda seconds: span_text(seconds, lang),
            "number": number_text,
            "segment": lambda text: quote(str(text), safe=""),
        }
        environment.globals |= {
            "lang": lang,
            "static": self._address,
            "link": link,
            "said": Said(lang),
            "charts": charts,
            "version": __version__,
        }
        return environment

    def _address(self, name: str) -> str:
        return f"/console/static/{name}?v={self._static[name][2]}"


def link(path: str, **query: Any) -> str:
    """An address below `/console/`; parameters that are empty are left out."""
    given = [(k, v) for k, values in query.items() for v in (values if isinstance(values, list | tuple) else [values])]
    pairs = [(name, str(value)) for name, value in given if value not in (None, "")]
    return f"/console/{path}" + (f"?{urlencode(pairs)}" if pairs else "")


def _static_files() -> dict[str, tuple[bytes, str, str]]:
    found = {}
    for path in sorted(STATIC.iterdir()):
        if path.suffix in TYPES:
            body = path.read_bytes()
            found[path.name] = body, TYPES[path.suffix], sha256(body).hexdigest()[:16]
    return found
