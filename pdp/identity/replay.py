"""Used DPoP proofs, for as long as they could be used again (RFC 9449 section 11.1).

In this process always. With a Redis that workers share also there, so that a proof counts once for all of them;
while Redis does not answer within its deadline, once for each worker: that is what the RFC asks at least.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.identity.dpop import Proof

MAX_PROOFS: Final = 200_000  # 130 s of 1,500 requests a second; 40 MB. Only proofs that hold come so far
# A decision may wait for keys, and its `now` then lies before that of others: a proof is remembered for so much longer.
LATE: Final = timedelta(seconds=10)


class SharedMarks(Protocol):
    """Marks that all workers see. Adapter: `pdp.identity.shared_marks`."""

    async def claim(self, name: str, owner: str, lasts_ms: int) -> str | None:
        """Who has claimed this name: `owner` where nobody had. None where nobody could be asked; never raises."""
        ...


class ReplayMemory:
    """Adapter of `pdp.identity.possession.Replays`. A full memory refuses: it forgets no proof that still counts."""

    def __init__(self, shared: SharedMarks | None = None, *, max_proofs: int = MAX_PROOFS) -> None:
        self._shared = shared
        self._max_proofs = max_proofs
        self._used: OrderedDict[bytes, tuple[datetime, str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    async def first_use(self, proof: Proof, use: str, now: datetime) -> bool:
        """As the port says. `use` is compared: a decision that is begun again on the way is the same use."""
        digest = sha256(f"{proof.jkt}\n{proof.token_id}".encode()).digest()
        known = self._used.get(digest)
        if known is not None:
            return bool(use) and known[1] == use
        self._forget(now)
        if len(self._used) >= self._max_proofs:
            return False
        self._used[digest] = (proof.until, use)  # before anything is awaited: two at once are two uses
        if self._shared is None:
            return True
        lasts_ms = max(1, int((proof.until + LATE - now).total_seconds() * 1_000))
        owner = use or digest.hex()
        claimed = await self._shared.claim(f"dpop:{digest.hex()}", owner, lasts_ms)
        return claimed is None or (bool(use) and claimed == use)

    def _forget(self, now: datetime) -> None:
        """From the oldest on: they were used in the order in which they end, give or take the window."""
        while self._used:
            digest, (until, _) = next(iter(self._used.items()))
            if until + LATE >= now:
                return
            del self._used[digest]
