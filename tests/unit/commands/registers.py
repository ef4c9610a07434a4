"""A small directory in the default place, for the commands that read one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pdp.directory.changes import change
from pdp.model.directory import Device, Post, PostureReport, User
from pdp.store.store import open_store

NOW = datetime.now(UTC).replace(microsecond=0)


def fill(state: Path, *, seen: datetime | None = NOW - timedelta(hours=1)) -> str:
    """One member of staff with one managed PC; the database's URL."""
    state.mkdir(exist_ok=True)
    url = f"sqlite:///{(state / 'sekisho.db').resolve()}"
    store = open_store(url)
    store.migrate()
    with change(store, NOW) as inside:
        inside.put_user(User("u-1", "staff", posts=(Post("soumu"),)))
        inside.put_device(Device("d-1", "managed_pc", owner="u-1", takeout="permitted", posture=healthy(seen)))
    store.close()
    return url


def healthy(seen: datetime | None) -> PostureReport:
    return PostureReport(
        certificate=True,
        disk_encrypted=True,
        edr_running=True,
        edr_risk="none",
        av_current=True,
        firewall=True,
        screen_lock=True,
        tampered=False,
        patch_age_days=1,
        observed_at=seen,
        source="asset",
    )
