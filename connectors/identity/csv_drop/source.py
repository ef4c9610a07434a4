"""People from a drop folder: what one run does, read this first.

1. every file that is ready is read and checked as a whole; one fault, and it goes to `refused/` with a report
2. a file without fault goes to `done/`: from then on it is read there and nowhere else
3. the newest roster of a day that has come, and the orders since, are told as one story   timeline.py
4. nothing new, and the same day as the last run: nothing is handed out
5. else everybody is handed out, with a complete run where there is a roster

The state is `done/` itself, so that a run whose rows were not written loses nothing: the next one tells the same
story again. The cursor says which story was told last; it also shows that files have vanished from `done/`.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from connectors.identity.csv_drop.folder import DIGITS, opened
from connectors.identity.csv_drop.settings import CsvDropSettings, FeedMapping, read_mapping
from connectors.identity.csv_drop.table import read_table
from connectors.identity.csv_drop.timeline import Orders, Roster, people
from connectors.identity.csv_drop.troubles import report
from connectors.port import Cursor, Page, Refused, Run
from pdp.errors import ConnectorError, SettingsError
from pdp.model.directory import JST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from connectors.identity.csv_drop.folder import DropFolder, Dropped, Kept
    from connectors.setup import Setup
    from pdp.model.directory import User

_PAGE: Final = 500
_VERSION: Final = 1
_ORDERS_COUNT: Final = timedelta(days=400)  # an order that came so long before the roster lies ahead of nothing more
_MAX_STORY: Final = 500  # files; an office that sends orders every working day has 270
_DIGITS: Final = 12  # of a file's digest in the cursor: enough to see that it is there, and the cursor stays short
_MAX_SHOWN: Final = 20
_DAY_IN_NAME: Final = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})(?!\d)", re.ASCII)


class _Mark(Struct, frozen=True, forbid_unknown_fields=True):
    """Which story was told last: from which files (12 digits of each digest), on which day, by which mapping."""

    v: int
    settings: str
    day: date
    files: str


@dataclass(frozen=True, slots=True)
class _Look:
    """What a thread brings back."""

    users: Sequence[User]
    refused: Sequence[Refused]
    complete: bool
    mark: _Mark | None


def connector(setup: Setup) -> CsvDropSource:
    """Raises SettingsError. The mapping file is read at each run, so that it can change."""
    return CsvDropSource(setup, setup.read(CsvDropSettings))


class CsvDropSource:
    """An IdentityConnector."""

    def __init__(self, setup: Setup, settings: CsvDropSettings) -> None:
        self._setup = setup
        self._settings = settings

    @property
    def name(self) -> str:
        return self._setup.name

    async def run(self, cursor: str | None, now: datetime) -> Run[User]:
        """Takes in what is ready; everybody, or nobody where nothing is new. Raises ConnectorError."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                look = await asyncio.to_thread(self._look, _read_mark(cursor), now)
        except TimeoutError:
            raise ConnectorError("the drop folder does not answer in time", fault="timeout") from None
        value = cursor if look.mark is None else msgspec.json.encode(look.mark).decode()
        return Run(_pages(look), complete=look.complete, cursor=Cursor(value))

    def _look(self, last: _Mark | None, now: datetime) -> _Look:
        mapping, digest = self._mapping()
        with opened(self._settings) as folder:
            notes = _take_in(folder, mapping, now)
            today = now.astimezone(JST).date()
            story = _story(folder.kept(), today)
            mark = _Mark(_VERSION, digest, today, "".join(kept.digest[:_DIGITS] for kept in story))
            _nothing_vanished(last, folder.kept())
            notes += folder.notes
            if mark == last or not story:
                return _Look((), notes, complete=False, mark=None)
            return _told(folder, story, mapping, mark, notes)

    def _mapping(self) -> tuple[FeedMapping, str]:
        path = self._settings.mapping_file
        try:
            return read_mapping(Path(path).read_text("utf-8-sig") if path else "")
        except SettingsError as fault:
            raise ConnectorError(fault.message, next_step=fault.next_step) from None
        except (OSError, ValueError):
            raise ConnectorError("the mapping file cannot be read", next_step="see `mapping_file`") from None


def _read_mark(cursor: str | None) -> _Mark | None:
    try:
        mark = msgspec.json.decode(cursor, type=_Mark) if cursor is not None else None
    except msgspec.DecodeError:
        return None
    return mark if mark is not None and mark.v == _VERSION else None


def _take_in(folder: DropFolder, mapping: FeedMapping, now: datetime) -> list[Refused]:
    """Every ready file into `done/` or `refused/`."""
    notes: list[Refused] = []
    known = {kept.digest for kept in folder.kept()}
    for number, dropped in enumerate(folder.dropped(now)):
        moment = now + timedelta(microseconds=number)  # the order of their names is the order of their coming
        if dropped.digest[:DIGITS] in known:
            folder.forget(dropped)
            notes.append(Refused("known_file", detail=f"`{dropped.name}` was taken in before; nothing changes"))
            continue
        sheet = mapping.sheet_of(dropped.name)
        if sheet is None:
            notes.append(
                Refused("unknown_file", detail=f"`{dropped.name}` fits no pattern of the mapping file, or two")
            )
            continue
        troubles = read_table(sheet, dropped.content, mapping).troubles
        if troubles:
            file = folder.refuse(dropped, report(dropped.name, troubles.kept, troubles.count), moment)
            first = "; ".join(trouble.english() for trouble in troubles.kept[:_MAX_SHOWN])
            notes.append(Refused("file_refused", detail=f"`refused/{file}`: {troubles.count} faults: {first}"))
            continue
        folder.keep(dropped, sheet, _as_of(dropped, now), moment)
        known.add(dropped.digest[:DIGITS])
    return notes


def _as_of(dropped: Dropped, now: datetime) -> date:
    """The day in the file's name (20260401, 2026-04-01), else today in Japan."""
    for found in _DAY_IN_NAME.finditer(dropped.name):
        try:
            return date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            continue
    return now.astimezone(JST).date()


def _story(kept: Sequence[Kept], today: date) -> list[Kept]:
    """The roster that counts today, and the orders that still may change something, by arrival."""
    rosters = [k for k in kept if k.sheet == "roster" and k.as_of <= today]
    roster = max(rosters, key=lambda k: (k.as_of, k.taken), default=None)
    orders = [k for k in kept if k.sheet == "orders" and (roster is None or k.taken > roster.taken - _ORDERS_COUNT)]
    if len(orders) > _MAX_STORY:
        raise ConnectorError(
            f"more than {_MAX_STORY} files of orders since the last roster", fault="too_large",
            next_step="drop a new roster",
        )  # fmt: skip
    return orders if roster is None else [roster, *orders]


def _nothing_vanished(last: _Mark | None, kept: Sequence[Kept]) -> None:
    """A story that lost a file would bring people back, or take them away, by a slip in a file manager."""
    files = last.files if last is not None else ""
    told = {files[at : at + _DIGITS] for at in range(0, len(files), _DIGITS)}
    missing = told - {k.digest[:_DIGITS] for k in kept}
    if missing:
        raise ConnectorError(
            f"{len(missing)} files that the last run told of are gone from `done/`",
            fault="inconsistent",
            next_step="put them back, or run once with `--full` where they are meant to be gone",
        )


def _told(folder: DropFolder, story: Sequence[Kept], mapping: FeedMapping, mark: _Mark, notes: list[Refused]) -> _Look:
    roster: Roster | None = None
    orders: list[Orders] = []
    taken: datetime | None = None
    for kept in story:
        table = read_table(kept.sheet, folder.content(kept), mapping)
        if table.troubles:
            raise ConnectorError(
                f"`{kept.name}` in `done/` can no longer be read by the mapping file: "
                f"{table.troubles.kept[0].english()}",
                next_step="correct the mapping file",
            )
        if kept.sheet == "roster":
            roster, taken = Roster(kept.as_of, table.records, table.columns), kept.taken
        else:
            orders.append(Orders(taken is None or kept.taken > taken, table.records))
    users, refused = people(roster, orders, mapping, mark.day)
    return _Look(users, [*notes, *refused], complete=roster is not None, mark=mark)


async def _pages(look: _Look) -> AsyncIterator[Page[User]]:
    users = iter(look.users)
    yield Page((), refused=tuple(look.refused))
    while some := tuple(islice(users, _PAGE)):
        yield Page(some)
