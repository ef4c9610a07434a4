"""The level in this process: what was judged last stays. An entry that is in use is judged again when it ends."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.cache.entry import Entry


class LocalLevel:
    """At most `entries` of them; an entry has some 300 bytes, because equal verdicts are one object."""

    def __init__(self, entries: int) -> None:
        self._most = entries
        self._held: OrderedDict[bytes, Entry] = OrderedDict()
        self.evicted = 0  # entries that went for want of room, not because they had ended

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: bytes, now: datetime) -> Entry | None:
        entry = self._held.get(key)
        if entry is None:
            return None
        if now >= entry.until:
            del self._held[key]
            return None
        return entry

    def put(self, key: bytes, entry: Entry) -> None:
        if self._most == 0:
            return
        self._held[key] = entry
        self._held.move_to_end(key)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
            self.evicted += 1
