"""A decision log that keeps nothing: where a question is asked for its explanation, and nobody gets access."""

from __future__ import annotations


class UnsafeNoRecord:
    """A `DecisionLog` for `pdp decide`, scenarios and simulation. It breaks the log's one rule."""

    async def append(self, record: bytes) -> None:
        """Forget the record."""

    def begin(self, record: bytes) -> None:
        """There is nothing to begin."""

    def find(self, decision_id: str) -> bytes | None:  # noqa: ARG002  # nothing was kept
        return None

    def writable(self) -> bool:
        return True

    @property
    def unrecorded(self) -> int:
        return 0

    @property
    def spilling_since(self) -> None:
        return None

    async def close(self) -> None:
        """There is nothing to let go of."""
