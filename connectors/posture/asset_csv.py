"""CSV exports of asset-management products (資産管理ツール), read by a mapping file of the site.

`connectors/posture/asset_mappings` has three examples, in the style of products that are common in Japan. A site
copies one and writes its own columns into it: products let each site choose them, so no example fits as it is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from connectors.port import DeviceReport, Page, Refused, Run
from connectors.posture.asset_mapping import plain_text, read_mapping, read_row
from pdp.directory.files.csv_file import MAX_ROWS, csv_rows
from pdp.directory.files.encoding import decode
from pdp.directory.files.faults import Faults, shown
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime

    from connectors.posture.asset_mapping import Mapping, Remark
    from connectors.setup import Setup

MAX_BYTES: Final = 64 * 1024 * 1024  # of one file
MAX_MAPPING_BYTES: Final = 256 * 1024
MAX_FILES: Final = 20
MAX_REMARKS: Final = 200  # of one file; beyond them the mapping is wrong, and the rest is counted by nobody
PAGE: Final = 1_000


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`folder`: where exports are put; `mapping`: the site's mapping file.

    `complete`: an export names every device, so that what is missing is gone from the product. `settle_s`: a file
    that was written to a shorter time ago is left for the next run, since it may not be whole.
    """

    folder: str
    mapping: str
    pattern: str = "*.csv"
    complete: bool = False
    settle_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 60


def connector(setup: Setup) -> AssetCsv:
    """Raises SettingsError, also for a mapping file that breaks its form."""
    settings = setup.read(Settings)
    path = Path(settings.mapping)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_MAPPING_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"`connectors` `{setup.name}`: `mapping` cannot be read as UTF-8") from None
    if len(text) > MAX_MAPPING_BYTES:
        raise SettingsError(f"`connectors` `{setup.name}`: `mapping` is larger than {MAX_MAPPING_BYTES} bytes")
    return AssetCsv(setup.name, settings, read_mapping(text, path.name))


class AssetCsv:
    """Every run reads every file of the folder. A file that is not one of ours fails the whole run: a heading that
    was renamed would else make one fact of every device unknown, and nobody would know why.
    """

    def __init__(self, name: str, settings: Settings, mapping: Mapping) -> None:
        self.name = name
        self._settings = settings
        self._mapping = mapping

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:  # noqa: ARG002  # as the port has it
        try:
            files, waiting = await asyncio.to_thread(self._files, now)
        except OSError as fault:
            raise ConnectorError(f"the folder cannot be read: {fault.strerror}", fault="unreachable") from None
        complete = self._settings.complete and bool(files) and not waiting
        return Run(self._pages(files), complete=complete)

    def _files(self, now: datetime) -> tuple[list[Path], bool]:
        """(what is to be read, whether something is left for the next run)"""
        folder = Path(self._settings.folder)
        all_files = sorted(p for p in folder.iterdir() if fnmatch(p.name, self._settings.pattern) and p.is_file())
        if len(all_files) > MAX_FILES:
            raise ConnectorError(f"the folder holds more than {MAX_FILES} files", fault="inconsistent")
        before = now.timestamp() - self._settings.settle_s
        settled = [path for path in all_files if path.stat().st_mtime <= before]
        return settled, len(settled) < len(all_files)

    async def _pages(self, files: list[Path]) -> AsyncIterator[Page[DeviceReport]]:
        for path in files:
            items, refused = await asyncio.to_thread(self._read, path)
            for start in range(0, max(len(items), 1), PAGE):
                yield Page(tuple(items[start : start + PAGE]), refused=tuple(refused) if start == 0 else ())

    def _read(self, path: Path) -> tuple[list[DeviceReport], list[Refused]]:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as fault:
            raise ConnectorError(f"`{path.name}` cannot be read: {fault.strerror}", fault="unreachable") from None
        if len(content) > MAX_BYTES:
            raise ConnectorError(f"`{path.name}` is larger than {MAX_BYTES // 2**20} MiB", fault="malformed")
        return read_export(path.name, content, self._mapping, self.name)


def read_export(file: str, content: bytes, mapping: Mapping, source: str) -> tuple[list[DeviceReport], list[Refused]]:
    """The devices of one export, and what was found amiss in its rows, with line and column in both languages.

    Raises ConnectorError where the file as a whole is not what the mapping says.
    """
    faults = Faults()
    text = decode(content, file, faults)
    if text is None:
        raise _unusable(faults)
    rows = csv_rows(file, text, faults, delimiter=mapping.separator)
    places = _heading(file, rows, mapping)
    reports: list[tuple[int, DeviceReport]] = []
    refused: list[Refused] = []
    for number, (line, cells) in enumerate(rows, start=1):
        if number > MAX_ROWS:
            raise ConnectorError(f"`{file}` has more than {MAX_ROWS} rows", fault="malformed")
        if cells is not None and not any(cells):
            continue
        if cells is None or len(cells) <= max(places.values()):
            _note(refused, Refused("bad_row", detail=f"{file}:{line} 行の列が足りない / the row is cut or not CSV"))
            continue
        report, remarks = read_row(mapping, {column: cells[at] for column, at in places.items()}, source)
        for remark in remarks:
            _note(refused, Refused(remark.code, detail=_placed(file, line, remark)))
        if report is not None:
            reports.append((line, report))
    return _distinct(file, reports, refused), refused


def _heading(file: str, rows: Iterator[tuple[int, list[str] | None]], mapping: Mapping) -> dict[str, int]:
    """Where each column of the mapping stands. Raises ConnectorError where one is missing or stands twice."""
    cells: list[str] | None = None
    for _ in range(mapping.header_line):
        _, cells = next(rows, (0, None))
    heading = [plain_text(cell) for cell in cells or ()]
    places: dict[str, int] = {}
    for column in mapping.columns:
        at = [place for place, cell in enumerate(heading) if cell == plain_text(column)]
        if len(at) != 1:
            ja, en = ("がない", "is missing") if not at else ("が二つある", "stands twice")
            where = f"{file}:{mapping.header_line}"
            raise ConnectorError(
                f"{where} 見出し {shown(column)} {ja} / the column {shown(column)} {en}", fault="malformed"
            )
        places[column] = at[0]
    return places


def _distinct(file: str, reports: list[tuple[int, DeviceReport]], refused: list[Refused]) -> list[DeviceReport]:
    """The reports without the names that two devices share: such a name finds neither of them.

    Rows with all names alike are one device, at several times. A row that has no name left is refused.
    """
    holders: dict[tuple[str, str], set[tuple[tuple[str, str], ...]]] = defaultdict(set)
    for _, report in reports:
        for kind, value in report.names.items():
            holders[kind, value].add(tuple(report.names.items()))
    kept: list[DeviceReport] = []
    for line, report in reports:
        own = {kind: value for kind, value in report.names.items() if len(holders[kind, value]) == 1}
        if own:
            kept.append(report if len(own) == len(report.names) else replace(report, names=own))
        if len(own) < len(report.names):
            shared = next(value for kind, value in report.names.items() if kind not in own)
            what = f"{shown(shared)} が複数の端末の行にある / {shown(shared)} names several devices"
            _note(refused, Refused("ambiguous_name", detail=f"{file}:{line} {what}"))
    return kept


def _placed(file: str, line: int, remark: Remark) -> str:
    return f"{file}:{line} 列 {shown(remark.column)}: {remark.ja} / {remark.en}"


def _note(refused: list[Refused], one: Refused) -> None:
    if len(refused) < MAX_REMARKS:
        refused.append(one)


def _unusable(faults: Faults) -> ConnectorError:
    return ConnectorError(f"文字コードを読めない / {faults.kept[0]}", fault="malformed")
