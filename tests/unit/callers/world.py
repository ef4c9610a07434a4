"""A register of callers in a fresh store, with clocks that stand, and everything that is refused written down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pdp.callers.caller import Caller, Permission
from pdp.callers.credentials import Credentials
from pdp.callers.machine import MachineToken
from pdp.callers.stored import StoredCallers, Why
from pdp.errors import BadRequestError, NotAuthenticatedError
from pdp.store.store import Store
from tests.empty_store import empty_store

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MESSAGE = "a valid API key, certificate or access token is needed"
ISSUER = "https://id.example.jp/realms/machines"


class Clocks:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        self.nanoseconds = 0


class Tokens:
    """An issuer that signed what is in `known`, each bound to a certificate or to none."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[MachineToken, str | None]] = {}
        self.asked: list[tuple[str, str | None, datetime]] = []

    def add(self, text: str, scopes: str = "", *, certificate: str | None = None, **changes: Any) -> str:
        said = MachineToken(ISSUER, "gateway-client", "gateway-client", frozenset(scopes.split()))
        self.known[text] = said._replace(**changes), certificate
        return text

    async def read(self, token: str, certificate_sha256: str | None, now: datetime) -> MachineToken:
        self.asked.append((token, certificate_sha256, now))
        said, bound = self.known.get(token, (None, None))
        if said is None or bound not in (None, certificate_sha256):
            raise BadRequestError(f"the token is refused: {token}")
        return said


class Register:
    """The callers of one worker. `refused` is what its observer was told."""

    def __init__(self, folder: Path, *, now: datetime = NOW, **parts: Any) -> None:
        self.store: Store = empty_store(folder)
        self.clocks = Clocks(now)
        self.tokens = Tokens()
        self.refused: list[tuple[str | None, Why]] = []
        self.callers = StoredCallers(
            self.store,
            lambda: self.clocks.now,
            stopwatch=lambda: self.clocks.nanoseconds,
            observer=self,
            tokens=self.tokens,
            **parts,
        )

    def caller_refused(self, caller_id: str | None, why: Why) -> None:
        self.refused.append((caller_id, why))

    async def known(self, **shown: Any) -> Caller | None:
        """Who is known by these credentials; None where they are refused, which must tell nobody why."""
        try:
            return await self.callers.introduce(Credentials(**{"peer": "192.0.2.1", **shown}))
        except NotAuthenticatedError as fault:
            assert fault.message == MESSAGE
            return None

    def why(self) -> tuple[str | None, Why]:
        """Why the last one was refused."""
        return self.refused[-1]


SCOPES: Mapping[str, frozenset[Permission]] = {"pdp.all": frozenset({"decide", "batch", "search"})}
