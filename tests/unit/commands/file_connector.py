"""A connector for the tests of the commands: what it says of devices stands in a JSON file, or it fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from connectors.port import Cursor, DeviceReport, Page, Run
from connectors.setup import Setup
from pdp.errors import ConnectorError
from pdp.model.directory import PostureReport


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    file: str


class FileConnector:
    def __init__(self, setup: Setup) -> None:
        self.name = setup.name
        self._file = Path(setup.read(_Settings).file)

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:
        return Run(self._pages(now), cursor is None, Cursor("next"))

    async def _pages(self, now: datetime) -> AsyncIterator[Page[DeviceReport]]:
        if not self._file.exists():
            raise ConnectorError("the file is not there", fault="unreachable")
        said: list[dict[str, Any]] = json.loads(self._file.read_text())
        for one in said:
            facts = PostureReport(**one.get("facts", {}), observed_at=now, source=self.name)
            yield Page((DeviceReport(one["names"], facts),))


def connector(setup: Setup) -> FileConnector:
    return FileConnector(setup)
