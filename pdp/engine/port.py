"""What the checkpoint needs of a Rego engine. Both adapters pass `tests/contract/test_engine.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.errors import EngineError


MAX_DOCUMENT_BYTES: Final = 1_000_000  # of one document; a `pdp.input/v1` has some 1,500


class Engine(Protocol):
    """Evaluates the entry point of one active bundle.

    INVARIANT (no verdict, no allow): an engine returns bytes only where the policy itself produced a
    value; undefined, an exception, a panic, a timeout or a dead process is an `EngineError` in place of
    the bytes. It never raises for one document's sake, and never mixes two bundles in one call.
    """

    @property
    def name(self) -> str:
        """`regorus` or `opa`, for metrics and `pdp doctor`."""
        ...

    async def activate(self, bundle: Bundle) -> None:
        """Load the bundle and prove it by one evaluation; later calls of `evaluate` use it.

        Nothing is awaited after the change: whoever awaits this call continues in the same turn of the
        event loop in which the new bundle took over, so no decision falls between the two.

        Raises BundleError (the previous bundle stays active) where the bundle does not load, and
        EngineError where the engine itself cannot be reached.
        """
        ...

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        """The entry point's value for each document (JSON), in the same order, as JSON; or the error.

        With `digest`, by that bundle and no other: EngineSupersededError for every document where another
        one is active, so that no answer is recorded under a policy that did not give it.

        Every document has its own deadline, and at most MAX_DOCUMENT_BYTES. The event loop is never blocked.
        """
        ...

    async def close(self) -> None:
        """Let go of processes and connections. May be called twice."""
        ...
