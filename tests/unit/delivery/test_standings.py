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
    (tmp_path / "delivery" / "mie" / "applied.json").write_text("{")
    (told,) = standings(tmp_path)
    assert (told["differences"], told["fault"]) == (None, "what is kept of this delivery cannot be read")
