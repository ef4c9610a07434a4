"""The count of a run: what came, what came twice, what could not be read, and whether that can be a whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.port import DeviceReport, Page, Refused
from connectors.posture.reading import RecordRefusedError
from pdp.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

MAX_DEVICES: Final = 100_000  # six times what the prefecture has; a page that never ends stops here
MAX_PAGES: Final = 10_000  # 100,000 devices in pages of 20, twice over
MAX_PAGES_WITHOUT_NEWS: Final = 3  # a page may be repeated while the source changes; a source that repeats more loops
MAX_REFUSED: Final = 20  # and more than one in ten: the vendor's records are no longer what the mapping knows
_REFUSED_SHARE: Final = 10
_SHOWN: Final = 64


class Tally:
    """One run. `key` gives the vendor's id of a record, which is the same when the record comes again."""

    def __init__(
        self, key: Callable[[dict[str, Any]], str | None], read: Callable[[dict[str, Any]], DeviceReport]
    ) -> None:
        self._key = key
        self._read = read
        self._seen: set[str] = set()
        self._links: set[str] = set()
        self._refused = 0
        self._nameless = 0
        self._pages = 0
        self._without_news = 0
        self._latest: datetime | None = None

    @property
    def devices(self) -> int:
        """Different records so far, the refused ones with an id among them."""
        return len(self._seen)

    @property
    def nameless(self) -> int:
        """Records so far that have no id, so that nobody can say whether they came before."""
        return self._nameless

    @property
    def latest(self) -> datetime | None:
        """The newest `observed_at` so far."""
        return self._latest

    def follow(self, link: str) -> str:
        """A link or token to a next page, which must not have been followed before. Raises ConnectorError."""
        if link in self._links:
            raise ConnectorError("the source's pages lead in a circle", fault="inconsistent")
        self._links.add(link)
        return link

    def page(self, records: list[Any]) -> Page[DeviceReport]:
        """A page of reports; a record that came before is left out. Raises ConnectorError."""
        self._count_page()
        items: list[DeviceReport] = []
        refused: list[Refused] = []
        before = len(self._seen) + self._refused
        for record in records:
            try:
                report = self._report(record)
            except RecordRefusedError as fault:
                self._nameless += 0 if fault.key else 1
                refused.append(Refused(code=fault.code, key=fault.key[:_SHOWN]))
                continue
            if report is not None:
                items.append(report)
        self._refused += len(refused)
        self._check(any_news=len(self._seen) + self._refused > before or not records)
        return Page(items=tuple(items), refused=tuple(refused))

    def _report(self, record: object) -> DeviceReport | None:
        if not isinstance(record, dict):
            raise RecordRefusedError("not_an_object")
        key = self._key(record)
        if key is None:
            raise RecordRefusedError("no_id")
        if key in self._seen:
            return None
        self._seen.add(key)
        try:
            report = self._read(record)
        except RecordRefusedError as fault:
            raise RecordRefusedError(fault.code, key) from None
        if not report.names:
            raise RecordRefusedError("no_name", key)
        at = report.posture.observed_at
        if at is not None and (self._latest is None or at > self._latest):
            self._latest = at
        return report

    def _count_page(self) -> None:
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise ConnectorError(f"the source has more than {MAX_PAGES} pages", fault="inconsistent")

    def _check(self, *, any_news: bool) -> None:
        if len(self._seen) > MAX_DEVICES:
            raise ConnectorError(f"the source has more than {MAX_DEVICES} devices", fault="inconsistent")
        self._without_news = 0 if any_news else self._without_news + 1
        if self._without_news >= MAX_PAGES_WITHOUT_NEWS:
            raise ConnectorError("the source repeats the same page", fault="inconsistent")
        if self._refused > MAX_REFUSED and self._refused * _REFUSED_SHARE > len(self._seen) + self._nameless:
            raise ConnectorError(
                f"{self._refused} of the source's records are not what its documents describe", fault="malformed"
            )


def records_of(document: dict[str, Any], name: str, *, required: bool) -> list[Any]:
    """The list of records in a page. Google leaves an empty list out (`required` False). Raises ConnectorError."""
    records = document.get(name)
    if records is None and not required:
        return []
    if not isinstance(records, list):
        raise ConnectorError(f"the source's answer has no list `{name}`", fault="malformed")
    return records
