"""An empty directory of this version as a copy of one that was migrated once: a migration takes longer than most tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from pdp.store.store import Store, open_store


@cache
def _migrated() -> bytes:
    with TemporaryDirectory(prefix="empty-store-") as folder:
        place = Path(folder) / "store.db"
        store = open_store(f"sqlite:///{place}")
        store.migrate()
        store.close()
        return place.read_bytes()


def empty_store(folder: Path) -> Store:
    """Open, at `sekisho.db` in the folder; whoever asks for it closes it."""
    place = folder / "sekisho.db"
    place.write_bytes(_migrated())
    return open_store(f"sqlite:///{place}")
