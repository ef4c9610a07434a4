"""Registers written out as the CSV files that would bring them: the importer's other direction, for tests only."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pdp.directory.files.fields import FIELDS, Sheet
from pdp.model.directory import JST, Period

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pdp.directory.registers import Registers

POSTURE_FACTS = (
    "certificate", "disk_encrypted", "edr_running", "edr_risk", "av_current", "firewall", "screen_lock", "tampered",
)  # fmt: skip


def start(instant: datetime | None) -> str:
    """A day where it is Japan's midnight, else a time with its offset."""
    if instant is None:
        return ""
    local = instant.astimezone(JST)
    return local.date().isoformat() if local.time() == datetime.min.time() else local.isoformat()


def end(instant: datetime | None) -> str:
    if instant is None:
        return ""
    local = instant.astimezone(JST)
    midnight = local.time() == datetime.min.time()
    return (local.date() - timedelta(days=1)).isoformat() if midnight else local.isoformat()


def span(period: Period) -> tuple[str, str]:
    return start(period.start), end(period.end)


def word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def rows_of(registers: Registers) -> dict[Sheet, tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """(headings, rows) of every file."""
    r = registers
    return {
        "users": (
            ("id", "kind", "name", "organisation", "identity_source", "roles", "status", "employed_from", "employed_until"),
            [(u.id, u.kind, u.name, u.organisation, u.identity_source, ";".join(u.roles), u.status, *span(u.employment)) for u in r.users.values()],
        ),
        "posts": (
            ("user", "department", "from", "until"),
            [(u.id, p.department, *span(p.period)) for u in r.users.values() for p in u.posts],
        ),
        "devices": (
            ("id", "class", "owner", "department", "shared", "state", "takeout", "returned_from_outside", "certificate_sha256"),
            [
                (d.id, d.class_, word(d.owner), word(d.department), word(d.shared), d.state, d.takeout, word(d.returned_from_outside), word(d.certificate_sha256))
                for d in r.devices.values()
            ],
        ),
        "posture": (
            ("device", "observed_at", "patch_age_days", "source", *POSTURE_FACTS),
            [
                (key.partition(" ")[0], p.observed_at.isoformat() if p.observed_at else "", word(p.patch_age_days), p.source, *(word(getattr(p, f)) for f in POSTURE_FACTS))
                for key, p in r.posture.items()
            ],
        ),
        "permits": (
            ("device", "user", "from", "until", "held"),
            [(p.device, p.user, *span(p.period), word(p.held)) for p in r.permits.values()],
        ),
        "loans": (("device", "user", "from", "until"), [(p.device, p.user, *span(p.period)) for p in r.loans.values()]),
        "work_permits": (
            ("id", "users", "resources", "devices", "from", "until"),
            [(p.id, ";".join(sorted(p.users)), ";".join(sorted(p.resources)), ";".join(sorted(p.devices)), *span(p.period)) for p in r.work_permits.values()],
        ),
        "resources": (
            ("id", "group", "ja", "en", "segments", "from", "until", "readonly_from", "departments", "organisations", "sensitivity"),
            [
                (c.id, c.group, c.title_ja, c.title_en, ";".join(s.segment + (f"@{start(s.start)}" if s.start else "") for s in c.segments),
                 *span(c.service), start(c.readonly_from), ";".join(c.departments), ";".join(c.organisations), word(c.sensitivity))
                for c in r.resources.values()
            ],
        ),
        "emergencies": (("from", "until", "reason"), [(*span(e.period), e.reason) for e in r.emergencies.values()]),
    }  # fmt: skip


def csv_text(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(headings)
    writer.writerows(rows)
    return out.getvalue()


def japanese(sheet: Sheet, headings: Iterable[str]) -> list[str]:
    return [next(f.headings[0] for f in FIELDS[sheet] if f.name == heading) for heading in headings]


def write_sheets(folder: Path, registers: Registers, *, in_japanese: bool = False, encoding: str = "utf-8") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for sheet, (headings, rows) in rows_of(registers).items():
        named = japanese(sheet, headings) if in_japanese else headings
        (folder / f"{sheet}.csv").write_bytes(csv_text(named, rows).encode(encoding))
