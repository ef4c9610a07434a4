"""A directory in memory's reach: a store of its own per test, and files as texts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pdp.directory.files.reading import SourceFile
from pdp.directory.importer import ImportPlan, ImportReport, import_sources
from pdp.store.store import Store

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)  # 10:00 in Japan


def bring(store: Store, files: dict[str, str | bytes], **plan: Any) -> ImportReport:
    sources = [
        SourceFile(name, content if isinstance(content, bytes) else content.encode()) for name, content in files.items()
    ]
    return import_sources(store, sources, ImportPlan(**{"now": NOW, "actor": "operator", **plan}))


def brought(store: Store, files: dict[str, str | bytes], **plan: Any) -> ImportReport:
    """`bring`, where no fault is expected."""
    report = bring(store, files, **plan)
    assert report.faults == (), [str(fault) for fault in report.faults]
    return report


def places(report: ImportReport) -> list[tuple[str, int | None, str | None]]:
    return [(fault.file, fault.line, fault.column) for fault in report.faults]


def says(report: ImportReport) -> list[str]:
    return [str(fault) for fault in report.faults]
