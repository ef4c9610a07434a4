"""How tenants stand, as the admin API tells it."""

from __future__ import annotations

from pathlib import Path

from pdp.delivery.journal import Applied, Journal, Looked
from pdp.delivery.standings import standings


def test_a_tenant_tells_its_last_look_and_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert standings(tmp_path) == []
    journal = Journal(tmp_path, "mie")
    with journal.locked():
        journal.end(Applied("x", "prisma", "mie", "e", "p", "2026-04-01T00:00:00Z", ()))
        (told,) = standings(tmp_path)
        assert (told["differences"], told["looked_at"]) == (None, None)
        journal.looked(Looked("2026-04-01T01:00:00Z", 2))
    assert standings(tmp_path) == [
        {
            "tenant": "mie",
            "vendor": "prisma",
            "applied_at": "2026-04-01T00:00:00Z",
            "unfinished": False,
            "looked_at": "2026-04-01T01:00:00Z",
            "differences": 2,
            "fault": "",
        }
    ]
    beside = tmp_path / "delivery" / "mie.bak"  # what an administrator put aside is no tenant, and breaks no page
    beside.mkdir()
    (beside / "applied.json").write_bytes((tmp_path / "delivery" / "mie" / "applied.json").read_bytes())
    assert [one["tenant"] for one in standings(tmp_path)] == ["mie"]
    (tmp_path / "delivery" / "mie" / "applied.json").write_text("{")
    (told,) = standings(tmp_path)
    assert (told["differences"], told["fault"]) == (None, "what is kept of this delivery cannot be read")
