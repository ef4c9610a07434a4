"""Every bound of the decision log, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Durability = Literal["power", "process"]
"""`power`: answered after fdatasync, so that nothing answered is lost when the power fails. `process`:
answered after write(), so that nothing answered is lost when the process dies; a power failure takes at
most what was answered in the last `sync_every_s` and the sync under way."""

BackPressure = Literal["deny", "block", "spill"]
"""While the log cannot take a record: `deny` fails at once; `block` waits, up to the deadline; `spill`
writes it to a second place, and fails as `deny` does where that takes none either."""

MAX_SEGMENT_BYTES: Final = 64 * 1024 * 1024  # about 30,000 records: one is read in 0.05 s, and 1,000 make a busy day


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that few will change; seconds and bytes."""

    record_bytes: int = 1024 * 1024  # the largest request body is smaller; beyond it something is wrong
    queued_records: int = 16_384  # half a second of the fastest disk measured; more would only wait longer
    queued_bytes: int = 64 * 1024 * 1024  # memory of one worker while its disk stands still
    deadline_s: float = 5.0  # gateways give up after 1 to 10 s; an answer after that helps nobody
    segment_age_s: float = (
        900.0  # a sealed segment can be compacted and shipped: at most this long after its first record
    )
    gather_s: float = 0.0007  # from one group to the next while callers come together; each costs 0.1 ms of a core
    probe_s: float = 1.0  # how often a log that cannot be written tries again
    look_s: float = 1.0  # how often the age of the segment and the room on the disk are looked at
    sync_every_s: float = 0.1  # durability `process`: the most that a power failure can take, in time
    min_free_bytes: int = 64 * 1024 * 1024  # below one segment `/readyz` says no, so that gateways leave in time
    patience_s: float = 2.0  # `spill`: one call to the disk; longer than a slow disk takes, well within the deadline
    last_move_bytes: int = 4 * 1024 * 1024  # `spill`: what is brought home at the last, with requests waiting
    close_s: float = 10.0  # a disk that hangs must not keep the process from ending
