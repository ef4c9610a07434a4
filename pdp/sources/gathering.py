"""All pages of one run, in memory and within bounds; nothing is judged before the last one has come."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import ConnectorError

if TYPE_CHECKING:
    from pdp.sources.port import Page, Refusal, Run

# Twelve times the prefecture's devices. A report with its names takes some 600 bytes, so a run stays below 150 MB.
MAX_ROWS: Final = 100_000
MAX_PAGES: Final = 10_000  # pages may be empty: a source that gives such pages for ever must not keep us
MAX_CURSOR: Final = 8_192  # characters; delta links of the clouds have some hundreds
MAX_REFUSED_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """`refused` is whole: whoever is named there is still in the source."""

    items: tuple[Any, ...]
    removed: tuple[str, ...]
    refused: tuple[Refusal, ...]
    complete: bool
    cursor: str | None
    pages: int


async def gather(run: Run) -> Gathered:
    """Read the run to its end. Raises ConnectorError as the connector does, and where a bound is passed."""
    items: list[Any] = []
    removed: list[str] = []
    refused: list[Refusal] = []
    pages = 0
    async with aclosing(_closable(run.pages)) as reading:
        async for page in reading:
            pages += 1
            _take(page, items, removed, refused)
            if pages > MAX_PAGES or len(items) + len(removed) > MAX_ROWS or len(refused) > MAX_REFUSED_KEPT:
                raise ConnectorError(
                    f"more than {MAX_ROWS} rows, {MAX_REFUSED_KEPT} unusable ones or {MAX_PAGES} pages in one run",
                    fault="too_large",
                    next_step="narrow what is asked of the source, or see whether its paging repeats",
                )
    cursor = run.cursor.value
    if cursor is not None and (len(cursor) > MAX_CURSOR or "\0" in cursor):
        raise ConnectorError("the source's cursor is none", fault="malformed")
    return Gathered(tuple(items), tuple(removed), tuple(refused), run.complete, cursor, pages)


def _take(page: Page, items: list[Any], removed: list[str], refused: list[Refusal]) -> None:
    items.extend(page.items)
    removed.extend(page.removed)
    refused.extend(page.refused)


async def _pages(pages: Any) -> Any:
    async for page in pages:
        yield page


def _closable(pages: Any) -> Any:
    """An iterator that is no generator has nothing to close."""
    return pages if hasattr(pages, "aclose") else _pages(pages)
