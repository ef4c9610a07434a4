"""Paging as Google's APIs do it (google.aip.dev/158): `nextPageToken` until it is absent or empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.posture.tally import MAX_PAGES, records_of
from pdp.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connectors.http import VendorApi

_LONGEST_TOKEN: Final = 4096


async def pages_of(api: VendorApi, path: str, name: str, params: list[tuple[str, str]]) -> AsyncIterator[list[Any]]:
    """The lists called `name`, one a page; the other parameters stay as they were, as the APIs ask.

    Raises ConnectorError for a token that came before: the pages lead in a circle.
    """
    seen: set[str] = set()
    asked = params
    for _ in range(MAX_PAGES):
        document = await api.get(path, asked)
        yield records_of(document, name, required=False)
        token = document.get("nextPageToken")
        if token is None or token == "":
            return
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
            raise ConnectorError("the source gave a page token that is none", fault="malformed")
        if token in seen:
            raise ConnectorError("the source's pages lead in a circle", fault="inconsistent")
        seen.add(token)
        asked = [*params, ("pageToken", token)]
    raise ConnectorError(f"the source has more than {MAX_PAGES} pages", fault="inconsistent")
