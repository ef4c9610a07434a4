"""How often passwords may be tried in one worker: few in a while from one address, not many more from all together.

Only failures count. Nobody is locked out for good: the account of an emergency must be there in the emergency.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from pdp.errors import TooManyRequestsError

WINDOW: Final = timedelta(minutes=5)
FROM_ONE: Final = 5
FROM_ALL: Final = 50
_MAX_ADDRESSES: Final = 1_000


class Attempts:
    def __init__(self) -> None:
        self._all: Final[deque[datetime]] = deque()
        self._by_address: Final[dict[str, deque[datetime]]] = {}

    def admit(self, address: str | None, now: datetime) -> None:
        """Raises TooManyRequestsError where there were too many failures."""
        for failures, most in ((self._all, FROM_ALL), (self._by_address.get(address or "", deque()), FROM_ONE)):
            while failures and now - failures[0] >= WINDOW:
                failures.popleft()
            if len(failures) >= most:
                rest = WINDOW - (now - failures[0])
                raise TooManyRequestsError(
                    "too many passwords were tried", retry_after_s=max(1, int(rest.total_seconds()))
                )

    def failed(self, address: str | None, now: datetime) -> None:
        if len(self._by_address) >= _MAX_ADDRESSES:
            for known in [a for a, failures in self._by_address.items() if now - failures[-1] >= WINDOW]:
                del self._by_address[known]
        self._all.append(now)
        if len(self._by_address) < _MAX_ADDRESSES or (address or "") in self._by_address:
            self._by_address.setdefault(address or "", deque(maxlen=FROM_ONE)).append(now)
